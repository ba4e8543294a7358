"""What is known of a public checkpoint, fact by fact with its source, and how it is loaded. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Generic, Literal, TypeVar, get_args

from midvision.core.catalog import discover

T = TypeVar("T")
# How the source was used: run with random weights, read (official code, configuration or README), or
# inferred from public third-party loaders that load strictly. No real checkpoint was opened for a card.
Evidence = Literal["verified", "read", "inferred"]
# The closed list of the comparison; a model outside it has an `Unknown` that says why.
Paradigm = Literal[
    "pretext",
    "instance discrimination",
    "contrastive and joint embedding",
    "clustering",
    "masked modelling",
    "supervised",
    "control",
]
PARADIGMS: tuple[str, ...] = get_args(Paradigm)
# How a stored position table is brought to another grid: bicubic with DINO's tenth of a cell; bicubic to the number of
# cells; or the library's own antialiased way.
PositionRule = Literal["dino", "bicubic", "resampled"]


@dataclass(frozen=True, slots=True)
class Known(Generic[T]):
    """A fact, and the public place that says so (repository, file, paper, configuration)."""

    value: T
    source: str
    evidence: Evidence = "read"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A fact that nobody looked up or found, and why."""

    reason: str


Fact = Known[T] | Unknown


@dataclass(frozen=True, slots=True)
class Source:
    """Where the weights are published: a file's `url`, or a `filename` of a hub `repository`.

    `page` is what a person opens when the link is dead, gated or leads to a form.
    """

    url: str = ""
    repository: str = ""
    filename: str = ""
    page: str = ""
    mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pixels:
    """Mean and deviation, RGB on [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Pixels((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = Pixels((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
CLIP = Pixels((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@dataclass(frozen=True, slots=True)
class FromFile:
    """The publisher's own file, whose tensors a layout of `zoo/layouts.py` turns into those of a timm network.

    `options` go to the network's constructor where the checkpoint differs from timm's architecture
    (`num_heads`, `class_token`). The file itself is the card's `source`.
    """

    network: str
    layout: str
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FromLibrary:
    """An id of a generic route (`timm/...`, `hf-hub:...`, `transformers:...`, `torchvision/...`) that loads it."""

    id: str


@dataclass(frozen=True, slots=True)
class Unavailable:
    """No public weights, or no way to load them; listed so that no gap is silent."""

    reason: str


Route = FromFile | FromLibrary | Unavailable


@dataclass(frozen=True, slots=True)
class ReferenceReading:
    """What the code of arXiv 2411.17474 does to this encoder beside the task's rules; only `paper` repeats it.

    `block_shift` moves every block read (-1: one early). `forced_size` is the input size whatever the task asks.
    """

    block_shift: int = 0
    forced_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One public checkpoint. Facts are `Known` with a source or `Unknown` with a reason, never from memory.

    `sha256` may be its first digits, where a publisher writes those into the file's name.
    `weights_options` are the sets of weights in one file that `?weights=` chooses from, the default first.
    """

    id: str
    title: str
    route: Route
    method: Fact[str]
    paradigm: Fact[Paradigm]
    objective: Fact[str]
    architecture: Fact[str]
    training_data: Fact[str]
    year: Fact[int]
    source: Fact[Source]
    revision: Fact[str]
    sha256: Fact[str]
    container: Fact[str]
    pixels: Fact[Pixels]
    licence: Fact[str]
    gated: Fact[bool]
    paper: Fact[str]
    linear_top1: Fact[float]
    knn_top1: Fact[float]
    epochs: Fact[int] = Unknown("not stated where the source was read")
    border_paradigm: Fact[str] = Unknown("no other assignment is named")
    positions: Fact[PositionRule] = Unknown("the library's own rule is used")
    reference_reading: Fact[ReferenceReading] = Unknown("not among the reference's special cases")
    oddities: tuple[Known[str], ...] = ()
    weights_options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.id

    @property
    def usable(self) -> bool:
        return not isinstance(self.route, Unavailable)

    @property
    def default_weights(self) -> str:
        return self.weights_options[0] if self.weights_options else ""

    def facts(self) -> dict[str, Known[Any] | Unknown]:
        """Every fact field by name."""
        found = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        return {name: value for name, value in found.items() if isinstance(value, Known | Unknown)}

    def unknowns(self) -> dict[str, str]:
        """What the card does not know, with the reasons; fields with a meaningful default do not count."""
        missing = {name: fact.reason for name, fact in self.facts().items() if isinstance(fact, Unknown)}
        return {name: reason for name, reason in missing.items() if name not in OPTIONAL}

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON: facts as {value, source, evidence} or {unknown}."""
        body: dict[str, Any] = {name: _plain(fact) for name, fact in self.facts().items()}
        return {
            "id": self.id,
            "title": self.title,
            "route": {"kind": type(self.route).__name__, **asdict(self.route)},
            **body,
            "oddities": [_plain(fact) for fact in self.oddities],
            "weights_options": list(self.weights_options),
        }


# Here "not known" means "nothing special", which is an answer.
OPTIONAL = ("border_paradigm", "positions", "reference_reading")


@cache
def all_cards() -> Mapping[str, Card]:
    """Every card of `zoo/cards/`, by id. Two equal ids stop the program."""
    import midvision.zoo.cards

    return discover(midvision.zoo.cards, "CARDS")


def known(fact: Fact[T], default: T) -> T:
    """The value of a fact, or `default` where it is not known."""
    return fact.value if isinstance(fact, Known) else default


def _plain(fact: Known[Any] | Unknown) -> dict[str, Any]:
    if isinstance(fact, Unknown):
        return {"unknown": fact.reason}
    value = asdict(fact.value) if is_dataclass(fact.value) and not isinstance(fact.value, type) else fact.value
    return {"value": value, "source": fact.source, "evidence": fact.evidence}

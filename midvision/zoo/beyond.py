"""Cards of checkpoints beyond the comparison: what a family shares, and one card of it. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from midvision.zoo.card import (
    IMAGENET,
    Card,
    Fact,
    FromFile,
    FromLibrary,
    Known,
    Paradigm,
    Pixels,
    Route,
    Source,
    Unavailable,
    Unknown,
)
from midvision.zoo.sources import (
    NO_REVISION,
    NOT_CHECKED_ACCURACY,
    NOT_CHECKED_PAPER,
    NOT_CHECKED_YEAR,
    NOT_FETCHED,
    OPEN_FILE,
    file_at,
)

__all__ = [
    "NO_KNN",
    "NO_LINEAR",
    "OUTSIDE",
    "OWN_COPY",
    "TIMM",
    "Family",
    "arxiv",
    "file_at",
    "from_file",
    "from_timm",
    "from_transformers",
    "unavailable",
]

# Its table of pretrained weights: pixel statistics, licences, addresses.
TIMM = "timm 1.0.31, pretrained configuration"
OUTSIDE = Unknown("not among the models that the comparison puts into paradigms")
NO_LINEAR = Unknown("the publisher's table gives no linear accuracy for it")
NO_KNN = Unknown("the publisher's table gives no kNN accuracy for it")
# The library loads its own conversion, whose access conditions may differ from the publisher's.
OWN_COPY = Unknown("access to the library's own copy was not checked")
_NOTHING = Unknown("the model cannot be loaded")
_FACTS = (
    "method paradigm objective architecture training_data year revision sha256 container pixels licence gated "
    "paper linear_top1 knn_top1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What all checkpoints of one publication share; `at` is the publisher's page, where its facts were read."""

    method: str
    objective: str
    at: str
    licence: Fact[str]
    training_data: Fact[str]
    paradigm: Fact[Paradigm] = OUTSIDE
    pixels: Fact[Pixels] = Unknown("the library's own are used")
    paper: Fact[str] = NOT_CHECKED_PAPER
    year: Fact[int] = NOT_CHECKED_YEAR
    gated: Fact[bool] = OPEN_FILE
    linear_top1: Fact[float] = NOT_CHECKED_ACCURACY
    knn_top1: Fact[float] = NOT_CHECKED_ACCURACY

    @property
    def page(self) -> str:
        return f"https://{self.at.partition(' ')[0]}"


def arxiv(identifier: str, at: str) -> dict[str, Any]:
    """Paper and year of a family whose page names an arXiv number, which begins with the year."""
    return {
        "paper": Known(f"arXiv {identifier}", at),
        "year": Known(2000 + int(identifier[:2]), f"arXiv {identifier}, by its number"),
    }


def from_timm(family: Family, id: str, architecture: str, name: str, **facts: Any) -> Card:
    """A checkpoint that timm loads under `name`."""
    source = Known(Source(page=family.page), family.at)
    library = {"container": Known("timm's own", TIMM), "revision": Unknown("the library names none")}
    return _card(family, id, architecture, FromLibrary(f"timm/{name}"), source, {**library, **facts})


def from_transformers(family: Family, id: str, architecture: str, name: str, **facts: Any) -> Card:
    """A checkpoint that transformers loads under `name` (ORG/NAME)."""
    source = Known(Source(page=f"https://huggingface.co/{name}"), family.at)
    library = {"container": Known("transformers' own", family.at), "revision": Unknown("the newest is taken")}
    return _card(family, id, architecture, FromLibrary(f"transformers:{name}"), source, {**library, **facts})


def from_file(
    family: Family, id: str, architecture: str, route: FromFile, source: Source, container: Fact[str], **facts: Any
) -> Card:
    """The publisher's own file."""
    plain = {"container": container, "revision": NO_REVISION, "pixels": Known(IMAGENET, family.at)}
    if isinstance(family.pixels, Known):
        plain["pixels"] = family.pixels
    page = source if source.page else replace(source, page=family.page)
    return _card(family, id, architecture, route, Known(page, family.at), {**plain, **facts})


def unavailable(id: str, title: str, reason: str, at: str, **facts: Any) -> Card:
    """A model without public weights, or without a way to load them: listed, so that its absence is not silent."""
    empty: dict[str, Any] = dict.fromkeys(_FACTS.split(), _NOTHING)
    source: Fact[Source] = Known(Source(page=f"https://{at}"), at) if at else Unknown("no publisher's page was found")
    return Card(id=id, title=title, route=Unavailable(reason), source=source, **{**empty, **facts})


def _card(
    family: Family, id: str, architecture: str, route: Route, source: Fact[Source], facts: dict[str, Any]
) -> Card:
    shared: dict[str, Any] = {
        "method": Known(family.method, family.at),
        "paradigm": family.paradigm,
        "objective": Known(family.objective, family.at),
        "architecture": Known(architecture, family.at),
        "training_data": family.training_data,
        "year": family.year,
        "sha256": NOT_FETCHED,
        "pixels": family.pixels,
        "licence": family.licence,
        "gated": family.gated,
        "paper": family.paper,
        "linear_top1": family.linear_top1,
        "knn_top1": family.knn_top1,
    }
    usual = {
        "title": f"{family.method} {architecture}",
        "positions": Unknown("the library's own rule, or the shared one, is used"),
    }
    return Card(id=id, route=route, source=source, **{**usual, **shared, **facts})

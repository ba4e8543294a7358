"""Model ids: what kinds there are, how one is taken apart, which are listed. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import parse_qsl

from midvision.core.errors import UsageError, nearest
from midvision.zoo.card import Card, FromLibrary, Known, Unavailable, all_cards

Kind = Literal["card", "control", "random", "timm", "hf-hub", "transformers", "torchvision", "file", "python"]

CONTROL_TITLES = {
    "pixels": "raw pixels of each 16 x 16 patch",
    "descriptor": "classical dense descriptor (gradients, colour, figure and ground)",
    "position": "image coordinates only",
    "colour": "mean colour only",
    "noise": "Gaussian noise tied to the image",
}
# Made from the truth of a data set, so they are built where data is known, not here.
ORACLE_TITLES = {
    "oracle": "features made from the truth: the reachable ceiling",
    "shuffled-oracle": "the oracle's features of another image",
}
RANDOM_EXAMPLES = (
    "resnet50",
    "vit_small_patch16_224",
    "resnet18",
    "vit_tiny_patch16_224",
    "convnext_atto",
    "swin_tiny_patch4_window7_224",
)
_CACHED = "its weights, from the cache or the network"
_EXTRA = "midvision[transformers]"
_FORMS = {
    "random/<arch>": ("any timm or torchvision architecture with seeded random weights", "nothing"),
    "timm/<name>": ("any timm model", _CACHED),
    "hf-hub:<org>/<name>": ("a timm model on the Hugging Face hub", _CACHED),
    "transformers:<org>/<name>": ("a transformers vision model, on the hub or in a folder", _EXTRA),
    "torchvision/<name>": ("a torchvision ResNet or ConvNeXt", _CACHED),
    "file:<path>?arch=<name>": ("your checkpoint in a timm architecture", "the file"),
    "python:<package.module>:<factory>": ("your own function that returns a module or an encoder", "the package"),
}
_COLON_KINDS: tuple[Kind, ...] = ("hf-hub", "transformers", "file", "python")
_SLASH_KINDS: tuple[Kind, ...] = ("control", "random", "timm", "torchvision")
_FILE_OPTIONS = ("arch", "prefix", "pixels")


Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ModelId:
    """An id taken apart: `timm/resnet50` is kind `timm`, name `resnet50`."""

    text: str
    kind: Kind
    name: str
    options: dict[str, str] = field(default_factory=dict, hash=False)


def parse_id(text: str) -> ModelId:
    """Take an id apart. Raises `UsageError` with the nearest ids where it has no known form."""
    if text.partition("?")[0] in all_cards():
        return _with_options(text, "card", text)
    for kind in _COLON_KINDS:
        if text.startswith(f"{kind}:") and len(text) > len(kind) + 1:
            return _with_options(text, kind, text[len(kind) + 1 :])
    for kind in _SLASH_KINDS:
        if text.startswith(f"{kind}/") and len(text) > len(kind) + 1:
            return _with_options(text, kind, text[len(kind) + 1 :])
    raise unknown_model(text)


def unknown_model(text: str) -> UsageError:
    plain = text.partition("?")[0]
    bare = plain and not set(plain) & set("/:")
    return UsageError(
        f"There is no model {text!r}.",
        nearest(text, [str(record["id"]) for record in static_records()]),
        "See: midvision list models" + (f"; a network of timm is timm/{plain} or random/{plain}." if bare else ""),
    )


def static_records() -> list[Record]:
    """What `list models` shows without loading any library: cards, controls, examples, and the forms of ids."""
    titles = {**CONTROL_TITLES, **ORACLE_TITLES}
    records: list[Record] = [_record(f"control/{name}", "control", title, "nothing") for name, title in titles.items()]
    records += [card_record(card) for card in all_cards().values()]
    records += [_record(f"random/{arch}", "random", "seeded random weights", "nothing") for arch in RANDOM_EXAMPLES]
    records += [_record(form, "form", title, needs) for form, (title, needs) in _FORMS.items()]
    return records


def _record(name: str, kind: str, source: str, needs: str) -> Record:
    missing = needs == _EXTRA and find_spec("transformers") is None
    return {"id": name, "kind": kind, "source": source, "needs": needs, "available": not missing}


def card_record(card: Card) -> Record:
    """What `list models` shows of a card, with every fact under `card`."""
    if isinstance(card.route, Unavailable):
        needs, source = card.route.reason, "not available"
    elif isinstance(card.route, FromLibrary):
        needs, source = _CACHED, card.route.id
    else:
        needs = f"{_CACHED}, or --weights FILE"
        source = card.source.value.url or card.source.value.repository if isinstance(card.source, Known) else ""
    inner = card.route.id if isinstance(card.route, FromLibrary) else ""
    missing = inner.startswith("transformers:") and find_spec("transformers") is None
    return {
        "id": card.id,
        "kind": "card",
        "title": card.title,
        "source": source,
        "needs": _EXTRA if missing else needs,
        "available": card.usable and not missing,
        "usable": card.usable,
        "reason": card.route.reason if isinstance(card.route, Unavailable) else "",
        "unknown": len(card.unknowns()),
        "card": card.as_dict(),
    }


def inner_id(card: Card) -> ModelId:
    """The generic id that loads a card which a library knows."""
    assert isinstance(card.route, FromLibrary), card.id
    return parse_id(card.route.id)


def _with_options(text: str, kind: Kind, rest: str) -> ModelId:
    """Split `name?key=value&key=value`; `file:` has options, and cards with several sets of weights."""
    name, mark, query = rest.partition("?")
    options = dict(parse_qsl(query, keep_blank_values=True))
    card = all_cards()[name] if kind == "card" else None
    allowed = _FILE_OPTIONS if kind == "file" else ("weights",) if card and card.weights_options else ()
    for key in options:
        if key not in allowed:
            expected = (
                nearest(key, allowed) if allowed else f"{'This id has' if card else f'Ids of kind {kind} have'} none."
            )
            raise UsageError(f"Model id {text!r} has an unknown option {key!r}.", expected)
    if not name or (mark and not options):
        raise UsageError(f"Model id {text!r} is not complete.", "A name, then ?key=value pairs, are expected.")
    if card and options and options["weights"] not in card.weights_options:
        raise UsageError(
            f"{name} has no {options['weights']!r} weights.", nearest(options["weights"], card.weights_options)
        )
    return ModelId(text, kind, name, options)

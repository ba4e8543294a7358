"""Which cards a network found in a file could be, and the id that runs it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from midvision.core.errors import DataError
from midvision.zoo.card import Card, FromFile, FromLibrary, Source, all_cards, known
from midvision.zoo.fetch import published_sha256
from midvision.zoo.fit import match
from midvision.zoo.layouts import State, all_layouts

_IMAGENET_CLASSES = (1000, 21841, 21843)
# Parts that one method's files hold beside a network in a layout of several methods, the rarest first.
_TELLING = {"BEiT v2": "cls_pt_layers.", "MASt3R": "head_local_features.", "DUSt3R": "downstream_head1."}


@dataclass(frozen=True, slots=True)
class Place:
    """Tensors of one network in a file, under a network's own names.

    `readings` are what each publisher's layout takes there, `state` the one that leaves most aside;
    `weights` tells sets of weights apart, `label` chooses them in a `file:` id.
    """

    weights: str | None
    label: str
    state: State
    readings: Mapping[str, State] = field(default_factory=dict)

    @property
    def layouts(self) -> tuple[str, ...]:
        return tuple(self.readings)


@dataclass(frozen=True, slots=True)
class Fit:
    """The timm architecture that a place fills exactly, and how a `file:` id chooses it: None where none can.

    `problem` says why none is filled.
    """

    architecture: str | None
    prefix: str | None
    problem: str | None = None


def likely_cards(place: Place, fit: Fit, tables: Iterable[State], path: Path, digest: str) -> list[tuple[Card, str]]:
    """Cards with this hash, else those whose network the file fills exactly, and what speaks for each.

    A classifier tells supervised ones apart, and a telling part beside the network its method.
    """
    held = list(tables)
    classified = any(_classes(table) in _IMAGENET_CLASSES for table in held)
    ranked: list[tuple[int, Card, str]] = []
    fills: dict[str, bool] = {}
    for card in all_cards().values():
        published = published_sha256(card)
        if published and digest.startswith(published):
            ranked.append((0, card, "the published file, by its SHA-256"))
        elif _agrees(card, place, fit, path, fills):
            named = _file_name(card) == path.name
            ranked.append((1, card, "layout, shapes and file name") if named else (2, card, "layout and shapes"))
    if ranked and min(rank for rank, _, _ in ranked) > 0:
        supervised = [entry for entry in ranked if known(entry[1].paradigm, "control") == "supervised"]
        ranked = (supervised or ranked) if classified else [entry for entry in ranked if entry not in supervised]
        ranked = _told_apart(ranked, held)
    ranked.sort(key=lambda entry: entry[0])
    best = ranked[0][0] if ranked else 0
    return [(card, because) for rank, card, because in ranked if rank == best or best > 0]


def _told_apart(ranked: list[tuple[int, Card, str]], tables: list[State]) -> list[tuple[int, Card, str]]:
    for method, mark in _TELLING.items():
        there = any(mark in name for table in tables for name in table)
        of_method = [entry for entry in ranked if known(entry[1].method, "") == method]
        if of_method:
            ranked = of_method if there else [entry for entry in ranked if entry not in of_method]
    return ranked


def _agrees(card: Card, place: Place, fit: Fit, path: Path, fills: dict[str, bool]) -> bool:
    """Whether the place is laid out as a card says and fills its network; timm's own files need no prefix."""
    route = card.route
    if isinstance(route, FromFile):
        reading = place.readings.get(route.layout)
        key = f"{route.layout} {route.network} {sorted(route.options.items())}"
        if reading is not None and key not in fills:
            fills[key] = _fills(reading, route, path)
        return reading is not None and fills[key]
    if isinstance(route, FromLibrary) and route.id.startswith("timm/"):
        name = route.id.removeprefix("timm/").partition(".")[0]
        return (place.label, fit.prefix, fit.architecture) == ("", "", name)
    return False


def _fills(reading: State, route: FromFile, path: Path) -> bool:
    from midvision.encoders.timm_shapes import empty_state

    wanted = empty_state(route.network, tuple(sorted(route.options.items())))
    try:
        match(reading, wanted or {}, str(path))
    except DataError:
        return False
    return True


def _file_name(card: Card) -> str:
    source = known(card.source, Source())
    return source.filename or source.url.rsplit("/", 1)[-1]


def _classes(table: State) -> int | None:
    """Rows of the last linear layer of a classifier, if there is one."""
    for name, value in table.items():
        if name.endswith(("fc.weight", "head.weight", "classifier.weight")) and value.ndim == 2:
            return int(value.shape[0])
    return None


def way_to_run(
    place: Place, fit: Fit, cards: list[tuple[Card, str]], pixels: str, path: Path
) -> tuple[str | None, str | None]:
    """The id to run it with, and the command: a card's where one is likeliest, else the file in its architecture."""
    # Of equally likely ones, a card that reads the publisher's own file knows more of it than a library's.
    ranked = sorted(cards, key=lambda one: (one[1] != cards[0][1], isinstance(one[0].route, FromLibrary)))
    first = next((card for card, _ in ranked if _by_card(card, place) is not None), None)
    if first is not None and (_alone(cards) or fit.prefix is None or pixels.startswith("mean") or _special(cards)):
        model_id = f"{first.id}{_by_card(first, place)}"
        return model_id, f"midvision run -m {shlex.quote(model_id)} --weights {shlex.quote(str(path))} -t synth"
    if fit.architecture is None or fit.prefix is None:
        return None, None
    options = {"arch": fit.architecture, **({"prefix": fit.prefix} if fit.prefix else {})}
    if pixels in ("half", "none"):
        options["pixels"] = pixels
    query = "&".join(f"{name}={quote(value, safe='.:_-')}" for name, value in options.items())
    model_id = f"file:{path}?{query}"
    return model_id, f"midvision run -m {shlex.quote(model_id)} -t synth"


def _alone(cards: list[tuple[Card, str]]) -> bool:
    """Whether one card is likelier than all others."""
    return len(cards) == 1 or cards[0][1] != cards[1][1]


def _special(cards: list[tuple[Card, str]]) -> bool:
    """Whether a card knows what shapes do not tell, such as the number of heads."""
    return any(isinstance(card.route, FromFile) and bool(card.route.options) for card, _ in cards)


def _by_card(card: Card, place: Place) -> str | None:
    """What a card's id needs at its end to mean these weights; None where it cannot mean them."""
    if place.weights is None:
        return ""
    usual = {layout.choices[0] for name, layout in all_layouts().items() if name in place.layouts}
    if place.weights in (card.default_weights, *(usual if not card.default_weights else ())):
        return ""
    return f"?weights={place.weights}" if place.weights in card.weights_options else None

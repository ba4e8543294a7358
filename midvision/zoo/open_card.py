"""From a card to a backbone: the publisher's file in its layout, poured into the network that the card names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError
from midvision.core.settings import stable_hash
from midvision.zoo.card import (
    IMAGENET,
    Card,
    FromFile,
    FromLibrary,
    Known,
    PositionRule,
    ReferenceReading,
    Unavailable,
    known,
)

if TYPE_CHECKING:
    from midvision.encoders.encoder import Backbone
    from midvision.encoders.timm_backbone import Statistics, TimmBackbone

NOTHING_SPECIAL = ReferenceReading()


def check_usable(card: Card) -> None:
    """`DataError` with the reason where a card is listed but cannot be loaded."""
    if isinstance(card.route, Unavailable):
        raise DataError(
            f"{card.id} cannot be loaded: {card.route.reason}",
            "It is listed so that its absence is not silent.",
            "See: midvision list models --json",
        )


def open_file(card: Card, route: FromFile, path: Path, choice: str) -> TimmBackbone:
    """The network of a card with the weights of a file. Strict: every tensor is used, none is missing."""
    from midvision.encoders.timm_weights import open_with_tensors
    from midvision.zoo.fit import match
    from midvision.zoo.layouts import read_layout
    from midvision.zoo.read import read_checkpoint

    state = read_layout(route.layout, read_checkpoint(path.expanduser()), choice or card.default_weights, str(path))
    return open_with_tensors(
        route.network,
        lambda network: match(state, network.state_dict(), str(path)),
        statistics(card) or (IMAGENET.mean, IMAGENET.std),
        options=route.options,
        positions=positions(card),
    )


def open_untrained(card: Card, route: FromFile) -> TimmBackbone:
    """The network of a card with random weights, seeded by the card's id; touches no network.

    By the id, so that stand-ins for two cards of one architecture are two encoders.
    """
    from midvision.encoders.timm_weights import open_random

    pixels = statistics(card) or (IMAGENET.mean, IMAGENET.std)
    return open_random(route.network, pixels, options=route.options, positions=positions(card), draw=card.id)


def with_card(backbone: Backbone, card: Card) -> Backbone:
    """A library's backbone, or one from a file, that knows what its card says beside its tensors."""
    from midvision.encoders.positions import EXTRA_CELLS, use_positions
    from midvision.encoders.timm_backbone import TimmBackbone

    rule = positions(card)
    if isinstance(card.route, FromLibrary) and rule in EXTRA_CELLS and isinstance(backbone, TimmBackbone):
        use_positions(backbone.network, rule)
    case = known(card.reference_reading, NOTHING_SPECIAL)
    mean, std = statistics(card) or (backbone.info.pixel_mean, backbone.info.pixel_std)
    backbone.info = replace(
        backbone.info,
        pixel_mean=mean,
        pixel_std=std,
        reference_shift=case.block_shift,
        reference_size=case.forced_size,
    )
    return backbone


def network_key(card: Card, route: FromFile) -> str:
    """What decides the function computed beside the weights."""
    return stable_hash(route.network, options_text(route.options), *_decisions(card))


def library_key(card: Card, key: str) -> str:
    """The key of a library's model under a card, which may decide otherwise than the library."""
    return stable_hash("card", key, *_decisions(card))


def statistics(card: Card) -> Statistics | None:
    """The checkpoint's pixel statistics; None where the card knows none.

    A library then uses its own. A file in an architecture of timm gets ImageNet's: timm's default for
    an architecture belongs to timm's weights.
    """
    return (card.pixels.value.mean, card.pixels.value.std) if isinstance(card.pixels, Known) else None


def positions(card: Card) -> PositionRule:
    """How the position table is brought to other sizes; `resampled` is timm's own way."""
    return known(card.positions, "resampled")


def options_text(options: Mapping[str, Any]) -> str:
    return ",".join(f"{name}={options[name]}" for name in sorted(options))


def _decisions(card: Card) -> list[str]:
    facts = (positions(card), statistics(card), known(card.reference_reading, NOTHING_SPECIAL))
    return [str(fact) for fact in facts]

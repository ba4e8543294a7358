"""Every network that a card of the zoo names can be built and read, at its own size, without one weight (`meta`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import timm
import torch

from midvision.zoo.card import FromFile, FromLibrary, all_cards

pytestmark = pytest.mark.accept


def _networks() -> dict[str, tuple[str, Mapping[str, Any]]]:
    """One card id per network and options."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for card in all_cards().values():
        if isinstance(card.route, FromFile):
            name, options = card.route.network, card.route.options
        elif isinstance(card.route, FromLibrary) and card.route.id.startswith("timm/"):
            name, options = card.route.id.removeprefix("timm/"), {}
        else:
            continue
        found.setdefault(f"{name.partition('.')[0]} {json.dumps(dict(options), sort_keys=True)}", (name, options))
    return found


@pytest.mark.parametrize(("name", "options"), _networks().values(), ids=lambda value: str(value))
def test_maps_of_the_first_and_last_layer(name: str, options: Mapping[str, Any]) -> None:
    with torch.device("meta"):
        network: Any = timm.create_model(name, num_classes=0, **options).eval()
        side = int(network.pretrained_cfg["input_size"][-1])
        last = len(network.feature_info) - 1
        images = torch.zeros(1, 3, side, side)
        maps = network.forward_intermediates(images, indices=[0, last], intermediates_only=True)
    declared: Any = network.feature_info
    for found, entry in zip(maps, (declared[0], declared[last])):
        stride = entry["reduction"] if isinstance(entry, dict) else entry.reduction
        assert tuple(found.shape[-2:]) == (side // int(stride),) * 2

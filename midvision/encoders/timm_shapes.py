"""timm's networks without their tensors: names and shapes."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from midvision.encoders.timm_backbone import build_network
from midvision.encoders.timm_weights import is_timm


@lru_cache(maxsize=64)
def empty_network(arch: str, options: tuple[tuple[str, Any], ...] = ()) -> nn.Module | None:
    """An architecture without classifier, on torch's `meta` device; None where timm has none.

    `options` go to the network's constructor.
    """
    if not is_timm(arch):
        return None
    with torch.device("meta"):
        return build_network(arch, options=dict(options))


def empty_state(arch: str, options: tuple[tuple[str, Any], ...] = ()) -> dict[str, Tensor] | None:
    """The state dict of `empty_network`."""
    network = empty_network(arch, options)
    return None if network is None else dict(network.state_dict())

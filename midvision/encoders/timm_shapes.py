"""Names and shapes of a timm network's tensors, without making them."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from midvision.encoders.timm_backbone import build_network
from midvision.encoders.timm_weights import is_timm


@lru_cache(maxsize=16)
def empty_state(arch: str) -> dict[str, Tensor] | None:
    """The state dict of an architecture without classifier, on torch's `meta` device; None where timm has none."""
    if not is_timm(arch):
        return None
    with torch.device("meta"):
        return dict(build_network(arch).state_dict())

"""Names and shapes of a timm network's tensors, without making them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from midvision.encoders.timm_backbone import build_network
from midvision.encoders.timm_weights import is_timm


@lru_cache(maxsize=64)
def empty_state(arch: str, options: tuple[tuple[str, Any], ...] = ()) -> dict[str, Tensor] | None:
    """The state dict of an architecture without classifier, on torch's `meta` device; None where timm has none.

    `options` go to the network's constructor.
    """
    if not is_timm(arch):
        return None
    with torch.device("meta"):
        return dict(build_network(arch, options=dict(options)).state_dict())

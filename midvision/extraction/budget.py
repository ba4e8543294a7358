"""Cached or live is arithmetic: bytes of a plan's features against the limit and the free disk."""

from __future__ import annotations

import math
from typing import Literal

from midvision.core.features import FeaturePlan
from midvision.extraction.key import parts

BYTES = {"float16": 2, "float32": 4}
OVERHEAD = 128
"""Bytes per image and part for its digest, checksum and share of the file header."""
DISK_SHARE = 0.8
"""Share of the free disk that the cache may fill."""


def bytes_needed(plan: FeaturePlan, n_images: int) -> int:
    """Size on disk of the features of `n_images` images."""
    return n_images * sum(math.prod(part.shape) * BYTES[plan.dtype] + OVERHEAD for part in parts(plan))


def decide(plan: FeaturePlan, n_images: int, limit_bytes: int, free_disk_bytes: int) -> Literal["cached", "live"]:
    """`cached` if all features fit under the cache's limit and leave a fifth of the free disk."""
    room = min(limit_bytes, int(DISK_SHARE * free_disk_bytes))
    return "cached" if bytes_needed(plan, n_images) <= room else "live"

"""Where in an image errors are made: means over pixels of like depth, and of like distance to a boundary.

Bins are `[low, high)`. A bin without a pixel is NaN, so that an image counts only where it has something to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

Bins = Mapping[str, tuple[float, float]]


def mean_in_bins(error: Tensor, scored: Tensor, place: Tensor, bins: Bins) -> dict[str, float]:
    """Mean `error` over the scored pixels whose `place` lies in each bin; all `[1, H, W]`."""
    return {name: _mean(error, scored & (place >= low) & (place < high)) for name, (low, high) in bins.items()}


def mean_by_distance(error: Tensor, scored: Tensor, marked: Tensor, bins: Bins) -> dict[str, float]:
    """Mean `error` over the scored pixels at each distance to the nearest marked pixel; all `[1, H, W]`.

    Distance in steps of a king on a chessboard: 0 on a marked pixel, 1 on its eight neighbours.
    """
    borders = {border for pair in bins.values() for border in pair}
    within = {border: reached(marked, int(border) - 1) for border in borders}
    return {name: _mean(error, scored & within[high] & ~within[low]) for name, (low, high) in bins.items()}


def reached(marked: Tensor, steps: int) -> Tensor:
    """Pixels within `steps` of a marked one, `[1, H, W]` bool; none for a negative number."""
    if steps < 0:
        return torch.zeros_like(marked)
    width = 2 * steps + 1
    rows = torch.nn.functional.max_pool2d(marked[None].float(), (width, 1), stride=1, padding=(steps, 0))
    both: Tensor = torch.nn.functional.max_pool2d(rows, (1, width), stride=1, padding=(0, steps))[0]
    return both > 0


def _mean(error: Tensor, where: Tensor) -> float:
    chosen = error[where]
    return float(chosen.double().mean()) if chosen.numel() else math.nan

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
    height, width = marked.shape[-2:]
    # Sums over rectangles from the corner: a square holds a marked pixel where four of them say so.
    sums = torch.nn.functional.pad(marked[0].int(), (1, 0, 1, 0)).cumsum(0).cumsum(1)
    top, bottom = _ends(height, steps, marked.device)
    left, right = _ends(width, steps, marked.device)
    below, above = sums[bottom], sums[top]
    found: Tensor = below[:, right] - below[:, left] - above[:, right] + above[:, left] > 0
    return found[None]


def _ends(length: int, steps: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First and one past the last place within `steps` of each place, inside the image."""
    places = torch.arange(length, device=device)
    return (places - steps).clamp_min(0), (places + steps + 1).clamp_max(length)


def _mean(error: Tensor, where: Tensor) -> float:
    chosen = error[where]
    return float(chosen.double().mean()) if chosen.numel() else math.nan

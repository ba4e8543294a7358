"""Foreground masks: pixel counts of one image or one batch, and the ratios made from them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, slots=True)
class MaskCounts:
    """Pixels by prediction and truth; counts of several images add up."""

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float

    @property
    def union(self) -> float:
        return self.true_positive + self.false_positive + self.false_negative

    @property
    def pixels(self) -> float:
        return self.union + self.true_negative

    def swapped(self) -> MaskCounts:
        """The same counts with background as the class of interest."""
        return MaskCounts(self.true_negative, self.false_negative, self.false_positive, self.true_positive)


def mask_counts(prediction: Tensor, target: Tensor, valid: Tensor) -> MaskCounts:
    """Counts over valid pixels; `prediction`, `target`, `valid` `[1, H, W]` bool."""
    p, t = prediction[valid], target[valid]
    both = int((p & t).sum())
    return MaskCounts(both, int(p.sum()) - both, int(t.sum()) - both, int((~p & ~t).sum()))


def pooled(counts: Iterable[MaskCounts]) -> MaskCounts:
    rows = [(c.true_positive, c.false_positive, c.false_negative, c.true_negative) for c in counts]
    return MaskCounts(*(sum(column) for column in zip(*rows)))


def iou(counts: MaskCounts, epsilon: float = 0.0) -> float:
    """Intersection over union. Without epsilon, nothing there and nothing found is 1; with it, 0."""
    return _ratio(counts.true_positive, counts.union, epsilon)


def mean_iou(counts: MaskCounts, epsilon: float = 0.0) -> float:
    """Mean of the foreground's and the background's intersection over union."""
    return (iou(counts, epsilon) + iou(counts.swapped(), epsilon)) / 2


def f_measure(counts: MaskCounts, beta2: float, epsilon: float = 0.0) -> float:
    """`(1 + b2) P R / (b2 P + R)`; b2 = 1 is F1, 0.3 the saliency convention.

    With epsilon it is added to every denominator, as the reference does.
    """
    hit = counts.true_positive
    if epsilon == 0.0:
        return _ratio((1 + beta2) * hit, hit * (1 + beta2) + beta2 * counts.false_negative + counts.false_positive, 0.0)
    precision = hit / (hit + counts.false_positive + epsilon)
    recall = hit / (hit + counts.false_negative + epsilon)
    return (1 + beta2) * precision * recall / (beta2 * precision + recall + epsilon)


def accuracy(counts: MaskCounts) -> float:
    return _ratio(counts.true_positive + counts.true_negative, counts.pixels, 0.0)


def _ratio(part: float, whole: float, epsilon: float) -> float:
    if whole == 0 and epsilon == 0.0:
        return 1.0
    return part / (whole + epsilon)

"""Mask metrics against hand counts and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, fbeta_score, jaccard_score
from torch import Tensor
from torchmetrics.functional.classification import binary_jaccard_index

from midvision.metrics.masks import MaskCounts, accuracy, f_measure, iou, mask_counts, mean_iou, pooled


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    p, t, v = (torch.rand(1, 9, 8, generator=draw) > limit for limit in (0.4, 0.6, 0.2))
    return p, t, v


def test_exact_case() -> None:
    p = torch.tensor([[[1, 1, 1, 0, 0, 0]]]).bool()
    t = torch.tensor([[[1, 0, 0, 1, 0, 1]]]).bool()
    v = torch.tensor([[[1, 1, 1, 1, 1, 0]]]).bool()
    counts = mask_counts(p, t, v)
    assert counts == MaskCounts(1, 2, 1, 1)
    assert iou(counts) == 0.25
    assert mean_iou(counts) == 0.25
    assert f_measure(counts, 1.0) == pytest.approx(2 / 5)
    assert accuracy(counts) == 0.4


@pytest.mark.parametrize("seed", range(4))
def test_equals_scikit_learn(seed: int) -> None:
    p, t, v = drawn(seed)
    x, y = p[v].numpy(), t[v].numpy()
    counts = mask_counts(p, t, v)
    assert iou(counts) == pytest.approx(jaccard_score(y, x))
    assert iou(counts) == pytest.approx(float(binary_jaccard_index(p[v].int(), t[v].int())), rel=1e-6)
    assert mean_iou(counts) == pytest.approx(jaccard_score(y, x, average="macro"))
    assert accuracy(counts) == pytest.approx(accuracy_score(y, x))
    for beta2 in (1.0, 0.3, 0.09):
        assert f_measure(counts, beta2) == pytest.approx(fbeta_score(y, x, beta=float(np.sqrt(beta2))))


def test_epsilon_follows_the_reference() -> None:
    counts = MaskCounts(6, 2, 3, 9)
    e = 1e-6
    precision, recall = 6 / (8 + e), 6 / (9 + e)
    assert iou(counts, e) == 6 / (11 + e)
    assert f_measure(counts, 0.09, e) == 1.09 * precision * recall / (0.09 * precision + recall + e)


def test_nothing_there_and_nothing_found() -> None:
    empty = MaskCounts(0, 0, 0, 12)
    assert iou(empty) == 1.0
    assert iou(empty, 1e-6) == 0.0
    assert f_measure(empty, 1.0) == 1.0
    assert f_measure(empty, 1.0, 1e-6) == 0.0


def test_pooled_counts_are_counts_of_all_pixels() -> None:
    rows = [drawn(seed) for seed in range(3)]
    together = mask_counts(*(torch.cat([row[i] for row in rows], dim=2) for i in range(3)))
    assert pooled(mask_counts(*row) for row in rows) == together
    assert together.pixels == sum(int(row[2].sum()) for row in rows)


def test_arguments_stay_as_they_are() -> None:
    p, t, v = drawn(9)
    before = [x.clone() for x in (p, t, v)]
    mask_counts(p, t, v)
    assert all(torch.equal(x, y) for x, y in zip(before, (p, t, v)))

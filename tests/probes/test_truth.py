"""Which pixels teach, and constants on truth with a known best answer."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.core.items import DenseItem, Target
from midvision.probes.problem import DenseProblem
from midvision.probes.truth import best_constant, checked_target, teaching_pixels


def _item(target: Target, name: str = "a") -> DenseItem:
    return DenseItem(name, name, name, lambda: target)


def test_loss_masks_choose_valid_all_or_interior_pixels() -> None:
    valid = torch.tensor([[True, True, True, False]])[None]
    edge = torch.tensor([[False, True, False, False]])[None]
    target = Target(torch.tensor([[1.0, 0.0, 1.0, 0.0]])[None], valid, edge)
    chosen = {
        mask: teaching_pixels(DenseProblem("mask", loss_mask=mask), target) for mask in ("valid", "all", "interior")
    }
    assert chosen["valid"].flatten().tolist() == [True, True, True, False]
    assert chosen["all"].flatten().tolist() == [True] * 4
    assert chosen["interior"].flatten().tolist() == [True, False, True, False]
    assert torch.equal(teaching_pixels(DenseProblem("mask", loss_mask="interior"), Target(target.values, valid)), valid)


def test_depth_must_be_positive_finite_and_in_range() -> None:
    values = torch.tensor([[0.0, -1.0, 2.0, 9.0, float("nan"), float("inf")]])[None]
    target = Target(values, torch.ones_like(values, dtype=torch.bool))
    problem = DenseProblem("depth", depth_range_m=(0.1, 5.0), loss_mask="all")
    assert teaching_pixels(problem, target).flatten().tolist() == [False, False, True, False, False, False]


def test_normals_without_length_do_not_teach() -> None:
    values = torch.zeros(3, 1, 2)
    values[2, 0, 0] = -1
    target = Target(values, torch.ones(1, 1, 2, dtype=torch.bool))
    assert teaching_pixels(DenseProblem("normals"), target).flatten().tolist() == [True, False]


@pytest.mark.parametrize(("favourite", "expected"), [(0, 4.0), (1, 1.0), (2, 2.0)])
def test_depth_constant_is_mean_median_or_geometric_mean(favourite: int, expected: float) -> None:
    # Truth 1, 1, 1, 1, 16 metres: mean 4, median 1; the geometric mean of 1, 1, 2, 4, 4 is 2.
    values = [1.0, 1.0, 1.0, 1.0, 16.0] if favourite < 2 else [1.0, 1.0, 2.0, 4.0, 4.0]
    target = Target(torch.tensor(values)[None, None], torch.ones(1, 1, 5, dtype=torch.bool))

    def score(predicted: Tensor, _: Target) -> float:
        return -abs(float(predicted.flatten()[0]) - expected)

    constant = best_constant(DenseProblem("depth", depth_range_m=(0.1, 20.0)), [_item(target)], score)
    assert float(constant) == pytest.approx(expected, rel=1e-5)


def test_mask_constant_is_what_scores_better() -> None:
    target = Target(torch.ones(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool))
    agree = best_constant(DenseProblem("mask"), [_item(target)], lambda p, t: float((p == t.values).double().mean()))
    other = best_constant(DenseProblem("mask"), [_item(target)], lambda p, t: float((p != t.values).double().mean()))
    assert (float(agree), float(other)) == (1.0, 0.0)


def test_normals_constant_is_the_mean_direction() -> None:
    values = torch.tensor([[[0.6, -0.6]], [[0.0, 0.0]], [[-0.8, -0.8]]])
    target = Target(values, torch.ones(1, 1, 2, dtype=torch.bool))
    constant = best_constant(DenseProblem("normals"), [_item(target)], lambda p, t: 0.0)
    torch.testing.assert_close(constant, torch.tensor([0.0, 0.0, -1.0]))


def test_errors_name_the_item() -> None:
    with pytest.raises(DataError, match="odd"):
        checked_target(DenseProblem("normals"), _item(Target(torch.zeros(1, 2, 2), torch.ones(1, 2, 2).bool()), "odd"))
    empty = Target(torch.zeros(1, 2, 2), torch.zeros(1, 2, 2).bool())
    with pytest.raises(DataError, match="valid"):
        best_constant(DenseProblem("depth"), [_item(empty)], lambda p, t: 0.0)

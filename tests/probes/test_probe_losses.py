"""Losses and tops at inputs with known values."""

from __future__ import annotations

import math

import pytest
import torch
from probe_fakes import generator
from torch import Tensor, nn

from midvision.core.specs import HeadRules
from midvision.probes.links import BinDepth, MaskProbability, SigmoidDepth, build_link
from midvision.probes.losses import angular_loss, depth_loss, gradient_term, mask_loss, scale_invariant_term
from midvision.probes.problem import DenseProblem


def _depth(*shape: int) -> Tensor:
    return torch.rand(shape, generator=generator()) * 5 + 1


def _all(x: Tensor) -> Tensor:
    return torch.ones((x.shape[0], 1, *x.shape[2:]), dtype=torch.bool)


def test_depth_loss_of_twice_the_truth() -> None:
    truth = _depth(2, 1, 9, 11) * 1000
    g = torch.log(2 * truth + 1e-3) - torch.log(truth + 1e-3)
    assert 10 * float(scale_invariant_term(g, _all(truth))) == pytest.approx(10 * math.log(2) * math.sqrt(0.15), 1e-3)
    assert 10 * math.log(2) * math.sqrt(0.15) == pytest.approx(2.6845, abs=1e-4)
    assert float(gradient_term(g, _all(truth))) == pytest.approx(0, abs=1e-4)
    assert float(depth_loss(2 * truth, truth, _all(truth))) == pytest.approx(2.6845, abs=1e-3)


def test_gradient_term_sees_each_image_alone_unless_axes_are_mistaken() -> None:
    error = torch.arange(4.0)[:, None, None, None].expand(4, 1, 8, 8)
    known = _all(error)
    assert float(gradient_term(error, known)) == 0
    # Images two apart differ by 2: stride 1 has two such pairs of four images; other strides have too few.
    assert float(gradient_term(error, known, "batch")) == pytest.approx(2 * 2 / 4)
    assert float(gradient_term(error[:2], known[:2], "batch")) == 0


def test_gradient_term_is_the_plain_loop() -> None:
    error = torch.randn((2, 1, 13, 10), generator=generator(), dtype=torch.float64)
    known = torch.rand((2, 1, 13, 10), generator=generator(1)) > 0.2
    total = 0.0
    for stride in (1, 2, 4, 6):
        d, m = error[:, 0, ::stride, ::stride], known[:, 0, ::stride, ::stride]
        part = 0.0
        for b in range(2):
            for y in range(d.shape[1]):
                for x in range(d.shape[2]):
                    for yy, xx in ((y + 2, x), (y, x + 2)):
                        if yy < d.shape[1] and xx < d.shape[2] and m[b, y, x] and m[b, yy, xx]:
                            part += abs(float(d[b, y, x] - d[b, yy, xx]))
        total += part / int(m.sum())
    assert float(gradient_term(error * known, known)) == pytest.approx(total)


def test_depth_loss_ignores_unknown_pixels_and_arguments_stay() -> None:
    truth, predicted = _depth(2, 1, 8, 8), _depth(2, 1, 8, 8)
    mask = torch.rand((2, 1, 8, 8), generator=generator(4)) > 0.3
    holed = torch.where(mask, truth, torch.zeros(()))
    other = torch.where(mask, predicted, torch.full((), 77.0))
    before = (holed.clone(), predicted.clone())
    value = depth_loss(predicted, holed, mask)
    assert torch.equal(holed, before[0]) and torch.equal(predicted, before[1])
    torch.testing.assert_close(depth_loss(other, holed, mask), value)
    torch.testing.assert_close(depth_loss(predicted, torch.where(mask, truth, torch.tensor(float("nan"))), mask), value)


def test_perfect_depth_and_empty_masks_have_finite_gradients() -> None:
    truth = _depth(1, 1, 8, 8)
    for mask in (_all(truth), torch.zeros_like(_all(truth))):
        predicted = truth.clone().requires_grad_(True)
        depth_loss(predicted, truth, mask).backward()
        assert predicted.grad is not None and torch.isfinite(predicted.grad).all()


def test_angular_loss_without_uncertainty_is_the_mean_angle() -> None:
    truth = torch.tensor([0.0, 0.0, -1.0])[None, :, None, None].expand(1, 3, 2, 2)
    angles = torch.tensor([[10.0, 20.0], [30.0, 170.0]])
    radians = torch.deg2rad(angles)
    predicted = torch.stack((radians.sin(), torch.zeros(2, 2), -radians.cos()))[None] * 3.7
    mask = torch.tensor([[True, True], [True, False]])[None, None]
    assert float(angular_loss(predicted, truth, mask)) == pytest.approx(math.radians(20), abs=1e-5)


def test_angular_loss_at_zero_angle_and_zero_raw_concentration() -> None:
    truth = torch.tensor([0.0, 0.0, -1.0])[None, :, None, None].expand(1, 3, 2, 2)
    predicted = torch.cat((truth, torch.zeros(1, 1, 2, 2)), 1)
    kappa = 1.01
    expected = math.log(1 + math.exp(-kappa * math.pi)) - math.log(kappa**2 + 1) + kappa * math.acos(1 - 1e-4)
    assert float(angular_loss(predicted, truth, _all(truth))) == pytest.approx(expected, abs=1e-4)


def test_mask_loss_is_cross_entropy_over_the_mask() -> None:
    p = torch.tensor([0.9, 0.2, 0.5, 0.7])[None, None, None]
    t = torch.tensor([1.0, 0.0, 1.0, float("nan")])[None, None, None]
    mask = torch.tensor([True, True, True, False])[None, None, None]
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.5)) / 3
    assert float(mask_loss(p, t, mask)) == pytest.approx(expected, abs=1e-6)


def test_bin_depth_at_zero_and_with_one_dominant_logit() -> None:
    top = BinDepth(256, (0.001, 10.0))
    x = torch.zeros(1, 256, 2, 3)
    torch.testing.assert_close(top(x), torch.full((1, 1, 2, 3), 5.0005))
    x[:, 40] = 1000.0
    c = torch.linspace(0.001, 10.0, 256, dtype=torch.float64)
    expected = (1000 * c[40] + 0.1 * c.sum()) / (1000 + 25.6)
    torch.testing.assert_close(top(x).double(), torch.full((1, 1, 2, 3), float(expected), dtype=torch.float64))
    assert float(top(-torch.ones(1, 256, 1, 1))) == pytest.approx(5.0005, abs=1e-4)


def test_sigmoid_depth_spans_the_range() -> None:
    top = SigmoidDepth((0.5, 2.5))
    out = top(torch.tensor([-100.0, 0.0, 100.0])[None, None, None])
    torch.testing.assert_close(out.flatten(), torch.tensor([0.5, 1.5, 2.5]))


def test_mask_top_uses_running_or_batch_statistics_at_test() -> None:
    x = torch.randn((4, 1, 5, 5), generator=generator()) * 3 + 2
    running, batch = MaskProbability("running").eval(), MaskProbability("batch").eval()
    torch.testing.assert_close(running(x), torch.sigmoid(x / math.sqrt(1 + 1e-5)))
    normal = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(batch(x), torch.sigmoid(normal))
    assert torch.equal(batch.norm.running_mean, torch.zeros(1))


@pytest.mark.parametrize(
    ("problem", "raw", "kept"),
    [
        (DenseProblem("depth"), 256, 1),
        (DenseProblem("depth", depth_top="sigmoid"), 1, 1),
        (DenseProblem("normals"), 4, 4),
        (DenseProblem("normals", uncertainty=False), 3, 3),
        (DenseProblem("mask"), 1, 1),
    ],
)
def test_tops_fit_their_raw_channels(problem: DenseProblem, raw: int, kept: int) -> None:
    link: nn.Module = build_link(problem, HeadRules())
    assert problem.raw_channels == raw
    assert link(torch.zeros(2, raw, 3, 3)).shape == (2, kept, 3, 3)

"""Heads: parameter counts and sizes of the reference, the linear identity, seeded weights."""

from __future__ import annotations

import pytest
import torch
from probe_fakes import CORRECTED, PAPER, generator, patch_plan, plan_of, random_maps, stage_plan
from torch import Tensor

from midvision.core.errors import UsageError
from midvision.core.features import FeaturePlan, Grid
from midvision.core.specs import HeadRules, ProbeSpec, Protocol
from midvision.probes.decoders.dpt import DPT, ResidualUnit
from midvision.probes.decoders.layers import Inputs
from midvision.probes.decoders.linear import Linear, fine_size
from midvision.probes.decoders.multiscale import Multiscale
from midvision.probes.probe import build_probe
from midvision.probes.problem import DenseProblem

RESNET50 = stage_plan(480, (256, 512, 1024, 2048))
PROBLEMS = (DenseProblem("depth"), DenseProblem("normals"), DenseProblem("mask"))
COUNTS = {
    768: (38_151_936, 36_990_468, 36_976_641 + 2),
    1536: (39_724_800, 38_563_332, 38_549_505 + 2),
    0: (54_271_744, 53_110_276, 53_096_449 + 2),
}


def _identity(x: Tensor) -> Tensor:
    return x


def _maps(plan: FeaturePlan, batch: int = 2, scale: int = 1) -> list[Tensor]:
    rows = [random_maps(plan, seed) for seed in range(batch)]
    return [torch.stack(level) / scale for level in zip(*rows)]


@pytest.mark.parametrize("width", [768, 1536, 0])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_parameter_counts_of_dpt(width: int, index: int) -> None:
    plan = patch_plan(480, width) if width else RESNET50
    probe = build_probe(PROBLEMS[index], PAPER, ProbeSpec(name="dpt"), plan, generator())
    assert sum(p.numel() for p in probe.parameters()) == COUNTS[width][index]


def test_one_residual_unit_of_512() -> None:
    assert sum(p.numel() for p in ResidualUnit(512, "after", generator()).parameters()) == 4_719_616


@pytest.mark.parametrize("rules", [CORRECTED.head, PAPER.head])
@pytest.mark.parametrize(("plan", "side"), [(patch_plan(480, 3), 480), (stage_plan(480), 480), (stage_plan(512), 512)])
def test_output_sizes_of_dpt(rules: HeadRules, plan: FeaturePlan, side: int) -> None:
    head = DPT(Inputs.of(plan, "true"), 2, 4, rules, generator())
    seen: list[tuple[int, ...]] = []
    out = head(_maps(plan, 1), lambda x: (seen.append(tuple(x.shape)), x)[1])
    assert out.shape == (1, 2, side, side)
    assert seen == [(1, 2, side // 2, side // 2)]


def test_output_sizes_at_other_image_sizes() -> None:
    plan = stage_plan(112)
    assert [layer.grid.size for layer in plan.layers] == [(28, 28), (14, 14), (7, 7), (4, 4)]
    assert DPT(Inputs.of(plan, "true"), 2, 4, HeadRules(), generator())(_maps(plan), _identity).shape[-2:] == (112, 112)
    assert Linear(Inputs.of(plan, "true"), 2, 1, generator())(_maps(plan), _identity).shape[-2:] == (28, 28)
    scale = Multiscale(Inputs.of(plan, "true"), 2, 4, 1, "bilinear", generator())
    assert scale(_maps(plan), _identity).shape[-2:] == (32, 32)


@pytest.mark.parametrize(("patch", "cells"), [(16, 56), (14, 64), (8, 56), (32, 56)])
def test_linear_grid_has_stride_four_or_so(patch: int, cells: int) -> None:
    assert fine_size(Inputs.of(patch_plan(224, patch=patch), "true")) == (cells, cells)


@pytest.mark.parametrize("centres", ["true", "uniform"])
@pytest.mark.parametrize("plan", [patch_plan(112), stage_plan(112), stage_plan(224), patch_plan(112, patch=14)])
def test_linear_cheap_order_equals_the_literal_one(plan: FeaturePlan, centres: str) -> None:
    head = Linear(Inputs.of(plan, centres), 16, 1, generator())
    maps = _maps(plan)
    torch.testing.assert_close(head(maps, _identity), head.literal(maps), atol=1e-5, rtol=0)


def test_linear_with_kernel_three_is_the_literal_order() -> None:
    plan = patch_plan(112)
    head = Linear(Inputs.of(plan, "true"), 5, 3, generator())
    maps = _maps(plan)
    fine = torch.cat([torch.nn.functional.interpolate(m, scale_factor=4, mode="bilinear") for m in maps], 1)
    torch.testing.assert_close(head(maps, _identity), head.conv(fine))
    assert sum(p.numel() for p in head.parameters()) == 4 * 12 * 5 * 9 + 5


def test_multiscale_parameters_and_shrinking() -> None:
    plan = patch_plan(224, 768)
    for kernel in (1, 3):
        head = Multiscale(Inputs.of(plan, "true"), 7, 16, kernel, "bilinear", generator())
        k = kernel * kernel
        expected = 4 * (768 * 16 * k + 16) + (64 * 16 * k + 16) + 3 * (16 * 16 * k + 16) + (16 * 7 * k + 7)
        assert sum(p.numel() for p in head.parameters()) == expected
        cells = 14 * 8 if kernel == 1 else ((14 - 2) * 2 - 6) * 4 - 4
        assert head(_maps(plan), _identity).shape == (2, 7, cells, cells)


def test_multiscale_of_paper_refuses_maps_it_would_eat() -> None:
    spec = ProbeSpec(name="multiscale", hidden=8)
    with pytest.raises(UsageError, match="too small"):
        build_probe(PROBLEMS[0], PAPER, spec, stage_plan(112), generator())
    for cells, fits in ((5, False), (6, True)):
        inputs = Inputs.of(patch_plan(16 * cells), "true")
        assert Multiscale.fits(inputs, 3) is fits and Multiscale.fits(inputs, 1)
    head = Multiscale(Inputs.of(patch_plan(96), "true"), 2, 4, 3, "bilinear", generator())
    assert head(_maps(patch_plan(96)), _identity).shape[-2:] == (4, 4)


def test_residual_units_differ_in_what_the_identity_carries() -> None:
    x = torch.full((1, 2, 3, 3), -1.0)
    for order, expected in (("before", -1.0), ("in_place", 0.0), ("after", -1.0)):
        unit = ResidualUnit(2, order, generator())
        for parameter in unit.parameters():
            parameter.data.zero_()
        assert torch.equal(unit(x), torch.full_like(x, expected))
    assert torch.equal(x, torch.full_like(x, -1.0))


def test_residual_unit_after_rectifies_the_branch() -> None:
    unit = ResidualUnit(1, "after", generator())
    for parameter in unit.parameters():
        parameter.data.zero_()
    unit.second.bias.data.fill_(-5.0)
    x = torch.ones(1, 1, 2, 2)
    assert torch.equal(unit(x), x)
    before = ResidualUnit(1, "before", generator())
    before.load_state_dict(unit.state_dict())
    assert torch.equal(before(x), x - 5)


@pytest.mark.parametrize("plan", [patch_plan(112), stage_plan(112)])
def test_paper_and_corrected_dpt_differ(plan: FeaturePlan) -> None:
    maps = _maps(plan)
    outs = [DPT(Inputs.of(plan, "true"), 2, 8, p.head, generator())(maps, _identity) for p in (PAPER, CORRECTED)]
    assert not torch.allclose(*outs, atol=1e-3)


def test_top_before_the_last_resize_is_the_same_number_for_paper() -> None:
    problem, plan = DenseProblem("depth", bins=8), patch_plan(112)
    probe = build_probe(problem, PAPER, ProbeSpec(name="dpt", hidden=8), plan, generator())
    maps = _maps(plan)
    torch.testing.assert_close(probe.decoder(maps, probe.link), probe.link(probe.decoder(maps, _identity)))


def test_strided_maps_are_read_at_their_true_centres() -> None:
    """A ramp of each stage's true x positions must come out as one straight ramp."""
    plan = stage_plan(224, (1, 1, 1, 1))
    maps = []
    for layer in plan.layers:
        x = layer.grid.first_centre[1] + layer.grid.stride[1] * torch.arange(layer.grid.size[1])
        maps.append(x.float().expand(1, 1, *layer.grid.size))
    head = Linear(Inputs.of(plan, "true"), 1, 1, generator())
    head.conv.weight.data.fill_(0.25)
    head.conv.bias.data.zero_()
    out = head(maps, _identity)[0, 0, 20]
    truth = (torch.arange(56) + 0.5) * 4
    assert (out - truth)[:48].abs().max() < 1e-3
    shifted = Linear(Inputs.of(plan, "uniform"), 1, 1, generator())
    shifted.load_state_dict(head.state_dict())
    assert (shifted(maps, _identity)[0, 0, 20] - truth)[8:40].mean() < -5


@pytest.mark.parametrize("name", ["linear", "multiscale", "dpt"])
def test_weights_come_from_the_generator_alone(name: str) -> None:
    plan, spec = patch_plan(112), ProbeSpec(name=name, hidden=8)
    torch.manual_seed(7)
    state = torch.get_rng_state()
    first = build_probe(PROBLEMS[0], CORRECTED, spec, plan, generator(1)).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(8)
    second = build_probe(PROBLEMS[0], CORRECTED, spec, plan, generator(1)).state_dict()
    other = build_probe(PROBLEMS[0], CORRECTED, spec, plan, generator(2)).state_dict()
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other[key]) for key in first)


def test_initial_weights_have_the_usual_spread() -> None:
    weight = Linear(Inputs.of(patch_plan(112, 300), "true"), 64, 1, generator()).conv.weight.detach()
    bound = 1 / (4 * 300) ** 0.5
    assert weight.abs().max() <= bound and float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.02)


@pytest.mark.parametrize("protocol", [PAPER, CORRECTED])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", ["linear", "multiscale", "dpt"])
def test_every_probe_predicts_legal_maps(name: str, problem: DenseProblem, protocol: Protocol) -> None:
    size = (224, 192)
    grid = Grid.uniform((14, 12), (224.0, 192.0))
    plan = plan_of((6, 6, 6, 6), (grid,) * 4, size)
    probe = build_probe(problem, protocol, ProbeSpec(name=name, hidden=8), plan, generator()).eval()
    out = probe.predict(_maps(plan, 3), (100, 90))
    assert out.shape == (3, problem.channels, 100, 90) and torch.isfinite(out).all()
    if problem.kind == "normals":
        torch.testing.assert_close(out.norm(dim=1), torch.ones(3, 100, 90))
    if problem.kind == "depth":
        assert out.min() >= 0.001 and out.max() <= 10

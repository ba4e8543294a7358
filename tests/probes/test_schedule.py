"""Length, rates and held-out images of a training."""

from __future__ import annotations

import math

import pytest
from probe_fakes import items_of

from midvision.core.specs import ProbeSpec, TrainRules
from midvision.probes.schedule import held_out_images, plan_phases, rate_factor

LINEAR = ProbeSpec(name="linear")


def test_factor_at_the_ends_and_in_the_middle() -> None:
    total, warmup = 1000, 150
    assert rate_factor(0, total, warmup) == pytest.approx(0.01)
    assert rate_factor(warmup, total, warmup) == pytest.approx(1.0)
    assert rate_factor(total, total, warmup) == pytest.approx(0.01)
    middle = warmup + (total - warmup) / 2
    assert rate_factor(middle, total, warmup) == pytest.approx(0.01 + 0.99 * math.cos(math.pi / 4))
    assert rate_factor(middle, total, warmup) == pytest.approx(0.7100, abs=1e-4)
    assert rate_factor(75, total, warmup) == pytest.approx(0.01 + 0.99 / 2)
    assert rate_factor(0, 10, 0) == 1.0


def test_small_sets_train_three_hundred_steps_at_the_default_rate() -> None:
    (phase,) = plan_phases(items_of("depth", 40), TrainRules(), LINEAR, 0)
    assert (phase.epochs, phase.steps) == (100, 300)
    assert phase.rates == (5e-4,) and not phase.held_out and phase.visits == 100


def test_large_sets_train_ten_epochs_and_choose_a_rate() -> None:
    items = items_of("depth", 1000, groups=100)
    (phase,) = plan_phases(items, TrainRules(), LINEAR, 0)
    assert phase.rates == (1e-4, 5e-4, 2e-3) and len(phase.held_out) == 100
    assert phase.epochs == 10 and phase.steps == 10 * math.ceil(900 / 16) and phase.visits == 11
    assert not set(phase.images) & set(phase.held_out) and len(phase.images) == 900


def test_held_out_groups_are_whole_seeded_and_stable() -> None:
    items = items_of("depth", 130, groups=13)
    held_out = held_out_images(items, 0)
    group = {item.image: item.group for item in items}
    groups = {group[image] for image in held_out}
    assert {image for image in group if group[image] in groups} == held_out and len(groups) == 2
    assert held_out == held_out_images(list(reversed(items)), 0)
    assert any(held_out != held_out_images(items, seed) for seed in range(1, 4))
    assert not held_out_images(items_of("depth", 130, groups=1), 0)


def test_fixed_rates_leave_nothing_to_choose() -> None:
    items = items_of("depth", 200, groups=50)
    (constant,) = plan_phases(items, TrainRules(), ProbeSpec(name="dpt", constant_rate=1e-3, steps=25), 0)
    assert constant.rates == (1e-3,) and len(constant.images) == 200
    assert (constant.steps, constant.epochs, constant.visits) == (25, 2, 2)
    (paper,) = plan_phases(items, TrainRules(learning_rates=(3e-4,)), LINEAR, 0)
    assert paper.rates == (3e-4,) and not paper.held_out


def test_dpt_chooses_on_two_thousand_images_then_trains_on_all_others() -> None:
    items = items_of("depth", 2500, groups=250)
    choice, final = plan_phases(items, TrainRules(), ProbeSpec(name="dpt"), 0)
    assert len(choice.images) + len(choice.held_out) == 2000
    assert len(final.images) == 2250 and not final.held_out and not final.rates
    assert set(choice.images) <= set(final.images) and not set(choice.held_out) & set(final.images)
    (linear,) = plan_phases(items, TrainRules(), LINEAR, 0)
    assert len(linear.images) == 2250

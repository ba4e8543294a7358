"""How long a probe trains, at which rates, on which images: decided before the first step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from midvision.core.items import DenseItem
from midvision.core.seeds import hashed_order
from midvision.core.specs import ProbeSpec, TrainRules

_FLOOR = 0.01
"""Share of the peak rate at both ends of the schedule."""

_FEWEST_FOR_CHOICE = 100
"""Below this many training images the default rate is taken and nothing is held out."""

_HELD_OUT_SHARE = 0.1

_DPT_CHOICE_IMAGES = 2000
"""At most this many images enter the choice of a rate for DPT."""


def rate_factor(step: float, total: float, warmup: float) -> float:
    """Share of the peak rate at a step: linear warm-up from 0.01 to 1, then a quarter cosine to 0.01."""
    if step <= warmup:
        return _FLOOR + (1 - _FLOOR) * (step / warmup if warmup > 0 else 1.0)
    progress = min(1.0, (step - warmup) / (total - warmup))
    return _FLOOR + (1 - _FLOOR) * math.cos(math.pi / 2 * progress)


@dataclass(frozen=True, slots=True)
class Phase:
    """One stretch of training: these images, these candidate rates, this many optimiser steps.

    `images` and `held_out` are image ids; a phase with held-out images visits them in one more
    epoch after its last.
    """

    images: tuple[str, ...]
    held_out: tuple[str, ...]
    rates: tuple[float, ...]
    steps: int
    epochs: int

    @property
    def visits(self) -> int:
        """Epochs that the stream must serve, the one for the held-out images included."""
        return self.epochs + (1 if self.held_out else 0)


def plan_phases(items: Sequence[DenseItem], rules: TrainRules, probe: ProbeSpec, seed: int) -> tuple[Phase, ...]:
    """One phase; two where DPT's rate is chosen on a part of the images.

    A fixed rate, a single candidate, few images or a single group leave nothing to choose.
    """
    images = tuple(item.image for item in items)
    fixed = probe.constant_rate if probe.constant_rate is not None else None
    if fixed is None and len(rules.learning_rates) == 1:
        fixed = rules.learning_rates[0]
    held_out = held_out_images(items, seed) if fixed is None and len(items) >= _FEWEST_FOR_CHOICE else frozenset()
    if not held_out:
        return (_phase(images, (), (rules.default_rate if fixed is None else fixed,), rules, probe),)
    kept = tuple(image for image in images if image not in held_out)
    if probe.name == "dpt" and len(images) > _DPT_CHOICE_IMAGES:
        chosen = set(hashed_order(images, "rate choice", seed)[:_DPT_CHOICE_IMAGES])
        part = tuple(image for image in kept if image in chosen)
        judged = tuple(image for image in images if image in held_out and image in chosen)
        choice = _phase(part, judged, rules.learning_rates, rules, probe)
        return choice, _phase(kept, (), (), rules, probe)
    judged = tuple(image for image in images if image in held_out)
    return (_phase(kept, judged, rules.learning_rates, rules, probe),)


def held_out_images(items: Sequence[DenseItem], seed: int) -> frozenset[str]:
    """About a tenth of the images: whole groups in hashed order; empty if only one group exists."""
    by_group: dict[str, list[str]] = {}
    for item in items:
        by_group.setdefault(item.group, []).append(item.image)
    held_out: list[str] = []
    for group in hashed_order(by_group, "held out", seed)[:-1]:
        if len(held_out) >= _HELD_OUT_SHARE * len(items):
            break
        held_out += by_group[group]
    return frozenset(held_out)


def _phase(
    images: tuple[str, ...], held_out: tuple[str, ...], rates: tuple[float, ...], rules: TrainRules, probe: ProbeSpec
) -> Phase:
    per_epoch = math.ceil(len(images) / rules.batch_images)
    if probe.steps is not None:
        return Phase(images, held_out, rates, probe.steps, math.ceil(probe.steps / per_epoch))
    epochs = max(rules.epochs, math.ceil(rules.min_steps / per_epoch))
    return Phase(images, held_out, rates, epochs * per_epoch, epochs)

"""A transformer in a training loop with the evaluator: every call within its budget, the training untouched."""

from __future__ import annotations

import copy
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

import midvision as mv

BLOCKS = [f"blocks.{number}" for number in (2, 5, 8, 11)]
TASKS = "synth-depth,synth-normals,synth-scene-pairs,synth-triplets"


def train(network: nn.Module, look: Callable[[int, nn.Module], object], steps: int = 6) -> None:
    torch.manual_seed(0)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for step in range(steps):
        loss = network.forward_features(torch.rand(2, 3, 112, 112)).square().mean()  # type: ignore[operator]
        optimiser.zero_grad()
        loss.backward()
        look(step, network)
        optimiser.step()


@pytest.mark.accept
@pytest.mark.parametrize("budget_s", [3.0, 10.0, 30.0])
def test_calls_keep_to_the_budget(budget_s: float, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network: Any = timm.create_model("vit_tiny_patch16_224", img_size=112, dynamic_img_size=True, drop_path_rate=0.1)
    twin = copy.deepcopy(network)
    evaluator = mv.Evaluator(
        every=1, tasks=TASKS, preset="tiny", budget_s=budget_s, output=tmp_path, layers=BLOCKS, patch_size=16,
        class_token=True, probe_size=(112, 112),
    )  # fmt: skip
    seconds = []

    def look(step: int, seen: nn.Module) -> None:
        started = time.perf_counter()
        evaluator(step, seen)
        seconds.append(time.perf_counter() - started)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(network, look)
    train(twin, lambda step, seen: None)
    points = [(point.step, round(point.seconds, 2), point.problem[:40]) for point in evaluator.points]
    print(f"\nbudget {budget_s:g} s: {[round(s, 2) for s in seconds]} s, {evaluator.suite}, {points}")
    assert max(seconds) <= 1.1 * budget_s
    assert all(torch.equal(values, twin.state_dict()[name]) for name, values in network.state_dict().items())
    named = {frozenset(point.values) for point in evaluator.points if point.values}
    assert len(named) <= 1

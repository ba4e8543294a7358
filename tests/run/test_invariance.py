"""What may not change a score: batch size, workers, cache, run order, company, progress, name or object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from midvision.core.specs import DataSpec, ProbeSpec
from midvision.results.query import Results
from midvision.run.front import evaluate
from midvision.run.options import RunOptions
from midvision.zoo.load import load_model

MODEL = "random/vit_tiny_patch16_224"
TASKS = ["segmentation", "depth", "normals", "scene-pairs", "triplets", "labels"]
PROBES = ["ridge", ProbeSpec(name="linear", steps=6)]
TOLERANCE = 2e-3
"""Scores are shares of pixels: one feature that rounds the other way in float16 may move a few of 4096."""


def same(first: Results, second: Results, tolerance: float = TOLERANCE) -> None:
    def key(record: Any) -> tuple[str, str]:
        return (record.task, record.probe_name)

    left, right = ({key(record): record for record in results} for results in (first, second))
    assert left.keys() == right.keys()
    for name, record in left.items():
        one, two = record.scores(), right[name].scores()
        assert one.ids == two.ids
        for column, values in one.columns.items():
            np.testing.assert_allclose(
                values, two.columns[column], atol=tolerance, rtol=tolerance, err_msg=f"{name} {column}"
            )


@pytest.fixture
def score(memory_set: DataSpec, options: RunOptions, tmp_path: Path) -> Callable[..., Results]:
    def run(
        label: str, model: Any = "random/vit_tiny_patch16_224", tasks: list[str] = TASKS, **changes: Any
    ) -> Results:
        folders = {"output": tmp_path / label, "cache_folder": tmp_path / f"features-{label}"}
        return evaluate(model, tasks, data=memory_set, probe=PROBES, options=replace(options, **{**folders, **changes}))

    return run


@pytest.mark.slow
def test_batch_size_workers_and_cache_change_nothing(score: Callable[..., Results]) -> None:
    first = score("reference", batch_size=7)
    same(first, score("one", batch_size=1))
    same(first, score("all", batch_size=32, cache="live"))
    same(first, score("workers", batch_size=7, workers=2), tolerance=0.0)
    features = first[0].folder
    assert features is not None
    hot = score("hot", batch_size=7, cache_folder=features.parents[5] / "features-reference")
    same(first, hot, tolerance=0.0)


@pytest.mark.slow
def test_order_and_company_change_nothing(score: Callable[..., Results]) -> None:
    first = score("reference")
    same(first, score("reversed", tasks=TASKS[::-1]), tolerance=1e-6)
    alone = [record for task in TASKS for record in score(f"alone-{task}", tasks=[task])]
    same(first, Results(alone), tolerance=1e-6)


@pytest.mark.slow
def test_global_random_state_and_object_change_nothing(score: Callable[..., Results]) -> None:
    first = score("reference")
    torch.manual_seed(99)
    before = torch.get_rng_state().clone()
    same(first, score("object", model=load_model("random/vit_tiny_patch16_224")), tolerance=0.0)
    assert torch.equal(before, torch.get_rng_state())

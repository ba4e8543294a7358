"""An image goes through the encoder once, however many tasks, probes and seeds read it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from midvision.core.specs import DataSpec, ProbeSpec
from midvision.run.front import evaluate
from midvision.run.options import RunOptions

TASKS = ["segmentation", "depth", "normals", "scene-pairs", "triplets"]
TRAINED = ["segmentation", "depth", "normals"]
COUNT = 12
FEW = [ProbeSpec(name="linear", steps=4)]
TWELVE = [ProbeSpec(name="linear", steps=steps) for steps in range(1, 13)]


@pytest.mark.parametrize("probes", [FEW, TWELVE], ids=["1 probe", "12 probes"])
def test_cold_cache_sees_every_image_once_and_hot_none(
    memory_set: DataSpec, counting: Any, options: RunOptions, probes: list[ProbeSpec], tmp_path: Path
) -> None:
    evaluate(counting, TASKS, data=memory_set, probe=probes, options=options)
    assert set(counting.seen.values()) == {1}
    assert len(counting.seen) == 2 * COUNT
    counting.seen.clear()
    again = replace(options, output=tmp_path / "second")
    evaluate(counting, TASKS, data=memory_set, probe=probes, options=again)
    assert not counting.seen


@pytest.mark.parametrize("probes", [FEW, TWELVE], ids=["1 probe", "12 probes"])
def test_live_sees_training_images_once_per_epoch_of_the_longest(
    memory_set: DataSpec, counting: Any, live: RunOptions, probes: list[ProbeSpec]
) -> None:
    results = evaluate(counting, TASKS, data=memory_set, probe=probes, options=live)
    longest = max(record.learner["epochs"] for record in results if record.learner)
    train = {name: count for name, count in counting.seen.items() if name.startswith("train")}
    test = {name: count for name, count in counting.seen.items() if name.startswith("test")}
    assert set(train.values()) == {longest}
    assert len(train) == COUNT
    assert set(test.values()) == {1}
    assert len(test) == COUNT


def test_ridge_needs_one_pass(memory_set: DataSpec, counting: Any, live: RunOptions) -> None:
    evaluate(counting, TRAINED, data=memory_set, probe="ridge", options=live)
    assert set(counting.seen.values()) == {1}


def test_stored_results_are_not_computed_again(memory_set: DataSpec, counting: Any, live: RunOptions) -> None:
    first = evaluate(counting, TASKS, data=memory_set, probe="ridge", options=live)
    counting.seen.clear()
    second = evaluate(counting, TASKS, data=memory_set, probe="ridge", options=live)
    assert not counting.seen
    assert [record.as_dict() for record in first] == [record.as_dict() for record in second]


def test_adding_a_task_computes_only_that_task(memory_set: DataSpec, counting: Any, options: RunOptions) -> None:
    evaluate(counting, ["depth"], data=memory_set, probe="ridge", options=options)
    both = evaluate(counting, ["depth", "normals"], data=memory_set, probe="ridge", options=options)
    assert set(counting.seen.values()) == {1}
    assert both.tasks() == ["depth", "normals"]


def test_every_readout_of_labels_shares_one_pass(memory_set: DataSpec, counting: Any, live: RunOptions) -> None:
    """Linear, neighbours and few shots, for three seeds: the encoder sees each image once, without a cache."""
    results = evaluate(counting, "labels", data=memory_set, seeds=(0, 1, 2), options=live)
    assert len(results) == 3 and set(counting.seen.values()) == {1} and len(counting.seen) == 2 * COUNT
    for record in results:
        for name in ("top1", "top1_per_class", "knn", "shots1", "shots5"):
            assert 0 <= record.metrics[name].value <= 1, name

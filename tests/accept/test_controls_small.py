"""The controls of all built-in tasks on preset small, under both protocols: ceilings, floors, order."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from midvision.core.specs import ProbeSpec
from midvision.results.query import Results
from midvision.results.record import ResultRecord
from midvision.run.front import evaluate
from midvision.run.options import RunOptions
from midvision.tasks.task import all_tasks

TASKS = sorted(name for name in all_tasks() if name.startswith("synth-"))
DENSE = ["synth-seg", "synth-depth", "synth-normals"]
FLOORS = ["control/noise", "control/shuffled-oracle"]
CONTROLS = ["control/pixels", "control/descriptor", "control/position", "control/colour"]
SHORTCUTS = ["control/position", "control/colour"]
RANDOM = ["random/resnet50", "random/vit_small_patch16_224"]
LADDER = ["control/oracle", "control/descriptor", "control/pixels", "control/noise"]


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> RunOptions:
    """`CONTROLS_FOLDER` keeps results between runs of this proof."""
    kept = os.environ.get("CONTROLS_FOLDER")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("controls")
    return RunOptions(output=folder / "results", cache_folder=folder / "features")


def score(models: Sequence[str], protocol: str, probe: str | ProbeSpec, options: RunOptions, tasks=TASKS) -> Results:
    preset = os.environ.get("CONTROLS_PRESET", "small")
    return evaluate(list(models), tasks, preset=preset, protocol=protocol, probe=probe, options=options)


def floor_of(record: ResultRecord) -> float:
    """The constant predictor of a trained task; chance of a matching or choosing one."""
    for name in ("constant", "chance"):
        if record.main_metric in record.baselines.get(name, {}):
            return record.baselines[name][record.main_metric].value
    chance = record.main.chance
    assert chance is not None, record.task
    return chance


def advantage_in_errors(record: ResultRecord) -> float:
    """Mean paired advantage over the constant predictor, in standard errors over groups."""
    scores = record.scores()
    difference = scores.columns[record.main_metric] - scores.columns[f"constant.{record.main_metric}"]
    groups = np.array(scores.groups)
    means = np.array([np.nanmean(difference[groups == name]) for name in sorted(set(scores.groups))])
    means = means[np.isfinite(means)]
    return float(means.mean() / (means.std(ddof=1) / math.sqrt(len(means))))


@pytest.mark.accept
@pytest.mark.parametrize("protocol", ["corrected", "paper"])
def test_ceiling_and_floor(protocol: str, options: RunOptions) -> None:
    results = score(["control/oracle", *FLOORS], protocol, "ridge", options)
    broken = []
    for record in results:
        bounds = all_tasks()[record.task].bounds
        assert bounds is not None, record.task
        floor, value = floor_of(record), record.main.value
        print(f"{protocol:9} {record.task:20} {record.model_id:24} {value:.3f}  floor {floor:.3f}  bounds {bounds}")
        if record.model_id == "control/oracle":
            fine = value >= bounds.oracle_at_least
        else:
            fine = value <= floor + bounds.noise_above_floor
        if not fine:
            broken.append((record.task, record.model_id, value))
    assert not broken


@pytest.mark.accept
@pytest.mark.parametrize("protocol", ["corrected", "paper"])
def test_some_encoder_beats_the_constant(protocol: str, options: RunOptions) -> None:
    """One setting per task; depth of single objects, whose size no such encoder can know, is only shown."""
    tasks = [*DENSE, "synth-object-depth"]
    results = score([*CONTROLS, *RANDOM], protocol, "ridge", options, tasks)
    best = dict.fromkeys(tasks, -math.inf)
    for record in results:
        errors = advantage_in_errors(record)
        print(f"{protocol:9} {record.task:20} {record.model_id:32} {record.main.value:.3f}  {errors:+.1f} se")
        best[record.task] = max(best[record.task], errors)
    assert all(best[task] > 3 for task in DENSE), best


@pytest.mark.accept
@pytest.mark.parametrize("protocol", ["corrected", "paper"])
def test_shortcuts_lead_nowhere(protocol: str, options: RunOptions) -> None:
    """Place alone and colour alone: never near what a scene's structure gives."""
    for record in score(SHORTCUTS, protocol, "ridge", options):
        bounds = all_tasks()[record.task].bounds
        assert bounds is not None, record.task
        print(
            f"{protocol:9} {record.task:20} {record.model_id:18} {record.main.value:.3f}  floor {floor_of(record):.3f}"
        )
        assert record.main.value <= floor_of(record) + bounds.shortcut_above_floor, record.task


@pytest.mark.accept
def test_linear_beats_the_constant_and_ranks_like_ridge(options: RunOptions) -> None:
    ridge = score(LADDER, "corrected", "ridge", options, DENSE)
    linear = score(LADDER, "corrected", "linear", options, DENSE)
    for task in DENSE:
        descriptor = advantage_in_errors(linear.where(task=task, model="control/descriptor")[0])
        print(f"{task:20} linear on the descriptor: {descriptor:+.1f} se")
        assert descriptor > 3, task
        one, two = ({r.model_id: r for r in found.where(task=task)} for found in (ridge, linear))
        print(task, {name: (round(one[name].main.value, 3), round(two[name].main.value, 3)) for name in LADDER})
        for a in LADDER:
            for b in LADDER:
                if one[a].main.ci_low > one[b].main.ci_high:
                    assert two[a].main.ci_high >= two[b].main.ci_low, f"{task}: {a} and {b} are reversed"


@pytest.mark.accept
def test_longer_training_does_not_hurt(options: RunOptions) -> None:
    rate = {"name": "linear", "constant_rate": None}
    short, long = (
        score(["control/descriptor"], "corrected", ProbeSpec(**rate, steps=steps), options, DENSE)
        for steps in (300, 900)
    )
    for one, two in zip(short, long, strict=True):
        spread = (one.main.ci_high - one.main.ci_low) / 4
        print(f"{one.task:20} 300 steps {one.main.value:.3f}, 900 steps {two.main.value:.3f}, se about {spread:.3f}")
        assert two.main.value >= one.main.value - 2 * spread


TINY = {("synth-object-depth", "paper"): 0.7, ("synth-scene-pairs", "corrected"): 0.35}
"""Ceilings that seven cells a side allow: of depth relative to the object, and of places within 10 pixels."""


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["corrected", "paper"])
def test_controls_tiny(protocol: str, options: RunOptions) -> None:
    """The scaled-down twin: ceilings and floors on preset tiny."""
    there = replace(options, output=options.output / "tiny")
    models = ["control/oracle", *FLOORS, *SHORTCUTS]
    results = evaluate(models, TASKS, preset="tiny", protocol=protocol, probe="ridge", options=there)
    for task in TASKS:
        bounds = all_tasks()[task].bounds
        assert bounds is not None, task
        oracle, *others = (results.where(task=task, model=name)[0] for name in models)
        assert oracle.main.value >= TINY.get((task, protocol), bounds.oracle_at_least), task
        assert oracle.main.value > floor_of(oracle) + bounds.noise_above_floor, task
        for record in others:
            above = bounds.noise_above_floor if record.model_id in FLOORS else bounds.shortcut_above_floor
            limit = floor_of(record) + above
            assert record.main.value <= limit, f"{task}: {record.model_id} {record.main.value:.3f} above {limit:.3f}"

"""Every task with the truth, noise and someone else's truth as features, on constructed worlds.

The bounds are those the tasks declare (`Task.bounds`), except `HERE`: the keypoint task declares none,
and relative depth near zero bends too much within a cell for the few cells of a small frame.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache

import constructed_worlds as worlds
import numpy as np
import pytest

from midvision.core.features import Features
from midvision.core.items import Content, Dataset, DenseItem
from midvision.core.scores import Scores
from midvision.core.specs import ProbeSpec, Protocol
from midvision.data.card import all_sets
from midvision.metrics.reduce import value
from midvision.probes.train import run_stream
from midvision.tasks.task import ControlBounds, Setting, Task, all_tasks

TASKS = all_tasks()
HERE = {
    ("keypoints", "paper"): ControlBounds(0.95, 0.05),
    ("keypoints", "corrected"): ControlBounds(0.95, 0.05),
    ("synth-object-depth", "paper"): ControlBounds(0.65, 0.05),
}
BY_CONTENT: dict[Content, str] = {
    "segmentation": "synth-seg",
    "depth": "synth-depth",
    "object-depth": "synth-object-depth",
    "normals": "synth-normals",
    "object-pairs": "synth-object-pairs",
    "scene-pairs": "synth-scene-pairs",
    "triplets": "synth-triplets",
    "labels": "synth-labels",
    "keypoint-pairs": "keypoints",
}
CONTROLS = ("oracle", "noise", "shuffled")


@cache
def data(content: Content) -> tuple[Dataset | None, Dataset, dict[str, Features]]:
    """Training split (None without training), test split, true features of all images."""
    if content in ("segmentation", "depth", "object-depth", "normals"):
        train, test = worlds.dense_dataset(content, "train", 10), worlds.dense_dataset(content, "test", 6)
        items = [item for dataset in (train, test) for item in dataset.items if isinstance(item, DenseItem)]
        return train, test, {item.image: worlds.dense_truth_features(item) for item in items}
    if content in ("object-pairs", "scene-pairs"):
        test, shots = worlds.pair_dataset(content)
        scale = 0.03 if content == "object-pairs" else 0.4
        return None, test, {name: worlds.point_truth_features(shot, scale) for name, shot in shots.items()}
    if content == "triplets":
        test = worlds.triplet_dataset()
        return None, test, worlds.triplet_truth_features(test)
    if content == "labels":
        train, test = worlds.label_dataset("train", 48), worlds.label_dataset("test", 40)
        return train, test, worlds.label_truth_features(train) | worlds.label_truth_features(test)
    test = worlds.keypoint_dataset()
    return None, test, worlds.keypoint_truth_features(test)


def controlled(content: Content, control: str) -> dict[str, Features]:
    truth = data(content)[2]
    if control == "oracle":
        return truth
    if control == "noise":
        return {name: worlds.noise(name, not features.maps) for name, features in truth.items()}
    return {name: f for split in data(content)[:2] if split for name, f in worlds.shuffled(split, truth).items()}


def setting_of(task: Task, protocol: Protocol, seed: int = 0) -> Setting:
    probe = ProbeSpec(name="ridge") if task.learner is not None and task.content != "labels" else None
    return Setting(protocol, worlds.plan_for(pooled=not task.maps), probe, seed, "cpu")


def run_task(task: Task, protocol: Protocol, table: dict[str, Features], batch: int = 5) -> Scores:
    train, test, _ = data(task.content)
    setting = setting_of(task, protocol)
    source = worlds.Table(setting.plan, table, batch)
    learner = None
    if task.learner is not None:
        assert train is not None
        learner = task.learner(setting, train)
        run_stream(source, [learner], shuffle=False)
    scorer = task.scorer(setting, test, learner)
    run_stream(source, [scorer], shuffle=False)
    return scorer.scores()


@cache
def scores_of(content: Content, control: str, protocol: str = "corrected") -> Scores:
    task = TASKS[BY_CONTENT[content]]
    return run_task(task, task.protocols[protocol], controlled(content, control))


def headline(task: Task, scores: Scores, prefix: str = "") -> float:
    metric = task.metrics[0]
    over = metric.over
    if prefix:
        over = f"{prefix}.{over}" if f"{prefix}.{over}" in scores.columns else over
        metric = replace(metric, column=f"{prefix}.{metric.column}", over=over)
    return value(metric, scores.columns)


def floor(task: Task, scores: Scores) -> float:
    if task.metrics[0].chance is not None:
        return task.metrics[0].chance
    prefix = "constant" if task.learner is not None else "chance"
    return headline(task, scores, prefix)


@pytest.mark.parametrize("protocol", ["paper", "corrected"])
@pytest.mark.parametrize("content", BY_CONTENT)
def test_the_oracle_is_high_and_noise_is_low(content: Content, protocol: str) -> None:
    task = TASKS[BY_CONTENT[content]]
    oracle, noise, other = (scores_of(content, control, protocol) for control in CONTROLS)
    bounds = HERE.get((task.name, protocol), task.bounds)
    assert bounds is not None
    margin = bounds.noise_above_floor
    assert headline(task, oracle) >= bounds.oracle_at_least
    assert headline(task, noise) <= floor(task, noise) + margin
    assert headline(task, other) <= floor(task, other) + margin
    assert headline(task, oracle) > floor(task, oracle) + margin


@pytest.mark.parametrize("content", BY_CONTENT)
def test_columns_are_complete(content: Content) -> None:
    task, scores = TASKS[BY_CONTENT[content]], scores_of(content, "oracle")
    test = data(content)[1]
    assert scores.ids == tuple(item.id for item in test.items)
    assert scores.groups == tuple(item.group for item in test.items)
    for name, column in scores.columns.items():
        assert column.dtype == np.float64 and column.shape == (len(test.items),), name
    for metric in task.metrics:
        found = value(metric, scores.columns)
        assert np.isnan(found) or metric.low <= found <= metric.high, metric.name


@pytest.mark.parametrize("content", BY_CONTENT)
def test_a_handful_of_samples_is_kept_the_same_for_every_encoder(content: Content) -> None:
    oracle, noise = scores_of(content, "oracle"), scores_of(content, "noise")
    assert set(oracle.samples) == set(noise.samples)
    assert len(oracle.samples) == min(6, len(oracle.ids))
    for sample in oracle.samples.values():
        for name, array in sample.items():
            assert isinstance(array, np.ndarray) and array.dtype != object, name
            if name in ("image", "image_a", "image_b", "reference", "left", "right"):
                assert array.dtype == np.uint8 and array.shape == (worlds.SIZE, worlds.SIZE, 3)


@pytest.mark.parametrize("content", BY_CONTENT)
def test_neither_batch_size_nor_order_of_arrival_changes_a_score(content: Content) -> None:
    task = TASKS[BY_CONTENT[content]]
    expected = scores_of(content, "noise")
    for batch in (1, 32):
        found = run_task(task, task.protocols["corrected"], controlled(content, "noise"), batch)
        assert_same(expected, found)


def assert_same(a: Scores, b: Scores) -> None:
    assert a.ids == b.ids and set(a.columns) == set(b.columns)
    for name in a.columns:
        np.testing.assert_array_equal(a.columns[name], b.columns[name], err_msg=name)


@pytest.mark.parametrize("content", ["segmentation", "scene-pairs", "triplets"])
def test_images_in_any_order_give_the_same_scores(content: Content) -> None:
    task = TASKS[BY_CONTENT[content]]
    train, test, truth = data(content)
    setting = setting_of(task, task.protocols["paper"])
    learner = None
    if task.learner is not None:
        assert train is not None
        learner = task.learner(setting, train)
        run_stream(worlds.Table(setting.plan, truth), [learner], shuffle=False)
    results = []
    for backwards in (False, True):
        scorer = task.scorer(setting, test, learner)
        names = sorted(scorer.wants(0), reverse=backwards)
        for ids, features in worlds.Table(setting.plan, truth, 3).stream(names):
            scorer.feed(0, ids, features)
        scorer.end_epoch(0)
        results.append(scorer.scores())
    assert_same(*results)


def test_a_constant_stands_beside_every_trained_task_and_chance_beside_every_matching_one() -> None:
    for content, name in BY_CONTENT.items():
        task, columns = TASKS[name], scores_of(content, "noise").columns
        if content == "triplets":
            assert task.metrics[0].chance == 0.5
            continue
        prefix = "constant" if task.learner is not None else "chance"
        assert f"{prefix}.{task.metrics[0].column}" in columns


def test_pair_features_are_forgotten_when_their_last_pair_is_scored() -> None:
    task = TASKS["synth-scene-pairs"]
    _, test, truth = data("scene-pairs")
    setting = setting_of(task, task.protocols["corrected"])
    scorer = task.scorer(setting, test, None)
    for ids, features in worlds.Table(setting.plan, truth, 1).stream(scorer.wants(0)):
        scorer.feed(0, ids, features)
        held = len(scorer._held)  # type: ignore[attr-defined]
        assert held <= 5
    assert held == 0


def test_listing_tasks_loads_no_torch() -> None:
    import subprocess

    code = "import sys; from midvision.tasks.task import all_tasks; all_tasks(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_task_of_the_mission_exists() -> None:
    bare = {"segmentation", "depth", "normals", "object-pairs", "scene-pairs", "triplets", "labels", "keypoints"}
    twins = {"seg", "depth", "object-depth", "normals", "object-pairs", "scene-pairs", "triplets", "labels"}
    published = {name for name, task in TASKS.items() if task.data_set not in (None, "synthetic")}
    assert bare | {f"synth-{name}" for name in twins} == set(TASKS) - published
    assert published >= {"voc07-seg", "voc12-seg", "nights"}
    assert all(all_sets()[str(TASKS[name].data_set)].benchmark is not None for name in published)
    for name, task in TASKS.items():
        assert name in published or task.data_set == ("synthetic" if name.startswith("synth-") else None)
        assert set(task.protocols) == {"paper", "corrected"}
        assert all(protocol.name == key and protocol.version >= 1 for key, protocol in task.protocols.items())

"""Two-alternative choices: orientation, ties, breakdowns, what is refused."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from decision_cases import TASKS, dataset_of, grid_plan
from torch import Tensor

from midvision.analysis.resample import baseline_metrics
from midvision.core.errors import DataError, EncoderError
from midvision.core.features import Features
from midvision.core.items import LabelItem, TripletItem
from midvision.core.scores import Scores
from midvision.metrics.reduce import value
from midvision.tasks.task import Setting

TASK = TASKS["synth-triplets"]
VECTORS = {"r": torch.tensor([1.0, 0.0]), "near": torch.tensor([3.0, 0.3]), "far": torch.tensor([0.2, 1.0])}


def triplet(name: str, left: str, right: str, share: float, **tags: str) -> TripletItem:
    return TripletItem(name, name, "r", left, right, share, tags)


def scored(items: list[TripletItem], protocol: str = "corrected", vectors: dict[str, Tensor] = VECTORS) -> Scores:
    dataset = dataset_of(TASK, items, list(vectors), (8, 8))
    scorer = TASK.scorer(Setting(TASK.protocols[protocol], grid_plan((8, 8)), None, 0, "cpu"), dataset, None)
    scorer.feed(0, list(vectors), Features((), torch.stack(list(vectors.values()))))
    scorer.end_epoch(0)
    return scorer.scores()


def metrics(scores: Scores) -> dict[str, float]:
    return {metric.name: value(metric, scores.columns) for metric in TASK.metrics}


def test_right_vote_one_means_right() -> None:
    found = scored(
        [triplet("a", "far", "near", 1.0), triplet("b", "near", "far", 0.0), triplet("c", "near", "far", 1.0)]
    )
    assert found.columns["accuracy"].tolist() == [1.0, 1.0, 0.0]
    assert metrics(found)["precision"] == 1.0
    assert metrics(found)["recall"] == 0.5
    assert metrics(found)["f1"] == pytest.approx(2 / 3)


def test_ties_in_both_protocols() -> None:
    items = [triplet("a", "near", "near", 1.0), triplet("b", "near", "near", 0.0)]
    assert scored(items).columns["accuracy"].tolist() == [0.5, 0.5]
    assert scored(items, "paper").columns["accuracy"].tolist() == [1.0, 0.0]


def test_length_does_not_matter_and_zero_is_a_tie() -> None:
    vectors = {**VECTORS, "far": VECTORS["far"] * 1000, "none": torch.zeros(2)}
    items = [triplet("a", "far", "near", 1.0), triplet("b", "none", "none", 0.0)]
    found = scored(items, vectors=vectors)
    assert found.columns["accuracy"].tolist() == [1.0, 0.5]
    assert found.columns["similarity_right"][0] == pytest.approx(3 / math.hypot(3, 0.3))
    assert found.columns["similarity_left"][0] == pytest.approx(0.2 / math.hypot(0.2, 1))


def test_breakdowns_and_the_invariance_profile_stand_apart() -> None:
    items = [
        triplet("a", "far", "near", 1.0, kind="dominance", factor="shape", nuisance=""),
        triplet("b", "far", "near", 0.0, kind="subset", factor="colour"),
        triplet("c", "far", "near", 0.0, kind="nuisance", factor="lighting"),
    ]
    found = scored(items)
    assert found.columns["accuracy"].tolist()[:2] == [1.0, 0.0]
    assert math.isnan(found.columns["accuracy"][2])
    numbers = metrics(found)
    assert numbers["accuracy"] == 0.5
    assert numbers["accuracy.kind.dominance"] == 1.0
    assert numbers["accuracy.kind.subset"] == 0.0
    assert numbers["accuracy.factor.shape"] == 1.0
    assert numbers["invariance"] == numbers["invariance.lighting"] == 0.0
    assert math.isnan(numbers["invariance.shape"])
    assert not any(name.endswith(".") for name in found.columns)


def test_one_sided_answers_are_refused_but_a_single_triplet_is_not() -> None:
    with pytest.raises(DataError, match="answer right"):
        scored([triplet("a", "far", "near", 1.0), triplet("b", "far", "near", 0.9)])
    assert scored([triplet("a", "far", "near", 1.0)]).columns["accuracy"].tolist() == [1.0]


@pytest.mark.parametrize("share", [-0.1, 1.5, math.nan])
def test_odd_shares_are_refused_by_name(share: float) -> None:
    with pytest.raises(DataError, match="'odd'"):
        scored([triplet("odd", "far", "near", share)])


def test_features_that_are_no_numbers_name_the_image() -> None:
    with pytest.raises(EncoderError, match="'far'"):
        scored([triplet("a", "far", "near", 1.0)], vectors={**VECTORS, "far": torch.tensor([math.inf, 0.0])})


def test_samples_hold_what_the_report_shows() -> None:
    sample = scored([triplet("a", "far", "near", 1.0)]).samples["a"]
    assert set(sample) == {"reference", "left", "right", "similarity", "right_share"}
    assert sample["similarity"][1] > sample["similarity"][0]


LABELS = TASKS["synth-labels"]


def labelled(count: int, classes: int) -> list[LabelItem]:
    return [LabelItem(f"i{i}", f"g{i}", f"i{i}", i % classes, f"class {i % classes}") for i in range(count)]


def test_one_class_is_refused_and_an_unseen_class_is_named() -> None:
    from dataclasses import replace

    setting = Setting(
        LABELS.protocols["corrected"], replace(grid_plan((8, 8)), maps=False, pooled="native"), None, 0, "cpu"
    )
    one = labelled(4, 1)
    assert LABELS.learner is not None
    with pytest.raises(DataError, match="1 class"):
        LABELS.learner(setting, dataset_of(LABELS, one, [item.image for item in one], (8, 8)))
    train = labelled(12, 2)
    learner = LABELS.learner(setting, dataset_of(LABELS, train, [item.image for item in train], (8, 8)))
    pooled = torch.tensor([[float(item.label), 1.0] for item in train])
    learner.feed(0, [item.image for item in train], Features((), pooled))
    learner.end_epoch(0)
    test = [LabelItem("t0", "t0", "t0", 1, "class 1"), LabelItem("t1", "t1", "t1", 0, "class 0")]
    scorer = LABELS.scorer(setting, dataset_of(LABELS, test, ["t0", "t1"], (8, 8)), learner)
    scorer.feed(0, ["t0", "t1"], Features((), torch.tensor([[1.0, 1.0], [0.0, 1.0]])))
    columns = scorer.scores().columns
    assert columns["top1"].tolist() == columns["knn"].tolist() == [1.0, 1.0]
    assert columns["constant.top1"].tolist() == columns["constant.knn"].tolist() == [0.0, 1.0]
    unseen = [LabelItem("t0", "t0", "t0", 5, "class 5")]
    scorer = LABELS.scorer(setting, dataset_of(LABELS, unseen, ["t0"], (8, 8)), learner)
    with pytest.raises(DataError, match="class 5"):
        scorer.feed(0, ["t0"], Features((), torch.ones(1, 2)))


def test_the_third_of_six_classes_is_among_five_but_not_first() -> None:
    logits = torch.tensor([[0.0, 5.0, 3.0, 4.0, 1.0, -1.0]])
    readout = SimpleNamespace(
        predict=lambda x: logits.expand(len(x), -1), knn_votes=lambda x: logits.expand(len(x), -1)
    )
    readout.shots = {}
    setting = Setting(LABELS.protocols["corrected"], grid_plan((8, 8)), None, 0, "cpu")
    items = [LabelItem("t0", "t0", "t0", 2, "third"), LabelItem("t1", "t1", "t1", 5, "last")]
    dataset = dataset_of(LABELS, items, ["t0", "t1"], (8, 8))
    scorer = LABELS.scorer(setting, dataset, SimpleNamespace(readout=readout, constant=2))
    scorer.feed(0, ["t0", "t1"], Features((), torch.ones(2, 2)))
    columns = scorer.scores().columns
    assert columns["top1"].tolist() == [0.0, 0.0]
    assert columns["top5"].tolist() == [1.0, 0.0]
    assert columns["constant.top1"].tolist() == [1.0, 0.0]


def test_the_mean_over_classes_and_the_units_of_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Class 0: two of three right; class 1: its one image is wrong. Few shots: one of two draws is right."""
    monkeypatch.setattr("midvision.tasks.labels.TOGETHER", 3)
    answers = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])

    def look_up(x: Tensor) -> Tensor:
        return answers[x[:, 0].long()]

    shots = {1: SimpleNamespace(scores=lambda x: torch.stack((look_up(x), 1 - look_up(x))))}
    readout = SimpleNamespace(predict=look_up, knn_votes=lambda x: 1 - look_up(x), shots=shots)
    names = [f"t{n}" for n in range(4)]
    items = [LabelItem(name, name, name, int(n == 3), "") for n, name in enumerate(names)]
    setting = Setting(LABELS.protocols["corrected"], grid_plan((8, 8)), None, 0, "cpu")
    dataset = dataset_of(LABELS, items, names, (8, 8))
    scorer = LABELS.scorer(setting, dataset, SimpleNamespace(readout=readout, constant=0))
    for n in (3, 1, 0, 2):
        scorer.feed(0, [names[n]], Features((), torch.tensor([[float(n), 1.0]])))
    columns = scorer.scores().columns
    by_name = {metric.name: value(metric, columns) for metric in LABELS.metrics}
    assert columns["top1"].tolist() == [1.0, 1.0, 0.0, 0.0]
    assert by_name["top1"] == 0.5 and by_name["top1_per_class"] == pytest.approx((2 / 3 + 0) / 2)
    assert by_name["knn"] == 0.5 and by_name["knn_per_class"] == pytest.approx((1 / 3 + 1) / 2)
    assert by_name["shots1"] == 0.5 == pytest.approx(by_name["shots1_per_class"])
    assert math.isnan(by_name["shots5"]) and math.isnan(by_name["top5_per_class"])
    constant = TASKS["caltech101-labels"].metrics[0]
    assert constant.name == "top1_per_class" and TASKS["imagenet-labels"].metrics[0].name == "top1"
    assert {m.name for m in baseline_metrics(scorer.scores(), LABELS.metrics, "constant")} >= {"top1", "top1_per_class"}
    found = next(m for m in baseline_metrics(scorer.scores(), LABELS.metrics, "constant") if m.name == "top1_per_class")
    assert value(found, columns) == pytest.approx(0.5)

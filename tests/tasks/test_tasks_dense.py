"""Dense tasks: batches, constants, prepared truth, what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from decision_cases import TASKS, Fitted, dataset_of, grid_plan, judged, row, target
from torch import Tensor

from midvision.core.errors import DataError, EncoderError
from midvision.core.features import Features
from midvision.core.items import DenseItem, LabelItem, Target
from midvision.core.scores import Scores
from midvision.core.specs import ProbeSpec
from midvision.probes.problem import DenseProblem
from midvision.tasks import depth, normals, segmentation
from midvision.tasks.dense import DenseReadout, dense_items
from midvision.tasks.task import Setting, Task

SEG, DEPTH, NORMALS = TASKS["synth-seg"], TASKS["synth-depth"], TASKS["synth-normals"]
FACTS = {"depth_range": [0.001, 10.0]}


def items_of(truths: list[Target]) -> list[DenseItem]:
    return [DenseItem(f"i{k}", f"g{k}", f"i{k}", lambda t=t: t) for k, t in enumerate(truths)]


def scored(task: Task, truths: list[Target], predictions: list[Tensor], constant: Tensor) -> Scores:
    items = items_of(truths)
    size = (int(predictions[0].shape[1]), int(predictions[0].shape[2]))
    calls: list[int] = []

    def predict(features: Features, asked: tuple[int, int]) -> Tensor:
        calls.append(len(features.maps[0]))
        assert asked == size
        return features.maps[0]

    names = [item.image for item in items]
    setting = Setting(task.protocols["corrected"], grid_plan(size), None, 0, "cpu")
    scorer = task.scorer(setting, dataset_of(task, items, names, size), Fitted(DenseReadout(predict, constant, FACTS)))
    for name, prediction in list(zip(names, predictions))[::-1]:
        scorer.feed(0, [name], Features((prediction[None],), None))
    scorer.end_epoch(0)
    assert sorted(calls, reverse=True) == [16] * (len(items) // 16) + ([len(items) % 16] if len(items) % 16 else [])
    return scorer.scores()


def test_test_batches_have_fixed_borders_whatever_arrives_when() -> None:
    predictions = [row(0.2 * (k + 1), 0.1 * (37 - k)) for k in range(37)]
    truths = [target(prediction.clone()) for prediction in predictions]
    assert set(scored(DEPTH, truths, predictions, torch.tensor([1.0])).columns["rmse"]) == {0.0}


def test_the_constant_is_scored_on_the_same_pixels() -> None:
    columns = scored(DEPTH, [target(row(1.0, 2.0, 4.0))], [row(1.0, 2.0, 4.0)], torch.tensor([2.0])).columns
    assert columns["delta1"].tolist() == [1.0]
    assert columns["constant.delta1"].tolist() == pytest.approx([1 / 3])
    assert columns["constant.rmse"].tolist() == pytest.approx([math.sqrt(5 / 3)])


def test_samples_keep_prediction_and_truth() -> None:
    sample = scored(DEPTH, [target(row(1.0, 2.0), [1, 0])], [row(3.0, 4.0)], torch.tensor([1.0])).samples["i0"]
    assert sample["prediction"].tolist() == [[[3.0, 4.0]]]
    assert sample["target"].tolist() == [[[1.0, 0.0]]]
    assert sample["valid"].tolist() == [[[True, False]]]
    assert sample["image"].shape == (1, 2, 3)


def test_depth_beyond_ten_metres_does_not_count() -> None:
    assert (
        judged(DEPTH, DEPTH.protocols["corrected"], [(row(1.0, 1.0), target(row(1.0, 11.0)))], FACTS)["delta1"] == 1.0
    )


def test_depth_that_is_not_positive_does_not_count() -> None:
    assert judged(DEPTH, DEPTH.protocols["corrected"], [(row(1.0, 1.0), target(row(1.0, 0.0)))], FACTS)["delta1"] == 1.0


def test_preparing_truth_leaves_the_original_alone() -> None:
    values, valid = row(1.0, 20.0, 0.5), torch.tensor([[[True, True, False]]])
    original = Target(values.clone(), valid.clone())
    depth.prepare(original, depth.DepthScoring(), 10.0)
    depth.prepare(original, depth.DepthScoring(target="relative"), None)
    segmentation.prepare(original, segmentation.MaskScoring(void="foreground"))
    assert torch.equal(original.values, values) and torch.equal(original.valid, valid)


def test_training_range_has_a_margin_and_refuses_an_empty_set() -> None:
    items = items_of([target(row(0.4, 9.0), [1, 0]), target(row(2.0, 1.0))])
    assert depth.training_range_m(items) == pytest.approx((0.38, 2.1))
    with pytest.raises(DataError, match="'i0'"):
        depth.training_range_m(items_of([target(row(0.0, 0.0), [0, 0])]))
    with pytest.raises(DataError, match="no training items"):
        depth.training_range_m([])


def test_normals_without_edges_are_a_second_score() -> None:
    up = torch.tensor([0.0, 0.0, -1.0]).reshape(3, 1, 1).expand(3, 1, 4)
    prediction = up.clone()
    prediction[:, :, 0] *= -1
    edge = torch.tensor([[[True, False, False, False]]])
    truth = Target(up, torch.ones(1, 1, 4, dtype=torch.bool), edge)
    found = judged(NORMALS, NORMALS.protocols["corrected"], [(prediction, truth)])
    assert (found["recall_11deg"], found["recall_11deg_interior"]) == (0.75, 1.0)
    plain = judged(NORMALS, NORMALS.protocols["corrected"], [(prediction, Target(up, truth.valid))])
    assert math.isnan(plain["recall_11deg_interior"])


def test_two_class_and_pooled_numbers_of_masks() -> None:
    case = (row(1, 1, 0, 0), target(row(1, 0, 0, 0)))
    found = judged(SEG, SEG.protocols["corrected"], [case])
    assert found["iou"] == found["iou_pooled"] == 0.5
    assert found["iou_background_pooled"] == pytest.approx(2 / 3)
    assert found["miou"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["accuracy"] == 0.75


@pytest.mark.parametrize("value, word", [(0.0, "background"), (1.0, "foreground")])
def test_one_class_masks_are_refused(value: float, word: str) -> None:
    truths = [target(row(value, value)) for _ in range(3)]
    with pytest.raises(DataError, match=f"hold {word} only"):
        scored(SEG, truths, [row(0, 1)] * 3, torch.tensor([0.0]))
    dataset = dataset_of(SEG, items_of(truths), ["i0", "i1", "i2"], (1, 2))
    assert SEG.learner is not None
    with pytest.raises(DataError, match="i0"):
        SEG.learner(Setting(SEG.protocols["corrected"], grid_plan((1, 2)), None, 0, "cpu"), dataset)


def test_all_invalid_depth_is_refused() -> None:
    with pytest.raises(DataError, match="valid depth"):
        scored(DEPTH, [target(row(1.0, 1.0), [0, 0])], [row(1.0, 1.0)], torch.tensor([1.0]))


def test_all_zero_normals_are_refused() -> None:
    zero = torch.zeros(3, 1, 2)
    with pytest.raises(DataError, match="normal"):
        scored(NORMALS, [Target(zero, torch.ones(1, 1, 2, dtype=torch.bool))], [zero], torch.ones(3))


def test_predictions_that_are_no_numbers_name_the_item() -> None:
    truths = [target(row(1.0, 1.0)), target(row(1.0, 1.0))]
    readout = DenseReadout(lambda features, size: features.maps[0] * math.nan, torch.ones(1), FACTS)
    dataset = dataset_of(DEPTH, items_of(truths), ["i0", "i1"], (1, 2))
    scorer = DEPTH.scorer(
        Setting(DEPTH.protocols["corrected"], grid_plan((1, 2)), None, 0, "cpu"), dataset, Fitted(readout)
    )
    with pytest.raises(EncoderError, match="'i0'"):
        scorer.feed(0, ["i0", "i1"], Features((torch.ones(2, 1, 1, 2),), None))


def test_truth_that_is_no_number_names_the_item() -> None:
    dataset = dataset_of(DEPTH, items_of([target(row(math.nan, 1.0))]), ["i0"], (1, 2))
    with pytest.raises(DataError, match="'i0'"):
        dense_items(dataset, lambda t: t)[0].target()
    hidden = dataset_of(DEPTH, items_of([target(row(math.nan, 1.0), [0, 1])]), ["i0"], (1, 2))
    assert dense_items(hidden, lambda t: t)[0].target().valid.tolist() == [[[False, True]]]


def test_an_item_of_another_kind_is_refused() -> None:
    item = LabelItem("x", "x", "x", 0, "zero")
    with pytest.raises(DataError, match="'x'"):
        dense_items(dataset_of(DEPTH, [item], ["x"], (1, 2)), lambda t: t)


def test_an_item_that_never_came_is_an_error() -> None:
    dataset = dataset_of(DEPTH, items_of([target(row(1.0, 1.0)), target(row(1.0, 1.0))]), ["i0", "i1"], (1, 2))
    readout = DenseReadout(lambda features, size: features.maps[0], torch.ones(1), FACTS)
    scorer = DEPTH.scorer(
        Setting(DEPTH.protocols["corrected"], grid_plan((1, 2)), None, 0, "cpu"), dataset, Fitted(readout)
    )
    scorer.feed(0, ["i0"], Features((torch.ones(1, 1, 1, 2),), None))
    with pytest.raises(DataError, match="never scored"):
        scorer.scores()


def test_no_items_at_all_is_an_error() -> None:
    readout = DenseReadout(lambda features, size: features.maps[0], torch.ones(3))
    dataset = dataset_of(NORMALS, [], [], (1, 2))
    with pytest.raises(DataError):
        NORMALS.scorer(
            Setting(NORMALS.protocols["corrected"], grid_plan((1, 2)), None, 0, "cpu"), dataset, Fitted(readout)
        )


def test_what_the_training_set_fixed_is_recorded() -> None:
    import constructed_worlds as worlds

    from midvision.probes.train import run_stream

    task = TASKS["synth-object-depth"]
    train = worlds.dense_dataset("object-depth", "train", 2)
    features = {item.image: worlds.dense_truth_features(item) for item in train.items if isinstance(item, DenseItem)}
    setting = Setting(task.protocols["corrected"], worlds.plan_for(False), ProbeSpec(name="ridge"), 0, "cpu")
    assert task.learner is not None
    learner = task.learner(setting, train)
    run_stream(worlds.Table(setting.plan, features), [learner], shuffle=False)
    record = learner.record()
    near, far = record["depth_range"]
    assert 0 < near < far < 10
    assert len(record["constant"]) == 1
    assert learner.state()


def test_normals_keep_their_second_score_columns_in_paper() -> None:
    assert {metric.column for metric in normals.METRICS} >= {"recall_11deg", "recall_11deg_interior", "median_deg"}


@pytest.mark.parametrize(
    "name, changed, expected",
    [
        ("synth-depth", {}, ("depth", "bins", "bilinear", True, "spatial", (0.001, 10.0))),
        ("synth-depth", {"top": "sigmoid"}, ("depth", "sigmoid", "bilinear", True, "spatial", (0.001, 10.0))),
        ("synth-depth", {"range_m": (0.5, 4.0)}, ("depth", "bins", "bilinear", True, "spatial", (0.5, 4.0))),
        ("synth-normals", {}, ("normals", "bins", "bicubic", True, "spatial", (0.001, 10.0))),
        ("synth-normals", {"uncertainty": False}, ("normals", "bins", "bicubic", False, "spatial", (0.001, 10.0))),
        ("synth-seg", {}, ("mask", "bins", "bilinear", True, "spatial", (0.001, 10.0))),
    ],
)
def test_what_a_probe_is_asked_to_learn(
    monkeypatch: pytest.MonkeyPatch, name: str, changed: dict[str, object], expected: tuple[object, ...]
) -> None:
    asked: list[object] = []

    class Idle:
        epochs = 1

        def __init__(self, problem: object, protocol: object, probe: object, *rest: object) -> None:
            asked.extend((problem, probe))

    monkeypatch.setattr("midvision.probes.dense.dense_learner", Idle)
    task = TASKS[name]
    protocol = task.protocols["corrected"]
    protocol = protocol.model_copy(update={"scoring": {**protocol.scoring, **changed}})
    values = torch.ones(3, 1, 2) if name == "synth-normals" else row(0, 1)
    dataset = dataset_of(task, items_of([target(values)]), ["i0"], (1, 2))
    assert task.learner is not None
    task.learner(Setting(protocol, grid_plan((1, 2)), None, 0, "cpu"), dataset)
    problem, probe = asked
    assert isinstance(problem, DenseProblem)
    found = (problem.kind, problem.depth_top, problem.prediction_resample, problem.uncertainty, problem.gradient_axes)
    assert (*found, problem.depth_range_m) == expected
    assert probe == ProbeSpec(name="linear")

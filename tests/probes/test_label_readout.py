"""Label readouts against scikit-learn, and on clusters with a known answer."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from probe_fakes import generator, patch_plan
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

from midvision.core.errors import DataError
from midvision.core.features import Features
from midvision.core.items import LabelItem
from midvision.core.seeds import seed_for
from midvision.probes import label_bank, label_ridge
from midvision.probes.closed_form_labels import LabelRules, PooledLearner, pooled_learner

PLAIN = LabelRules()


def _data(count: int, classes: int, spread: float, seed: int) -> tuple[torch.Tensor, list[int]]:
    g = generator(seed)
    centres = torch.randn((classes, 6), generator=generator(99)) * 2
    labels = [number % classes for number in range(count)]
    return centres[labels] + spread * torch.randn((count, 6), generator=g), labels


def _fitted(
    x: torch.Tensor, labels: list[int], batch: int = 5, groups: int = 10, rules: LabelRules = PLAIN
) -> PooledLearner:
    items = [LabelItem(f"i{n}", f"g{n // 4 % groups}", f"i{n}", y, str(y)) for n, y in enumerate(labels)]
    learner = pooled_learner(items, patch_plan(), max(labels) + 1, 0, rules)
    ids = list(learner.wants(0))
    for start in range(0, len(ids), batch):
        part = ids[start : start + batch]
        learner.feed(0, part, Features((), x[[int(name[1:]) for name in part]]))
    learner.end_epoch(0)
    return learner


def test_logistic_is_scikit_learns() -> None:
    x, labels = _data(120, 3, 2.0, 0)
    learner = _fitted(x, labels)
    penalty = learner.record()["penalty"]
    z = ((x - x.mean(0)) / x.std(0, correction=0)).double().numpy()
    oracle = LogisticRegression(C=1 / (penalty * len(labels)), tol=1e-10, max_iter=5000).fit(z, labels)
    ours = torch.softmax(learner.readout.predict(x), 1).numpy()
    np.testing.assert_allclose(ours, oracle.predict_proba(z), atol=2e-4)


def test_neighbours_are_scikit_learns_by_cosine_and_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    x, labels = _data(120, 3, 2.0, 0)
    new, _ = _data(40, 3, 2.0, 5)
    oracle = KNeighborsClassifier(20, metric="cosine", algorithm="brute", weights=lambda d: np.exp((1 - d) / 0.07))
    truth = oracle.fit(x.numpy(), labels).predict_proba(new.numpy())
    learner = _fitted(x, labels)
    np.testing.assert_allclose(learner.readout.knn_votes(new).numpy(), truth, atol=1e-5)
    monkeypatch.setattr(label_bank, "CHUNK_ROWS", 7)
    np.testing.assert_allclose(learner.readout.knn_votes(new).numpy(), truth, atol=1e-5)


def test_the_nearest_neighbour_outvotes_many_farther_ones() -> None:
    """One vector at cosine 1 weighs exp(1 / 0.07), nineteen at cosine 0 weigh 1 each."""
    x = torch.cat((torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]).repeat(19, 1)))
    votes = _fitted(x, [0] + [1] * 19).readout.knn_votes(torch.tensor([[2.0, 0.0]]))
    near = math.exp(1 / 0.07)
    np.testing.assert_allclose(votes.numpy(), [[near / (near + 19), 19 / (near + 19)]], rtol=1e-5)


@pytest.mark.parametrize("chunk", [11, 4096])
def test_ridge_is_scikit_learns_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(label_bank, "CHUNK_ROWS", chunk)
    x, labels = _data(120, 3, 2.0, 0)
    learner = _fitted(x, labels, rules=LabelRules("ridge"))
    penalty = learner.record()["penalty"]
    assert learner.record()["probe"] == "ridge" and penalty in label_ridge.RIDGE_PENALTIES
    z = ((x - x.mean(0)) / x.std(0, correction=0)).double().numpy()
    oracle = Ridge(alpha=penalty * len(labels)).fit(z, np.eye(3)[labels])
    np.testing.assert_allclose(learner.readout.predict(x).numpy(), oracle.predict(z), atol=1e-5)


def test_ridge_candidates_never_see_the_held_out_rows() -> None:
    x, labels = _data(120, 3, 2.0, 0)
    learner = _fitted(x, labels, rules=LabelRules("ridge"))
    held_out, y = learner._validation().numpy(), np.array(labels)
    rest = x.double().numpy()[~held_out]
    z = (x.double().numpy() - rest.mean(0)) / rest.std(0)
    curve = learner.record()["candidates"]
    for entry in curve:
        oracle = Ridge(alpha=entry["penalty"] * len(rest)).fit(z[~held_out], np.eye(3)[y[~held_out]])
        answer = oracle.predict(z[held_out])
        assert entry["score"] == pytest.approx((answer.argmax(1) == y[held_out]).mean())
        assert entry["squared_error"] == pytest.approx(np.square(answer - np.eye(3)[y[held_out]]).sum(1).mean())
    best = max(entry["score"] for entry in curve)
    assert next(e["score"] for e in curve if e["penalty"] == learner.record()["penalty"]) == best


def test_size_alone_decides_between_logistic_and_ridge() -> None:
    x, labels = _data(60, 3, 1.0, 0)
    assert _fitted(x, labels, rules=LabelRules(logistic_up_to=180)).linear == "logistic"
    assert _fitted(x, labels, rules=LabelRules(logistic_up_to=179)).linear == "ridge"
    assert _fitted(x, labels, rules=LabelRules("logistic", logistic_up_to=0)).linear == "logistic"


def test_a_bank_on_disk_gives_the_same_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path / "cache"))
    x, labels = _data(120, 3, 2.0, 0)
    rules = LabelRules("ridge", shots=(1, 5))
    inside = _fitted(x, labels, rules=rules)
    monkeypatch.setattr(label_bank, "MEMORY_BYTES", 100)
    outside = _fitted(x, labels, rules=rules)
    assert outside._bank is not None and outside._bank.on_disk and inside._bank is not None and not inside._bank.on_disk
    for name, tensor in inside.state().items():
        assert torch.equal(tensor, outside.state()[name])
    assert torch.equal(inside.readout.knn_votes(x), outside.readout.knn_votes(x))
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_bank_that_finds_no_space_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path))
    monkeypatch.setattr(label_bank, "MEMORY_BYTES", 100)
    monkeypatch.setattr(label_bank.os, "posix_fallocate", full)
    with pytest.raises(DataError, match="No space left"):
        label_bank.Bank(100, 10, True)


def test_few_shots_are_scikit_learns_nearest_centroids() -> None:
    x, labels = _data(120, 3, 2.0, 0)
    new, _ = _data(60, 3, 2.0, 5)
    learner = _fitted(x, labels, rules=LabelRules(shots=(1, 5, 50), draws=4))
    assert sorted(learner.readout.shots) == [1, 5] == learner.record()["shots"], "no class has 50 images"
    by_draw = {1: [], 5: []}
    for count, means in learner.readout.shots.items():
        scores = means.scores(new)
        assert scores.shape == (4, 60, 3)
        for draw in range(4):
            rows = _drawn(learner, count, draw)
            by_draw[count].append(rows)
            shown = x[rows].double()
            unit = torch.nn.functional.normalize(shown - shown.mean(0), dim=1)
            oracle = NearestCentroid().fit(unit.numpy(), [labels[row] for row in rows])
            moved = torch.nn.functional.normalize(new.double() - shown.mean(0), dim=1)
            assert scores[draw].argmax(1).tolist() == oracle.predict(moved.numpy()).tolist()
    assert all(set(one) <= set(five) for one, five in zip(by_draw[1], by_draw[5])), "draws are nested"
    assert len({tuple(rows) for rows in by_draw[5]}) == 4, "draws differ"


def _drawn(learner: PooledLearner, count: int, draw: int) -> list[int]:
    """The first `count` rows of every class in the draw's hashed order, found the slow way."""
    chosen = []
    for label in range(3):
        ids = [item.id for item in learner._items if item.label == label]
        order = sorted(ids, key=lambda id: (seed_for("label shots", 0, draw, id), id))
        chosen += [int(id[1:]) for id in order[:count]]
    return chosen


def test_half_precision_loses_nothing_that_was_rounded_before() -> None:
    x, labels = _data(60, 3, 1.0, 0)
    rounded = x.half().float()
    items = [LabelItem(f"i{n}", f"g{n % 10}", f"i{n}", y, str(y)) for n, y in enumerate(labels)]
    states = []
    for half in (False, True):
        learner = PooledLearner(items, 3, 0, half=half)
        learner.feed(0, learner.wants(0), Features((), rounded))
        learner.end_epoch(0)
        states.append(learner.state())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_training_image_without_features_is_named() -> None:
    items = [LabelItem(f"i{n}", f"g{n}", f"i{n}", n % 2, str(n % 2)) for n in range(6)]
    learner = PooledLearner(items, 2, 0)
    learner.feed(0, ["i0", "i1", "i2", "i4", "i5"], Features((), torch.randn(5, 3)))
    with pytest.raises(DataError, match="'i3'"):
        learner.end_epoch(0)


def test_separate_clusters_are_learned() -> None:
    x, labels = _data(60, 4, 0.1, 0)
    new, truth = _data(40, 4, 0.1, 1)
    learner = _fitted(x, labels)
    assert learner.readout.predict(new).argmax(1).tolist() == truth
    assert learner.readout.knn_votes(new).argmax(1).tolist() == truth
    assert set(learner.state()) == {"mean", "scale", "weights", "bias"} and learner.constant == 0


def test_penalty_is_chosen_on_whole_groups() -> None:
    x, labels = _data(120, 3, 2.0, 0)
    learner = _fitted(x, labels)
    curve = learner.record()["candidates"]
    best = max(entry["score"] for entry in curve)
    assert next(e["score"] for e in curve if e["penalty"] == learner.record()["penalty"]) == best
    held_out = learner._validation().tolist()
    groups = [item.group for item in learner._items]
    assert 24 <= sum(held_out) <= 36
    assert not {g for g, h in zip(groups, held_out) if h} & {g for g, h in zip(groups, held_out) if not h}
    assert _fitted(x, labels, groups=1).record()["candidates"] == []


def test_held_out_scores_are_those_of_a_fit_that_never_saw_them() -> None:
    x, labels = _data(120, 3, 2.0, 0)
    learner = _fitted(x, labels)
    held_out, y = learner._validation().numpy(), np.array(labels)
    rest = x.double().numpy()[~held_out]
    z = (x.double().numpy() - rest.mean(0)) / rest.std(0)
    for entry in learner.record()["candidates"]:
        oracle = LogisticRegression(C=1 / (entry["penalty"] * len(rest)), tol=1e-10, max_iter=5000)
        oracle.fit(z[~held_out], y[~held_out])
        assert entry["score"] == pytest.approx(oracle.score(z[held_out], y[held_out]))
        share = oracle.predict_proba(z[held_out])[np.arange(held_out.sum()), y[held_out]]
        assert entry["cross_entropy"] == pytest.approx(-np.log(share).mean(), rel=2e-4)


def test_arrival_order_and_batches_do_not_matter() -> None:
    x, labels = _data(50, 3, 1.0, 0)
    first, second = _fitted(x, labels, 1).state(), _fitted(x, labels, 50).state()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_plans_without_pooled_features_are_refused() -> None:
    learner = _fitted(*_data(10, 2, 1.0, 0))
    with pytest.raises(ValueError, match="pooled"):
        learner.feed(0, ["i0"], Features((torch.zeros(1, 1, 1, 1),), None))

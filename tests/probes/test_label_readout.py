"""Label readouts against scikit-learn, and on clusters with a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probe_fakes import generator, patch_plan
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

from midvision.core.features import Features
from midvision.core.items import LabelItem
from midvision.probes.closed_form_labels import PooledLearner, pooled_learner


def _data(count: int, classes: int, spread: float, seed: int) -> tuple[torch.Tensor, list[int]]:
    g = generator(seed)
    centres = torch.randn((classes, 6), generator=generator(99)) * 2
    labels = [number % classes for number in range(count)]
    return centres[labels] + spread * torch.randn((count, 6), generator=g), labels


def _fitted(x: torch.Tensor, labels: list[int], batch: int = 5, groups: int = 10) -> PooledLearner:
    items = [LabelItem(f"i{n}", f"g{n // 4 % groups}", f"i{n}", y, str(y)) for n, y in enumerate(labels)]
    learner = pooled_learner(items, patch_plan(), max(labels) + 1, 0)
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


def test_neighbours_are_scikit_learns_by_cosine() -> None:
    x, labels = _data(120, 3, 2.0, 0)
    new, _ = _data(40, 3, 2.0, 5)
    learner = _fitted(x, labels)
    oracle = KNeighborsClassifier(20, metric="cosine", algorithm="brute").fit(x.numpy(), labels)
    np.testing.assert_allclose(learner.readout.knn_votes(new).numpy(), oracle.predict_proba(new.numpy()), atol=2e-3)


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

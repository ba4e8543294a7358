"""Two-alternative choices and label hits, against scikit-learn and hand counts."""

from __future__ import annotations

import itertools

import pytest
import torch
from sklearn.metrics import f1_score, precision_score, recall_score, top_k_accuracy_score

from midvision.metrics.choices import agreement, choice_counts, right_choice
from midvision.metrics.labels import top_k_hit


def test_right_vote_one_means_right() -> None:
    assert right_choice(0.2, 0.3, "half") == 1.0
    assert agreement(1.0, 1.0) == 1.0
    assert agreement(0.0, 1.0) == 0.0
    assert agreement(0.0, 0.0) == 1.0


def test_ties() -> None:
    assert right_choice(0.4, 0.4, "half") == 0.5
    assert right_choice(0.4, 0.4, "right") == 1.0
    assert agreement(0.5, 1.0) == agreement(0.5, 0.0) == agreement(0.5, 0.8) == 0.5


def test_a_divided_jury_scores_its_share() -> None:
    assert agreement(1.0, 0.7) == pytest.approx(0.7)
    assert agreement(0.0, 0.7) == pytest.approx(0.3)


def test_counts_add_up_to_scikit_learn() -> None:
    draw = torch.Generator().manual_seed(2)
    truth = (torch.rand(60, generator=draw) > 0.5).int().tolist()
    choice = (torch.rand(60, generator=draw) > 0.4).int().tolist()
    rows = [choice_counts(float(c), float(t)) for c, t in zip(choice, truth)]
    total = {name: sum(row[name] for row in rows) for name in rows[0]}
    assert total["f1_hits"] / total["f1_all"] == pytest.approx(f1_score(truth, choice))
    assert total["right_hits"] / total["right_chosen"] == pytest.approx(precision_score(truth, choice))
    assert total["right_hits"] / total["right_true"] == pytest.approx(recall_score(truth, choice))


def test_an_even_split_counts_nowhere_in_the_counts() -> None:
    assert set(choice_counts(1.0, 0.5).values()) == {0.0}


def test_top_k_equals_scikit_learn_and_shares_ties() -> None:
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(30, 6, generator=draw)
    labels = torch.randint(6, (30,), generator=draw).tolist()
    for k in (1, 3):
        found = sum(top_k_hit(row, label, k) for row, label in zip(logits, labels)) / 30
        assert found == pytest.approx(top_k_accuracy_score(labels, logits.numpy(), k=k, labels=range(6)))
    assert top_k_hit(torch.zeros(4), 2) == 0.25
    for order in itertools.permutations([1.0, 1.0, 0.0]):
        row = torch.tensor(order)
        assert top_k_hit(row, int(row.argmin())) == 0.0
        assert top_k_hit(row, int(row.argmax())) == 0.5

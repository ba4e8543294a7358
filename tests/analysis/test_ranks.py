"""Shared ranks: planted ties and gaps, Holm against a worked example, independence of the input order."""

from __future__ import annotations

import numpy as np
import pytest

from midvision.analysis.ranks import holm, holm_adjusted, shared_ranks
from midvision.core.scores import Metric, Scores

HIGH = Metric("m", "share", True, 0.0, 1.0, "x")
LOW = Metric("m", "m", False, 0.0, 1.0, "x")


def planted() -> dict[str, Scores]:
    """Two equal leaders, one clear second, two equal losers."""
    rng = np.random.default_rng(0)
    scene = np.repeat(rng.normal(0, 0.3, 30), 4)
    ids = tuple(f"i{n}" for n in range(120))
    groups = tuple(f"g{n // 4}" for n in range(120))
    means = {"b": 0.9, "a": 0.9, "middle": 0.6, "y": 0.2, "x": 0.2}
    return {name: Scores(ids, groups, {"x": mean + scene + rng.normal(0, 0.05, 120)}) for name, mean in means.items()}


def test_planted_groups_share_ranks() -> None:
    found = {entry.name: (entry.rank, entry.worst_rank) for entry in shared_ranks(planted(), HIGH)}
    assert found == {"a": (1, 2), "b": (1, 2), "middle": (3, 3), "x": (4, 5), "y": (4, 5)}
    turned = {entry.name: entry.rank for entry in shared_ranks(planted(), LOW)}
    assert turned == {"a": 4, "b": 4, "middle": 3, "x": 1, "y": 1}


def test_order_of_the_input_does_not_matter() -> None:
    scores = planted()
    assert shared_ranks(scores, HIGH) == shared_ranks(dict(reversed(scores.items())), HIGH)
    values = [entry.value for entry in shared_ranks(scores, HIGH)]
    assert values == sorted(values, reverse=True)


def test_equal_encoders_and_single_groups_are_never_told_apart() -> None:
    one = planted()["a"]
    assert [(r.name, r.rank) for r in shared_ranks({"z": one, "a": one}, HIGH)] == [("a", 1), ("z", 1)]
    alone = {name: Scores(s.ids, ("g",) * 120, s.columns) for name, s in planted().items()}
    assert {entry.rank for entry in shared_ranks(alone, HIGH)} == {1}
    assert shared_ranks({}, HIGH) == []


def test_holm_on_a_worked_example() -> None:
    """p = .01 .04 .03 .005 with four hypotheses: .005 <= .0125 and .01 <= .0167 fall, .03 > .025 stops."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == [True, False, False, True]
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == [] and holm([0.05]) == [True] and holm([float("nan")]) == [False]

"""The plan of triplet families: balance of sides, factors and ratios, and answers that follow from amounts."""

from __future__ import annotations

from collections import Counter

import pytest

from midvision.synth.variations import CONTENT, FACTORS, NUISANCES, RATIOS, STEPS, plan_family


@pytest.mark.parametrize("families", [10, 60])
def test_balance(families: int) -> None:
    triplets = [triplet for index in range(families) for triplet in plan_family(index)[1]]
    share = sum(triplet.right_share for triplet in triplets) / len(triplets)
    assert abs(share - 0.5) <= 0.02
    for kind in ("dominance", "subset", "nuisance"):
        side = [t.right_share for t in triplets if t.kind == kind]
        assert abs(sum(side) / len(side) - 0.5) <= 0.1, kind
    counts = Counter(triplet.factor for triplet in triplets if triplet.kind == "nuisance")
    assert set(counts) == set(CONTENT) and max(counts.values()) == min(counts.values())
    assert {t.factor for t in triplets if t.kind == "dominance"} == set(FACTORS)
    assert {t.nuisance for t in triplets if t.kind == "nuisance"} == set(NUISANCES)
    assert {t.k for t in triplets if t.kind == "dominance"} == set(RATIOS)


def test_answers_follow_from_the_amounts() -> None:
    for index in range(40):
        variants, triplets = plan_family(index)
        amounts = {variant.view: dict(variant.amounts) for variant in variants}
        assert amounts[0] == {} and len(amounts) == 8
        for triplet in triplets:
            right, left = amounts[triplet.right], amounts[triplet.left]
            answer, other = (right, left) if triplet.right_share == 1 else (left, right)
            assert triplet.right_share in (0.0, 1.0) and triplet.reference == 0
            if triplet.kind == "dominance":
                assert set(answer) == set(other) == {triplet.factor}
                assert other[triplet.factor] == pytest.approx(triplet.k * answer[triplet.factor])
            elif triplet.kind == "subset":
                assert set(other) - set(answer) == {triplet.factor}
                assert all(other[name] == value for name, value in answer.items())
            else:
                assert set(answer) == {triplet.nuisance} and set(other) == {triplet.factor}


def test_every_edit_has_a_calibrated_step() -> None:
    assert set(STEPS) == {*CONTENT, *NUISANCES}
    assert all(step > 0 for step in STEPS.values())

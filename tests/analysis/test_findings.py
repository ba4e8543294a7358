"""The paper's claims against planted studies: true, false, beyond telling, and without the models they need."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import planted
import pytest
from study_tables import SSL, SUPERVISED, study

from midvision.analysis.findings import CLAIMS
from midvision.analysis.study import analyse
from midvision.results.query import Results

EXPECTED = [(planted.all_true, "holds"), (planted.all_false, "does not hold"), (planted.all_open, "undecided")]


@pytest.mark.slow
@pytest.mark.parametrize(("plan", "expected"), EXPECTED, ids=["true", "false", "open"])
def test_every_claim_gets_the_planted_verdict(plan: Callable, expected: str, tmp_path: Path) -> None:
    results, high = planted.made(tmp_path, plan)
    before = time.process_time()
    found = analyse(results, high)
    assert time.process_time() - before < 15, "seconds for 24 models on three tasks, not minutes"
    assert {one.id: one.verdict for one in found.findings} == dict.fromkeys(planted.IDS, expected)
    for one in found.findings:
        assert one.numbers and one.models and one.reason and one.source and not one.missing, one
    assert json.dumps(found.as_dict(), allow_nan=False)


def test_claims_are_declared_once_with_a_sentence() -> None:
    assert [claim.id for claim in CLAIMS] == list(planted.IDS)
    assert all(claim.sentence.endswith(".") for claim in CLAIMS)


def test_without_any_result_nothing_is_decided() -> None:
    found = analyse(Results([])).findings
    assert [one.verdict for one in found] == ["undecided"] * len(planted.IDS)
    assert all(one.reason for one in found)


@pytest.mark.parametrize(
    ("without", "claim"),
    [
        ("ibot_vitb16", "segmentation-order"),
        ("maskfeat_vitb16", "masked-weak-frozen"),
        ("densecl_resnet50", "densecl-spatial"),
    ],
)
def test_a_missing_model_is_named(without: str, claim: str, tmp_path: Path) -> None:
    quality, _ = planted.all_true()
    kept = {
        task: {model: value for model, value in models.items() if model.endswith("vitb16") or "cl" in model}
        for task, models in quality.items()
    }
    for models in kept.values():
        models.pop(without, None)
    found = {one.id: one for one in analyse(study(tmp_path, kept, scenes=8, each=1)).findings}
    assert found[claim].verdict == "undecided" and without in found[claim].missing and without in found[claim].reason


def test_no_supervised_model_no_share(tmp_path: Path) -> None:
    quality = {planted.SEG: dict.fromkeys(SSL[:3], 0.5)}
    found = {one.id: one for one in analyse(study(tmp_path, quality, scenes=8, each=1)).findings}
    for id in ("share-mid", "share-high", "smaller-gap-mid", "weak-link"):
        assert found[id].verdict == "undecided" and found[id].reason.startswith("Not in this study"), found[id]


def test_two_models_are_too_few_to_tell(tmp_path: Path) -> None:
    quality, high = planted.all_true()
    few = (*SSL[:2], *SUPERVISED)
    results = study(tmp_path, {planted.SEG: {model: quality[planted.SEG][model] for model in few}}, scenes=8, each=1)
    scores = [planted.HighScore(model, "planted", high[model], "made up", "own") for model in few]
    found = {one.id: one for one in analyse(results, scores).findings}
    for id in ("share-mid", "share-high", "smaller-gap-mid", "weak-link"):
        assert found[id].verdict == "undecided" and "too few to tell" in found[id].reason, found[id]

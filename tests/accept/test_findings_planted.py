"""The paper's claims against many planted studies: every verdict, whatever the noise."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))

import planted

from midvision.analysis.study import analyse

pytestmark = pytest.mark.accept
PLANS = [(planted.all_true, "holds"), (planted.all_false, "does not hold"), (planted.all_open, "undecided")]


@pytest.mark.parametrize("salt", range(5))
@pytest.mark.parametrize(("plan", "expected"), PLANS, ids=["true", "false", "open"])
def test_every_verdict_is_right(plan: Callable, expected: str, salt: int, tmp_path: Path) -> None:
    results, high = planted.made(tmp_path, plan, salt=salt)
    found = {one.id: one.verdict for one in analyse(results, high).findings}
    wrong = {id: verdict for id, verdict in found.items() if verdict != expected}
    print(f"\nplanted {expected}, noise {salt}: {len(found) - len(wrong)} of {len(found)} verdicts right")
    assert set(found) == set(planted.IDS) and not wrong, wrong

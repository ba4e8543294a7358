"""The list of mistakes fits today's source and tests; `make accept-mutations` applies them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]


def test_there_are_enough_in_every_room() -> None:
    assert len(MUTANTS) >= 36
    assert len({(mutant.path, mutant.new, mutant.old) for mutant in MUTANTS}) == len(MUTANTS)
    rooms = {mutant.path.split("/")[0] for mutant in MUTANTS}
    assert rooms >= {
        "geometry",
        "metrics",
        "tasks",
        "probes",
        "extraction",
        "run",
        "results",
        "synth",
        "zoo",
        "encoders",
        "analysis",
    }


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.path} {mutant.old[:40]!r}")
def test_the_text_occurs_once_and_the_tests_exist(mutant: Mutant) -> None:
    source = (ROOT / "midvision" / mutant.path).read_text(encoding="utf-8")
    assert source.count(mutant.old) == 1
    changed = source.replace(mutant.old, mutant.new)
    assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))
    for name in mutant.tests.split():
        file, _, function = name.partition("::")
        text = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in text

"""Every file that `make accept` names is there: a target that finds nothing proves nothing."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_named_file_exists() -> None:
    text = (ROOT / "tests/accept/accept.mk").read_text(encoding="utf-8")
    named = re.findall(r"\b(?:tests|benchmarks)/[\w/]+(?:\.py)?", text)
    assert named and not [name for name in named if not (ROOT / name).exists()]

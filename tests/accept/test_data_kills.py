"""Ten kills with SIGKILL, whatever the form of the source and whatever it was doing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "data"))
from killed_prepare import FORMS, check_kills


@pytest.mark.accept
@pytest.mark.parametrize("form", FORMS)
def test_ten_kills_end_in_the_same_manifest(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    (tmp_path / "files").mkdir()
    check_kills(FORMS[form](tmp_path / "files"), tmp_path / "data", capsys, 10)

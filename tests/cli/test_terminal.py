"""Progress and tables for people."""

from __future__ import annotations

import json

import pytest

from midvision.cli.terminal import PlainProgress, RichProgress, Spoken, make_progress, put_json, put_table


def test_who_gets_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert isinstance(make_progress(), RichProgress)
    assert isinstance(make_progress(bars=False), Spoken)
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert isinstance(make_progress(), PlainProgress)
    monkeypatch.setenv("CI", "1")
    assert isinstance(make_progress(), Spoken)


def test_plain_lines_come_no_more_often_than_agreed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("midvision.cli.terminal.time.monotonic", lambda: now[0])
    with PlainProgress(every_s=30).bar("images", 100) as advance:
        for _ in range(10):
            now[0] += 10
            advance(5)
    assert capsys.readouterr().err.splitlines() == [
        "images: 15/100 (0.5/s, 170 s left)",
        "images: 30/100 (0.5/s, 140 s left)",
        "images: 45/100 (0.5/s, 110 s left)",
    ]


def test_bars_nest_and_leave_nothing_behind() -> None:
    progress = RichProgress()
    with progress.bar("units [a]", 2) as outer:
        with progress.bar("images", None) as inner:
            inner(3)
        outer(1)
        progress.say("a [red]message[/red]")
    assert progress._bars is None


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    make_progress(quiet=True).say("hello")
    make_progress(bars=False).say("there")
    assert capsys.readouterr().err == "there\n"


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    put_json({"a": float("nan"), "b": (1, float("inf")), "ü": {"c": True, "d": None}})
    text = capsys.readouterr().out
    assert json.loads(text) == {"a": None, "b": [1, None], "ü": {"c": True, "d": None}} and "ü" in text


def test_tables_print_markup_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    put_table(["model", "score"], [["[red]x[/red]", "0.5"]], numbers=1)
    assert "[red]x[/red]" in capsys.readouterr().out

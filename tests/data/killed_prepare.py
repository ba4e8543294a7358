"""`midvision data prepare` killed with SIGKILL again and again, and what is there in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from official_files import document, snapshot
from official_navi import build_navi
from official_voc import voc12_tar

# Each piece takes a moment longer, so that every run is killed with some of its own work done and some left.
SLOWER = """
import sys, time
import midvision.data.pieces as pieces
def slower(function):
    def slow(*given):
        time.sleep(0.02)
        return function(*given)
    return slow
pieces.take, pieces.Journal.add = slower(pieces.take), slower(pieces.Journal.add)
from midvision.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


class Form(NamedTuple):
    """A set in one of its forms, and how many processes work on it."""

    set_name: str
    source: Path
    workers: int


def _tar(folder: Path) -> Form:
    return Form("voc12", voc12_tar(folder, count=60), 1)


def _tar_gz(folder: Path) -> Form:
    voc12_tar(folder, count=60)
    with tarfile.open(folder / "voc12.tar.gz", "w:gz", compresslevel=1) as packed:
        packed.add(folder / "unpacked/VOCdevkit", "VOCdevkit")
    return Form("voc12", folder / "voc12.tar.gz", 1)


def _folder(folder: Path) -> Form:
    voc12_tar(folder, count=60)
    return Form("voc12", folder / "unpacked", 1)


def _conversions(folder: Path) -> Form:
    return Form("navi", build_navi(folder, wild=12, views=6), 2)


FORMS: dict[str, Callable[[Path], Form]] = {
    "tar": _tar,
    "tar.gz": _tar_gz,
    "folder": _folder,
    "conversions": _conversions,
}


def check_kills(form: Form, root: Path, capsys: pytest.CaptureFixture[str], times: int) -> None:
    """After `times` kills the next run ends in the manifest of an undisturbed one; the source is as it was."""
    before = snapshot(form.source.parent)
    words = ["data", "prepare", form.set_name, "--subset", "-q", "--workers", str(form.workers), "--from"]
    journal = root / f".{form.set_name}.preparing/.journal"
    kills, lines = 0, 1
    for _ in range(times):
        process = subprocess.Popen([sys.executable, "-c", SLOWER, *words, str(form.source)], start_new_session=True)
        end = time.monotonic() + 60
        while process.poll() is None and time.monotonic() < end:
            if journal.exists() and (found := journal.read_bytes().count(b"{")) > lines + 2:
                process.send_signal(signal.SIGKILL)
                lines = found
                break
            time.sleep(0.005)
        kills += process.wait() == -signal.SIGKILL
        assert not left_over(process.pid), "its workers did not end with it"
    assert kills == times and not (root / form.set_name).exists()
    resumed = document(capsys, *words[1:], form.source)
    manifest = (root / form.set_name / "manifest.json").read_bytes()
    assert document(capsys, "check", form.set_name, "--full")["problems"] == []
    fresh = document(capsys, *words[1:-1], "--again", "--from", form.source)
    assert (root / form.set_name / "manifest.json").read_bytes() == manifest
    assert resumed["content"] == fresh["content"] and snapshot(form.source.parent) == before
    assert sorted(path.name for path in root.iterdir()) == [form.set_name]


def left_over(session: int, patience_s: float = 10) -> list[int]:
    """Processes of a session that still run after a moment."""
    end = time.monotonic() + patience_s
    while (found := _members(session)) and time.monotonic() < end:
        time.sleep(0.05)
    return found


def _members(session: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(entry.name)) == session and (entry / "stat").read_text().split(") ")[1][0] != "Z":
                found.append(int(entry.name))
        except (OSError, IndexError):
            continue
    return found

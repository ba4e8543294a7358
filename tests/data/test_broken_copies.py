"""Broken official files and broken disks: one clear message each, and nothing that was there before is touched."""

from __future__ import annotations

import ctypes
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from broken_sources import BROKEN, good
from official_files import command, document, snapshot
from official_voc import build_kit, lists_12, voc12_tar

from midvision.cli.main import main

SET_WITHOUT_EARLIER = "nyu"
"""A sound NYUv2 takes a quarter of a minute to make; its faults are met with another set's copy in the folder."""


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a sound copy of every set that is broken below."""
    data = tmp_path_factory.mktemp("data")
    for name in {set_name for set_name, _ in BROKEN.values()} - {SET_WITHOUT_EARLIER}:
        files = good(name, tmp_path_factory.mktemp(f"{name}-files"))
        words = ["prepare", name, "--subset", "--copy", "-q", "--workers", "1", "--data-root", str(data)]
        assert main(["data", *words, "--from", *map(str, files)]) == 0
    return data


def kept(data: Path) -> dict[str, tuple[str, int]]:
    """Every finished copy of a data folder; what an interrupted preparation leaves for the next one is not counted."""
    return {name: state for name, state in snapshot(data).items() if not name.startswith(".")}


def check_message(err: str, words: tuple[str, ...]) -> None:
    """One error: at most a sentence each on what is wrong, what was expected, what to do; no traceback."""
    lines = err.splitlines()
    assert lines[0].startswith("Error: ") and sum(line.startswith("Error") for line in lines) == 1, err
    assert 2 <= len(lines) <= 3 and all(line.startswith("  ") for line in lines[1:]), err
    assert "Traceback" not in err and "not expected" not in err and lines[0].endswith("."), err
    assert all(word in err for word in words), err


def test_there_are_enough_of_them() -> None:
    assert len(BROKEN) >= 30 and len({set_name for set_name, _ in BROKEN.values()}) >= 7


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_one_message_and_leave_everything_as_it_was(
    name: str, tmp_path: Path, earlier: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MIDVISION_DATA", str(earlier))
    set_name, make = BROKEN[name]
    folder = tmp_path / "given"
    folder.mkdir()
    paths, words = make(folder)
    files, copies = snapshot(folder), kept(earlier)
    flags = [] if "all of it is wanted" in name else ["--subset"]
    code, out, err = command(capsys, "prepare", set_name, *flags, "--workers", "1", "--from", *paths)
    assert (code, out) == (3, ""), err
    check_message(err, words)
    assert snapshot(folder) == files and kept(earlier) == copies
    assert not list(tmp_path.rglob("escaped*"))
    if set_name != SET_WITHOUT_EARLIER:
        assert document(capsys, "check", set_name, "--full")["problems"] == []


def in_a_process(*words: object, limits: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    run = [sys.executable, "-m", "midvision", "data", *map(str, words)]
    return subprocess.run(run, capture_output=True, text=True, preexec_fn=limits, timeout=120, check=False)


def without_override() -> None:
    """Take from the superuser, whom permissions do not stop, the capabilities to write and to read past them."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_a_source_that_cannot_be_written_is_enough_and_one_that_cannot_be_read_is_named(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = build_kit(tmp_path / "files", "2012", lists_12())
    before = snapshot(tmp_path / "files")
    everything = sorted((tmp_path / "files").rglob("*"))
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    photo = kit / f"JPEGImages/{lists_12()['train'][0]}.jpg"
    words = ("prepare", "voc12", "--subset", "--from", tmp_path / "files")
    try:
        attempt = f"open({str(kit / 'new')!r}, 'w')"
        wrote = subprocess.run([sys.executable, "-c", attempt], preexec_fn=without_override, stderr=subprocess.PIPE)
        assert b"PermissionError" in wrote.stderr
        done = in_a_process(*words, limits=without_override)
        assert done.returncode == 0 and "is prepared in" in done.stderr, done.stderr
        assert snapshot(tmp_path / "files") == before
        copy = kept(root)
        photo.chmod(0)
        refused = in_a_process(*words, "--again", limits=without_override)
        photo.chmod(0o444)
        assert refused.returncode == 3 and kept(root) == copy
        check_message(refused.stderr, (f"{photo} cannot be read: Permission denied",))
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert snapshot(tmp_path / "files") == before
    assert document(capsys, "check", "voc12", "--full")["problems"] == []


def test_a_place_that_cannot_be_written_is_one_message(tmp_path: Path, root: Path) -> None:
    tar = voc12_tar(tmp_path)
    root.mkdir()
    root.chmod(0o555)
    try:
        refused = in_a_process("prepare", "voc12", "--subset", "--from", tar, limits=without_override)
    finally:
        root.chmod(0o755)
    assert refused.returncode == 3 and not list(root.iterdir())
    check_message(refused.stderr, (f"Cannot write {root}", "Permission denied", "choose another folder"))


def test_a_disk_that_takes_no_more_is_one_message(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real refusal of a real write: no file may grow beyond 3,000 bytes, and a photograph is larger.

    The limit's own error is "File too large"; a full disk differs in its number alone.
    """
    tar = voc12_tar(tmp_path)
    document(capsys, "prepare", "voc12", "--subset", "--from", tar)
    before = kept(root), tar.read_bytes()
    largest = max((path.stat().st_size, path.name) for path in root.rglob("*.jpg"))[0]
    assert largest > 3000

    def limits() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    refused = in_a_process("prepare", "voc12", "--subset", "--again", "--from", tar, limits=limits)
    assert refused.returncode == 3, refused.stderr
    check_message(refused.stderr, ("Cannot write", "JPEGImages/", "File too large", "Free some space"))
    assert (kept(root), tar.read_bytes()) == before and not list(root.rglob("*.part"))
    assert document(capsys, "check", "voc12", "--full")["problems"] == []
    assert in_a_process("prepare", "voc12", "--subset", "--again", "--from", tar).returncode == 0


def test_files_beyond_the_official_ones_change_nothing_in_a_source_and_are_found_in_a_copy(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kit = build_kit(tmp_path / "files", "2012", lists_12())
    clean = document(capsys, "prepare", "voc12", "--subset", "--copy", "--from", tmp_path / "files")
    for name in (".DS_Store", "JPEGImages/Thumbs.db", "SegmentationObject/._2007_000032.png", "notes/mine.txt"):
        (kit / name).parent.mkdir(exist_ok=True)
        (kit / name).write_text("x")
    shutil.copyfile(next((kit / "JPEGImages").glob("2*.jpg")), kit / "JPEGImages/2099_000001.jpg")
    again = document(capsys, "prepare", "voc12", "--subset", "--copy", "--again", "--from", tmp_path / "files")
    assert again["content"] == clean["content"] and again["files"] == clean["files"]
    stranger = root / "voc12/JPEGImages/2099_000001.jpg"
    shutil.copyfile(kit / "JPEGImages/2099_000001.jpg", stranger)
    code, out, err = command(capsys, "check", "voc12")
    assert (code, out) == (3, "")
    check_message(err, (f"{stranger} does not belong to the copy", "(1 problem)", "Prepare it again"))


def test_the_copy_of_one_set_under_the_name_of_another(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "voc12", "--subset", "--from", voc12_tar(tmp_path))
    (root / "voc12").rename(root / "voc07")
    code, _, err = command(capsys, "check", "voc07")
    assert code == 3
    check_message(err, (f"{root / 'voc07'} holds the set 'voc12'", "'voc07' was expected"))

"""Preparing whatever the set: complete or absent, resumed, sources untouched, damage found."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
from killed_prepare import FORMS, check_kills
from official_files import command, document, flip, snapshot
from official_voc import build_kit, lists_12, voc12_tar

from midvision.cli.main import main
from midvision.core.errors import DataError
from midvision.data.archives import Shelf
from midvision.data.benchmark import Benchmark, Kept, Made, Plan, Source
from midvision.data.card import DataCard
from midvision.data.manifest import open_copy, read_manifest
from midvision.data.prepare import Wish, prepare
from midvision.data.sets import voc


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def convert(name: str, content: str) -> dict[str, bytes]:
    """A conversion that other processes can find."""
    if content == "bad":
        raise DataError("This piece cannot be converted.", "", "Get another.")
    if content == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    return {f"made/{name}": content.encode() * 1000}


def card(pieces: int = 4, bad: bool = False, word: str = "bad") -> DataCard:
    """A set whose files are all conversions, and one published file."""

    def plan(shelf: Shelf) -> Plan:
        place = shelf.need("list.txt", "list.txt")
        work: list[Kept | Made] = [Kept("list.txt", place, "list.txt")]
        for number in range(pieces):
            content = word if bad and number == pieces - 1 else str(number)
            work.append(Made((f"made/{number}",), convert, (str(number), content), 1000))
        return Plan(tuple(work), {"all": tuple(str(number) for number in range(pieces))}, (place,))

    bench = Benchmark("", "", "", (), (Source("list.txt", "all"),), {}, {"all": pieces}, plan, lambda copy, id: None)
    return DataCard("made-up", "1", "", ("labels",), "", "", {}, lambda request: None, benchmark=bench)  # type: ignore[arg-type,return-value]


def test_conversions_in_one_process_or_several_give_the_same(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("x")
    copies = []
    for workers in (1, 3):
        folder = tmp_path / f"copy{workers}"
        done = prepare(card(), [tmp_path / "list.txt"], Wish(folder=folder, copy=True, workers=workers))
        copies.append({name: found[0] for name, found in snapshot(folder).items()})
        assert done.files == 5 and done.official
    assert copies[0] == copies[1]
    assert read_manifest(tmp_path / "copy1").files["made/2"].bytes == 1000


def test_a_failure_keeps_the_earlier_copy_and_what_was_done(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("x")
    folder = tmp_path / "copy"
    prepare(card(3), [tmp_path], Wish(folder=folder))
    before = snapshot(folder)
    with pytest.raises(DataError, match="cannot be converted"):
        prepare(card(bad=True), [tmp_path], Wish(folder=folder, workers=1))
    assert snapshot(folder) == before
    assert (tmp_path / ".copy.preparing/made/0").is_file()


def test_an_error_of_another_process_arrives_whole(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("x")
    with pytest.raises(DataError) as found:
        prepare(card(bad=True), [tmp_path], Wish(folder=tmp_path / "copy", workers=2))
    assert (found.value.wrong, found.value.do) == ("This piece cannot be converted.", "Get another.")


def test_a_process_that_dies_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("x")
    with pytest.raises(DataError, match="ended from outside"):
        prepare(card(bad=True, word="die"), [tmp_path], Wish(folder=tmp_path / "copy", workers=2))


def test_dry_run_writes_nothing_and_says_how_much(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tar = voc12_tar(tmp_path)
    done = document(capsys, "prepare", "voc12", "--subset", "--dry-run", "--from", tar)
    assert done["dry_run"] and done["files"] == 20 and done["bytes_to_write"] > 20_000
    assert not root.exists()


def test_a_second_preparation_has_nothing_to_do(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tar = voc12_tar(tmp_path)
    first = document(capsys, "prepare", "voc12", "--subset", "--from", tar)
    before = snapshot(root)
    assert document(capsys, "prepare", "voc12", "--subset", "--from", tar)["already_prepared"]
    assert snapshot(root) == before
    (root / "voc12/JPEGImages" / f"{lists_12()['val'][0]}.jpg").write_bytes(b"short")
    again = document(capsys, "prepare", "voc12", "--subset", "--from", tar)
    assert not again["already_prepared"] and again["content"] == first["content"]


def test_killed_it_goes_on_where_it_was(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Once here, out of an archive; ten times, in every form and amid conversions: tests/accept/test_data_kills.py."""
    (tmp_path / "files").mkdir()
    check_kills(FORMS["tar"](tmp_path / "files"), root, capsys, 1)


def test_check_finds_each_flipped_byte_and_each_missing_or_strange_file(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "voc12", "--subset", "--from", voc12_tar(tmp_path, 4))
    files = [path for path in sorted((root / "voc12").rglob("*.*")) if path.suffix in (".jpg", ".png")]
    for place, path in enumerate(files):
        flip(path, -30 - place)
        code, _, err = command(capsys, "check", "voc12", "--full")
        assert code == 3 and str(path) in err and "(1 problem)" in err
        flip(path, -30 - place)
    assert command(capsys, "check", "voc12", "--full")[0] == 0
    strange = root / "voc12/JPEGImages/extra.jpg"
    strange.write_bytes(b"x")
    code, _, err = command(capsys, "check", "voc12")
    assert code == 3 and "extra.jpg does not belong" in err
    strange.unlink()
    files[0].unlink()
    code, _, err = command(capsys, "check", "voc12")
    assert code == 3 and f"{files[0]} is missing" in err and "--again" in err


def test_a_changed_copy_or_manifest_is_noticed_when_it_is_opened(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(capsys, "prepare", "voc12", "--subset", "--from", voc12_tar(tmp_path, 4))
    cards = {card.name: card for card in voc.DATA}
    copy = open_copy(cards["voc12"])
    name = next(iter(copy.manifest.files))
    assert copy.sha256(name) == copy.manifest.files[name].sha256
    content = copy.path(name).read_bytes()
    copy.path(name).write_bytes(bytes([content[0] ^ 1]) + content[1:])
    os.utime(copy.path(name), ns=(time.time_ns() + 10**9,) * 2)
    assert copy.sha256(name) != copy.manifest.files[name].sha256
    copy.path(name).write_bytes(content[:-1])
    with pytest.raises(DataError, match="the manifest says"):
        copy.sha256(name)
    manifest = root / "voc12/manifest.json"
    manifest.write_text(manifest.read_text().replace('"train": [', '"train": ["2007_999999", ', 1))
    with pytest.raises(DataError, match="changed by hand"):
        open_copy(cards["voc12"])
    manifest.write_text("{")
    with pytest.raises(DataError, match="not a readable manifest"):
        open_copy(cards["voc12"])


def test_sources_are_never_changed_even_where_they_cannot_be(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build_kit(tmp_path / "files", "2012", lists_12())
    before = snapshot(tmp_path / "files")
    folders = [path for path in (tmp_path / "files").rglob("*") if path.is_dir()]
    for path in folders:
        path.chmod(0o555)
    try:
        document(capsys, "prepare", "voc12", "--subset", "--from", tmp_path / "files")
        assert snapshot(tmp_path / "files") == before
    finally:
        for path in folders:
            path.chmod(0o755)


def test_no_space_left_is_said_before_anything_is_written(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil

    tar = voc12_tar(tmp_path)
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tar)
    assert code == 3 and "GiB free" in err
    assert not (root / ".voc12.preparing").exists()


def test_a_disk_that_fills_up_meanwhile_is_one_error(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from midvision.data import pieces

    def full(self: object, block: bytes) -> None:
        from midvision.core.places import cannot_write

        raise cannot_write(Path("copy"), OSError(28, "No space left on device"))

    tar = voc12_tar(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(pieces._Target, "write", full)
        code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tar)
    assert code == 3 and err.count("No space left on device") == 1
    assert not list((root / ".voc12.preparing").rglob("*.part")) and not (root / "voc12").exists()
    assert document(capsys, "prepare", "voc12", "--subset", "--from", tar)["files"] == 20


def test_two_at_once_are_refused(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import fcntl

    tar = voc12_tar(tmp_path)
    root.mkdir()
    with open(root / ".voc12.preparing.lock", "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tar)
    assert code == 3 and "Another process prepares" in err


def test_words_of_the_command_line(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = command(capsys, "list", "--json")
    names = {record["name"]: record["state"] for record in json.loads(out)}
    assert code == 0 and names["voc12"] == "not prepared"
    found = document(capsys, "info", "voc12-seg")
    assert found["counts"]["train"] == 1464 and found["page"].startswith("http") and found["licence"]
    assert command(capsys, "info", "nights")[1].startswith("nights: ")
    code, _, err = command(capsys, "info", "voc13")
    assert code == 2 and "voc12" in err
    code, _, err = command(capsys, "prepare", "voc12")
    assert code == 2 and "--from" in err
    code, _, err = command(capsys, "prepare", "voc12", "--from", tmp_path / "none.tar")
    assert code == 3 and "does not exist" in err and "VOCtrainval_11-May-2012.tar" in err
    code, _, err = command(capsys, "check", "voc12")
    assert code == 3 and "not prepared" in err
    assert main(["run", "-m", "control/oracle", "-t", "voc12-seg", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["units"][0]["state"] == "data not prepared"
    assert main(["data", "list", "--data-root", str(tmp_path / "other")]) == 0

"""Archives: names and sizes as published, and every broken or hostile one refused with one clear line."""

from __future__ import annotations

import io
import random
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from official_files import command
from official_voc import voc12_tar

from midvision.core.errors import DataError
from midvision.data.archives import Shelf, mark_prefixes, safe_name
from midvision.data.benchmark import Source
from midvision.data.trees import open_tree

FILES = {"kit/a/one.txt": b"one", "kit/a/two.jpg": b"\xff\xd8" + bytes(5000) + b"\xff\xd9", "kit/b.csv": b"x,y\n1,2\n"}


def tar_of(path: Path, members: list[tuple[tarfile.TarInfo, bytes]], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for info, content in members:
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def plain(name: str, content: bytes = b"x") -> tuple[tarfile.TarInfo, bytes]:
    return tarfile.TarInfo(name), content


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def make(kind: str, folder: Path) -> Path:
    members = [plain(name, content) for name, content in FILES.items()]
    if kind == "folder":
        for name, content in FILES.items():
            path = folder / "unpacked" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return folder / "unpacked"
    if kind == "zip":
        with zipfile.ZipFile(folder / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in FILES.items():
                archive.writestr(name, content)
        return folder / "x.zip"
    return tar_of(folder / f"x.{kind}", members, {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}[kind])


@pytest.mark.parametrize("kind", ["folder", "tar", "tar.gz", "tar.xz", "zip"])
def test_every_form_reads_alike(tmp_path: Path, kind: str) -> None:
    shelf = Shelf([make(kind, tmp_path)], (), "some")
    [place] = shelf.find("a")
    assert place.prefix == "kit/"
    assert place.names() == ["a/one.txt", "a/two.jpg", "b.csv"]
    assert place.names("a") == ["a/one.txt", "a/two.jpg"]
    assert (place.size("a/two.jpg"), place.has("a"), place.has("c")) == (5004, False, False)
    assert (place.read_text("a/one.txt"), place.read_bytes("b.csv")) == ("one", b"x,y\n1,2\n")
    assert (place.local("b.csv") is not None) == (kind == "folder")
    assert [p.prefix for p in shelf.find("b.*")] == ["kit/"] and shelf.find("one.txt", "none")[0].prefix == "kit/a/"
    streamed = {name: stream.read() for name, stream in place.tree.stream({"kit/a/two.jpg", "kit/b.csv"})}
    assert streamed == {name: FILES[name] for name in streamed} and len(streamed) == 2
    with pytest.raises(DataError, match="is missing"):
        place.open("none")
    if kind.startswith("tar."):
        with pytest.raises(DataError, match="compressed"):
            place.open("a/two.jpg")


def test_archives_in_a_folder_are_found_by_their_official_names(tmp_path: Path) -> None:
    (tmp_path / "down").mkdir()
    make("zip", tmp_path).rename(tmp_path / "down/07.zip")
    make("tar", tmp_path)
    sources = (Source("x.tar", ""), Source("down/[0-9]*.zip", ""))
    assert len(Shelf([tmp_path], sources, "some").find("a")) == 2
    with pytest.raises(DataError, match=r"Official files of some: x\.tar, down"):
        Shelf([tmp_path / "none"], sources, "some")


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "parent": lambda f: tar_of(f / "x.tar", [plain("../out.txt")]),
    "deep parent": lambda f: tar_of(f / "x.tar", [plain("a/../../out.txt")]),
    "absolute": lambda f: tar_of(f / "x.tar", [plain("/out.txt")]),
    "backslash": lambda f: tar_of(f / "x.tar", [plain("..\\out.txt")]),
    "drive": lambda f: tar_of(f / "x.tar", [plain("C:/out.txt")]),
    "compressed parent": lambda f: tar_of(f / "x.tar.gz", [plain("../out.txt")], "w:gz"),
    "link out": lambda f: tar_of(f / "x.tar", [link("a/b", "../../etc")]),
    "absolute link": lambda f: tar_of(f / "x.tar", [link("a/b", "/etc/passwd")]),
    "hard link out": lambda f: tar_of(f / "x.tar", [link("a/b", "../x", tarfile.LNKTYPE)]),
    "twice": lambda f: tar_of(f / "x.tar", [plain("a/b"), plain("a/b", b"y")]),
    "twice spelled otherwise": lambda f: tar_of(f / "x.tar", [plain("a/b"), plain("./a//b", b"y")]),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tars_are_refused(tmp_path: Path, name: str) -> None:
    path = HOSTILE[name](tmp_path)
    with pytest.raises(DataError, match=r"outside the folder|leads out|twice") as found:
        open_tree(path)
    assert str(path) in str(found.value) and "fetch" in str(found.value).lower()


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../b"])
def test_hostile_zips_are_refused(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(DataError, match="outside the folder"):
        open_tree(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "../../etc/passwd")
    with pytest.raises(DataError, match="leads out"):
        open_tree(tmp_path / "y.zip")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, kind: str) -> None:
    zeros = bytes(300 * 2**20)
    path = tmp_path / f"bomb.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("a.txt", zeros)
    else:
        with tarfile.open(path, "w:gz", compresslevel=1) as tar:
            info = tarfile.TarInfo("a.jpg")
            info.size = len(zeros)
            tar.addfile(info, io.BytesIO(zeros))
    with pytest.raises(DataError, match=r"would unpack [\d,]+ bytes to 314,572,800"):
        open_tree(path)


def test_links_within_an_archive_are_passed_over(tmp_path: Path) -> None:
    tree = open_tree(tar_of(tmp_path / "x.tar", [plain("a/b"), link("a/c", "b"), link("d", "a/b", tarfile.LNKTYPE)]))
    assert tree.names("") == ["a/b"]


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "tar.xz", "zip"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_an_archive_cut_short_is_refused(tmp_path: Path, kind: str, share: float) -> None:
    noise = random.Random(0).randbytes(300_000)
    if kind == "zip":
        path = tmp_path / "x.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", noise)
            archive.writestr("b.txt", noise)
    else:
        modes = {"tar": "w", "tar.gz": "w:gz", "tar.xz": "w:xz"}
        path = tar_of(tmp_path / f"x.{kind}", [plain("a.txt", noise), plain("b.txt", noise)], modes[kind])
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=r"damaged or cut short") as found:
        open_tree(path)
    assert str(path) in str(found.value)


def test_a_flipped_byte_in_a_zip_is_found_as_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", b"y" * 1000)
    content = bytearray(path.read_bytes())
    content[500] ^= 1
    path.write_bytes(bytes(content))
    [place] = Shelf([path], (), "some").find("a.txt")
    with pytest.raises(DataError, match="damaged"):
        place.read_bytes("a.txt")


def test_something_else_under_an_archives_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    page = tmp_path / "VOCtrainval_11-May-2012.tar"
    page.write_text("<html>404</html>")
    code, _, err = command(capsys, "prepare", "voc12", "--from", page)
    assert code == 3 and "damaged or cut short" in err and str(page) in err
    tar = voc12_tar(tmp_path)
    tar.write_bytes(tar.read_bytes()[:20_000])
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tar)
    assert code == 3 and "damaged or cut short" in err and len(err.splitlines()) == 3
    tar_of(tar, [plain("VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"), plain("../../escaped.txt")])
    code, _, err = command(capsys, "prepare", "voc12", "--subset", "--from", tar)
    assert code == 3 and "escaped.txt" in err
    assert not list(tmp_path.rglob("escaped.txt")) and not (tmp_path / "data").exists()


def test_names_and_marks() -> None:
    assert safe_name("./a/./b//c.txt", "x") == "a/b/c.txt"
    assert safe_name("a..b/c", "x") == "a..b/c"
    names = ["top/kit/lists/a.txt", "kit/lists/b.txt", "v/w/x/y/z/kit/lists/c.txt", "lists2/d.txt"]
    assert mark_prefixes(names, "lists") == ["kit/", "top/kit/"]
    assert mark_prefixes(names, "lists/*.txt") == ["kit/", "top/kit/"]
    assert mark_prefixes(["scene_1/a/pose.txt", "scene_2/pose.txt"], "scene_*/pose.txt") == [""]

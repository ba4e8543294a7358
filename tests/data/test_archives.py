"""Archives: names and sizes as published, and every broken or hostile one refused with one clear line."""

from __future__ import annotations

import gzip
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
from midvision.data.archives import Place, Shelf, mark_prefixes, safe_name
from midvision.data.benchmark import Kept, Plan, Source
from midvision.data.prepare import check_names
from midvision.data.sets import voc
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


def header(name: str, kind: bytes, size: int) -> bytes:
    """A tar header that claims `size` bytes, which may be negative."""
    info = tarfile.TarInfo(name)
    info.type = kind
    block = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    block[124:136] = (size % 2**96).to_bytes(12, "big") if size < 0 or size >= 8**11 else b"%011o\0" % size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


@pytest.mark.parametrize(("kind", "size"), [(b"0", -1), (b"0", -(2**40)), (b"L", 2**30), (b"x", 2**30), (b"K", -512)])
@pytest.mark.parametrize("ending", ["tar", "tar.gz"])
def test_a_header_that_claims_the_impossible_is_refused(tmp_path: Path, kind: bytes, size: int, ending: str) -> None:
    """Names are read as a whole, so 1 GiB of them is 1 GiB of memory; a negative size leads back to the start."""
    path = tmp_path / f"x.{ending}"
    content = header("a", kind, size) + bytes(4096)
    path.write_bytes(gzip.compress(content) if ending == "tar.gz" else content)
    with pytest.raises(DataError, match=r"damaged or cut short"):
        open_tree(path)


def test_a_name_of_a_megabyte_is_refused_though_all_of_it_is_there(tmp_path: Path) -> None:
    open_tree(tar_of(tmp_path / "fine.tar", [plain("a/" + "b" * 2000)]))
    with pytest.raises(DataError, match=r"damaged or cut short .*claims 1,0\d\d,\d\d\d bytes"):
        open_tree(tar_of(tmp_path / "x.tar", [plain("a/" + "b" * (2**20 + 512))]))


def test_a_file_stored_with_holes_is_refused(tmp_path: Path) -> None:
    """Its bytes do not lie one after the other, so they cannot be read at their place."""
    hole = header("a/b", tarfile.GNUTYPE_SPARSE, 512)
    (tmp_path / "x.tar").write_bytes(hole + b"x" * 512 + bytes(1024))
    with pytest.raises(DataError, match="with holes"):
        open_tree(tmp_path / "x.tar")


def test_devices_pipes_and_links_are_never_made(tmp_path: Path) -> None:
    kinds = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE)
    odd = [link(f"a/odd{number}", "", kind) for number, kind in enumerate(kinds)]
    inside = [link("a/soft", "b"), link("a/hard", "a/b", tarfile.LNKTYPE), link("d", "a")]
    tree = open_tree(tar_of(tmp_path / "x.tar", [*odd, *inside, plain("a/b"), plain("d/through the link")]))
    assert sorted(tree.names("")) == ["a/b", "d/through the link"]
    assert [path.name for path in tmp_path.iterdir()] == ["x.tar"]


def test_an_archive_within_an_archive_stays_closed(tmp_path: Path) -> None:
    """What a hostile inner archive holds is nobody's business until somebody opens it."""
    inner = HOSTILE["parent"](tmp_path).read_bytes()
    shelf = Shelf([tar_of(tmp_path / "outer.tar", [plain("kit/x.tar", inner)])], (Source("x.tar", ""),), "some")
    assert [tree.names("") for tree in shelf.trees] == [["kit/x.tar"]] and not shelf.find("out.txt")


def test_windows_paths_secrets_and_wrong_sizes_in_zips(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", bytes(10**6))
    content = (tmp_path / "x.zip").read_bytes()
    entry = content.find(b"PK\x01\x02")

    def changed(*edits: tuple[int, bytes]) -> Path:
        made = bytearray(content)
        for at, new in edits:
            made[at : at + len(new)] = new
        (tmp_path / "y.zip").write_bytes(made)
        return tmp_path / "y.zip"

    slash = changed((30, b"\\"), (entry + 46, b"\\"))
    with pytest.raises(DataError, match="outside the folder"):
        open_tree(slash)
    for edits, said in (
        (((6, b"\1"), (entry + 8, b"\1")), "encrypted"),
        (((8, b"\x63"), (entry + 10, b"\x63")), "compression"),
        (((entry + 24, (1000).to_bytes(4, "little")),), "CRC"),
        (((30, b"b"),), "differ"),
    ):
        [place] = Shelf([changed(*edits)], (), "some").find("a.txt")
        with pytest.raises(DataError, match=rf"damaged or cut short .*{said}"):
            place.read_bytes("a.txt")


def test_many_small_files_of_a_compressed_tar_are_not_all_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midvision.data.trees.ALL_KEPT_IN_MEMORY", 2500)
    members = [plain(f"{number}.txt", bytes([number]) * 1000) for number in range(4)]
    [place] = Shelf([tar_of(tmp_path / "x.tar.gz", members, "w:gz")], (), "some").find("0.txt")
    assert place.read_bytes("1.txt") == b"\1" * 1000
    with pytest.raises(DataError, match="Unpack the archive"):
        place.read_bytes("3.txt")
    assert {name: stream.read() for name, stream in place.tree.stream({"3.txt"})} == {"3.txt": b"\3" * 1000}


def test_links_in_a_folder_that_lead_in_circles_end(tmp_path: Path, must_end: None) -> None:
    for name in ("x", "y"):
        (tmp_path / "f" / name).mkdir(parents=True)
        (tmp_path / "f" / name / "one.txt").write_text(name)
    (tmp_path / "f/x/other").symlink_to("../y")
    (tmp_path / "f/y/other").symlink_to("../x")
    (tmp_path / "f/y/top").symlink_to("..")
    names = open_tree(tmp_path / "f").names("")
    # A linked folder is followed, but not from within itself.
    assert {"x/one.txt", "y/one.txt", "x/other/one.txt", "y/other/one.txt"} <= set(names) and len(names) < 20


def test_two_names_that_differ_in_capitals_alone_are_refused(tmp_path: Path) -> None:
    """On some disks the second would be written over the first."""
    tree = open_tree(tar_of(tmp_path / "x.tar", [plain("a/X.jpg"), plain("a/x.jpg", b"yy"), plain("a/caf\udce9.jpg")]))
    assert tree.size("a/X.jpg") == 1 and tree.size("a/x.jpg") == 2

    def planned(*names: str) -> Plan:
        place = Place(tree, "a/")
        return Plan(tuple(Kept(name, place, name) for name in names), {}, (place,))

    check_names(voc.DATA[0], planned("X.jpg"))
    for names, said in (
        (("X.jpg", "x.jpg"), "as X.jpg and x.jpg, which some disks take for one"),
        (("X.jpg", "X.jpg"), "would be written as X.jpg"),
        (("caf\udce9.jpg",), "A plain name was expected"),
    ):
        with pytest.raises(DataError, match=said):
            check_names(voc.DATA[0], planned(*names))


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

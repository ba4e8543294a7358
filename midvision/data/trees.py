"""One folder, file or archive behind one interface: names, sizes, bytes. Nothing is unpacked here.

Archives are indexed once per process; a tree that travels to another process carries its path only.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
import threading
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

from midvision.core.errors import DataError
from midvision.data.archives import DEEPEST, ENDINGS, mark_prefixes, no_proportion, safe_name
from midvision.data.tar_members import ImpossibleHeader, Member, Slice

MOST_TIMES_LARGER = 200
SMALL_ARCHIVE = 2**20
KEPT_IN_MEMORY = 16 * 2**20
ALL_KEPT_IN_MEMORY = 512 * 2**20
PICTURES = (".jpg", ".jpeg", ".png", ".ppm", ".obj", ".glb", ".ply", ".mp4")
ZIP_LINK = 0o120000
CHUNK = 2**20


@dataclass(frozen=True)
class Tree(ABC):
    """Something that holds files, at `path`."""

    path: Path

    @abstractmethod
    def names(self, start: str) -> list[str]:
        """Names of all files that begin with `start` (empty, or a folder with a final `/`)."""

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Bytes of a file; None if it is not there."""

    @abstractmethod
    def open(self, name: str) -> IO[bytes]: ...

    @abstractmethod
    def find(self, mark: str) -> list[str]:
        """Prefixes below which a file or folder `mark` lies, outermost first."""

    def local(self, name: str) -> Path | None:
        return None

    def describe(self, name: str) -> str:
        return f"{self.path}: {name.rstrip('/')}" if name else str(self.path)

    @property
    def sequential(self) -> bool:
        """Whether files can only be read in their order, one pass for all."""
        return False

    def stream(self, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
        """The wanted files in the archive's order; each stream is good until the next one is asked for."""
        for name in sorted(wanted):
            with self.open(name) as stream:
                yield name, stream


class Folder(Tree):
    """An extracted folder. What a person linked inside it is followed."""

    def names(self, start: str) -> list[str]:
        return list(_walked(self.path, start))

    def size(self, name: str) -> int | None:
        try:
            path = self.path / name
            state = path.stat()
        except OSError:
            return None
        return state.st_size if path.is_file() else None

    def open(self, name: str) -> IO[bytes]:
        try:
            return open(self.path / name, "rb")
        except OSError as error:
            raise DataError(
                f"{self.path / name} cannot be read: {error.strerror}.", "", "Make it readable, or copy it again."
            ) from error

    def find(self, mark: str) -> list[str]:
        found: dict[str, None] = {}
        for depth in range(DEEPEST):
            for hit in sorted(self.path.glob("*/" * depth + mark)):
                parts = hit.relative_to(self.path).parts[:depth]
                found["".join(f"{part}/" for part in parts)] = None
        return list(found)

    def local(self, name: str) -> Path | None:
        return self.path / name

    def describe(self, name: str) -> str:
        return str(self.path / name)


class Single(Folder):
    """One file that is no archive, such as a `.mat`: a folder in which there is nothing else."""

    def names(self, start: str) -> list[str]:
        return [] if start else [self.path.name]

    def size(self, name: str) -> int | None:
        return self.path.stat().st_size if name == self.path.name else None

    def open(self, name: str) -> IO[bytes]:
        return Folder(self.path.parent).open(name)

    def find(self, mark: str) -> list[str]:
        return mark_prefixes([self.path.name], mark)

    def local(self, name: str) -> Path | None:
        return self.path.parent / name

    def describe(self, name: str) -> str:
        return str(self.path)


class Archive(Tree):
    """Shared by tar and zip: the index is looked through before it is used."""

    def index(self) -> _Index:
        state = self.path.stat()
        return self._indexed(state.st_size, state.st_mtime_ns)

    @abstractmethod
    def _indexed(self, size: int, changed: int) -> _Index: ...

    def names(self, start: str) -> list[str]:
        sizes = self.index().sizes
        return [name for name in sizes if name.startswith(start)]

    def size(self, name: str) -> int | None:
        return self.index().sizes.get(name)

    def find(self, mark: str) -> list[str]:
        return mark_prefixes(self.index().sizes, mark)


class Tar(Archive):
    """A tar archive: members of a plain one are read at their place, of a compressed one in order."""

    def _indexed(self, size: int, changed: int) -> _Index:
        return _tar_index(self.path, size, changed)

    @property
    def sequential(self) -> bool:
        return not self.index().offsets

    def open(self, name: str) -> IO[bytes]:
        index = self.index()
        if name in index.offsets:
            return io.BufferedReader(Slice(self.path, index.offsets[name], index.sizes[name]), CHUNK)
        if name in index.small:
            return io.BytesIO(index.small[name])
        raise DataError(
            f"{self.describe(name)} cannot be read on its own, since {self.path.name} is compressed.",
            "",
            "Unpack the archive, and give its folder with --from.",
        )

    def stream(self, wanted: set[str]) -> Iterator[tuple[str, IO[bytes]]]:
        if not self.sequential:
            yield from super().stream(wanted)
            return
        left = set(wanted)
        with reading(self.path), tarfile.open(self.path, "r|*", tarinfo=Member) as tar:
            for member in tar:
                name = safe_name(member.name, str(self.path))
                if member.isreg() and name in left:
                    left.discard(name)
                    stream = tar.extractfile(member)
                    assert stream is not None
                    yield name, stream
                if not left:
                    return


class Zip(Archive):
    """A zip archive; its own checksums are verified as members are read to their end."""

    def _indexed(self, size: int, changed: int) -> _Index:
        return _zip_index(self.path, size, changed)

    def open(self, name: str) -> IO[bytes]:
        try:
            real, state = self.index().real[name], self.path.stat()
            return _opened_zip(self.path, state.st_size, state.st_mtime_ns, threading.get_ident()).open(real)
        except (OSError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
            raise damaged(self.path, error) from error


@dataclass(frozen=True)
class _Index:
    """Sizes by safe name; where a plain tar's bytes start; a zip's own names; small files of a compressed tar."""

    sizes: dict[str, int]
    offsets: dict[str, int]
    real: dict[str, str]
    small: dict[str, bytes]


def open_tree(path: Path) -> Tree:
    """The tree at `path`; an archive is told from its content, and looked through at once."""
    if path.is_dir():
        return Folder(path)
    try:
        tree: Tree
        if _is_tar(path):
            tree = Tar(path)
        elif zipfile.is_zipfile(path):
            tree = Zip(path)
        elif path.name.lower().endswith(ENDINGS):
            raise damaged(
                path, "it is empty" if path.stat().st_size == 0 else "it is no archive, or its end is missing"
            )
        else:
            return Single(path)
    except ImpossibleHeader as error:
        raise damaged(path, error) from error
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}.", "", "Make it readable, or copy it again."
        ) from error
    assert isinstance(tree, Archive)
    tree.index()
    return tree


def damaged(path: Path, why: object) -> DataError:
    return DataError(
        f"{path} is damaged or cut short ({why}).",
        "A complete official archive was expected.",
        "Fetch it again and compare its size with the official page's.",
    )


class reading:
    """Turns what archive readers raise while this block runs into one error that names the archive."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        import lzma
        import zlib

        broken = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError, ImpossibleHeader)
        if isinstance(error, broken):
            raise damaged(self.path, error) from error


@lru_cache(maxsize=512)
def _tar_index(path: Path, size: int, changed: int) -> _Index:
    sizes: dict[str, int] = {}
    offsets: dict[str, int] = {}
    small: dict[str, bytes] = {}
    total = held = 0
    with reading(path):
        plain = _is_plain_tar(path)
        with tarfile.open(path, "r:" if plain else "r|*", tarinfo=Member) as tar:
            for member in tar:
                name = safe_name(member.name, str(path))
                if member.issym() or member.islnk():
                    # A hard link names its target from the top of the archive.
                    _check_link(member.name if member.issym() else "", member.linkname, path)
                if not member.isreg():
                    continue
                if member.issparse():
                    raise damaged(path, f"{name} is stored with holes in it")
                _check_new(name, sizes, path)
                sizes[name] = member.size
                total += member.size
                if total > MOST_TIMES_LARGER * max(size, SMALL_ARCHIVE):
                    raise no_proportion(str(path), size, total)
                if plain:
                    offsets[name] = member.offset_data
                    if member.offset_data + member.size > size:
                        raise damaged(path, f"it ends within {name}")
                elif member.size <= KEPT_IN_MEMORY and not name.lower().endswith(PICTURES):
                    held += member.size
                    if held > ALL_KEPT_IN_MEMORY:
                        continue
                    stream = tar.extractfile(member)
                    small[name] = stream.read() if stream is not None else b""
    return _Index(sizes, offsets, {}, small)


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, tarinfo=Member):
            return True
    except tarfile.TarError:
        return False


def _is_plain_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r:", tarinfo=Member):
            return True
    except tarfile.ReadError:
        return False


@lru_cache(maxsize=512)
def _zip_index(path: Path, size: int, changed: int) -> _Index:
    sizes: dict[str, int] = {}
    real: dict[str, str] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = safe_name(info.filename, str(path))
                if info.external_attr >> 16 & 0o170000 == ZIP_LINK:
                    target = archive.read(info).decode("utf-8", "replace") if info.file_size < CHUNK else "/"
                    _check_link(info.filename, target, path)
                    continue
                if info.is_dir():
                    continue
                _check_new(name, sizes, path)
                if info.file_size > MOST_TIMES_LARGER * max(info.compress_size, SMALL_ARCHIVE):
                    raise no_proportion(f"{path}: {name}", info.compress_size, info.file_size)
                sizes[name], real[name] = info.file_size, info.filename
    except (zipfile.BadZipFile, OSError, RuntimeError) as error:
        raise damaged(path, error) from error
    if sum(sizes.values()) > MOST_TIMES_LARGER * max(size, SMALL_ARCHIVE):
        raise no_proportion(str(path), size, sum(sizes.values()))
    return _Index(sizes, {}, real, {})


@lru_cache(maxsize=64)
def _opened_zip(path: Path, size: int, changed: int, thread: int) -> zipfile.ZipFile:
    return zipfile.ZipFile(path)


def _check_link(name: str, target: str, path: Path) -> None:
    """A link within the archive is passed over; one that leads out refuses the archive."""
    start = os.path.dirname(name.rstrip("/"))  # noqa: PTH120 - names in an archive are no paths of this system
    where = os.path.normpath(os.path.join(start, target))  # noqa: PTH118
    if target.startswith("/") or re.match(r"^(\.\.(/|$)|[A-Za-z]:)", where):
        raise DataError(
            f"{path} holds a link to {target!r}, which leads out of the folder it is unpacked to.",
            "No official archive does that.",
            "Do not use this file; fetch it again from the official page.",
        )


def _check_new(name: str, sizes: dict[str, int], path: Path) -> None:
    if name in sizes:
        raise DataError(f"{path} holds {name} twice.", "Each file was expected once.", "Fetch the archive again.")


def _walked(root: Path, start: str) -> Iterator[str]:
    """Names of all files below `root / start`, relative to `root`; no folder is entered from within itself."""
    within: dict[str, frozenset[tuple[int, int]]] = {}
    for folder, folders, files in os.walk(root / start, followlinks=True):
        state = Path(folder).stat()
        here, above = (state.st_dev, state.st_ino), within.pop(folder, frozenset())
        if here in above:
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        within |= {os.path.join(folder, name): above | {here} for name in folders}  # noqa: PTH118 - as os.walk names them
        base = Path(folder).relative_to(root).as_posix()
        for name in sorted(files):
            yield name if base == "." else f"{base}/{name}"

"""Official files as a person has them: folders, tar and zip archives, single files; read, never changed.

`Shelf` holds what was given, `Place` is a folder in it below which names are as published. Archives are
looked through before anything is unpacked: a member outside the folder, a link out of it, two members of
one name or a size out of proportion refuses the whole archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from midvision.core.errors import DataError

if TYPE_CHECKING:
    from midvision.data.benchmark import Source
    from midvision.data.trees import Tree

DEEPEST = 4
ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")


@dataclass(frozen=True)
class Place:
    """A folder of a tree; names below it are relative, with `/`. `prefix` is empty or ends with `/`."""

    tree: Tree
    prefix: str

    def names(self, under: str = "") -> list[str]:
        """All file names below `under` (a folder name without a final `/`), sorted."""
        start = self.prefix + (f"{under}/" if under else "")
        return sorted(name[len(self.prefix) :] for name in self.tree.names(start))

    def has(self, name: str) -> bool:
        return self.tree.size(self.prefix + name) is not None

    def size(self, name: str) -> int:
        found = self.tree.size(self.prefix + name)
        if found is None:
            raise DataError(f"{self.describe(name)} is missing.", "", "Fetch the archive again, or unpack all of it.")
        return found

    def open(self, name: str) -> IO[bytes]:
        """The file's bytes. Of a compressed tar only small files other than pictures can be read so."""
        self.size(name)
        return self.tree.open(self.prefix + name)

    def read_bytes(self, name: str) -> bytes:
        from midvision.data.trees import reading

        with self.open(name) as stream, reading(self.tree.path):
            return stream.read()

    def read_text(self, name: str) -> str:
        try:
            return self.read_bytes(name).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise DataError(f"{self.describe(name)} is not text ({error}).") from error

    def local(self, name: str = "") -> Path | None:
        """Where the file (or the folder itself) lies on disk; None inside an archive."""
        return self.tree.local(self.prefix + name)

    def describe(self, name: str = "") -> str:
        """The file for people: the folder's path, or `ARCHIVE: member`."""
        return self.tree.describe(self.prefix + name)


class Shelf:
    """Everything a person gave with `--from`: archives, extracted folders, folders that hold archives.

    `only` names the lists whose files are wanted; empty means all.
    """

    def __init__(self, paths: Sequence[Path], sources: Sequence[Source], name: str, only: Sequence[str] = ()) -> None:
        from midvision.data.trees import open_tree

        self.name, self.sources, self.only = name, tuple(sources), tuple(only)
        self.trees: list[Tree] = []
        seen: set[Path] = set()
        for path in self._expanded(paths):
            if path.resolve() not in seen:
                seen.add(path.resolve())
                self.trees.append(open_tree(path))

    def _expanded(self, paths: Sequence[Path]) -> Iterator[Path]:
        """The paths, and the official archives that lie in given folders."""
        for path in paths:
            path = path.expanduser()
            if not path.exists():
                raise DataError(f"{path} does not exist.", self.wanted(), f"See: midvision data info {self.name}")
            yield path
            if path.is_dir():
                hits = {hit for source in self.sources for hit in path.glob(source.file) if hit.is_file()}
                yield from sorted(hit for hit in hits if hit.name.lower().endswith(ENDINGS))

    def wanted(self) -> str:
        """One sentence that names the official files."""
        needed = [source.file for source in self.sources if source.needed]
        return f"Official files of {self.name}: {', '.join(needed)} (as archives or unpacked)."

    def find(self, *marks: str) -> list[Place]:
        """Every place with a file or folder named `mark` (`*` within a name) below it, for any of the marks.

        The outermost places come first; a folder given by a person is searched a few levels deep.
        """
        found: dict[tuple[str, str], Place] = {}
        for tree in self.trees:
            for mark in marks:
                for prefix in tree.find(mark):
                    found.setdefault((tree.describe(""), prefix), Place(tree, prefix))
        return list(found.values())

    def need(self, mark: str, file: str) -> Place:
        """The one place with `mark` below it, which the official `file` holds."""
        places = self.find(mark)
        if not places:
            raise self.missing(mark, file)
        return places[0]

    def missing(self, what: str, file: str) -> DataError:
        given = ", ".join(tree.describe("") for tree in self.trees[:4]) + (" ..." if len(self.trees) > 4 else "")
        return DataError(
            f"No {what} is in {given}.",
            f"It is part of {file}.",
            f"Get {file} and give it with --from. See: midvision data info {self.name}",
        )


def safe_name(name: str, archive: str) -> str:
    """A member's name, checked; raises for one that would leave the folder."""
    plain = name.removeprefix("./")
    parts = plain.rstrip("/").split("/")
    if plain.startswith("/") or "\\" in plain or "\0" in plain or ".." in parts or re.match(r"^[A-Za-z]:", plain):
        raise DataError(
            f"{archive} holds {name!r}, which lies outside the folder it is unpacked to.",
            "No official archive does that.",
            "Do not use this file; fetch it again from the official page.",
        )
    return "/".join(part for part in parts if part not in ("", "."))


def mark_prefixes(names: Iterable[str], mark: str) -> list[str]:
    """The prefixes below which names hold `mark` as a file or folder, outermost first."""
    middle = "[^/]*".join(re.escape(part) for part in mark.split("*"))
    pattern = re.compile(rf"^((?:[^/]+/){{0,{DEEPEST}}}?){middle}(?:/|$)")
    found = {match.group(1) for name in names if (match := pattern.match(name))}
    return sorted(found, key=lambda prefix: (prefix.count("/"), prefix))


def no_proportion(archive: str, packed: int, unpacked: int) -> DataError:
    return DataError(
        f"{archive} would unpack {packed:,} bytes to {unpacked:,}.",
        "No official archive is packed so tightly.",
        "Do not use this file; fetch it again from the official page.",
    )

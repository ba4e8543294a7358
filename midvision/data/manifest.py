"""The manifest of a prepared copy, and the copy as readers see it.

`manifest.json` lists every file with size and SHA-256, the ids of every official list, what it was made
of and by which code. Files that stay in a person's extracted folder carry `at`, the path from there.
It holds no time and no machine's name beside those folders, so the same files give the same manifest.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError
from midvision.core.places import data_dir, write_text
from midvision.core.settings import stable_hash

if TYPE_CHECKING:
    from midvision.core.specs import DataSpec
    from midvision.data.card import DataCard

FORMAT = 1
MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a copy. `root` and `at` say where it lies outside of the copy's folder: `roots[root] / at`."""

    bytes: int
    sha256: str
    root: int | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a copy consists of. `official` is False for a subset; `only` are the lists whose files are there.

    `plan` names what was asked for.
    """

    set: str
    version: str
    code: str
    plan: str
    official: bool
    sources: tuple[Mapping[str, Any], ...]
    splits: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, Any]
    files: Mapping[str, FileEntry]
    roots: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    format: int = FORMAT

    @property
    def counts(self) -> dict[str, int]:
        return {name: len(ids) for name, ids in self.splits.items()}

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.files.values())

    @property
    def content(self) -> str:
        """Hash of all lists and contents, wherever the files lie."""
        lines = [f"{name}={entry.sha256}" for name, entry in sorted(self.files.items())]
        lists = [f"{name}:{','.join(ids)}" for name, ids in sorted(self.splits.items())]
        return stable_hash(self.set, self.version, *lists, *lines)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """One line per file, so that two manifests can be compared by eye."""
    names = [field.name for field in fields(manifest) if field.name != "files"]
    head = {name: getattr(manifest, name) for name in names} | {"content": manifest.content}
    lines = [f" {json.dumps(name)}: {json.dumps(value, ensure_ascii=False)}" for name, value in head.items()]
    entries = [f"  {json.dumps(name)}: {json.dumps(_entry(e))}" for name, e in sorted(manifest.files.items())]
    body = ",\n".join(lines), ",\n".join(entries)
    write_text(folder / MANIFEST, "{\n" + body[0] + ',\n "files": {\n' + body[1] + "\n }\n}\n")


def _entry(entry: FileEntry) -> list[Any]:
    return [entry.bytes, entry.sha256] if entry.root is None else [entry.bytes, entry.sha256, entry.root, entry.at]


def read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    state = path.stat()
    return _read(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=32)
def _read(path: Path, size: int, changed: int) -> Manifest:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        stated = found.pop("content")
        files = {name: FileEntry(*entry) for name, entry in found.pop("files").items()}
        splits = {name: tuple(ids) for name, ids in found.pop("splits").items()}
        lists = {name: tuple(found.pop(name)) for name in ("sources", "roots", "only")}
        manifest = Manifest(**{**found, **lists, "splits": splits, "files": files})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not a readable manifest ({error}).",
            "midvision data prepare writes it.",
            "Prepare the set again.",
        ) from error
    if manifest.content != stated:
        raise DataError(f"{path} was changed by hand.", "Its lists do not give its checksum.", "Prepare the set again.")
    return manifest


@dataclass(frozen=True)
class Copy:
    """A prepared copy: its files by name, its lists of ids."""

    folder: Path
    manifest: Manifest
    _known: dict[Path, str] = field(default_factory=dict, repr=False, compare=False)

    def path(self, name: str) -> Path:
        """Where a file of the copy lies; `DataError` if the copy has none of that name."""
        entry = self.manifest.files.get(name)
        if entry is None:
            raise DataError(
                f"The prepared copy of {self.manifest.set} in {self.folder} has no {name}.",
                "",
                f"Prepare it again. See: midvision data info {self.manifest.set}",
            )
        return self.folder / name if entry.root is None else Path(self.manifest.roots[entry.root]) / entry.at

    def has(self, name: str) -> bool:
        return name in self.manifest.files

    def ids(self, split: str) -> tuple[str, ...]:
        """The ids of one list; `DataError` names the lists that there are."""
        there = self.manifest.only or tuple(self.manifest.splits)
        if split not in there:
            raise DataError(
                f"The prepared copy of {self.manifest.set} has no list {split!r}.",
                f"It has: {', '.join(there)}.",
                f"Prepare it again with the missing file. See: midvision data info {self.manifest.set}",
            )
        return self.manifest.splits[split]

    def all_ids(self) -> list[str]:
        """Every id of any list, once; of a part, those of the lists that it has."""
        lists = self.manifest.splits
        wanted = self.manifest.only or tuple(lists)
        return list(dict.fromkeys(id for name in wanted for id in lists[name]))

    def sha256(self, name: str) -> str:
        """The file's checksum: the manifest's while the file is older than it and has its size, else computed."""
        from midvision.data.frames import content_hash

        path, entry = self.path(name), self.manifest.files[name]
        try:
            state = path.stat()
        except OSError as error:
            raise self.lost(name) from error
        if state.st_size != entry.bytes:
            raise DataError(
                f"{path} has {state.st_size:,} bytes, but the manifest says {entry.bytes:,}.",
                "The prepared copy was changed.",
                f"Run: midvision data check {self.manifest.set}",
            )
        untouched = state.st_mtime_ns <= (self.folder / MANIFEST).stat().st_mtime_ns
        return entry.sha256 if untouched else content_hash(path)

    def lost(self, name: str) -> DataError:
        return DataError(
            f"{self.path(name)} is missing.",
            f"It belongs to the prepared copy of {self.manifest.set} in {self.folder}.",
            f"Prepare it again. See: midvision data info {self.manifest.set}",
        )


def copy_folder(name: str) -> Path:
    """Where the prepared copy of a set lives unless a person says otherwise."""
    return data_dir() / name


def open_copy(card: DataCard, data: DataSpec | None = None) -> Copy:
    """The prepared copy of a set; an error that says how to make one where there is none."""
    folder = Path(data.path).expanduser() if data is not None and data.path else copy_folder(card.name)
    if not (folder / MANIFEST).is_file():
        files = ", ".join(source.file for source in card.benchmark.sources if source.needed) if card.benchmark else ""
        raise DataError(
            f"Benchmark {card.name!r} is not prepared in {folder}.",
            f"It is made from the official files: {files}.",
            f"Run: midvision data prepare {card.name} --from PATH (see: midvision data info {card.name})",
        )
    manifest = read_manifest(folder)
    if manifest.set != card.name:
        raise DataError(f"{folder} holds the set {manifest.set!r}.", f"A copy of {card.name!r} was expected.")
    if (manifest.version, manifest.format) != (card.version, FORMAT):
        raise DataError(
            f"{folder} was prepared as version {manifest.version} of {card.name}; this program reads {card.version}.",
            "",
            f"Prepare it again. See: midvision data info {card.name}",
        )
    return Copy(folder, manifest)

"""Is a prepared copy what its manifest says? In seconds: every file's size and a decoded sample; or all of it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from midvision.core.errors import DataError
from midvision.core.progress import SILENT, Progress
from midvision.core.seeds import hashed_order
from midvision.data.card import DataCard
from midvision.data.manifest import MANIFEST, Copy, FileEntry

SAMPLE = 24


@dataclass(frozen=True, slots=True)
class Checked:
    """What was looked at, and one line per problem."""

    files: int
    bytes: int
    decoded: int
    hashed: int
    problems: tuple[str, ...]


def check(card: DataCard, copy: Copy, *, full: bool, workers: int = 0, progress: Progress = SILENT) -> Checked:
    """Every file's presence and size, then a sample of ids decoded; `full`: every checksum and every id."""
    assert card.benchmark is not None
    decode = card.benchmark.decode
    files = copy.manifest.files
    threads = workers or min(8, os.cpu_count() or 1)
    with progress.bar("files", len(files)) as advance:
        look: Callable[[str], str | None] = lambda name: _looked(copy, name, files[name], full)  # noqa: E731
        # Sizes alone are quicker asked for one after the other.
        problems = _gather(look, list(files), threads if full else 1, advance)
    problems += strangers(copy)
    ids = copy.all_ids() if full else hashed_order(copy.all_ids(), "check", copy.manifest.content)[:SAMPLE]
    if not problems:
        with progress.bar("decoded", len(ids)) as advance:
            problems += _gather(lambda id: _decoded(lambda: decode(copy, id)), ids, threads, advance)
    hashed = len(files) if full else 0
    return Checked(len(files), copy.manifest.bytes, len(ids) if not problems else 0, hashed, tuple(problems))


def _gather(
    look: Callable[[str], str | None], names: Sequence[str], threads: int, advance: Callable[[int], None]
) -> list[str]:
    found = []
    with ThreadPoolExecutor(threads) as pool:
        for problem in map(look, names) if threads == 1 else pool.map(look, names):
            advance(1)
            if problem is not None:
                found.append(problem)
    return found


def _looked(copy: Copy, name: str, entry: FileEntry, full: bool) -> str | None:
    path = copy.path(name)
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            return f"{path} has {size:,} bytes instead of {entry.bytes:,}"
        if full:
            with open(path, "rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != entry.sha256:
                    return f"{path} is not the file that was prepared (its SHA-256 differs)"
    except FileNotFoundError:
        return f"{path} is missing"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"
    return None


def strangers(copy: Copy) -> list[str]:
    """Files in the copy's folder that the manifest does not know."""
    known = {*copy.manifest.files, MANIFEST}
    found = []
    for folder, _, names in os.walk(copy.folder):
        base = Path(folder).relative_to(copy.folder).as_posix()
        for name in names:
            full = name if base == "." else f"{base}/{name}"
            if full not in known:
                found.append(f"{copy.folder / full} does not belong to the copy")
    return sorted(found)


def _decoded(decode: Callable[[], None]) -> str | None:
    try:
        decode()
    except DataError as error:
        return error.wrong.rstrip(".")
    return None

"""The pieces of a prepared copy, done in parallel and written down one by one.

Published files are copied or, in place, only read for their checksum, by threads (disk and hashing both
let others run); members of a compressed tar in one pass over it; conversions by processes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO

from midvision.core.errors import DataError
from midvision.core.places import cannot_write
from midvision.core.progress import Progress
from midvision.data.benchmark import Kept, Made
from midvision.data.manifest import FileEntry
from midvision.data.trees import CHUNK, Tree, reading

IN_FLIGHT = 4
TAIL = 4096
END_MARKS = {".jpg": b"\xff\xd9", ".jpeg": b"\xff\xd9", ".png": b"IEND"}
PNG = b"\x89PNG\r\n\x1a\n"


class Journal:
    """What is finished, one line per piece. A line cut by a kill is as if it were not there."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.entries: dict[str, FileEntry] = {}
        self._lock = threading.Lock()
        for left_over in work.rglob(".*.part"):
            left_over.unlink(missing_ok=True)
        path = work / ".journal"
        for line in path.read_text(encoding="utf-8").splitlines()[1:]:
            try:
                files = {name: FileEntry(*entry) for name, entry in json.loads(line).items()}
            except (ValueError, TypeError, AttributeError):
                continue
            self.entries.update({name: entry for name, entry in files.items() if self._is_there(name, entry)})
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - open as long as the journal
        self._file.write("\n")

    def _is_there(self, name: str, entry: FileEntry) -> bool:
        if entry.root is not None:
            return True
        try:
            return (self.work / name).stat().st_size == entry.bytes
        except OSError:
            return False

    def has(self, piece: Kept | Made) -> bool:
        names = (piece.name,) if isinstance(piece, Kept) else piece.names
        return all(name in self.entries for name in names)

    def add(self, files: Mapping[str, FileEntry]) -> None:
        line = json.dumps({name: [e.bytes, e.sha256, e.root, e.at] for name, e in files.items()})
        with self._lock:
            self.entries.update(files)
            self._file.write(line + "\n")
            self._file.flush()

    def close(self) -> None:
        self._file.close()


def do_pieces(
    pieces: Sequence[Kept | Made], journal: Journal, roots: tuple[str, ...], workers: int, progress: Progress
) -> None:
    """Do all of them; the first failure stops the rest and is raised."""
    from midvision.data.prepare import in_place_of

    made = [piece for piece in pieces if isinstance(piece, Made)]
    unpacked: dict[Tree, list[Made]] = {}
    for one in made:
        if one.reads is not None and one.reads[0].tree.sequential:
            unpacked.setdefault(one.reads[0].tree, []).append(one)
    made = [one for one in made if one.reads is None or not one.reads[0].tree.sequential]
    kept = [piece for piece in pieces if isinstance(piece, Kept)]
    streams: dict[Tree, list[Kept]] = {}
    for piece in kept:
        if piece.place.tree.sequential:
            streams.setdefault(piece.place.tree, []).append(piece)
    single = [piece for piece in kept if not piece.place.tree.sequential]
    with progress.bar("files", len(pieces)) as advance:

        def done(files: Mapping[str, FileEntry]) -> None:
            journal.add(files)
            advance(1)

        for tree, members in streams.items():
            unpack_stream(tree, members, journal.work, done)
        with ThreadPoolExecutor(workers) as threads:
            jobs = ((keep, (piece, journal.work, _root(piece, in_place_of(piece, roots)))) for piece in single)
            run_all(threads, jobs, workers, done)
        conversions: Iterable[Job] = itertools.chain(
            ((convert, (one, journal.work)) for one in made),
            *(_unpacked(tree, some, journal.work) for tree, some in unpacked.items()),
        )
        if workers > 1 and (made or unpacked):
            with _processes(min(workers, len(made) + sum(map(len, unpacked.values())))) as processes:
                run_all(processes, conversions, workers, done)
        else:
            for function, arguments in conversions:
                done(function(*arguments))


Job = tuple[Callable[..., dict[str, FileEntry]], tuple[object, ...]]


def _unpacked(tree: Tree, pieces: Sequence[Made], work: Path) -> Iterator[Job]:
    """Conversions of members of a compressed archive, as one pass over it comes by them."""
    wanted = {place.prefix + member: one for one in pieces if one.reads for place, member in (one.reads,)}
    for name, stream in tree.stream(set(wanted)):
        with reading(tree.path):
            content = stream.read()
        yield convert, (wanted[name], work, content)


def _root(piece: Kept, root: int | None) -> tuple[int, str] | None:
    return None if root is None else (root, piece.member)


def _processes(count: int) -> ProcessPoolExecutor:
    # A forked child would inherit the threads' locks of whatever library is loaded here.
    import multiprocessing

    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for work forever."""
    import multiprocessing
    from multiprocessing.connection import wait as wait_for

    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait_for([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def run_all(
    pool: Executor,
    jobs: Iterable[Job],
    workers: int,
    done: Callable[[Mapping[str, FileEntry]], None],
) -> None:
    """Keep the pool busy without holding more than a few pieces; raise the first failure."""
    running: set[Future[dict[str, FileEntry]]] = set()
    try:
        for function, arguments in jobs:
            running.add(pool.submit(function, *arguments))
            if len(running) >= workers * IN_FLIGHT:
                running = _collect(running, done)
        while running:
            running = _collect(running, done)
    except BaseException as error:
        pool.shutdown(wait=False, cancel_futures=True)
        if isinstance(error, BrokenExecutor):
            raise DataError(
                "A process that converts files was ended from outside, perhaps for want of memory.",
                "",
                "Run the same command again; it goes on where it was. --workers 1 needs the least memory.",
            ) from error
        raise


def _collect(
    running: set[Future[dict[str, FileEntry]]], done: Callable[[Mapping[str, FileEntry]], None]
) -> set[Future[dict[str, FileEntry]]]:
    finished, left = wait(running, return_when="FIRST_COMPLETED")
    for future in finished:
        done(future.result())
    return left


def keep(piece: Kept, work: Path, root: tuple[int, str] | None) -> dict[str, FileEntry]:
    """Copy a published file into the work folder, or, for one that stays in place, read its checksum."""
    with piece.place.open(piece.member) as stream:
        return {piece.name: take(piece, stream, work, root)}


def take(piece: Kept, stream: IO[bytes], work: Path, root: tuple[int, str] | None) -> FileEntry:
    expected = piece.place.size(piece.member)
    digest, count, head, tail = hashlib.sha256(), 0, b"", b""
    target = None if root is not None else _Target(work / piece.name)
    try:
        while True:
            with reading(piece.place.tree.path):
                block = stream.read(CHUNK)
            if not block:
                break
            digest.update(block)
            count += len(block)
            head = head or block[: len(PNG)]
            tail = (tail + block)[-TAIL:]
            if target is not None:
                target.write(block)
        # One photograph of ImageNet is a PNG by another name.
        mark = END_MARKS.get(".png" if head == PNG else Path(piece.name).suffix.lower())
        if count != expected or (mark is not None and mark not in tail):
            raise DataError(
                f"{piece.place.describe(piece.member)} is cut short ({count:,} bytes).",
                "A complete picture was expected." if mark else f"{expected:,} bytes were expected.",
                "Fetch the official file again, or unpack it again.",
            )
        if target is not None:
            target.finish()
    finally:
        if target is not None:
            target.discard()
    return FileEntry(count, digest.hexdigest(), *(root or ()))


class _Target:
    """A file that appears under its name when it is complete."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        except OSError as error:
            raise cannot_write(path, error) from error
        self._file, self._temporary = os.fdopen(handle, "wb"), Path(name)

    def write(self, block: bytes) -> None:
        try:
            self._file.write(block)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def finish(self) -> None:
        try:
            self._file.close()
            self._temporary.chmod(0o644)
            self._temporary.replace(self.path)
        except OSError as error:
            raise cannot_write(self.path, error) from error

    def discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def unpack_stream(
    tree: Tree, members: Sequence[Kept], work: Path, done: Callable[[Mapping[str, FileEntry]], None]
) -> None:
    """All wanted members of a compressed archive in one pass."""
    wanted = {piece.place.prefix + piece.member: piece for piece in members}
    for name, stream in tree.stream(set(wanted)):
        piece = wanted[name]
        done({piece.name: take(piece, stream, work, None)})


def convert(piece: Made, work: Path, content: bytes | None = None) -> dict[str, FileEntry]:
    """Run a conversion and write what it gives; `content` is what it reads, where that was read already."""
    if piece.reads is not None:
        place, member = piece.reads
        content = place.read_bytes(member) if content is None else content
        if not content:
            raise DataError(f"{place.describe(member)} is empty (0 bytes).", "", "Fetch the official file again.")
        made = piece.make(content, *piece.arguments)
    else:
        made = piece.make(*piece.arguments)
    entries: dict[str, FileEntry] = {}
    for name, content in made.items() if isinstance(made, Mapping) else made:
        if name not in piece.names or name in entries:
            raise RuntimeError(f"{piece.make.__qualname__} gave {name!r}, which it did not announce")
        target = _Target(work / name)
        try:
            target.write(content)
            target.finish()
        finally:
            target.discard()
        entries[name] = FileEntry(len(content), hashlib.sha256(content).hexdigest())
    if len(entries) != len(piece.names):
        raise RuntimeError(f"{piece.make.__qualname__} gave {len(entries)} of {len(piece.names)} files")
    return entries

"""Official files -> a prepared copy: complete or absent, resumed where it was stopped.

Work goes to `.SET.preparing` beside the final folder; a journal line per finished piece makes a killed
run go on where it was; the last steps are the manifest and a rename. What was given is only read.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from midvision.core.errors import DataError, UsageError
from midvision.core.places import cannot_write
from midvision.core.progress import SILENT, Progress
from midvision.core.settings import stable_hash
from midvision.data.archives import Place, Shelf
from midvision.data.benchmark import Benchmark, Kept, Made, Plan
from midvision.data.card import DataCard
from midvision.data.manifest import MANIFEST, Copy, FileEntry, Manifest, copy_folder, read_manifest, write_manifest

JOURNAL = ".journal"
CODE = "prepare-1"
SPARE_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class Wish:
    """How to prepare. `copy` takes files out of extracted folders too, which otherwise stay where they are.

    `subset` accepts lists that are not of the official size. `only` are the lists whose files are wanted
    (all where empty). `again` makes the copy anew.
    """

    folder: Path | None = None
    copy: bool = False
    subset: bool = False
    only: tuple[str, ...] = ()
    again: bool = False
    dry_run: bool = False
    workers: int = 0
    progress: Progress = SILENT


@dataclass(frozen=True, slots=True)
class Prepared:
    """What was done, or would be."""

    folder: Path
    counts: dict[str, int]
    sources: list[dict[str, Any]]
    files: int
    kept_in_place: int
    bytes_to_write: int
    official: bool
    already: bool
    content: str | None = None


def prepare(card: DataCard, paths: list[Path], wish: Wish) -> Prepared:
    """Make (or, with `dry_run`, describe) the prepared copy of a set from a person's official files."""
    bench = benchmark_of(card)
    if not paths:
        raise UsageError(
            f"Nothing to prepare {card.name} from.", "Use --from PATH.", f"midvision data info {card.name}"
        )
    check_only(card, wish.only)
    shelf = Shelf(paths, bench.sources, card.name, wish.only)
    plan = bench.plan(shelf)
    official = check_counts(card, plan, wish.subset)
    check_names(card, plan)
    folder = wish.folder or copy_folder(card.name)
    roots = in_place_roots(plan, wish.copy)
    key = plan_key(card, plan, roots, official, wish)
    restore(folder)
    already = not wish.again and is_done(folder, key)
    written = 0 if already else bytes_to_write(plan, roots)
    files = sum(1 if isinstance(piece, Kept) else len(piece.names) for piece in plan.work)
    in_place = sum(isinstance(piece, Kept) and in_place_of(piece, roots) is not None for piece in plan.work)
    counts = {name: len(ids) for name, ids in plan.splits.items()}
    done = Prepared(folder, counts, sources_of(plan), files, in_place, written, official, already)
    if wish.dry_run:
        return done
    if already:
        return _with_content(done, read_manifest(folder))
    check_space(folder, written)
    work = folder.parent / f".{folder.name}.preparing"
    with only_one(work):
        if wish.again or not resumable(work, key):
            start(work, key)
        if not is_done(work, key):
            entries = carry_out(plan, work, roots, wish)
            manifest = Manifest(
                set=card.name,
                version=card.version,
                code=code_version(),
                plan=key,
                official=official,
                sources=tuple(sources_of(plan)),
                splits=plan.splits,
                facts=plan.facts,
                files=entries,
                roots=roots,
                only=wish.only,
            )
            write_manifest(work, manifest)
        (work / JOURNAL).unlink(missing_ok=True)
        put_in_place(work, folder)
    return _with_content(done, read_manifest(folder))


def _with_content(done: Prepared, manifest: Manifest) -> Prepared:
    return replace(done, content=manifest.content)


def benchmark_of(card: DataCard) -> Benchmark:
    if card.benchmark is None:
        raise UsageError(
            f"Data set {card.name!r} needs no preparation.", "Only benchmarks do.", "See: midvision data list"
        )
    return card.benchmark


def check_only(card: DataCard, only: tuple[str, ...]) -> None:
    parts = benchmark_of(card).parts
    if unknown := [name for name in only if name not in parts]:
        raise UsageError(
            f"{card.name} cannot be prepared for {unknown[0]!r} alone.",
            f"Its parts: {', '.join(parts)}." if parts else "It has no parts.",
        )


def check_counts(card: DataCard, plan: Plan, subset: bool) -> bool:
    """Whether every list has its official size; raises unless a subset is wanted."""
    counts = benchmark_of(card).counts
    for name, expected in counts.items():
        found = len(plan.splits.get(name, ()))
        if found != expected and not subset:
            raise DataError(
                f"The list {name!r} of {card.name} has {found} entries, the official one {expected}.",
                "Another version of the set, or a part of it, was given.",
                f"Get the official files (midvision data info {card.name}), or accept a part with --subset.",
            )
    return all(len(plan.splits.get(name, ())) == expected for name, expected in counts.items())


def check_names(card: DataCard, plan: Plan) -> None:
    """Every id once per list, every file of the copy once, every kept file there and not empty."""
    for split, ids in plan.splits.items():
        if len(set(ids)) != len(ids):
            twice = next(name for name in ids if ids.count(name) > 1)
            raise DataError(f"The list {split!r} of {card.name} names {twice!r} twice.", "Each id was expected once.")
    seen: dict[str, str] = {}
    for piece in plan.work:
        for name in (piece.name,) if isinstance(piece, Kept) else piece.names:
            _check_name(card.name, name, seen)
        if isinstance(piece, Kept) and piece.place.size(piece.member) == 0:
            raise DataError(
                f"{piece.place.describe(piece.member)} is empty (0 bytes).", "", "Fetch it again, or unpack it again."
            )


def _check_name(set_name: str, name: str, seen: dict[str, str]) -> None:
    """One file's name in the copy; `seen` has the earlier ones. Some disks take `A.jpg` and `a.jpg` for one file."""
    if name == MANIFEST or name.startswith((".", "/")) or ".." in name.split("/") or not _is_text(name):
        raise DataError(
            f"A file of {set_name} would be written as {name!r}.", "A plain name was expected.", "Rename it."
        )
    if earlier := seen.get(name.casefold()):
        how = f"as {name}" if earlier == name else f"as {earlier} and {name}, which some disks take for one"
        raise DataError(
            f"Two files of {set_name} would be written {how}.",
            "Each was expected once.",
            "Fetch the official files again.",
        )
    seen[name.casefold()] = name


def _is_text(name: str) -> bool:
    """Whether a manifest can hold the name: bytes that are no UTF-8 arrive as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def in_place_roots(plan: Plan, copy: bool) -> tuple[str, ...]:
    """The extracted folders whose files stay where they are."""
    if copy:
        return ()
    found = {_lies_in(piece.place) for piece in plan.work if isinstance(piece, Kept)}
    return tuple(sorted(found - {""}))


def in_place_of(piece: Kept, roots: tuple[str, ...]) -> int | None:
    """Which root a kept file stays in; None if it is copied."""
    local = _lies_in(piece.place) if roots else ""
    return roots.index(local) if local else None


@lru_cache(maxsize=4096)
def _lies_in(place: Place) -> str:
    """The folder on disk that a place is; empty inside an archive."""
    local = place.local()
    return str(local.resolve()) if local is not None else ""


def sources_of(plan: Plan) -> list[dict[str, Any]]:
    """What the copy is made of: an archive with its size, a folder by its name alone."""
    found: dict[str, dict[str, Any]] = {}
    for place in plan.places:
        path = place.tree.path
        entry = {"file": path.name, "bytes": path.stat().st_size} if path.is_file() else {"folder": path.name}
        found[str(path)] = entry
    return [found[name] for name in sorted(found)]


def plan_key(card: DataCard, plan: Plan, roots: tuple[str, ...], official: bool, wish: Wish) -> str:
    """Names what is asked for: another set, version, list, file or source gives another key."""
    words = [
        card.name,
        card.version,
        CODE,
        str(official),
        f"only {wish.only}",
        *roots,
        json.dumps(sources_of(plan), sort_keys=True),
    ]
    words += [f"{name}:{','.join(ids)}" for name, ids in plan.splits.items()]
    words.append(json.dumps(plan.facts, sort_keys=True, default=str))
    for piece in plan.work:
        if isinstance(piece, Kept):
            words.append(f"{piece.name}<{piece.member}:{piece.place.size(piece.member)}")
        else:
            plain = [argument for argument in piece.arguments if isinstance(argument, str | int | float | tuple)]
            read = f"{piece.reads[1]}:{piece.reads[0].size(piece.reads[1])}" if piece.reads else ""
            words.append(f"{','.join(piece.names)}<{piece.make.__module__}.{piece.make.__qualname__}{plain}{read}")
    return stable_hash(*words)


def code_version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"midvision {version('midvision')} {CODE}"
    except PackageNotFoundError:
        return CODE


def bytes_to_write(plan: Plan, roots: tuple[str, ...]) -> int:
    total = 0
    for piece in plan.work:
        if isinstance(piece, Made):
            total += piece.bytes
        elif in_place_of(piece, roots) is None:
            total += piece.place.size(piece.member)
    return total


def check_space(folder: Path, needed: int) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder.parent).free
    except OSError as error:
        raise cannot_write(folder.parent, error) from error
    if needed + (SPARE_BYTES if needed else 0) > free:
        raise DataError(
            f"{folder.parent} has {free / 2**30:.1f} GiB free; the copy needs {needed / 2**30:.1f} GiB.",
            "",
            "Free some space, choose another folder (--data-root), or give extracted folders, which stay in place.",
        )


def restore(folder: Path) -> None:
    """A run killed between its two last renames left the earlier copy beside its place."""
    aside = folder.parent / f".{folder.name}.replaced"
    if aside.is_dir() and not folder.exists():
        aside.rename(folder)


def is_done(folder: Path, key: str) -> bool:
    """Whether the folder holds the copy that is asked for, every file with its size."""
    if not (folder / MANIFEST).is_file():
        return False
    try:
        manifest = read_manifest(folder)
    except (DataError, OSError):
        return False
    copy = Copy(folder, manifest)
    return manifest.plan == key and all(_has_size(copy.path(name), e.bytes) for name, e in manifest.files.items())


def _has_size(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except OSError:
        return False


@contextmanager
def only_one(work: Path) -> Iterator[None]:
    """Refuses a second run for the same copy; the lock ends with the process, however it ends."""
    import fcntl

    path = work.parent / f"{work.name}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise cannot_write(path, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(
                f"Another process prepares {work.parent / work.name}.", "", "Wait for it to end."
            ) from error
        yield
        path.unlink(missing_ok=True)
    finally:
        os.close(handle)


def resumable(work: Path, key: str) -> bool:
    """Whether an earlier run for the same plan stopped here."""
    if is_done(work, key):
        return True
    try:
        first = (work / JOURNAL).open(encoding="utf-8").readline()
        return bool(json.loads(first).get("plan") == key)
    except (OSError, ValueError, AttributeError):
        return False


def start(work: Path, key: str) -> None:
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True)
        (work / JOURNAL).write_text(json.dumps({"plan": key}) + "\n", encoding="utf-8")
    except OSError as error:
        raise cannot_write(work, error) from error


def carry_out(plan: Plan, work: Path, roots: tuple[str, ...], wish: Wish) -> dict[str, FileEntry]:
    """Do what the journal does not have yet; returns every file of the copy."""
    from midvision.data.pieces import Journal, do_pieces

    journal = Journal(work)
    todo = [piece for piece in plan.work if not journal.has(piece)]
    if len(todo) < len(plan.work):
        wish.progress.say(f"Resuming: {len(plan.work) - len(todo)} of {len(plan.work)} pieces are there already.")
    do_pieces(todo, journal, roots, wish.workers or min(8, os.cpu_count() or 1), wish.progress)
    journal.close()
    return dict(sorted(journal.entries.items()))


def put_in_place(work: Path, folder: Path) -> None:
    aside = folder.parent / f".{folder.name}.replaced"
    shutil.rmtree(aside, ignore_errors=True)
    try:
        if folder.exists():
            folder.rename(aside)
        work.rename(folder)
    except OSError as error:
        raise cannot_write(folder, error) from error
    shutil.rmtree(aside, ignore_errors=True)

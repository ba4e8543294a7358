"""Features on disk, named by content: complete or absent, safe for many writers, bounded in size.

Below the folder: `ENCODER_HASH/PLAN_HASH/PART-CONTENT_HASH.safetensors`, and a `manifest.json` for
people. There is no list of shards to keep true: the headers of the files are the list.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from midvision.core.features import FeaturePlan, ImageEncoder
from midvision.core.places import cannot_write, write_text
from midvision.core.progress import SILENT, Progress
from midvision.core.settings import stable_hash
from midvision.extraction.budget import decide
from midvision.extraction.key import Part, plan_base, plan_key
from midvision.extraction.shard import SUFFIX, Damaged, Shard, read_header, shard_name, write_shard

IN_USE_SECONDS = 600.0
"""A shard that another process touched so recently is not evicted."""
TOUCH_SECONDS = 60.0
RECOUNT_WRITES = 64


class Reader(Protocol):
    """A source that is open: what it still reads may not be evicted."""

    def holds(self) -> set[Path]: ...


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One encoder at one input size in the cache, for `midvision cache info`."""

    folder: Path
    encoder: str
    plan: dict[str, object]
    shards: int
    images: int
    bytes: int
    used_at: float


class CacheFolder:
    """The shards of one encoder and one way of making its input."""

    def __init__(self, cache: FeatureCache, path: Path, about: dict[str, object]) -> None:
        self.cache, self.path, self.about = cache, path, about
        self._places: dict[tuple[str, str], tuple[Shard, int]] = {}
        self._known: dict[str, Shard | None] = {}
        self._touched: dict[Path, float] = {}

    def refresh(self) -> None:
        """Look for shards that other processes have written or removed."""
        try:
            names = {entry.name for entry in os.scandir(self.path) if entry.name.endswith(SUFFIX)}
        except FileNotFoundError:
            names = set()
        except OSError as error:
            raise cannot_write(self.path, error) from error
        for name in self._known.keys() - names:
            self._forget(name)
        for name in sorted(names - self._known.keys()):
            if name.startswith("."):
                continue
            try:
                self._learn(read_header(self.path / name))
            except Damaged:
                self.drop(self.path / name)

    def place(self, part: str, digest: str) -> tuple[Shard, int] | None:
        """Shard and row of one image's part, if it is known."""
        return self._places.get((part, digest))

    def missing(self, parts: Sequence[Part], digests: Sequence[str]) -> list[str]:
        """Digests, each once, of which some part is not there."""
        return [d for d in dict.fromkeys(digests) if any((part.name, d) not in self._places for part in parts)]

    def read(self, part: Part, digests: Sequence[str], dtype: torch.dtype) -> Tensor:
        """`[n, *part.shape]` in the order asked; raises `Damaged` after dropping a bad shard."""
        rows: list[Tensor] = [torch.empty(0)] * len(digests)
        by_shard: dict[Path, list[int]] = {}
        for number, digest in enumerate(digests):
            found = self.place(part.name, digest)
            if found is None:
                raise Damaged(f"{self.path}: {part.name} of {digest} is gone")
            by_shard.setdefault(found[0].path, []).append(number)
        for path, numbers in by_shard.items():
            shard = self._places[part.name, digests[numbers[0]]][0]
            try:
                if shard.shape != part.shape:
                    raise Damaged(f"{path}: shape {shard.shape} instead of {part.shape}")
                places = [self._places[part.name, digests[number]][1] for number in numbers]
                for number, row in zip(numbers, shard.rows(places), strict=True):
                    rows[number] = row
            except Damaged:
                self.drop(path)
                raise
            self._touch(path)
        stacked = torch.stack(rows)
        if stacked.dtype != dtype:
            self.drop(next(iter(by_shard)))
            raise Damaged(f"{self.path}: {stacked.dtype} instead of {dtype}")
        return stacked

    def add(self, parts: Sequence[Part], digests: Sequence[str], rows: Sequence[Tensor]) -> None:
        """Store `rows[p] [n, *parts[p].shape]`; what another process stored meanwhile is left out."""
        self._describe()
        with self._lock():
            self.refresh()
            for part, values in zip(parts, rows, strict=True):
                new = [row for row, digest in enumerate(digests) if (part.name, digest) not in self._places]
                if not new:
                    continue
                names = [digests[row] for row in new]
                path = self.path / shard_name(part.name, names)
                self.cache.make_room(values[new].nbytes)
                shard = write_shard(path, part.name, names, values[new])
                self._learn(shard)
                self._touched[path] = time.time()
                self.cache.count(shard.bytes)

    def drop(self, path: Path) -> None:
        """Forget a shard and delete it; it will be made again."""
        self._forget(path.name)
        # A folder that cannot be written keeps the bad file, which then stays forgotten.
        self._known[path.name] = None
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            del self._known[path.name]

    def used(self, path: Path) -> bool:
        """Whether this process has read or written the shard."""
        return path in self._touched

    def _learn(self, shard: Shard) -> None:
        self._known[shard.path.name] = shard
        for row, digest in enumerate(shard.digests):
            self._places.setdefault((shard.part, digest), (shard, row))

    def _forget(self, name: str) -> None:
        shard = self._known.pop(name, None)
        for digest in shard.digests if shard else ():
            place = self._places.get((shard.part, digest)) if shard else None
            if place is not None and shard is not None and place[0].path == shard.path:
                del self._places[shard.part, digest]

    def _touch(self, path: Path) -> None:
        """Note the use of a shard for the eviction order; a read-only cache has none."""
        now = time.time()
        if now - self._touched.get(path, 0.0) > TOUCH_SECONDS:
            self._touched[path] = now
            with contextlib.suppress(OSError):
                os.utime(path)

    def _describe(self) -> None:
        if not (self.path / "manifest.json").is_file():
            write_text(self.path / "manifest.json", json.dumps(self.about, indent=1) + "\n")

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer at a time in this folder. Without file locks two may store an image twice, never wrongly."""
        if sys.platform == "win32":
            yield
            return
        import fcntl

        try:
            stream = open(self.path / ".lock", "w")  # noqa: SIM115 - closed below, kept open while locked
        except OSError as error:
            raise cannot_write(self.path / ".lock", error) from error
        with stream:
            with contextlib.suppress(OSError):
                fcntl.flock(stream, fcntl.LOCK_EX)
            yield


class FeatureCache:
    """All features on disk below one folder, kept under `limit_bytes` by dropping the longest unused.

    What an open source of this process still reads is never dropped, even above the limit.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder, self.limit_bytes = Path(folder), limit_bytes
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._folders: dict[Path, CacheFolder] = {}
        self._bytes: int | None = None
        self._writes = 0

    @classmethod
    def within_budget(
        cls,
        folder: Path,
        limit_bytes: int,
        plan: FeaturePlan,
        n_images: int,
        *,
        mode: Literal["auto", "cached", "live"] = "auto",
    ) -> FeatureCache | None:
        """A cache where the mode or, for `auto`, the arithmetic of `budget.decide` says so, else None."""
        if mode == "auto":
            mode = decide(plan, n_images, limit_bytes, _free_bytes(Path(folder)))
        return cls(folder, limit_bytes) if mode == "cached" else None

    def open(self, encoder: ImageEncoder, plan: FeaturePlan) -> CacheFolder:
        """The shards of this encoder's function and this plan's input."""
        path = self.folder / stable_hash(encoder.key) / plan_key(plan)
        if path not in self._folders:
            name = getattr(encoder, "name", encoder.key)
            about: dict[str, object] = {"encoder": str(name), "key": encoder.key, "plan": plan_base(plan)}
            self._folders[path] = CacheFolder(self, path, about)
        self._folders[path].refresh()
        return self._folders[path]

    def protect(self, reader: Reader) -> None:
        """Keep what this source holds for as long as the source lives."""
        self._readers.add(reader)

    def count(self, written: int) -> None:
        self._writes += 1
        if self._bytes is not None:
            self._bytes += written

    def make_room(self, needed: int) -> None:
        """Drop the longest unused shards until `needed` more bytes fit; other processes' files are counted."""
        if self._bytes is None or self._writes % RECOUNT_WRITES == 0 or self._bytes + needed > self.limit_bytes:
            shards = sorted(self._shards(), key=lambda entry: (entry[1].st_mtime, entry[0]))
            self._bytes = sum(status.st_size for _, status in shards)
            if self._bytes + needed > self.limit_bytes:
                self._evict(shards, needed)

    def _evict(self, shards: list[tuple[Path, os.stat_result]], needed: int) -> None:
        held = set().union(*(reader.holds() for reader in self._readers))
        now = time.time()
        for path, status in shards:
            if self._bytes is None or self._bytes + needed <= self.limit_bytes:
                return
            mine = path.parent in self._folders and self._folders[path.parent].used(path)
            if path in held or (not mine and now - status.st_mtime < IN_USE_SECONDS):
                continue
            self._remove(path)
            self._bytes -= status.st_size

    def info(self) -> list[CacheEntry]:
        """One entry per encoder and input, the longest unused first."""
        entries = []
        for folder in sorted({path.parent for path, _ in self._shards()}):
            about = _about(folder)
            shards = [(path, status) for path, status in self._shards() if path.parent == folder]
            images = {digest for path, _ in shards for digest in _digests(path)}
            size, used = sum(status.st_size for _, status in shards), max(status.st_mtime for _, status in shards)
            plan = about.get("plan")
            known = plan if isinstance(plan, dict) else {}
            name = str(about.get("encoder", folder.parent.name))
            entries.append(CacheEntry(folder, name, known, len(shards), len(images), size, used))
        return sorted(entries, key=lambda entry: entry.used_at)

    def verify(self, progress: Progress = SILENT) -> list[Path]:
        """Read every byte; delete and return the shards that are damaged."""
        bad = []
        shards = [path for path, _ in self._shards()]
        with progress.bar("verify cache", len(shards)) as advance:
            for path in shards:
                try:
                    shard = read_header(path)
                    for row in range(len(shard.digests)):
                        shard.rows([row])
                except Damaged:
                    self._remove(path)
                    bad.append(path)
                advance(1)
        return bad

    def prune(self, limit_bytes: int = 0, unused_days: float = 0.0) -> int:
        """Delete the longest unused shards down to `limit_bytes`, sparing those used within `unused_days`.

        Returns the bytes freed.
        """
        shards = sorted(self._shards(), key=lambda entry: (entry[1].st_mtime, entry[0]))
        total, freed = sum(status.st_size for _, status in shards), 0
        for path, status in shards:
            if total - freed <= limit_bytes or time.time() - status.st_mtime < unused_days * 86400:
                break
            self._remove(path)
            freed += status.st_size
        for folder in sorted(self.folder.glob("*/*")):
            if folder.is_dir() and not any(path.suffix == SUFFIX for path in folder.iterdir()):
                shutil.rmtree(folder, ignore_errors=True)
                with contextlib.suppress(OSError):
                    folder.parent.rmdir()
        return freed

    def _shards(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Every shard with its status; files that vanish meanwhile are left out."""
        for path in self.folder.glob(f"*/*/[!.]*{SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):
                yield path, path.stat()

    def _remove(self, path: Path) -> None:
        if path.parent in self._folders:
            self._folders[path.parent].drop(path)
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _about(folder: Path) -> dict[str, object]:
    """The manifest; it is only for people, so a lost one costs a name."""
    with contextlib.suppress(OSError, ValueError):
        body = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return body if isinstance(body, dict) else {}
    return {}


def _digests(path: Path) -> tuple[str, ...]:
    with contextlib.suppress(Damaged):
        return read_header(path).digests
    return ()


def _free_bytes(folder: Path) -> int:
    """Free space of the disk that holds the folder, whether or not it exists yet."""
    for place in (folder, *folder.absolute().parents):
        if place.exists():
            return shutil.disk_usage(place).free
    return 0

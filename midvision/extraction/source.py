"""Features by image id, from disk or straight from the encoder: the same call, the same values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.core.features import FeaturePlan, Features, ImageEncoder
from midvision.core.items import Image
from midvision.core.progress import SILENT, Progress
from midvision.core.streams import FeatureSource
from midvision.extraction.cache import FeatureCache
from midvision.extraction.extract import DTYPES, extract
from midvision.extraction.key import parts
from midvision.extraction.shard import Damaged

SHARD_IMAGES = 32
"""Images written at a time: what a killed run has to repeat at most."""
STRETCH_IMAGES = 256
ATTEMPTS = 3


class How(TypedDict):
    """Keyword arguments of `extract`."""

    batch_size: int
    workers: int
    device: str | torch.device


@dataclass(frozen=True, slots=True)
class Work:
    """How features are made: nothing here changes a value."""

    batch_size: int
    workers: int
    device: str | torch.device
    progress: Progress

    def how(self) -> How:
        return {"batch_size": self.batch_size, "workers": self.workers, "device": self.device}


def open_source(
    encoder: ImageEncoder,
    images: Mapping[str, Image],
    plan: FeaturePlan,
    *,
    cache: FeatureCache | None = None,
    batch_size: int = 32,
    workers: int = 0,
    device: str | torch.device = "cpu",
    progress: Progress = SILENT,
) -> FeatureSource:
    """Features of `images` by id: from `cache`, which is filled on the way, or live where it is None.

    Both give values rounded to `plan.dtype`, as float32 on `device`. A cached source calls the encoder
    once for every picture that is not on disk, whatever the number of epochs; a live one in every stream.
    """
    work = Work(max(1, batch_size), workers, device, progress)
    if cache is None:
        return LiveSource(encoder, images, plan, work)
    return CachedSource(encoder, images, plan, work, cache)


class LiveSource:
    """Every stream goes through the encoder."""

    def __init__(self, encoder: ImageEncoder, images: Mapping[str, Image], plan: FeaturePlan, work: Work) -> None:
        self.encoder, self.images, self.plan, self.work = encoder, images, plan, work

    def stream(self, ids: Iterable[str]) -> Iterator[tuple[list[str], Features]]:
        """Each id once, in the order given, in batches; float32 on the device."""
        order = _known(ids, self.images)
        with self.work.progress.bar("encode images", len(order)) as advance:
            for names, features in extract(self.encoder, self.images, order, self.plan, **self.work.how()):
                maps = tuple(_ready(values, self.work.device) for values in features.maps)
                pooled = None if features.pooled is None else _ready(features.pooled, self.work.device)
                yield names, Features(maps, pooled)
                advance(len(names))


class CachedSource:
    """What is missing on disk is encoded first, in the order asked; then everything is read."""

    def __init__(
        self, encoder: ImageEncoder, images: Mapping[str, Image], plan: FeaturePlan, work: Work, cache: FeatureCache
    ) -> None:
        self.encoder, self.images, self.plan, self.work = encoder, images, plan, work
        self.parts = parts(plan)
        self.folder = cache.open(encoder, plan)
        self._digests = {name: image.digest() for name, image in images.items()}
        cache.protect(self)

    def holds(self) -> set[Path]:
        """Shards that a later stream may read: the cache must keep them."""
        places = (self.folder.place(part.name, digest) for part in self.parts for digest in self._digests.values())
        return {place[0].path for place in places if place is not None}

    def stream(self, ids: Iterable[str]) -> Iterator[tuple[list[str], Features]]:
        """Each id once, in the order given, in batches; float32 on the device."""
        order = _known(ids, self.images)
        self._fill(order)
        for start in range(0, len(order), self.work.batch_size):
            names = order[start : start + self.work.batch_size]
            yield names, self._read(names, order[start:])

    def _read(self, names: list[str], rest: list[str]) -> Features:
        """One batch. Damaged or vanished shards are made again, for all that is still to come."""
        digests = [self._digests[name] for name in names]
        for _ in range(ATTEMPTS):
            try:
                values = [self.folder.read(part, digests, DTYPES[self.plan.dtype]) for part in self.parts]
            except Damaged:
                self._fill(rest)
                continue
            ready = [_ready(value, self.work.device) for value in values]
            pooled = ready.pop() if self.plan.pooled != "none" else None
            return Features(tuple(ready), pooled)
        raise DataError(
            f"Features in {self.folder.path} are damaged or vanish as soon as they are written.",
            "A folder that keeps what is written to it is needed.",
            "Check the disk, choose another folder (--cache-dir), or run without a cache.",
        )

    def _fill(self, order: Sequence[str]) -> None:
        """Encode what is not on disk, once per picture, and flush as it goes."""
        self.folder.refresh()
        missing = self._missing(order)
        if not missing:
            return
        with self.work.progress.bar("encode images", len(missing)) as advance:
            while missing:
                # Another process may be filling the same folder: look again after every stretch.
                self._encode(missing[: max(STRETCH_IMAGES, self.work.batch_size)])
                self.folder.refresh()
                left = self._missing(missing)
                advance(len(missing) - len(left))
                missing = left

    def _missing(self, order: Sequence[str]) -> list[str]:
        """Ids to encode: one for every digest that lacks a part."""
        first: dict[str, str] = {}
        for name in order:
            first.setdefault(self._digests[name], name)
        return [first[digest] for digest in self.folder.missing(self.parts, list(first))]

    def _encode(self, missing: Sequence[str]) -> None:
        names: list[str] = []
        waiting: list[list[Tensor]] = [[] for _ in self.parts]
        for batch, features in extract(self.encoder, self.images, missing, self.plan, **self.work.how()):
            names += batch
            values = [*features.maps, *([] if features.pooled is None else [features.pooled])]
            for kept, value in zip(waiting, values, strict=True):
                kept.append(value.cpu())
            if len(names) >= SHARD_IMAGES:
                names, waiting = self._flush(names, waiting, SHARD_IMAGES)
        self._flush(names, waiting, 1)

    def _flush(self, names: list[str], waiting: list[list[Tensor]], least: int) -> tuple[list[str], list[list[Tensor]]]:
        """Write whole shards; returns what is too little for one."""
        rows = [torch.cat(kept) for kept in waiting] if names else []
        done = 0
        while len(names) - done >= least:
            stop = min(done + SHARD_IMAGES, len(names))
            digests = [self._digests[name] for name in names[done:stop]]
            self.folder.add(self.parts, digests, [values[done:stop] for values in rows])
            done = stop
        return names[done:], [[values[done:]] for values in rows] or [[] for _ in self.parts]


def _ready(values: Tensor, device: str | torch.device) -> Tensor:
    return values.to(device).float()


def _known(ids: Iterable[str], images: Mapping[str, Image]) -> list[str]:
    order = list(ids)
    if unknown := next((name for name in order if name not in images), None):
        raise DataError(
            f"There is no image {unknown!r}.", "Items point at images of their data set.", "Check the reader."
        )
    return order

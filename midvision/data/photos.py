"""Photographs of a person's own data: their frames, their split, and what every reader hands over.

Splits, block groups and limits follow the photographs' places in natural order, not their names,
so a renamed copy of a data set is split alike.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from midvision.core.errors import DataError
from midvision.core.items import Dataset, Image, Item
from midvision.core.seeds import hashed_order
from midvision.core.settings import stable_hash
from midvision.core.specs import ImageRules
from midvision.data.card import DataCard, Request
from midvision.data.frames import (
    Box,
    Framing,
    choose_box,
    content_hash,
    file_digest,
    photo_size,
    read_frame,
    read_frame_bytes,
    whole,
)
from midvision.data.options import Options
from midvision.data.patterns import Found, find_images, natural

BLOCKS = 10
MULTIPLE = 32
SHORT_SIDE = 224
SAME_ASPECT = 1.02
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Photo:
    """One frame to be: a photograph, or one tile (`area`) of it. `size` (H, W) is the file's.

    `sha256` is the file's checksum where a manifest already knows it.
    """

    id: str
    group: str
    path: Path
    root: Path
    key: tuple[str, ...]
    size: tuple[int, int]
    area: Box
    split: str | None = None
    sha256: str | None = None

    @property
    def sequence(self) -> str:
        return "/".join(self.key[:-1])


@dataclass(slots=True)
class Framed:
    """A photograph and the frame it becomes. The box may need the true object, so it is found at first use."""

    photo: Photo
    size: tuple[int, int]
    rules: ImageRules
    object_mask: Callable[[], np.ndarray] | None = None
    _framing: Framing | None = None

    @property
    def image_id(self) -> str:
        """The photograph's id, with what was done to it where tasks differ in that.

        Tasks that share photographs but not the rules must not take each other's features.
        """
        done = [self.rules.crop if self.rules.crop != "none" else "", self.rules.photo_resample]
        done[0] += "-exclusive" if "object" in self.rules.crop and self.rules.crop_end == "exclusive" else ""
        text = "#".join(part for part in done if part not in ("", "bilinear"))
        return f"{self.photo.id}#{text}" if text else self.photo.id

    def framing(self) -> Framing:
        if self._framing is None:
            self._framing = Framing(self._box(), self.size, self.rules.photo_resample)
        return self._framing

    def _box(self) -> Box:
        area, mask = self.photo.area, None
        if "object" in self.rules.crop and self.object_mask is not None:
            mask = self.object_mask()[area.top : area.top + area.height, area.left : area.left + area.width]
        box = choose_box(self.rules, (area.height, area.width), mask, str(self.photo.path))
        return replace(box, top=box.top + area.top, left=box.left + area.left)

    def load(self) -> Tensor:
        return read_frame(self.photo.path, self.framing())

    def load_bytes(self) -> Tensor:
        return read_frame_bytes(self.photo.path, self.framing())

    def digest(self) -> str:
        return file_digest(self.photo.path, self.framing().recipe, self.photo.sha256)

    def image(self) -> Image:
        return Image(self.image_id, self.load, self.digest, self.load_bytes)


def split_roots(root: Path) -> dict[str | None, Path]:
    """`train` and `test` (or `val`) folders where both are there, else the folder itself."""
    train = root / "train"
    held_out = next((root / name for name in ("test", "val", "valid") if (root / name).is_dir()), None)
    if train.is_dir() and held_out is not None:
        return {"train": train, "test": held_out}
    return {None: root}


def list_photos(roots: Mapping[str | None, Path], pattern: str, leave_out: Iterable[Path] = ()) -> list[Photo]:
    """The photographs of `pattern` in natural order; an error where there are none."""
    skip, photos = list(leave_out), []
    for split, root in roots.items():
        for found in find_images(root, pattern, skip):
            photos.append(_photo(found, root, split))
    if not photos:
        where = next(iter(roots.values()))
        raise DataError(
            f"No photographs match {pattern!r} in {where}.",
            "At least one was expected.",
            "Check the folder and image=.",
        )
    return photos


def _photo(found: Found, root: Path, split: str | None) -> Photo:
    size = photo_size(found.path)
    name = f"{split}/{found.id}" if split else found.id
    return Photo(name, name, found.path, root, found.key, size, whole(size), split)


def tile(photos: Sequence[Photo], options: Options) -> list[Photo]:
    """Each photograph cut into the declared rows and columns; each tile is its own group."""
    grid = options.size("tiles")
    if grid is None:
        return list(photos)
    tiles = []
    for photo in photos:
        height, width = photo.size[0] // grid[0], photo.size[1] // grid[1]
        if min(height, width) < 8:
            raise options.wrong("tiles", f"{photo.path} would be cut into tiles below 8 pixels.")
        for row in range(grid[0]):
            for column in range(grid[1]):
                name = f"{photo.id}@{row}.{column}"
                box = Box(row * height, column * width, height, width)
                tiles.append(replace(photo, id=name, group=name, area=box))
    return tiles


def grouped(photos: Sequence[Photo], options: Options, default: str) -> list[Photo]:
    """The photographs with their groups: each its own, its folder, or a run of neighbouring frames."""
    if options.size("tiles") is not None:
        return list(photos)
    folders = {photo.sequence for photo in photos}
    chosen = options.choice("group", ("image", "folder", "block"), "folder" if len(folders) > 1 else default)
    if chosen == "image":
        return list(photos)
    if chosen == "folder":
        return [replace(photo, group=photo.sequence or photo.root.name) for photo in photos]
    result = []
    for folder in sorted(folders, key=natural):
        frames = [photo for photo in photos if photo.sequence == folder]
        blocks = min(BLOCKS, len(frames))
        for place, photo in enumerate(frames):
            block = f"{folder or photo.root.name}/block-{place * blocks // len(frames)}"
            result.append(replace(photo, group=block))
    return result


def split_photos(photos: Sequence[Photo], request: Request, options: Options) -> list[Photo]:
    """The photographs of the split asked for; declared by folders or by `test=GLOB`, else hashed by group."""
    declared = options.text("test")
    if declared is not None:
        photos = [replace(p, split="test" if fnmatch.fnmatchcase(p.id, declared) else "train") for p in photos]
    elif all(photo.split is None for photo in photos):
        groups = list(dict.fromkeys(photo.group for photo in photos))
        held_out = share_of(groups, options.positive("test_share", 0.3))
        photos = [replace(p, split="test" if p.group in held_out else "train") for p in photos]
    chosen = [photo for photo in photos if photo.split == request.split]
    return need_items(chosen, request, "Give more photographs, tiles=RxC, group=image, or folders train and test.")


def share_of(groups: Sequence[str], share: float) -> set[str]:
    """A hashed share of the groups: at least one and not all, where there are two."""
    count = min(max(1, round(share * len(groups))), len(groups) - 1) if len(groups) > 1 else 0
    order = hashed_order((str(place) for place in range(len(groups))), "own-data", "split")
    return {groups[int(place)] for place in order[:count]}


def need_items(items: list[T], request: Request, do: str) -> list[T]:
    if not items:
        raise DataError(
            f"The {request.split} split of {request.data.set}:{request.data.path} has no items for {request.content}.",
            "At least one was expected.",
            do,
        )
    return items


def spread(items: Sequence[T], limit: int | None, *strata: Callable[[T], Hashable]) -> list[T]:
    """At most `limit` items in their old order, taken in turn from each stratum (angle bin, then group)."""
    if limit is None or limit >= len(items):
        return list(items)
    order = [int(place) for place in hashed_order((str(n) for n in range(len(items))), "own-data", "limit")]
    return [items[place] for place in sorted(_in_turn(items, order, strata)[:limit])]


def _in_turn(items: Sequence[T], places: list[int], strata: tuple[Callable[[T], Hashable], ...]) -> list[int]:
    """`places` reordered so that any beginning of it has each stratum as often as any other."""
    if not strata:
        return places
    parts: dict[Hashable, list[int]] = {}
    for place in places:
        parts.setdefault(strata[0](items[place]), []).append(place)
    ordered = [_in_turn(items, part, strata[1:]) for part in parts.values()]
    ranked = sorted((turn, number, place) for number, part in enumerate(ordered) for turn, place in enumerate(part))
    return [place for _, _, place in ranked]


def frame_size(areas: Iterable[tuple[int, int]], rules: ImageRules, options: Options) -> tuple[int, int]:
    """The one frame size (H, W) of a data set whose photographs have the given sizes.

    `rules.image_size`, else the option `size`: HxW as it is, or a short side with the photographs'
    common aspect (a square where they differ by more than 2 %), both sides multiples of 32.
    """
    exact = rules.image_size or options.size("size")
    if exact is not None:
        return exact
    short = options.positive("size", SHORT_SIDE)
    aspects = [width / height for height, width in areas]
    square = rules.crop != "none" or max(aspects) / min(aspects) > SAME_ASPECT
    aspect = 1.0 if square else float(np.median(aspects))
    tall, wide = (short, short * aspect) if aspect >= 1 else (short / aspect, short)
    return _rounded(tall), _rounded(wide)


def _rounded(length: float) -> int:
    return max(MULTIPLE, MULTIPLE * int(length / MULTIPLE + 0.5))


def dataset(
    card: DataCard,
    request: Request,
    frames: Iterable[Framed],
    items: Sequence[Item],
    truth: Iterable[Path] = (),
    notes: str = "",
    known: Mapping[Path, str] | None = None,
) -> Dataset:
    """The finished data set. Its fingerprint covers every file's content, every item and all settings.

    `truth` are the files that the items read; `notes` names whatever else shapes them; `known` are
    checksums that need not be computed.
    """
    kept = {frame.image_id: frame for frame in frames}
    need_items(list(items), request, "Check the folder and the options.")
    named = [(name, frame.photo.path) for name, frame in kept.items()]
    named += [(path.name, path) for path in sorted(set(truth))]
    sums = {**(known or {}), **{f.photo.path: f.photo.sha256 for f in kept.values() if f.photo.sha256 is not None}}
    with request.progress.bar("checksums of files", len(named)) as advance:
        content = []
        for name, path in named:
            content.append(f"{name}={sums.get(path) or content_hash(path)}")
            advance(1)
    settings = [card.version, request.rules.canonical(), request.data.model_copy(update={"path": None}).canonical()]
    size = next(iter(kept.values())).size
    frame = f"{request.content} {request.split} {size}"
    return Dataset(
        name=card.name,
        version=card.version,
        content=request.content,
        split=request.split,
        images={name: kept[name].image() for name in kept},
        items=list(items),
        fingerprint=stable_hash(*settings, frame, notes, *sorted(content), *sorted(item.id for item in items)),
        frame_size=size,
        limited=request.limit is not None,
    )

"""From a prepared copy to a data set: photographs by name, and checksums taken from the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from midvision.core.items import Dataset, Item
from midvision.data.card import DataCard, Request
from midvision.data.frames import photo_size, whole
from midvision.data.manifest import Copy
from midvision.data.photos import Framed, Photo, dataset


def photo_of(copy: Copy, name: str, id: str, group: str | None = None) -> Photo:
    """The photograph `name` of a copy under the image id `SET/id`; its own group unless one is given."""
    path = copy.path(name)
    size = photo_size(path)
    own = f"{copy.manifest.set}/{id}"
    return Photo(own, group or own, path, copy.folder, (id,), size, whole(size), None, copy.sha256(name))


def dataset_of(
    card: DataCard,
    copy: Copy,
    request: Request,
    frames: Iterable[Framed],
    items: Sequence[Item],
    truth: Iterable[str] = (),
    notes: str = "",
) -> Dataset:
    """The finished data set; `truth` are the names in the copy that the items read.

    A subset of the official lists has `+subset` in its version, so no table puts the two together.
    """
    known: dict[Path, str] = {copy.path(name): copy.sha256(name) for name in set(truth)}
    made = dataset(card, request, frames, items, known, notes, known)
    return made if copy.manifest.official else replace(made, version=f"{made.version}+subset")

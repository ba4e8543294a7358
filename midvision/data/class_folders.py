"""Sets of labelled photographs: a share of every class trains, the rest is scored; from a copy to a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from midvision.core.errors import DataError

if TYPE_CHECKING:
    from midvision.core.items import Dataset
    from midvision.data.card import DataCard, Request
    from midvision.data.manifest import Copy


def split_classes(ids: Iterable[str], train_per_class: int, name: str) -> dict[str, tuple[str, ...]]:
    """`train` and `test` ids of `CLASS/STEM`: so many of each class train, in a hashed order of their ids.

    The order is fixed by the ids, so nothing but another list can change the split.
    """
    from midvision.core.seeds import hashed_order

    by_class: dict[str, list[str]] = {}
    for id in ids:
        by_class.setdefault(class_of(id), []).append(id)
    train: list[str] = []
    test: list[str] = []
    for label, members in sorted(by_class.items()):
        if len(members) <= train_per_class:
            raise DataError(
                f"Class {label!r} of {name} has {len(members)} photographs.",
                f"More than the {train_per_class} that train were expected.",
                "Give the complete official files.",
            )
        order = hashed_order(members, name, "split")
        train += sorted(order[:train_per_class])
        test += sorted(order[train_per_class:])
    return {"train": tuple(train), "test": tuple(test)}


def class_of(id: str) -> str:
    return id.partition("/")[0]


def open_classes(
    card: DataCard,
    copy: Copy,
    request: Request,
    ids: Sequence[str],
    file_of: Callable[[str], str],
    classes: Sequence[str],
    words: Mapping[str, str] | None = None,
) -> Dataset:
    """The photographs of `ids` with their classes as numbered by `classes`; `words` are names for people."""
    from midvision.core.items import LabelItem
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, need_items, spread

    kept = spread(need_items(list(ids), request, "Prepare the set again."), request.limit, class_of)
    photos = [photo_of(copy, file_of(id), id) for id in kept]
    size = frame_size([photo.size for photo in photos], request.rules, Options(request.data))
    number = {label: place for place, label in enumerate(classes)}
    frames, items = [], []
    for id, photo in zip(kept, photos, strict=True):
        frame, label = Framed(photo, size, request.rules), class_of(id)
        frames.append(frame)
        items.append(LabelItem(photo.id, photo.group, frame.image_id, number[label], (words or {}).get(label, label)))
    notes = repr([(item.id, item.label) for item in items])
    return dataset_of(card, copy, request, frames, items, (), notes)

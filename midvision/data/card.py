"""What a data set says of itself, and how one is opened. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from midvision.core.catalog import discover, pick
from midvision.core.errors import UsageError
from midvision.core.items import Content, Dataset
from midvision.core.progress import SILENT, Progress
from midvision.core.specs import DataSpec, ImageRules

if TYPE_CHECKING:
    from midvision.data.benchmark import Benchmark


@dataclass(frozen=True, slots=True)
class Request:
    """Which part of a data set is wanted, under which image rules.

    `limit` keeps that many items, spread over groups and classes, never a plain prefix.
    """

    content: Content
    split: Literal["train", "test"]
    data: DataSpec
    rules: ImageRules = ImageRules()
    limit: int | None = None
    workers: int = 0
    progress: Progress = SILENT


@dataclass(frozen=True, slots=True)
class DataCard:
    """A data set or a reader of a person's own data.

    `pixel_centre` is where the files' intrinsics put the centre of the top-left pixel (0 or 0.5);
    `pose_direction` is what the files' poses map. Both are converted once, by the reader.
    `options` are the reader's option names with their help text. `benchmark` is there for published
    sets, which are prepared from their official files.
    """

    name: str
    version: str
    title: str
    contents: tuple[Content, ...]
    licence: str
    how_to_get: str
    options: Mapping[str, str]
    open: Callable[[Request], Dataset]
    pixel_centre: float | None = None
    pose_direction: Literal["camera_from_world", "world_from_camera"] | None = None
    benchmark: Benchmark | None = None


@cache
def all_sets() -> dict[str, DataCard]:
    """Every data set and reader by name."""
    import midvision.data.sets as package

    return discover(package, "DATA")


def open_data(request: Request) -> Dataset:
    """The data set asked for, or an error that says what is missing or unknown."""
    card: DataCard = pick("data set", request.data.set, all_sets())
    if request.content not in card.contents:
        raise UsageError(
            f"Data set {card.name!r} has no {request.content}.",
            f"It offers: {', '.join(card.contents)}.",
            "Choose another task or another reader.",
        )
    if unknown := set(request.data.options) - set(card.options):
        from midvision.core.errors import nearest

        word = sorted(unknown)[0]
        raise UsageError(f"Reader {card.name!r} has no option {word!r}.", nearest(word, card.options))
    return card.open(request)

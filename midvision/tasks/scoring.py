"""What every scorer shares: wait for the images of a unit, score it, forget them, keep columns in item order.

A unit is what must be scored together: one pair, one triplet, or a batch of test images of fixed
borders. Units do not depend on how the stream is cut, so neither do scores.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from midvision.core.errors import DataError, EncoderError
from midvision.core.features import Features
from midvision.core.scores import Metric, Scores
from midvision.core.seeds import hashed_order

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from midvision.core.items import Dataset

SAMPLED_ITEMS = 6

Arrays = Mapping[str, "np.ndarray"]


@dataclass(frozen=True, slots=True)
class Scored:
    """Columns of one item, and its raw prediction if it is one of the samples."""

    columns: Mapping[str, float]
    sample: Arrays | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """Item ids scored together and the distinct images they need, in the order of the feature rows."""

    items: tuple[str, ...]
    images: tuple[str, ...]


ScoreUnit = Callable[[Unit, Features], Sequence[Scored]]


@dataclass(slots=True)
class UnitScorer:
    """A `Scorer` over units.

    Every column that `metrics` read exists afterwards, NaN where no item has it; the headline's
    column must have a value for at least one item.
    """

    dataset: Dataset
    units: Sequence[Unit]
    score: ScoreUnit
    metrics: Sequence[Metric]
    epochs: int = 1
    _held: dict[str, Features] = field(default_factory=dict)
    _left: Counter[str] = field(default_factory=Counter)
    _waiting: dict[str, list[int]] = field(default_factory=dict)
    _missing: list[int] = field(default_factory=list)
    _scored: dict[str, Scored] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.units:
            raise DataError(f"Data set {self.dataset.name!r} has no {self.dataset.content} items to score.")
        for index, unit in enumerate(self.units):
            self._missing.append(len(unit.images))
            for image in unit.images:
                self._left[image] += 1
                self._waiting.setdefault(image, []).append(index)

    def wants(self, epoch: int) -> Collection[str]:
        return list(self._waiting) if epoch == 0 else []

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        for row, image in enumerate(ids):
            if image not in self._waiting:
                continue
            one = features.select([row])
            check_features(image, one)
            self._held[image] = one
            for index in self._waiting[image]:
                self._missing[index] -= 1
                if self._missing[index] == 0:
                    self._finish_unit(self.units[index])

    def end_epoch(self, epoch: int) -> None:
        """Nothing is left to do: every unit is scored when its last image arrives."""

    def scores(self) -> Scores:
        import numpy as np

        items = [item for item in self.dataset.items if item.id in self._scored]
        if len(items) < len(self.dataset.items):
            lost = next(item.id for item in self.dataset.items if item.id not in self._scored)
            raise DataError(f"Item {lost!r} was never scored.", "Features of all its images were expected.")
        read = [name for metric in self.metrics for name in (metric.column, metric.over) if name is not None]
        names = list(dict.fromkeys([*read, *(name for item in items for name in self._scored[item.id].columns)]))
        rows = [self._scored[item.id].columns for item in items]
        columns = {name: np.array([row.get(name, np.nan) for row in rows], dtype=np.float64) for name in names}
        headline = self.metrics[0]
        if not np.isfinite(columns[headline.column]).any():
            raise DataError(
                f"None of the {len(items)} items of {self.dataset.name!r} can be scored: {headline.name} is undefined.",
                f"The first item is {items[0].id!r}.",
                "Check that the truth has valid pixels.",
            )
        samples = {item.id: found for item in items if (found := self._scored[item.id].sample) is not None}
        return Scores(tuple(item.id for item in items), tuple(item.group for item in items), columns, samples)

    def _finish_unit(self, unit: Unit) -> None:
        features = stack([self._held[image] for image in unit.images])
        for item, scored in zip(unit.items, self.score(unit, features), strict=True):
            self._scored[item] = scored
        for image in unit.images:
            self._left[image] -= 1
            if self._left[image] == 0:
                del self._held[image]


def stack(rows: Sequence[Features]) -> Features:
    """Features of single images as one batch."""
    import torch

    maps = tuple(torch.cat(parts) for parts in zip(*(row.maps for row in rows)))
    pooled = [row.pooled for row in rows if row.pooled is not None]
    return Features(maps, torch.cat(pooled) if len(pooled) == len(rows) else None)


def check_features(image: str, features: Features) -> None:
    """Refuse values that are not numbers, naming the image."""
    import torch

    parts = [*features.maps, *([] if features.pooled is None else [features.pooled])]
    if not all(bool(torch.isfinite(part).all()) for part in parts):
        raise EncoderError(f"Features of image {image!r} hold values that are not numbers.", "Finite were expected.")


def check_prediction(item: str, prediction: Tensor) -> None:
    import torch

    if not bool(torch.isfinite(prediction).all()):
        raise EncoderError(
            f"The prediction for item {item!r} holds values that are not numbers.",
            "Finite values were expected.",
            "Look at the encoder's features of its image, and at the probe's learning rate.",
        )


def pooled_of(image: str, pooled: Tensor | None) -> Tensor:
    if pooled is None:
        raise EncoderError(f"No pooled feature came for image {image!r}.", "One vector per image was expected.")
    return pooled


def sampled(dataset: Dataset) -> frozenset[str]:
    """Ids of the few items whose raw predictions are kept: the same for every encoder."""
    return frozenset(hashed_order([item.id for item in dataset.items], "samples")[:SAMPLED_ITEMS])


def picture(dataset: Dataset, image: str) -> np.ndarray:
    """`uint8 [H, W, 3]` of an image of the data set."""
    import numpy as np

    pixels = dataset.images[image].load().clamp(0, 1) * 255
    return np.asarray(pixels.round().permute(1, 2, 0).numpy(), dtype=np.uint8)

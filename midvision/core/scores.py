"""Numbers: what one item scored, what a metric is, what a result holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, slots=True)
class Metric:
    """One number of a task, as a weighted mean or a ratio of sums over item columns.

    With `over=None` the value is the mean of `column` over the items where it is finite; otherwise
    it is `sum(column) / sum(over)`. Both stay exact when items are resampled.
    """

    name: str
    unit: str
    higher_is_better: bool
    low: float
    high: float
    column: str
    over: str | None = None
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What every item scored. `columns` are float64 `[N]`, NaN where a column does not apply.

    `samples` keeps raw predictions of a handful of items for the report: item id -> arrays.
    """

    ids: tuple[str, ...]
    groups: tuple[str, ...]
    columns: Mapping[str, np.ndarray]
    samples: Mapping[str, Mapping[str, np.ndarray]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value on all items with its interval over groups (scenes, objects)."""

    value: float
    ci_low: float
    ci_high: float
    n: int
    groups: int
    unit: str
    higher_is_better: bool
    low: float
    high: float
    chance: float | None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}

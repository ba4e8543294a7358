"""A table for a paper as data: what every format is written from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Origin = Literal["measured", "derived", "published"]


@dataclass(frozen=True, slots=True)
class Heading:
    """A column. Columns that follow each other with the same `group` stand under one spanning head."""

    name: str
    title: str
    unit: str
    higher_is_better: bool
    group: str = ""
    origin: Origin = "measured"


@dataclass(frozen=True, slots=True)
class Entry:
    """A number with its interval; `best`: best of its column, or not told apart from the best.

    `source` is the run hash of the record it comes from (measured), or the page it was published on.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    best: bool = False
    source: str = ""

    @property
    def known(self) -> bool:
        return math.isfinite(self.value)


@dataclass(frozen=True, slots=True)
class Line:
    """One model's row; entries by column name, absent where there is no number. `part` splits rows by rules."""

    model: str
    label: str
    part: str
    entries: Mapping[str, Entry]


@dataclass(frozen=True, slots=True)
class PaperTable:
    """`name` is the stem of its files; `notes` are whole sentences for below the table."""

    name: str
    title: str
    headings: tuple[Heading, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


def shown(entry: Entry | None, heading: Heading) -> str:
    """A number in the digits of a paper: shares in per cent with one decimal, degrees with one, the rest with three."""
    if entry is None or not entry.known:
        return "–"
    return digits(entry.value, heading.unit)


def digits(value: float, unit: str) -> str:
    if unit == "share":
        return f"{100 * value:.1f}"
    return f"{value:.1f}" if unit in ("deg", "px", "%") else f"{value:.3f}"


def unit_title(unit: str) -> str:
    return {"share": "%", "deg": "deg", "ratio": "", "": ""}.get(unit, unit)

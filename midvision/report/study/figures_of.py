"""Numbers as a page shows them, each with the place it comes from, so that a test can hold the two together."""

from __future__ import annotations

import math
from dataclasses import dataclass

from midvision.analysis.outcome import Bounded
from midvision.core.scores import Estimate
from midvision.report.numbers import exact, interval, number
from midvision.results.record import ResultRecord


@dataclass(frozen=True, slots=True)
class Shown:
    """`text` and `interval` are read, the rest is exact: from a record's metric, or a `place` in study.json."""

    text: str
    interval: str
    value: str
    low: str
    high: str
    record: str = ""
    metric: str = ""
    place: str = ""
    note: str = ""
    strong: bool = False
    tint: float = 0.0
    href: str = ""
    title: str = ""


def pointer(*parts: object) -> str:
    """A JSON pointer (RFC 6901)."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)


def of_record(record: ResultRecord, metric: str | None = None) -> Shown:
    """A metric of a record, by default its headline."""
    name = metric or record.main_metric
    found = record.metrics.get(name)
    if found is None:
        return Shown("–", "", "nan", "nan", "nan", record.run_hash, name)
    return of_estimate(found, record.run_hash, name)


def of_estimate(found: Estimate, run_hash: str, metric: str) -> Shown:
    ends = exact(found.ci_low), exact(found.ci_high)
    return Shown(number(found.value, found.unit), interval(found), exact(found.value), *ends, run_hash, metric)


def of_bounded(found: Bounded, place: str, unit: str = "", decimals: int = 2, percent: bool = False) -> Shown:
    """A number of the analysis. `place` is its JSON pointer in study.json, such as `/relations/3/pearson`."""
    scale, sign = (100.0, " %") if percent and math.isfinite(found.value) else (1.0, "")

    def word(value: float) -> str:
        return f"{scale * value:.{0 if percent else decimals}f}" if math.isfinite(value) else "–"

    span = f"[{word(found.low)}, {word(found.high)}]" if found.told else ""
    text = f"{word(found.value)}{sign}" if not unit else number(found.value, unit)
    return Shown(text, span, exact(found.value), exact(found.low), exact(found.high), place=place, note=found.note)


def of_number(value: float, place: str, decimals: int = 2) -> Shown:
    """A bare number of the analysis."""
    text = f"{value:.{decimals}f}" if math.isfinite(value) else "–"
    return Shown(text, "", exact(value), "nan", "nan", place=place)


def p_words(value: float, place: str) -> Shown:
    """A p-value; small ones as a bound."""
    text = "–" if not math.isfinite(value) else "< 0.001" if value < 0.001 else f"{value:.3f}"
    return Shown(text, "", exact(value), "nan", "nan", place=place)

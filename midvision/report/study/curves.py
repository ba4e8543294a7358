"""Curves of records: over layers, training images, sizes and difficulties; and over bins inside one record."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from midvision.report.figures import short
from midvision.report.groups import NAME_SHOWN
from midvision.report.numbers import metric_title
from midvision.report.rows import Ranking, Row
from midvision.report.study.charts import CURVES_SHOWN, PALETTE, curves
from midvision.report.study.figures_of import Shown, of_record
from midvision.report.study.names import page_name
from midvision.report.study.sweeps import Sweep

BINS: Mapping[str, tuple[str, str]] = {
    "rot": ("viewpoint change", "rotation between the views (degrees)"),
    "near": ("depth", "distance of the surface (metres)"),
    "edge": ("distance to a boundary", "distance to the nearest boundary (pixels)"),
}
BINNED = re.compile(r"^(?P<base>.+)_(?P<kind>rot|near|edge)_(?P<low>\d+)_(?P<high>\d+)$")


@dataclass(frozen=True, slots=True)
class CurveView:
    """A plot of the first lines with its key (colour and name), and all numbers as a table below."""

    anchor: str
    title: str
    words: str
    plot: Any
    key: tuple[tuple[str, str], ...]
    heads: tuple[str, ...]
    lines: tuple[tuple[str, str, tuple[Shown | None, ...]], ...]


def sweep_view(sweep: Sweep) -> CurveView:
    """One curve per encoder over what varies."""
    places = sorted({place for line in sweep.lines.values() for place, _ in line})
    numbers = {
        model: [(place, record.main.value, record.main.ci_low, record.main.ci_high) for place, record in line]
        for model, line in sweep.lines.items()
    }
    lines = []
    for model, line in sweep.lines.items():
        by_place = dict(line)
        cells = tuple(of_record(by_place[place]) if place in by_place else None for place in places)
        lines.append((short(model, NAME_SHOWN), page_name(model), cells))
    one = sweep.first
    return CurveView(
        f"{sweep.kind.name}-{one.run_hash}",
        sweep.title,
        f"{sweep.task} · {sweep.setting}",
        _plot(numbers, sweep.kind.axis, metric_title(one.main_metric), sweep.kind.logarithmic),
        _key(list(sweep.lines)),
        tuple(f"{place:g}" for place in places),
        tuple(lines),
    )


def bin_views(ranking: Ranking) -> list[CurveView]:
    """The headline's family over the bins that the records hold: viewpoint change, depth, distance to a boundary."""
    rows = [row for row in ranking.rows if row.role != "floor"]
    families: dict[tuple[str, str], list[tuple[int, int, str]]] = {}
    for name in dict.fromkeys(name for row in rows for name in row.record.metrics):
        found = BINNED.match(name)
        if found and any(_known(row, name) for row in rows):
            key = found["base"], found["kind"]
            families.setdefault(key, []).append((int(found["low"]), int(found["high"]), name))
    return [
        _bin_view(ranking, rows, base, kind, sorted(bins)) for (base, kind), bins in families.items() if len(bins) > 1
    ]


def _bin_view(
    ranking: Ranking, rows: Sequence[Row], base: str, kind: str, bins: Sequence[tuple[int, int, str]]
) -> CurveView:
    title, axis = BINS[kind]
    separate = [entry for entry in bins if not any(_inside(entry, other) for other in bins)]
    numbers = {
        _name(row): [
            ((low + high) / 2, found.value, found.ci_low, found.ci_high)
            for low, high, name in separate
            if (found := row.record.metrics.get(name)) is not None and math.isfinite(found.value)
        ]
        for row in rows
    }
    numbers = {name: line for name, line in numbers.items() if len(line) > 1}
    lines = tuple(
        (
            short(_name(row), NAME_SHOWN),
            page_name(row.record.model_id),
            tuple(of_record(row.record, name) for *_, name in bins),
        )
        for row in rows
    )
    return CurveView(
        f"{kind}-{base}-{ranking.anchor}",
        f"{metric_title(base)} by {title}",
        "",
        _plot(numbers, axis, metric_title(base), False) if numbers else "",
        _key(list(numbers)),
        tuple(f"{low}–{high}" for low, high, _ in bins),
        lines,
    )


def _inside(entry: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    """Whether another bin covers this one and more: the wide bin is drawn, and both are in the table."""
    return other[:2] != entry[:2] and other[0] <= entry[0] and entry[1] <= other[1]


def _name(row: Row) -> str:
    return row.record.model_id + (f" ({row.variant})" if row.variant else "")


def _known(row: Row, name: str) -> bool:
    return name in row.record.metrics and math.isfinite(row.record.metrics[name].value)


def _plot(
    numbers: Mapping[str, Sequence[tuple[float, float, float, float]]], x_title: str, y_title: str, logarithmic: bool
) -> Any:
    from markupsafe import Markup

    return Markup(curves(numbers, x_title, y_title, logarithmic))


def _key(names: Sequence[str]) -> tuple[tuple[str, str], ...]:
    return tuple((PALETTE[place], short(name, NAME_SHOWN)) for place, name in enumerate(names[:CURVES_SHOWN]))

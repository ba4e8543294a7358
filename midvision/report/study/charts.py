"""The study's plots as static SVG: scatters with a fit and its band, curves with intervals, models in strips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from midvision.report.figures import SOFT, chart_data, label_of, svg_of

PALETTE = ("#2a8c86", "#c2702c", "#7a6cc9", "#c25478", "#7d8f2e", "#3f86c7", "#9a6b4f", "#84878c")
"""Readable on the light and on the dark ground alike."""
SHAPES = ("circle", "square", "triangle-up", "diamond")
CURVES_SHOWN = len(PALETTE)
MOST_TICKS = 14
WIDTH_PX, HEIGHT_PX = 300, 200


@dataclass(frozen=True, slots=True)
class Dotted:
    """A model in a scatter; `kind` chooses colour and shape."""

    label: str
    kind: str
    x: float
    y: float


@lru_cache(maxsize=512)
def scatter(
    points: tuple[Dotted, ...],
    kinds: tuple[str, ...],
    x_title: str,
    y_title: str,
    band: tuple[tuple[float, float, float, float], ...] = (),
) -> str:
    """Models as points; `band` rows are (x, fit, low, high). Kept, since the overview and a task show the same."""
    import altair as alt

    named = _uncrowded(points)
    rows = [
        {
            "label": label_of(point.label) if place in named else "",
            "kind": point.kind,
            "x": point.x,
            "y": point.y,
            "side": "right" if named.get(place) else "left",
        }
        for place, point in enumerate(points)
    ]
    xs = alt.X("x:Q", scale=alt.Scale(zero=False, padding=14, nice=False), title=x_title)
    ys = alt.Y("y:Q", scale=alt.Scale(zero=False, padding=10, nice=False), title=y_title)
    base = alt.Chart(chart_data(rows)).encode(x=xs, y=ys)
    dots = base.mark_point(filled=True, size=58, opacity=0.95).encode(
        color=alt.Color("kind:N", scale=alt.Scale(domain=list(kinds), range=list(PALETTE)), legend=None),
        shape=alt.Shape("kind:N", scale=alt.Scale(domain=list(kinds), range=list(SHAPES)), legend=None),
    )
    layers: list[Any] = [dots]
    left = base.transform_filter("datum.side == 'left' && datum.label != ''")
    right = base.transform_filter("datum.side == 'right' && datum.label != ''")
    layers.append(left.mark_text(dx=7, align="left", fontSize=9, color=SOFT).encode(text="label:N"))
    layers.append(right.mark_text(dx=-7, align="right", fontSize=9, color=SOFT).encode(text="label:N"))
    if band:
        fit = alt.Chart(chart_data([{"x": x, "fit": fit, "low": low, "high": high} for x, fit, low, high in band]))
        layers.insert(0, fit.mark_area(opacity=0.14, color=PALETTE[0]).encode(x=xs, y=alt.Y("low:Q"), y2="high:Q"))
        layers.insert(1, fit.mark_line(color=PALETTE[0], strokeWidth=1.4).encode(x=xs, y=alt.Y("fit:Q")))
    chart = alt.layer(*layers).properties(width=WIDTH_PX, height=HEIGHT_PX)
    return svg_of(chart, f"{y_title} against {x_title}, {len(points)} models")


def _uncrowded(points: Sequence[Dotted]) -> dict[int, bool]:
    """Points whose names may be written, and whether to the left of the point: no name covers another or a dot."""
    if not points:
        return {}
    width = max(point.x for point in points) - min(point.x for point in points) or 1.0
    height = max(point.y for point in points) - min(point.y for point in points) or 1.0
    middle = min(point.x for point in points) + 0.6 * width
    boxes: list[tuple[float, float, float, float]] = []
    found: dict[int, bool] = {}
    order = sorted(range(len(points)), key=lambda place: (-abs(points[place].y - _mean_y(points)), place))
    for place in order:
        point = points[place]
        reach = 0.019 * width * len(label_of(point.label)) + 0.03 * width
        leftwards = point.x > middle
        left, right = (point.x - reach, point.x) if leftwards else (point.x, point.x + reach)
        box = (left, right, point.y - 0.035 * height, point.y + 0.035 * height)
        free = not any(_overlap(box, other) for other in boxes)
        free = free and not any(
            box[0] <= other.x <= box[1] and box[2] <= other.y <= box[3]
            for index, other in enumerate(points)
            if index != place
        )
        if free:
            boxes.append(box)
            found[place] = leftwards
    return found


def _mean_y(points: Sequence[Dotted]) -> float:
    return sum(point.y for point in points) / len(points)


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[1] and b[0] < a[1] and a[2] < b[3] and b[2] < a[3]


def curves(
    lines: Mapping[str, Sequence[tuple[float, float, float, float]]],
    x_title: str,
    y_title: str,
    logarithmic: bool = False,
) -> str:
    """One line per model in the order of the palette; rows are (x, value, low, high)."""
    import altair as alt

    names = list(lines)[:CURVES_SHOWN]
    rows = [
        {
            "at": f"{place:02d}",
            "x": x,
            "y": y,
            "low": low if math.isfinite(low) else y,
            "high": high if math.isfinite(high) else y,
        }
        for place, name in enumerate(names)
        for x, y, low, high in lines[name]
        if math.isfinite(y)
    ]
    places = [f"{place:02d}" for place in range(len(names))]
    colour = alt.Color("at:N", scale=alt.Scale(domain=places, range=list(PALETTE[: len(names)])), legend=None)
    values = sorted({row["x"] for row in rows if isinstance(row["x"], float)})
    words = "datum.value >= 1000 ? format(datum.value, '~s') : datum.value"
    axis = alt.Axis(values=values, labelExpr=words) if len(values) <= MOST_TICKS else alt.Axis(labelExpr=words)
    scale = alt.Scale(type="log" if logarithmic else "linear", zero=False, padding=10, nice=False)
    xs = alt.X("x:Q", scale=scale, title=x_title, axis=axis)
    ys = alt.Y("y:Q", scale=alt.Scale(zero=False, padding=8), title=y_title)
    data = alt.Chart(chart_data(rows)).encode(x=xs, color=colour)
    whiskers = data.mark_rule(strokeWidth=1.4, opacity=0.35).encode(y=alt.Y("low:Q", title=y_title), y2="high:Q")
    line = data.mark_line(strokeWidth=1.8).encode(y=ys)
    dots = data.mark_point(filled=True, size=34, opacity=1).encode(y=ys)
    chart = alt.layer(whiskers, line, dots).properties(width=WIDTH_PX, height=HEIGHT_PX)
    return svg_of(chart, f"{y_title} against {x_title}, {len(names)} encoders")

"""Dot plots with intervals and the score-against-size plot, drawn by Altair and turned into static SVG.

The SVG carries the light theme's colours; the page's style sheet recolours them by value for the dark theme, so
the plots need no script and no network.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Role = Literal["model", "control", "ceiling", "floor"]

INK, SOFT, HAIR, LINE = "#1e2124", "#5d615f", "#efece4", "#e2dfd6"
COLOURS: dict[Role, str] = {"model": "#0d6b68", "control": "#7d8088", "ceiling": "#a87910", "floor": "#7d8088"}
FLOOR_LINE = "#a4493d"
LABEL_LIMIT = 25
LABEL_PX, PLOT_PX = 152, 178
SIZE_TITLE = "parameters (millions)"
COST_TITLE = "GFLOPs per image"
SPEED_TITLE = "images per second"
SIZE_TICKS = (0.1, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000)


@dataclass(frozen=True, slots=True)
class Dot:
    """One record in a dot plot; `value` and its interval in the metric's unit."""

    label: str
    role: Role
    value: float
    low: float
    high: float


def short(name: str, limit: int = LABEL_LIMIT) -> str:
    """A label that fits: the middle of a long name gives way."""
    if len(name) <= limit:
        return name
    head = (limit - 1) * 2 // 3
    return name[:head] + "…" + name[len(name) - (limit - 1 - head) :]


def dot_plot(dots: Sequence[Dot], floors: Sequence[float], axis_title: str, domain: tuple[float, float]) -> str:
    """Values with intervals, one line per record in the order given; floors as dotted rules."""
    import altair as alt

    names = {f"{place:04d}": label_of(dot.label) for place, dot in enumerate(dots)}
    rows = [
        {"at": at, "role": dot.role, "value": dot.value, "low": dot.low, "high": dot.high}
        for at, dot in zip(names, dots, strict=True)
    ]
    words = "".join(f"datum.value=='{at}' ? {quoted(name)} : " for at, name in names.items())
    names_axis = alt.Axis(
        labelExpr=f"({words}'')", labelLimit=0, minExtent=LABEL_PX, maxExtent=LABEL_PX, domain=False, ticks=False
    )
    y = alt.Y("at:N", sort=None, title=None, axis=names_axis)
    x = alt.X("value:Q", scale=alt.Scale(domain=list(domain), nice=False), title=axis_title)
    data = alt.Chart(chart_data(rows))
    whiskers = data.mark_rule(strokeWidth=2.6, opacity=0.45, strokeCap="round").encode(
        x=alt.X("low:Q", title=axis_title), x2="high:Q", y=y, color=_colour()
    )
    points = data.mark_point(filled=True, size=58, opacity=1).encode(x=x, y=y, color=_colour())
    layers: list[Any] = [whiskers, points]
    if floors:
        marks = alt.Chart(chart_data([{"floor": value} for value in floors]))
        layers.insert(0, marks.mark_rule(color=FLOOR_LINE, strokeDash=[2, 3], strokeWidth=1.2).encode(x="floor:Q"))
    chart = alt.layer(*layers).properties(width=PLOT_PX, height=alt.Step(19))
    return svg_of(chart, f"Dot plot of {axis_title} with intervals")


def size_plot(
    points: Sequence[tuple[str, Role, float, float]],
    axis_title: str,
    domain: tuple[float, float],
    size_title: str = SIZE_TITLE,
) -> str:
    """Score (last) against size or cost (third), logarithmic; a name where it hides no other."""
    import altair as alt

    sizes = [size for _, _, size, _ in points]
    # A name runs to the right of its point, so the axis leaves room there.
    limits = (min(sizes) / 1.5, max(sizes) * 3.5)
    ticks = [tick for tick in SIZE_TICKS if limits[0] <= tick <= limits[1]]
    named = _uncrowded(points, limits, domain)
    rows = [
        {"label": label_of(name) if (name, size, value) in named else "", "role": role, "size": size, "value": value}
        for name, role, size, value in points
    ]
    x_axis = alt.Axis(values=ticks, format="~s")
    base = alt.Chart(chart_data(rows)).encode(
        x=alt.X("size:Q", scale=alt.Scale(type="log", domain=list(limits), nice=False), title=size_title, axis=x_axis),
        y=alt.Y("value:Q", scale=alt.Scale(domain=list(domain), nice=False), title=axis_title),
    )
    names = base.mark_text(dx=7, align="left", fontSize=10, color=SOFT).encode(text="label:N")
    dots = base.mark_point(filled=True, size=64, opacity=1).encode(color=_colour())
    return svg_of((dots + names).properties(width=300, height=190), f"{axis_title} against {size_title}")


def _uncrowded(
    points: Sequence[tuple[str, Role, float, float]], limits: tuple[float, float], domain: tuple[float, float]
) -> set[tuple[str, float, float]]:
    """The points whose names may be written, best first: a name covers no other name and no other dot."""
    reach_x, reach_y = 0.5 * math.log(limits[1] / limits[0]), 0.07 * abs(domain[1] - domain[0])
    taken: list[tuple[str, float, float]] = []
    for name, _, size, value in points:
        near_name = any(abs(math.log(size / s)) < reach_x and abs(value - v) < reach_y for _, s, v in taken)
        over_dot = any(0 < math.log(s / size) < reach_x and abs(value - v) < reach_y / 2 for _, _, s, v in points)
        if not near_name and not over_dot:
            taken.append((name, size, value))
    return set(taken)


def label_of(name: str) -> str:
    """A plot label: timm's prefix says least and goes first."""
    return short(name.removeprefix("timm/"))


def _colour() -> Any:
    import altair as alt

    return alt.Color("role:N", scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())), legend=None)


def chart_data(rows: Sequence[Mapping[str, object]]) -> Any:
    import altair as alt

    return alt.Data(values=list(rows))  # type: ignore[no-untyped-call]


def quoted(text: str) -> str:
    """A string literal of the Vega expression language; every unusual character as an escape."""
    plain = (char if char.isascii() and (char.isalnum() or char in " ._-/:") else _escaped(char) for char in text)
    return "'" + "".join(plain) + "'"


def _escaped(char: str) -> str:
    units = char.encode("utf-16-be", errors="replace")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))


def svg_of(chart: Any, label: str) -> str:
    import vl_convert

    spec = chart.configure(
        background="transparent",
        font="sans-serif",
        padding=4,
        view={"stroke": "transparent"},
        axis={
            "labelColor": SOFT, "titleColor": SOFT, "gridColor": HAIR, "tickColor": LINE, "domainColor": LINE,
            "labelFontSize": 11, "titleFontSize": 11, "titleFontWeight": "normal", "titlePadding": 6, "tickCount": 5,
        },
        axisY={"grid": False, "labelColor": INK, "labelPadding": 7},
    ).to_dict()  # fmt: skip
    svg = str(vl_convert.vegalite_to_svg(spec))
    svg = re.sub(r'\s(?:xmlns(?::\w+)?|version|class|aria-\w+|role)="[^"]*"', "", svg)
    svg = re.sub(r'<svg width="[\d.]+" height="[\d.]+"', "<svg", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{_attribute(label)}"', 1)


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;").replace(">", "&gt;")

"""A paper's table as a figure, SVG or PDF: one column of dots with intervals per metric, models in rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from midvision.core.places import write_atomic, write_text
from midvision.report.figures import COLOURS, HAIR, INK, LINE, SOFT, quoted, short
from midvision.report.paper.table import Heading, Line, PaperTable, unit_title

DRAWN = ("svg", "pdf")
COLUMN_PX, ROW_PX = 92, 15
"""Columns hold one metric each; a figure of twelve fits a page in landscape."""


def draw_table(table: PaperTable, path: Path) -> None:
    """Write the figure in the format that the path's ending names."""
    import vl_convert

    spec = figure_spec(table)
    if path.suffix == ".pdf":
        data: bytes = vl_convert.vegalite_to_pdf(spec)
        write_atomic(path, lambda draft: draft.write_bytes(data))
    else:
        write_text(path, str(vl_convert.vegalite_to_svg(spec)))


def figure_spec(table: PaperTable) -> dict[str, Any]:
    """Vega-Lite: panels side by side share the rows, each has its own axis."""
    import altair as alt

    panels = [_panel(table.lines, heading, first=place == 0) for place, heading in enumerate(table.headings)]
    chart = alt.hconcat(*panels, spacing=10).properties(title=short(table.title, 110))
    spec: dict[str, Any] = chart.configure(
        background="white",
        font="sans-serif",
        view={"stroke": "transparent"},
        title={"anchor": "start", "fontSize": 11, "color": INK},
        axis={
            "labelColor": SOFT, "titleColor": INK, "gridColor": HAIR, "tickColor": LINE, "domainColor": LINE,
            "labelFontSize": 8, "titleFontSize": 9, "titleFontWeight": "normal", "tickCount": 3,
        },
    ).to_dict()  # fmt: skip
    return spec


def _panel(lines: Sequence[Line], heading: Heading, first: bool) -> Any:
    import altair as alt

    scale = 100.0 if heading.unit == "share" else 1.0
    rows = []
    for place, line in enumerate(lines):
        entry = line.entries.get(heading.name)
        if entry is None or not entry.known:
            continue
        ends = [entry.low, entry.high] if math.isfinite(entry.low) and math.isfinite(entry.high) else [entry.value] * 2
        numbers = {name: scale * value for name, value in zip(("value", "low", "high"), (entry.value, *ends))}
        rows.append({"at": f"{place:04d}", "best": entry.best, **numbers})
    order = [f"{place:04d}" for place in range(len(lines))]
    words = "".join(f"datum.value=='{at}' ? {quoted(short(line.label, 34))} : " for at, line in zip(order, lines))
    names = alt.Axis(
        labelExpr=f"({words}'')", labelLimit=0, labelFontSize=9, domain=False, ticks=False, labels=first, grid=True
    )
    y = alt.Y("at:N", sort=None, scale=alt.Scale(domain=order), title=None, axis=names)
    unit = unit_title(heading.unit)
    arrow = "↑" if heading.higher_is_better else "↓"
    dagger = " †" if heading.origin == "published" else ""
    title = [f"{heading.title}{f' ({unit})' if unit else ''} {arrow}{dagger}"]
    if heading.group:
        title.insert(0, heading.group)
    axis = alt.Axis(orient="top", title=title, grid=False)
    x = alt.X("value:Q", scale=alt.Scale(zero=False), axis=axis)
    data = alt.Chart(alt.Data(values=rows))  # type: ignore[no-untyped-call]
    colour = alt.Color(
        "best:N", scale=alt.Scale(domain=[True, False], range=[COLOURS["model"], COLOURS["control"]]), legend=None
    )
    ends = data.mark_rule(strokeWidth=1.6, opacity=0.5).encode(x="low:Q", x2="high:Q", y=y, color=colour)
    dots = data.mark_point(filled=True, size=26, opacity=1).encode(x=x, y=y, color=colour)
    return (ends + dots).properties(width=COLUMN_PX, height=ROW_PX * len(lines))

"""All encoders against all rankings, and the score against size and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from midvision.report.figures import COST_TITLE, SIZE_TITLE, SPEED_TITLE, Role, short, size_plot
from midvision.report.groups import NAME_SHOWN, Column, GroupView, axis_domain, title_and_question
from midvision.report.numbers import ARROWS, exact, metric_title, number
from midvision.report.rows import Ranking, Row, role_of
from midvision.results.record import ResultRecord

RULE = (
    "Mean rank: the average of an encoder's shared ranks over these columns, shown where it took part in every one of "
    "them. References (ceiling and floors) are not ranked. Bold: no other record is reliably better."
)
FEWEST_SIZES = 3


@dataclass(frozen=True, slots=True)
class MatrixCell:
    text: str
    exact: str
    href: str
    first: bool


@dataclass(frozen=True, slots=True)
class MatrixLine:
    model: str
    label: str
    role: Role
    mean_rank: str
    mean_rank_exact: str
    cells: tuple[MatrixCell, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    anchor: str
    protocol: str
    rule: str
    columns: tuple[Column, ...]
    lines: tuple[MatrixLine, ...]


def matrices(rankings: Sequence[Ranking], groups: Sequence[GroupView]) -> list[Matrix]:
    """One table per protocol that has several rankings: protocols are never averaged over."""
    found: dict[tuple[str, int], list[tuple[Ranking, GroupView]]] = {}
    for ranking, group in zip(rankings, groups, strict=True):
        found.setdefault((ranking.key.protocol, ranking.key.protocol_version), []).append((ranking, group))
    return [
        _matrix(f"matrix-{place}", f"{name} v{version}", members)
        for place, ((name, version), members) in enumerate(found.items())
        if len(members) > 1
    ]


def _matrix(anchor: str, protocol: str, members: Sequence[tuple[Ranking, GroupView]]) -> Matrix:
    """One line per encoder, one column per ranking; of several seeds the first stands for all."""
    columns = tuple(
        Column(
            group.nav,
            f"{group.headline}: {ARROWS[ranking.first.main.higher_is_better]}",
            "descending" if ranking.first.main.higher_is_better else "ascending",
        )
        for ranking, group in members
    )
    rankings = [ranking for ranking, _ in members]
    models = list(dict.fromkeys(row.record.model_id for ranking in rankings for row in ranking.rows))
    lines = [_line(model, rankings) for model in models]
    lines.sort(key=_place)
    return Matrix(anchor, protocol, RULE, columns, tuple(lines))


def _place(line: MatrixLine) -> tuple[int, float, str]:
    """The ceiling leads and floors close; between them by mean rank, encoders without one last."""
    rank = float(line.mean_rank_exact)
    return {"ceiling": 0, "floor": 2}.get(line.role, 1), rank if math.isfinite(rank) else math.inf, line.model


def _line(model: str, rankings: Sequence[Ranking]) -> MatrixLine:
    rows = [_row_of(model, ranking) for ranking in rankings]
    ranks = [row.rank for row in rows if row is not None and row.rank is not None]
    mean = sum(ranks) / len(ranks) if len(ranks) == len(rankings) else math.nan
    cells = tuple(
        MatrixCell("", "nan", "", False)
        if row is None
        else MatrixCell(number(row.main.value, row.main.unit), exact(row.main.value), row.anchor, row.rank == 1)
        for row in rows
    )
    text = f"{mean:.1f}" if math.isfinite(mean) else "–"
    return MatrixLine(model, short(model, NAME_SHOWN), role_of(model), text, exact(mean), cells)


def _row_of(model: str, ranking: Ranking) -> Row | None:
    return next((row for row in ranking.rows if row.record.model_id == model), None)


def size_plots(rankings: Sequence[Ranking], fewest: int = FEWEST_SIZES) -> list[tuple[str, str, Any]]:
    """Title, setting and plot of score against parameters, operations and speed, where `fewest` values differ."""
    from markupsafe import Markup

    found = []
    for ranking in rankings:
        title, _ = title_and_question(ranking.first)
        axis = metric_title(ranking.first.main_metric)
        words = f"{ranking.key.protocol}{', ' + ranking.key.probe if ranking.key.probe else ''}"
        for size_title, size_of in ((SIZE_TITLE, _millions), (COST_TITLE, _gflops), (SPEED_TITLE, _speed)):
            points = [
                (row.record.model_id, row.role, size, row.main.value)
                for row in ranking.rows
                if row.role in ("model", "control") and (size := size_of(row.record))
            ]
            if len({size for _, _, size, _ in points}) >= fewest:
                svg = size_plot(points, axis, axis_domain(ranking), size_title)
                found.append((title, f"{words}, {size_title}", Markup(svg)))
    return found


def _millions(record: ResultRecord) -> float:
    return float(record.model.get("params") or 0) / 1e6


def _gflops(record: ResultRecord) -> float:
    """At the run's own input size; 0 where it was not counted."""
    return float(record.cost.get("gflops") or 0)


def _speed(record: ResultRecord) -> float:
    """Images per second inside the encoder; 0 where it was never seen at work."""
    return float(record.cost.get("images_per_s") or 0)

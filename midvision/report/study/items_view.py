"""Which items are hardest for everyone, and on which encoders differ most; from the per-item scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from midvision.analysis.headline import headline_metric
from midvision.metrics.reduce import ratio, terms
from midvision.report.figures import short
from midvision.report.groups import NAME_SHOWN
from midvision.report.numbers import exact, number
from midvision.report.rows import Ranking, Row
from midvision.results.record import ResultRecord

SHOWN = 6
FEWEST_ENCODERS = 2


@dataclass(frozen=True, slots=True)
class ItemLine:
    """One item: mean and spread (standard deviation) over encoders, who did best and who worst."""

    id: str
    group: str
    mean: str
    mean_exact: str
    spread: str
    spread_exact: str
    best: str
    best_name: str
    worst: str
    worst_name: str


@dataclass(frozen=True, slots=True)
class ItemsView:
    metric: str
    encoders: int
    hardest: tuple[ItemLine, ...]
    disputed: tuple[ItemLine, ...]


def items_view(ranking: Ranking) -> ItemsView | None:
    """Over encoders that are no reference; None where per-item scores are missing or there are too few encoders."""
    rows = [row for row in ranking.rows if row.role == "model"] or [
        row for row in ranking.rows if row.role == "control"
    ]
    kept = [(row, values) for row in rows if (values := item_values(row)) is not None]
    if len(kept) < FEWEST_ENCODERS:
        return None
    first = kept[0][0].scores
    assert first is not None
    kept = [(row, values) for row, values in kept if row.scores is not None and row.scores.ids == first.ids]
    table = np.stack([values for _, values in kept])
    there = np.isfinite(table).all(axis=0)
    places = np.flatnonzero(there)
    if len(kept) < FEWEST_ENCODERS or not len(places):
        return None
    sign = 1.0 if ranking.first.main.higher_is_better else -1.0
    means, spreads = table[:, places].mean(axis=0), table[:, places].std(axis=0)
    records = [row.record for row, _ in kept]

    def line(where: int) -> ItemLine:
        place = int(places[where])
        return _line(first.ids[place], first.groups[place], table[:, place], records, sign)

    hardest = np.argsort(sign * means, kind="stable")[:SHOWN]
    disputed = np.argsort(-spreads, kind="stable")[:SHOWN]
    return ItemsView(
        ranking.first.main_metric,
        len(kept),
        tuple(line(int(where)) for where in hardest),
        tuple(line(int(where)) for where in disputed),
    )


def item_values(row: Row) -> np.ndarray | None:
    """The headline of every item, `[N]`; None where the scores do not hold it."""
    metric = headline_metric(row.record, row.scores) if row.scores else None
    if row.scores is None or metric is None:
        return None
    return np.asarray(ratio(*terms(metric, row.scores.columns)), dtype=np.float64)


def _line(id: str, group: str, values: np.ndarray, records: Sequence[ResultRecord], sign: float) -> ItemLine:
    unit = records[0].main.unit
    best, worst = int(np.argmax(sign * values)), int(np.argmin(sign * values))
    mean, spread = float(values.mean()), float(values.std())
    return ItemLine(
        id,
        group,
        number(mean, unit),
        exact(mean),
        number(spread, unit),
        exact(spread),
        number(float(values[best]), unit),
        short(records[best].model_id, NAME_SHOWN),
        number(float(values[worst]), unit),
        short(records[worst].model_id, NAME_SHOWN),
    )

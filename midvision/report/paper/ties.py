"""Which entries of a column may be printed in bold: the best, and those not told apart from it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from midvision.analysis.ranks import ALPHA, holm
from midvision.analysis.resample import paired_difference
from midvision.core.errors import ComparisonError
from midvision.core.scores import Metric, Scores
from midvision.report.rows import Row

DRAWS = 2
"""Ties use the paired error only, so the draws of the interval are not needed."""


def best_rows(rows: Sequence[Row], name: str) -> set[str]:
    """Run hashes of the best record by metric `name` and of all whose paired difference from it is within chance.

    Holm-corrected over the comparisons with the best. Where per-item scores are missing only the best is named.
    """
    known = [row for row in rows if name in row.record.metrics and math.isfinite(row.record.metrics[name].value)]
    if not known:
        return set()
    sign = 1.0 if known[0].record.metrics[name].higher_is_better else -1.0
    best = max(known, key=lambda row: sign * row.record.metrics[name].value)
    others = [row for row in known if row is not best]
    metric = metric_of(best.record.task, name)
    p_values = [_p_value(best.scores, row.scores, metric) for row in others]
    differs = holm(p_values, ALPHA)
    tied = {row.record.run_hash for row, apart in zip(others, differs, strict=True) if not apart}
    equal = {row.record.run_hash for row in others if _value(row, name) == _value(best, name)}
    lost = {row.record.run_hash for row, p_value in zip(others, p_values, strict=True) if p_value < 0}
    return {best.record.run_hash} | equal | (tied - lost)


def metric_of(task: str, name: str) -> Metric | None:
    """How a task makes this metric of item columns; None where the task is not installed."""
    from midvision.tasks.task import all_tasks

    known = all_tasks().get(task)
    return next((metric for metric in known.metrics if metric.name == name), None) if known else None


def _value(row: Row, name: str) -> float:
    return row.record.metrics[name].value


def _p_value(best: Scores | None, other: Scores | None, metric: Metric | None) -> float:
    """-1 where the two cannot be compared item by item; 1 where nothing tells them apart (one group)."""
    if best is None or other is None or metric is None or not _has(best.columns, other.columns, metric):
        return -1.0
    try:
        found = paired_difference(best, other, metric, n=DRAWS).p_value
    except ComparisonError:
        return -1.0
    return found if found == found else 1.0


def _has(best: Mapping[str, object], other: Mapping[str, object], metric: Metric) -> bool:
    return all(column in side for side in (best, other) for column in (metric.column, metric.over or metric.column))

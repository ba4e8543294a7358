"""How a record's numbers are made of its items' columns."""

from __future__ import annotations

from midvision.core.scores import Metric, Scores
from midvision.results.record import ResultRecord
from midvision.tasks.task import all_tasks


def headline_metric(record: ResultRecord, scores: Scores) -> Metric | None:
    """How the record's headline is made of its items' columns: from its task, else a plain mean of its own column."""
    task = all_tasks().get(record.task)
    for metric in task.metrics if task else ():
        if metric.name == record.main_metric and {metric.column, metric.over or metric.column} <= set(scores.columns):
            return metric
    main = record.main
    if record.main_metric not in scores.columns:
        return None
    return Metric(
        record.main_metric, main.unit, main.higher_is_better, main.low, main.high, record.main_metric, None, main.chance
    )


def metrics_of(record: ResultRecord, scores: Scores) -> tuple[Metric, ...]:
    """Every metric of the record's task that its items' columns can give; the headline first."""
    headline = headline_metric(record, scores)
    task = all_tasks().get(record.task)
    declared = [metric for metric in (task.metrics if task else ()) if metric.name in record.metrics]
    there = [m for m in declared if {m.column, m.over or m.column} <= set(scores.columns)]
    first = () if headline is None else (headline,)
    return (*first, *(metric for metric in there if metric.name != record.main_metric))

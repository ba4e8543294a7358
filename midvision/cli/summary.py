"""A run's numbers for the terminal: encoders down, tasks across."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midvision.results.record import ResultRecord


def summary(records: Sequence[ResultRecord]) -> tuple[list[str], list[list[str]]]:
    """Head and rows; a cell is the headline with half its interval. What may not be compared gets its own column."""
    from midvision.report.numbers import metric_title
    from midvision.results.query import Results

    columns: list[tuple[str, dict[str, str]]] = []
    for key, group in Results(records).comparable_groups().items():
        probe = f"\n{key.probe}" if key.probe else ""
        limited = ", limited" if key.limited else ""
        title = f"{key.task}{probe}\n{key.protocol}{limited}\n{metric_title(group[0].main_metric)}"
        columns.append((title, {_who(record): _cell(record) for record in group}))
    floors = _floors(records)
    rows = [[who, *(cells.get(who, "–") for _, cells in columns)] for who in dict.fromkeys(map(_who, records))]
    if any(floors):
        rows.append(["(floor: chance or best constant)", *floors])
    return ["encoder", *(title for title, _ in columns)], rows


def _floors(records: Sequence[ResultRecord]) -> list[str]:
    from midvision.report.rows import floors_of
    from midvision.results.query import Results

    found = []
    for group in Results(records).comparable_groups().values():
        values = [floor.value for floor in floors_of(list(group)).values()]
        better = max if group[0].main.higher_is_better else min
        found.append(f"{better(values):.3f}" if values else "")
    return found


def _who(record: ResultRecord) -> str:
    return record.model_id + (f" (seed {record.seed})" if record.seed else "")


def _cell(record: ResultRecord) -> str:
    from midvision.report.numbers import number

    half = (record.main.ci_high - record.main.ci_low) / 2
    decimals = 1 if record.main.unit in ("deg", "px") else 3
    spread = f" ±{half:.{decimals}f}" if half == half else ""
    return number(record.main.value, record.main.unit) + spread


def failure_record(failure: Any) -> dict[str, Any]:
    """A failure as plain words, whether it comes from this run or from a folder."""
    model = failure.model["id"] if isinstance(failure.model, Mapping) else failure.model
    error = getattr(failure, "error", "")
    kind = error if isinstance(error, str) else type(error).__name__
    return {
        "model": str(model),
        "task": str(failure.task),
        "error": kind,
        "reason": getattr(failure, "message", "") or str(error),
    }

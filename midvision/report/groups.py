"""One ranking as the page shows it: table, plot, floors, examples; and the table of encoders by task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from midvision.analysis.headline import headline_metric
from midvision.core.scores import Estimate
from midvision.metrics.reduce import ratio, terms
from midvision.report.examples import (
    ENCODERS_SHOWN,
    DenseExample,
    Example,
    PairExample,
    TripletExample,
    Witness,
    examples,
)
from midvision.report.figures import Dot, Role, dot_plot, short
from midvision.report.numbers import ARROWS, exact, interval, metric_title, number
from midvision.report.rows import Ranking, Row, set_apart
from midvision.results.record import ResultRecord

METRICS_SHOWN = 5
NAME_SHOWN = 64
LEGENDS: Mapping[str, str] = {
    "depth": "Depth from near (light) to far (dark), in the same colours for truth and predictions of one image.",
    "normals": "Colours show where a surface faces: red right, green up, blue towards the viewer; grey is unknown.",
    "boundaries": "Orange: boundary, by the share of people who drew it. The stronger the colour, the surer the probe.",
    "segmentation": "Orange: object. The stronger the colour, the surer the probe.",
}


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    hint: str
    first: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    interval: str
    exact: str
    low: str = "nan"
    high: str = "nan"


@dataclass(frozen=True, slots=True)
class Floor:
    title: str
    text: str
    place: float


@dataclass(frozen=True, slots=True)
class RowView:
    """A table row; `strip` is left edge, width and dot of the interval in percent of the axis."""

    anchor: str
    model: str
    label: str
    variant: str
    role: Role
    rank: int | None
    rank_value: str
    rank_span: str
    verdict: str
    cells: tuple[Cell, ...]
    strip: tuple[float, float, float] | None


@dataclass(frozen=True, slots=True)
class GroupView:
    anchor: str
    nav: str
    title: str
    question: str
    setting: str
    chips: tuple[tuple[str, str], ...]
    headline: str
    columns: tuple[Column, ...]
    rows: tuple[RowView, ...]
    floors: tuple[Floor, ...]
    ceiling: str
    axis: tuple[str, str]
    plot: Any
    note: str
    legend: str
    ranked: bool
    dense: tuple[DenseExample, ...]
    pairs: tuple[PairExample, ...]
    triplets: tuple[TripletExample, ...]


@dataclass(frozen=True, slots=True)
class Apart:
    """What takes part in no ranking, with the reason."""

    model: str
    task: str
    reason: str
    kind: str
    href: str = ""


def group_view(ranking: Ranking, nav: str, encoders: int = ENCODERS_SHOWN, plotted: bool = True) -> GroupView:
    """Everything a page shows of one comparability group; pictures of the first `encoders` records."""
    record = ranking.first
    names = shown_metrics(ranking)
    domain = axis_domain(ranking)
    title, question = title_and_question(record)
    floors = [
        Floor(name, number(floor.value, floor.unit), _place(floor.value, domain))
        for name, floor in ranking.floors.items()
    ]
    found = _examples(ranking, encoders)
    return GroupView(
        anchor=ranking.anchor,
        nav=nav,
        title=title,
        question=question,
        setting=f"{record.task} · {record.protocol['name']} v{record.protocol['version']} · {_probe_words(record)}",
        chips=_chips(record),
        headline=record.main_metric,
        columns=tuple(_column(name, record.metrics[name]) for name in names),
        rows=tuple(_row_view(row, names, domain) for row in ranking.rows),
        floors=tuple(floors),
        ceiling=number(ranking.ceiling.value, ranking.ceiling.unit) if ranking.ceiling else "",
        axis=(number(domain[0], record.main.unit), number(domain[1], record.main.unit)),
        plot=_plot(ranking, domain) if plotted else "",
        note=_note(ranking),
        legend=LEGENDS.get(_dense_kind(record), ""),
        ranked=any(row.rank for row in ranking.rows),
        dense=tuple(one for one in found if isinstance(one, DenseExample)),
        pairs=tuple(one for one in found if isinstance(one, PairExample)),
        triplets=tuple(one for one in found if isinstance(one, TripletExample)),
    )


def title_and_question(record: ResultRecord) -> tuple[str, str]:
    """The task's own words; a task that is not installed keeps its id."""
    from midvision.tasks.task import all_tasks

    task = all_tasks().get(record.task)
    return (task.title, task.question) if task else (record.task, "")


def shown_metrics(ranking: Ranking) -> list[str]:
    """The headline and the next metrics that any record of the group has a value for."""
    record = ranking.first
    names = [record.main_metric, *(name for name in record.metrics if name != record.main_metric)]
    known = [
        name
        for name in names
        if any(name in row.record.metrics and math.isfinite(row.record.metrics[name].value) for row in ranking.rows)
    ]
    return known[:METRICS_SHOWN]


def axis_domain(ranking: Ranking) -> tuple[float, float]:
    """A range that holds every value, interval and floor of the headline, inside what the metric allows."""
    values: list[float] = [floor.value for floor in ranking.floors.values()]
    for row in ranking.rows:
        values += [row.main.value, row.main.ci_low, row.main.ci_high]
    known = [value for value in values if math.isfinite(value)]
    low, high = min(known), max(known)
    margin = 0.04 * (high - low) or 0.05 * (abs(high) or 1.0)
    return max(low - margin, ranking.rows[0].main.low), min(high + margin, ranking.rows[0].main.high)


def _place(value: float, domain: tuple[float, float]) -> float:
    return round(100 * min(max((value - domain[0]) / max(domain[1] - domain[0], 1e-12), 0.0), 1.0), 2)


def _column(name: str, estimate: Estimate) -> Column:
    unit = f", {estimate.unit}" if estimate.unit not in ("share", "ratio", "") else ""
    hint = f"{name}: {ARROWS[estimate.higher_is_better]}{unit}"
    return Column(metric_title(name), hint, "descending" if estimate.higher_is_better else "ascending", name)


def _row_view(row: Row, names: Sequence[str], domain: tuple[float, float]) -> RowView:
    cells = []
    for name in names:
        estimate = row.record.metrics.get(name)
        if estimate is None:
            cells.append(Cell("–", "", "nan"))
            continue
        ends = exact(estimate.ci_low), exact(estimate.ci_high)
        cells.append(Cell(number(estimate.value, estimate.unit), interval(estimate), exact(estimate.value), *ends))
    low, high, dot = (_place(value, domain) for value in (row.main.ci_low, row.main.ci_high, row.main.value))
    span = f"{row.rank}–{row.worst_rank}" if row.rank != row.worst_rank else ""
    return RowView(
        anchor=row.anchor,
        model=row.record.model_id,
        label=short(row.record.model_id, NAME_SHOWN),
        variant=row.variant,
        role=row.role,
        rank=row.rank,
        rank_value=str(row.rank) if row.rank is not None else "nan",
        rank_span=span,
        verdict=row.verdict,
        cells=tuple(cells),
        strip=(low, round(high - low, 2), dot) if math.isfinite(row.main.ci_low) else (dot, 0.0, dot),
    )


def _chips(record: ResultRecord) -> tuple[tuple[str, str], ...]:
    data, train = record.dataset, record.dataset.get("train") or {}
    options = (record.run.get("data") or {}) if isinstance(record.run.get("data"), Mapping) else {}
    flavour = " ".join(str(options[name]) for name in ("preset", "difficulty") if options.get(name))
    chips = [
        ("task", record.task),
        ("protocol", f"{record.protocol['name']} v{record.protocol['version']}"),
        ("probe", _probe_words(record)),
        ("data", f"{data['name']} {flavour}".strip()),
        ("scored on", f"{data.get('n_items', '?')} items, {record.main.groups} scenes or objects"),
    ]
    if train:
        chips.append(("fitted on", f"{train.get('n_items', '?')} items"))
    return (*chips, ("fingerprint", str(data["fingerprint"])[:12]))


def _probe_words(record: ResultRecord) -> str:
    return f"{record.probe_name} probe" if record.probe_name else "no probe"


def _note(ranking: Ranking) -> str:
    below = sum(1 for row in ranking.rows if row.verdict and row.role in ("model", "control"))
    direction = ARROWS[ranking.first.main.higher_is_better]
    words = f"Ranked by {ranking.first.main_metric} ({direction})."
    if not any(row.rank for row in ranking.rows):
        words = f"Sorted by {ranking.first.main_metric} ({direction}); not ranked, since per-item scores are missing."
    return words + (f" {below} of {len(ranking.rows)} records do not clear a floor." if below else "")


def _plot(ranking: Ranking, domain: tuple[float, float]) -> Any:
    from markupsafe import Markup

    dots = []
    for row in ranking.rows:
        low, high = row.main.ci_low, row.main.ci_high
        label = row.record.model_id + (f" ({row.variant})" if row.variant else "")
        value = row.main.value
        dots.append(Dot(label, row.role, value, low if low == low else value, high if high == high else value))
    floors = [floor.value for floor in ranking.floors.values()]
    return Markup(dot_plot(dots, floors, metric_title(ranking.first.main_metric), domain))


def _dense_kind(record: ResultRecord) -> str:
    content = str(record.dataset.get("content", ""))
    return {"object-depth": "depth"}.get(content, content)


def _examples(ranking: Ranking, encoders: int) -> list[Example]:
    witnesses = []
    order = sorted(ranking.rows, key=lambda row: row.role == "floor")
    for row in order:
        scores = row.scores
        if scores is None or not scores.samples:
            continue
        label = row.record.model_id + (f" ({row.variant})" if row.variant else "")
        witnesses.append(Witness(short(label, NAME_SHOWN), row.role, scores.samples, _item_scores(row)))
    return examples(witnesses, ranking.anchor, encoders)


def _item_scores(row: Row) -> dict[str, str]:
    """The headline of each sampled item, where the metric is a plain or weighted mean of the item's columns."""
    scores = row.scores
    metric = headline_metric(row.record, scores) if scores else None
    if scores is None or metric is None:
        return {}
    values = ratio(*terms(metric, scores.columns))
    unit, name = row.main.unit, metric_title(row.record.main_metric)
    found = {item: float(values[place]) for place, item in enumerate(scores.ids) if item in scores.samples}
    return {item: f"{name} {number(value, unit)}" for item, value in found.items() if math.isfinite(value)}


def apart_entries(records: Sequence[ResultRecord], failures: Sequence[Any]) -> list[Apart]:
    """Limited and control records, then failures, each with its reason."""
    found = [
        Apart(record.model_id, record.task, reason, "limited", f"r-{record.run_hash}")
        for record in records
        if (reason := set_apart(record))
    ]
    for failure in failures:
        if hasattr(failure, "wrong"):
            found.append(Apart("", "", str(failure), "unreadable"))
            continue
        model = failure.model["id"] if isinstance(failure.model, Mapping) else failure.model
        reason = getattr(failure, "message", "") or str(getattr(failure, "error", "")) or "no reason was recorded"
        found.append(Apart(str(model), str(failure.task), f"failed: {reason}", "failure"))
    return found

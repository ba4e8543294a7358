"""Which tables a paper gets: per setting all metrics, per architecture the headlines, and shares of supervised."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from midvision.analysis.outcome import Bounded, StudyAnalysis, SupervisedShare, TaskGroup
from midvision.report.numbers import metric_title
from midvision.report.paper.table import Entry, Heading, Line, PaperTable
from midvision.report.paper.ties import best_rows
from midvision.report.rows import Ranking, Row, rankings
from midvision.report.subjects import ARCHITECTURES, Subject, subject_of
from midvision.results.query import Results
from midvision.results.record import ResultRecord

Published = Mapping[str, tuple[float, str]]
"""Run hash -> accuracy in per cent and the page it stands on."""

ORDER: Mapping[str, tuple[str, ...]] = {
    "segmentation": ("miou", "iou", "iou_pooled", "f1", "f_beta", "accuracy"),
    "normals": ("recall_11deg", "recall_22deg", "recall_30deg", "rmse_deg", "mean_deg", "median_deg"),
}
GROUPS: tuple[tuple[str, str], ...] = (
    ("_aligned", "scale-and-shift aligned"),
    ("_interior", "inside surfaces"),
    ("_rot_", "by viewpoint change"),
    ("_near_", "relative error by depth (m)"),
    ("_edge_", "error by distance to a boundary (px)"),
    ("_quarter", "in quarter-size pixels"),
    ("accuracy.", "by kind of triplet"),
    ("invariance", "invariance"),
)
PLAIN_GROUP = {"depth": "as predicted", "object-depth": "as predicted", "normals": "all pixels"}
BOLD = "Bold: the best of a column and all that are not told apart from it (paired over scenes or objects, Holm)."
IMAGENET = Heading("imagenet_linear", "ImageNet linear", "%", True, "high level", "published")


def paper_tables(
    results: Results, architecture: str | None = None, analysis: StudyAnalysis | None = None
) -> list[PaperTable]:
    """Every table that these results give, for one architecture or for each that is there.

    Shares of supervised come from the `analysis`; without one they are left out.
    """
    from midvision.results.high_level import IMAGENET_LINEAR, join_high_scores, published_high_scores

    ordered = [plain for ranking in rankings(results.records) if (plain := _plain(ranking)).rows]
    joined = join_high_scores(results.records, published_high_scores())
    published = {
        record.run_hash: (score.value, score.source) for record, score in joined if score.set == IMAGENET_LINEAR
    }
    kinds = [architecture] if architecture else _present(ordered)
    names = _names(ordered)
    tables = [summary for kind in kinds if (summary := _summary(ordered, names, kind, published))]
    for kind in kinds:
        tables += [table for one, name in zip(ordered, names, strict=True) if (table := setting_table(one, name, kind))]
    if analysis is None:
        return tables
    subjects = {record.model_id: subject_of(record) for record in results}
    return [*tables, *ratio_tables(analysis.shares, analysis.groups, subjects)]


def _plain(ranking: Ranking) -> Ranking:
    """Without records of single layers: a table compares encoders as the protocol reads them. First seed only."""
    kept: dict[str, Row] = {}
    for row in sorted(ranking.rows, key=lambda row: row.record.seed):
        if not row.record.run.get("layers"):
            kept.setdefault(row.record.model_id, row)
    return replace(ranking, rows=tuple(row for row in ranking.rows if kept.get(row.record.model_id) is row))


def _present(ordered: Sequence[Ranking]) -> list[str]:
    found = {subject_of(row.record).architecture for ranking in ordered for row in _judged(ranking)}
    return [kind for kind in (*ARCHITECTURES, "other") if kind in found]


def _names(ordered: Sequence[Ranking]) -> list[str]:
    """A file stem per ranking: the task, and whatever sets it apart from others of that task."""
    ways: tuple[Callable[[Ranking], str], ...] = (
        lambda one: str(one.key.protocol),
        lambda one: one.key.probe,
        lambda one: one.key.fingerprint[:6],
        lambda one: one.key.settings[:6],
    )
    found = []
    for ranking in ordered:
        alike = [other for other in ordered if other.key.task == ranking.key.task]
        parts = [way(ranking) for way in ways if len({way(other) for other in alike}) > 1]
        found.append("-".join([ranking.key.task, *filter(None, parts)]))
    return found


def _judged(ranking: Ranking) -> list[Row]:
    return [row for row in ranking.rows if row.role in ("model", "control")]


def setting_table(ranking: Ranking, name: str, architecture: str) -> PaperTable | None:
    """All metrics of one setting for the models of one architecture; references stand below."""
    record = ranking.first
    content = str(record.dataset.get("content", ""))
    rows = [row for row in _judged(ranking) if subject_of(row.record).architecture == architecture]
    if not rows:
        return None
    names = _metric_names(rows, content)
    first = rows[0].record.metrics
    headings = tuple(
        Heading(
            metric,
            _short_title(metric),
            first[metric].unit,
            first[metric].higher_is_better,
            _group_of(metric, content),
        )
        for metric in names
    )
    best = {metric: best_rows(rows, metric) for metric in names}
    lines = [_line(row, {metric: _entry(row, metric, best[metric]) for metric in names}, part="models") for row in rows]
    references = [row for row in ranking.rows if row.role in ("ceiling", "floor")]
    lines += [
        _line(row, {metric: _entry(row, metric, set()) for metric in names}, part="references") for row in references
    ]
    title = f"{ARCHITECTURES.get(architecture, 'Other encoders')} on {ranking.key.reason}"
    return PaperTable(f"{name}_{architecture}", title, headings, tuple(lines), _notes(ranking), {"task": record.task})


def _summary(
    ordered: Sequence[Ranking], names: Sequence[str], architecture: str, published: Published
) -> PaperTable | None:
    """One row per model, the headline of every setting, and what is published of its ImageNet accuracy."""
    headings: list[Heading] = []
    by_model: dict[str, tuple[Row, dict[str, Entry]]] = {}
    for ranking, name in zip(ordered, names, strict=True):
        rows = [row for row in _judged(ranking) if subject_of(row.record).architecture == architecture]
        if not rows:
            continue
        main = ranking.first.main
        title = f"{name} {_short_title(ranking.first.main_metric)}"
        headings.append(Heading(name, title, main.unit, main.higher_is_better, _level(ranking.first)))
        best = best_rows(rows, ranking.first.main_metric)
        for row in rows:
            by_model.setdefault(row.record.model_id, (row, {}))[1][name] = _entry(row, row.record.main_metric, best)
    if not headings:
        return None
    lines = []
    for row, entries in by_model.values():
        hashes = [entry.source for entry in entries.values()]
        known = next((published[run_hash] for run_hash in hashes if run_hash in published), None)
        extra = {IMAGENET.name: Entry(known[0], source=known[1])} if known else {}
        lines.append(_line(row, {**entries, **extra}))
    if any(IMAGENET.name in line.entries for line in lines):
        headings.append(IMAGENET)
    title = f"{ARCHITECTURES.get(architecture, 'Other encoders')}: the headline of every setting"
    return PaperTable(f"summary_{architecture}", title, tuple(headings), _by_paradigm(lines), _notes(*ordered))


def ratio_tables(
    shares: Sequence[SupervisedShare], groups: Sequence[TaskGroup], by_id: Mapping[str, Subject]
) -> list[PaperTable]:
    """Each self-supervised model's score as a share of supervised, as measured and chance-corrected."""
    titles = {group.id: f"{group.task} {_short_title(group.metric)}" for group in groups}
    levels = {group.id: f"{group.level} level" for group in groups}
    columns = [(share, share.group or share.set) for share in shares if share.models]
    if not columns:
        return []
    headings = [
        Heading(name, titles.get(name, name), "share", True, levels.get(name, "high level"), "derived")
        for _, name in columns
    ]
    headings.sort(key=lambda heading: heading.group == "high level")
    found = []
    for kind, title in (("share", "Share of supervised"), ("corrected", "Share of supervised, chance-corrected")):
        entries: dict[str, dict[str, Entry]] = {}
        for share, name in columns:
            for one in share.models:
                bounded: Bounded = getattr(one, kind)
                entries.setdefault(one.model, {})[name] = _bounded(bounded, one.yardstick)
            bounded = getattr(share, kind)
            entries.setdefault("", {})[name] = _bounded(bounded, "mean over models")
        lines = [_ratio_line(model, own, by_id) for model, own in entries.items()]
        lines.sort(key=lambda line: (line.part == "mean", line.part, line.label))
        note = (
            "A self-supervised model divided by the supervised model of its architecture on the same items, in per "
            "cent. "
            + ("Chance, or the best constant answer, is taken off both sides first. " if kind == "corrected" else "")
            + "No interval where there are too few groups to give one."
        )
        stem = "mid_high_ratio" if kind == "share" else "mid_high_ratio_corrected"
        found.append(PaperTable(stem, title, tuple(headings), tuple(lines), (note,)))
    return found


def _bounded(found: Bounded, source: str) -> Entry:
    return Entry(found.value, found.low, found.high, source=source)


def _ratio_line(model: str, entries: Mapping[str, Entry], by_id: Mapping[str, Subject]) -> Line:
    if not model:
        return Line("", "mean over models", "mean", entries)
    subject = by_id.get(model)
    return Line(model, subject.title if subject else model, subject.architecture if subject else "other", entries)


def _line(row: Row, entries: Mapping[str, Entry], part: str | None = None) -> Line:
    subject: Subject = subject_of(row.record)
    return Line(row.record.model_id, subject.title, subject.paradigm if part is None else part, entries)


def _by_paradigm(lines: Iterable[Line]) -> tuple[Line, ...]:
    from midvision.zoo.card import PARADIGMS

    order = {name: place for place, name in enumerate(PARADIGMS)}
    return tuple(sorted(lines, key=lambda line: (order.get(line.part, len(order)), line.label)))


def _entry(row: Row, metric: str, best: set[str]) -> Entry:
    found = row.record.metrics.get(metric)
    if found is None:
        return Entry(math.nan)
    run_hash = row.record.run_hash
    return Entry(found.value, found.ci_low, found.ci_high, run_hash in best, run_hash)


def _metric_names(rows: Sequence[Row], content: str) -> list[str]:
    """Every metric that some row has a value for; the order of the field first, then the task's own."""
    known = [
        name
        for name in dict.fromkeys(name for row in rows for name in row.record.metrics)
        if any(name in row.record.metrics and math.isfinite(row.record.metrics[name].value) for row in rows)
    ]
    first = [name for name in ORDER.get(content, ()) if name in known]
    rest = [name for name in known if name not in first]
    groups = list(dict.fromkeys(_group_of(name, content) for name in (*first, *rest)))
    return sorted((*first, *rest), key=lambda name: groups.index(_group_of(name, content)))


def _group_of(metric: str, content: str) -> str:
    return next((title for mark, title in GROUPS if mark in metric), PLAIN_GROUP.get(content, ""))


def _short_title(metric: str) -> str:
    for mark in ("_aligned", "_interior", "_quarter"):
        metric = metric.replace(mark, "")
    for mark, unit in (("_rot_", " deg"), ("_near_", " m"), ("_edge_", " px")):
        if mark in metric:
            low, high = metric.split(mark)[1].split("_")
            return f"{low}–{high}{unit}"
    return metric_title(metric.removeprefix("accuracy.").removeprefix("recall_") if metric != "recall" else metric)


def _level(record: ResultRecord) -> str:
    from midvision.tasks.task import all_tasks

    task = all_tasks().get(record.task)
    return f"{task.level} level" if task else "mid level"


def _notes(*ordered: Ranking) -> tuple[str, ...]:
    groups = [ranking.first.main.groups for ranking in ordered]
    notes = [BOLD]
    if groups:
        notes.append(f"Intervals: 95 % over {_span(groups)} scenes or objects.")
    if len(ordered) == 1:
        for name, floor in ordered[0].floors.items():
            value = f"{100 * floor.value:.1f} %" if floor.unit == "share" else f"{floor.value:.3f} {floor.unit}"
            notes.append(f"{name[0].upper()}{name[1:]}: {value} on {metric_title(ordered[0].first.main_metric)}.")
    return tuple(notes)


def _span(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}"

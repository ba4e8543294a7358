"""A model's page: what its card knows and does not, what it costs, all its scores, and every record of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

from midvision.report.groups import title_and_question
from midvision.report.numbers import ARROWS, exact, interval, number
from midvision.report.provenance import Section, sections
from midvision.report.rows import Ranking, Row, set_apart
from midvision.report.study.curves import CurveView, sweep_view
from midvision.report.study.figures_of import Shown, of_record
from midvision.report.study.names import page_name
from midvision.report.study.sweeps import Sweep
from midvision.report.subjects import Subject, subject_of
from midvision.results.record import ResultRecord
from midvision.zoo.card import Card, Known

COSTS: tuple[tuple[str, str, str], ...] = (
    ("parameters", "parameters", "{:,.0f}"),
    ("gflops", "GFLOPs per image", "{:.2f}"),
    ("tokens", "cells of the last layer", "{:,.0f}"),
    ("images_per_s", "images per second", "{:.1f}"),
    ("weights_mib", "weights, MiB", "{:.0f}"),
    ("peak_mib", "peak memory, MiB", "{:.0f}"),
)


@dataclass(frozen=True, slots=True)
class FactLine:
    """A fact of the card: its value with source and evidence, or why it is not known."""

    name: str
    value: str
    source: str
    evidence: str
    known: bool


@dataclass(frozen=True, slots=True)
class CostLine:
    """A number of the cost card of the record `record`, under `field`."""

    title: str
    text: str
    value: str
    field: str
    record: str


@dataclass(frozen=True, slots=True)
class ScoreLine:
    task: str
    title: str
    href: str
    setting: str
    metric: str
    hint: str
    score: Shown
    rank: str
    of: int
    verdict: str


@dataclass(frozen=True, slots=True)
class RecordView:
    anchor: str
    task: str
    headline: str
    run_hash: str
    command: str
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class ModelPage:
    subject: Subject
    file: str
    facts: tuple[FactLine, ...]
    oddities: tuple[tuple[str, str], ...]
    costs: tuple[CostLine, ...]
    cost_words: str
    scores: tuple[ScoreLine, ...]
    curves: tuple[CurveView, ...]
    records: tuple[RecordView, ...]


def model_pages(
    records: Sequence[ResultRecord],
    rankings: Sequence[Ranking],
    swept: Sequence[Sweep],
    pages: Mapping[str, str],
) -> list[ModelPage]:
    """One page per model id, in the order of the records."""
    by_model: dict[str, list[ResultRecord]] = {}
    for record in records:
        by_model.setdefault(record.model_id, []).append(record)
    return [_page(model, ours, rankings, swept, pages) for model, ours in by_model.items()]


def _page(
    model: str,
    records: Sequence[ResultRecord],
    rankings: Sequence[Ranking],
    swept: Sequence[Sweep],
    pages: Mapping[str, str],
) -> ModelPage:
    subject = subject_of(records[0])
    costly = next((record for record in records if record.cost), None)
    curves = tuple(
        sweep_view(Sweep(sweep.kind, sweep.task, sweep.title, sweep.setting, {model: sweep.lines[model]}))
        for sweep in swept
        if model in sweep.lines
    )
    return ModelPage(
        subject,
        f"models/{page_name(model)}",
        card_facts(subject.card) if subject.card else (),
        tuple((fact.value, fact.source) for fact in subject.card.oddities) if subject.card else (),
        _costs(costly) if costly else (),
        _cost_words(costly) if costly else "",
        tuple(
            _score(row, ranking, pages) for ranking in rankings for row in ranking.rows if row.record.model_id == model
        ),
        curves,
        tuple(_record(record) for record in records),
    )


def card_facts(card: Card) -> tuple[FactLine, ...]:
    """Every fact, known ones first in the card's own order."""
    lines = [
        FactLine(name.replace("_", " "), _words(fact.value), fact.source, fact.evidence, True)
        if isinstance(fact, Known)
        else FactLine(name.replace("_", " "), "not known", fact.reason, "", False)
        for name, fact in card.facts().items()
    ]
    return tuple(sorted(lines, key=lambda line: not line.known))


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if is_dataclass(value) and not isinstance(value, type):
        parts = ((name, entry) for name, entry in asdict(value).items() if entry not in ("", None, (), []))
        return "; ".join(f"{name.replace('_', ' ')} {_words(entry)}" for name, entry in parts)
    if isinstance(value, list | tuple):
        return ", ".join(_words(entry) for entry in value)
    return str(value)


def _costs(record: ResultRecord) -> tuple[CostLine, ...]:
    found = []
    for name, title, form in COSTS:
        value = record.cost.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append(CostLine(title, form.format(value), exact(float(value)), name, record.run_hash))
    return tuple(found)


def _cost_words(record: ResultRecord) -> str:
    size = record.cost.get("size")
    at = f"at {size[0]} x {size[1]} pixels" if isinstance(size, list | tuple) and len(size) == 2 else ""
    machine = record.cost.get("hardware") or record.hardware
    where = machine.get("device_name") or machine.get("device") if isinstance(machine, Mapping) else ""
    source = {"timed": "timed on batches of its own", "extraction": "seen while extracting"}
    speed = source.get(str(record.cost.get("speed_source")), "")
    return ", ".join(filter(None, (at, f"on {where}" if where else "", speed)))


def _score(row: Row, ranking: Ranking, pages: Mapping[str, str]) -> ScoreLine:
    record = row.record
    span = f"{row.rank}–{row.worst_rank}" if row.rank != row.worst_rank else str(row.rank)
    setting = f"{record.protocol['name']} v{record.protocol['version']}"
    setting += f", {record.probe_name} probe" if record.probe_name else ""
    ranked = sum(1 for other in ranking.rows if other.rank is not None)
    return ScoreLine(
        record.task,
        title_and_question(record)[0] + (f" · {row.variant}" if row.variant else ""),
        f"../{pages[record.task]}#{ranking.anchor}",
        setting,
        record.main_metric,
        ARROWS[record.main.higher_is_better],
        of_record(record),
        span if row.rank is not None else "–",
        ranked,
        row.verdict,
    )


def _record(record: ResultRecord) -> RecordView:
    headline = f"{record.main_metric} {number(record.main.value, record.main.unit)} {interval(record.main)}"
    apart = f" · {reason}" if (reason := set_apart(record)) else ""
    return RecordView(
        f"r-{record.run_hash}", record.task + apart, headline, record.run_hash, record.command, tuple(sections(record))
    )

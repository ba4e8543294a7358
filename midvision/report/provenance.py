"""Everything a record holds, as short lists of words and values for the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from midvision.report.numbers import interval, number
from midvision.results.record import ResultRecord, plain

SECTIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Run", ("created_at", "run")),
    ("Encoder", ("model",)),
    ("Data", ("dataset",)),
    ("Protocol, resolved", ("protocol",)),
    ("Probe", ("probe", "learner")),
    ("Features, asked and resolved", ("features", "plan")),
    ("What one image costs this encoder", ("cost",)),
    ("Machine and time", ("hardware", "timing")),
    ("Versions", ("versions", "git", "schema_version")),
    ("Files", ("items", "samples", "provenance", "extra")),
)
OWN_LEVEL = "run model dataset protocol probe learner features cost hardware timing versions".split()
LONGEST_VALUE = 240


@dataclass(frozen=True, slots=True)
class Section:
    title: str
    entries: tuple[tuple[str, str], ...]


def sections(record: ResultRecord) -> list[Section]:
    """All metrics with their intervals, then every field of the record."""
    body = record.as_dict() | {"extra": plain(record.extra)}
    found = [Section("All metrics", tuple(_metrics(record)))]
    for title, names in SECTIONS:
        entries: list[tuple[str, str]] = []
        for name in names:
            entries.extend(_flat("" if name in OWN_LEVEL else name, body.get(name)))
        if entries:
            found.append(Section(title, tuple(entries)))
    return found


def _metrics(record: ResultRecord) -> Iterator[tuple[str, str]]:
    for name, estimate in record.metrics.items():
        yield (
            name,
            f"{number(estimate.value, estimate.unit)} {interval(estimate)} n={estimate.n}, groups={estimate.groups}",
        )
    for floor, metrics in record.baselines.items():
        if record.main_metric in metrics:
            estimate = metrics[record.main_metric]
            yield f"{floor}: {record.main_metric}", f"{number(estimate.value, estimate.unit)} {interval(estimate)}"


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Nested values as dotted words; short lists stay on one line, what is absent is left out."""
    if value is None or value == {} or value == []:
        return
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), below)
        return
    if isinstance(value, list) and any(isinstance(entry, dict) for entry in value):
        for place, below in enumerate(value):
            yield from _flat(f"{path}[{place}]", below)
        return
    text = ", ".join(map(_word, value)) if isinstance(value, list) else _word(value)
    yield path or "value", text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return f"({', '.join(map(_word, value))})"
    return str(value)

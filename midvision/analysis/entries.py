"""From result records to rankings with per-item scores: one entry per model and choice of layers, seeds together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite

import numpy as np

from midvision.analysis.clusters import Contrast, Function, Ratios, itself
from midvision.analysis.facts import ModelFacts
from midvision.analysis.headline import headline_metric
from midvision.analysis.ranks import DRAWS, Pair, adjusted, all_pairs, turned
from midvision.analysis.resample import common_ratios, joint_ratios
from midvision.core.errors import DataError
from midvision.core.scores import Metric, Scores
from midvision.metrics.reduce import value
from midvision.results.items import read_items
from midvision.results.query import Comparable, Results
from midvision.results.record import ResultRecord
from midvision.tasks.task import all_tasks


@dataclass(frozen=True)
class Entry:
    """A model with one choice of layers in one ranking. `scores` are item columns averaged over probe seeds."""

    name: str
    facts: ModelFacts
    plain: bool
    records: tuple[ResultRecord, ...]
    scores: Scores

    @property
    def judged(self) -> bool:
        return self.facts.role in ("model", "control")

    def mean_of(self, metric: str) -> float:
        """A stored metric's mean over seeds; NaN where a record lacks it."""
        found = [record.metrics[metric].value for record in self.records if metric in record.metrics]
        return float(np.mean(found)) if len(found) == len(self.records) else float("nan")


@dataclass(frozen=True)
class Table:
    """One comparable group with everything that its statistics need, worked out once."""

    id: str
    key: Comparable
    metric: Metric
    entries: tuple[Entry, ...]
    seed: int = 0

    @property
    def first(self) -> ResultRecord:
        return self.entries[0].records[0]

    @property
    def title(self) -> str:
        task = all_tasks().get(self.key.task)
        return task.title if task else self.key.task

    @property
    def level(self) -> str:
        task = all_tasks().get(self.key.task)
        return task.level if task else "mid"

    @property
    def content(self) -> str:
        task = all_tasks().get(self.key.task)
        return task.content if task else str(self.first.dataset.get("content", ""))

    @property
    def sign(self) -> float:
        return 1.0 if self.metric.higher_is_better else -1.0

    @cached_property
    def ratios(self) -> Ratios | None:
        """All entries over the same items; None where they are not defined on the same ones."""
        return common_ratios([entry.scores for entry in self.entries], self.metric, self.seed, DRAWS)

    @cached_property
    def pairs(self) -> dict[Pair, tuple[Contrast, float]]:
        """Gain of the better-placed entry and its adjusted p, for every pair of judged entries."""
        scores = {entry.name: entry.scores for entry in self.judged}
        shared = self.ratios_of(list(scores))
        return adjusted(all_pairs(scores, self.metric, self.seed, DRAWS, shared))

    @cached_property
    def judged(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.judged)

    def ratios_of(self, names: Sequence[str]) -> tuple[Ratios, list[int]] | None:
        """The shared ratios and the rows of these entries in them."""
        if self.ratios is None:
            return None
        rows = {entry.name: row for row, entry in enumerate(self.entries)}
        return self.ratios, [rows[name] for name in names]

    def contrast(self, names: Sequence[str], function: Function = itself) -> Contrast:
        """A function of several entries' headlines on the items that all of them have."""
        shared = self.ratios_of(names)
        if shared is not None:
            return shared[0].contrast(shared[1], function)
        found = {entry.name: entry.scores for entry in self.entries}
        joint = joint_ratios([(found[name], self.metric) for name in names], self.seed, DRAWS)
        return joint.contrast(range(len(names)), function)

    def gain(self, first: str, second: str) -> tuple[Contrast, float]:
        """How much better the first is, and the adjusted p."""
        if (first, second) in self.pairs:
            return self.pairs[first, second]
        found, p_value = self.pairs[second, first]
        return turned(found), p_value


def tables(results: Results, facts: Mapping[str, ModelFacts], seed: int = 0) -> tuple[list[Table], list[str]]:
    """Every comparable group of full runs, and notes on what was left out."""
    notes: list[str] = []
    groups = results.comparable_groups()
    limited = sum(len(group) for key, group in groups.items() if key.limited)
    if limited:
        notes.append(f"{limited} limited results take part in nothing.")
    kept = {key: group for key, group in groups.items() if not key.limited}
    names = _names(kept)
    found = []
    for key, group in kept.items():
        table = _table(names[key], key, list(group), facts, seed, notes)
        if table is not None:
            found.append(table)
    return sorted(found, key=lambda table: (table.level != "mid", table.id)), notes


def _names(keys: Iterable[Comparable]) -> dict[Comparable, str]:
    """Short ids, longer where two would be equal."""
    found: dict[Comparable, str] = {}
    for key in keys:
        short = "/".join(filter(None, (key.task, f"{key.protocol}@{key.protocol_version}", key.probe)))
        longer = f"{short}~{key.settings[:6]}{key.fingerprint[:6]}"
        found[key] = longer if short in found.values() else short
    return found


def _table(
    id: str,
    key: Comparable,
    records: Sequence[ResultRecord],
    facts: Mapping[str, ModelFacts],
    seed: int,
    notes: list[str],
) -> Table | None:
    read: dict[str, list[tuple[ResultRecord, Scores]]] = {}
    for record in _latest(records):
        scores = _scores(record, notes)
        if scores is not None:
            read.setdefault(_variant(record), []).append((record, scores))
    if not read:
        return None
    record, scores = next(iter(read.values()))[0]
    metric = headline_metric(record, scores)
    if metric is None:
        notes.append(f"{id}: the items do not hold {record.main_metric}.")
        return None
    entries = []
    for name, members in read.items():
        if any(set(found.ids) != set(scores.ids) for _, found in members):
            notes.append(f"{id}: {name} was scored on other items and is left out.")
            continue
        model = members[0][0].model_id
        together = tuple(record for record, _ in members)
        entries.append(Entry(name, facts[model], name == model, together, _mean([found for _, found in members])))
    sign = -1.0 if metric.higher_is_better else 1.0
    ordered = sorted(entries, key=lambda entry: (sign * _value(metric, entry), entry.name))
    return Table(id, key, metric, tuple(ordered), seed)


def _value(metric: Metric, entry: Entry) -> float:
    return value(metric, entry.scores.columns)


def _variant(record: ResultRecord) -> str:
    """The model, with its layers where they were chosen by hand."""
    layers = record.run.get("layers")
    words = [f"layers {', '.join(map(str, layers))}"] if layers else []
    if record.run.get("final_norm") is not None:
        words.append("final norm" if record.run["final_norm"] else "no final norm")
    return f"{record.model_id} [{'; '.join(words)}]" if words else record.model_id


def _latest(records: Iterable[ResultRecord]) -> list[ResultRecord]:
    """One record per variant and seed: the latest."""
    found: dict[tuple[str, int], ResultRecord] = {}
    for record in sorted(records, key=lambda one: (one.created_at, one.run_hash)):
        found[_variant(record), record.seed] = record
    return sorted(found.values(), key=lambda one: (one.model_id, one.seed, one.run_hash))


def _scores(record: ResultRecord, notes: list[str]) -> Scores | None:
    if not isfinite(record.main.value):
        notes.append(f"{record.model_id} on {record.task}: {record.main_metric} is not a number.")
        return None
    if record.folder is None:
        notes.append(f"{record.model_id} on {record.task}: the result was never written.")
        return None
    try:
        return Scores(*read_items(record.folder / record.items["path"], record.items["sha256"]))
    except DataError as error:
        notes.append(f"{record.model_id} on {record.task}: {error}")
        return None


def _mean(scores: Sequence[Scores]) -> Scores:
    """Columns averaged over seeds, item by item."""
    first = scores[0]
    if len(scores) == 1:
        return first
    names = set.intersection(*(set(one.columns) for one in scores))
    columns = {}
    for name in names:
        parts = []
        for one in scores:
            place = {id: row for row, id in enumerate(one.ids)}
            parts.append(np.asarray(one.columns[name])[[place[id] for id in first.ids]])
        columns[name] = np.mean(parts, axis=0)
    return Scores(first.ids, first.groups, columns)

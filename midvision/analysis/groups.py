"""One ranking as the analysis tells it: values, rank intervals, verdicts on neighbours, other metrics."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from math import isfinite, isnan

import numpy as np

from midvision.analysis.clusters import Contrast
from midvision.analysis.correlate import kendall, ranks
from midvision.analysis.entries import Entry, Table
from midvision.analysis.outcome import TOO_FEW, Bounded, MetricSensitivity, PairVerdict, PairWord, Standing, TaskGroup
from midvision.analysis.ranks import ALPHA

FEWEST_RANKED = 3


def task_group(table: Table) -> TaskGroup:
    """Everything about one ranking."""
    key, names = table.key, [entry.name for entry in table.judged]
    return TaskGroup(
        id=table.id,
        task=key.task,
        title=table.title,
        level=table.level,
        protocol=key.protocol,
        protocol_version=key.protocol_version,
        probe=key.probe,
        dataset=key.dataset,
        metric=table.metric.name,
        unit=table.metric.unit,
        higher_is_better=table.metric.higher_is_better,
        clusters=table.first.main.groups,
        reason=key.reason,
        standings=_standings(table),
        pairs=tuple(pair_verdict(table, first, second) for first, second in itertools.pairwise(names)),
        sensitivity=_sensitivity(table),
    )


def pair_verdict(table: Table, first: str, second: str) -> PairVerdict:
    """Whether the first is better, on the items of this ranking, allowing for all its pairs."""
    gain, adjusted_p = table.gain(first, second)
    word: PairWord = "tied"
    if adjusted_p <= ALPHA:
        word = "ordered" if gain.value > 0 else "reversed"
    return PairVerdict(first, second, bounded(gain, table), gain.p_value, adjusted_p, word)


def bounded(found: Contrast, table: Table) -> Bounded:
    """A contrast over clusters, with the words where there is no interval."""
    note = TOO_FEW if isnan(found.low) else ""
    return Bounded(found.value, found.low, found.high, table.first.main.groups, note)


def _standings(table: Table) -> tuple[Standing, ...]:
    beaten_by = dict.fromkeys((entry.name for entry in table.judged), 0)
    beats = dict(beaten_by)
    for (a, b), (gain, p_value) in table.pairs.items():
        if p_value <= ALPHA:
            better, worse = (a, b) if gain.value > 0 else (b, a)
            beaten_by[worse] += 1
            beats[better] += 1
    count = len(table.judged)
    found = []
    for entry in table.entries:
        places = (1 + beaten_by[entry.name], count - beats[entry.name]) if entry.judged else (0, 0)
        found.append(
            Standing(
                name=entry.name,
                model=entry.facts.model,
                role=entry.facts.role,
                value=_value(table, entry),
                rank=places[0],
                worst_rank=places[1],
                seeds=tuple(record.seed for record in entry.records),
                run_hashes=tuple(record.run_hash for record in entry.records),
            )
        )
    return tuple(found)


def _value(table: Table, entry: Entry) -> Bounded:
    found = bounded(table.contrast([entry.name]), table)
    low, high = (float(np.clip(end, table.metric.low, table.metric.high)) for end in (found.low, found.high))
    return replace(found, low=low, high=high)


def _sensitivity(table: Table) -> tuple[MetricSensitivity, ...]:
    """Every other stored metric against the headline, over models to be judged."""
    judged = [entry for entry in table.judged if entry.facts.role == "model"] or list(table.judged)
    headline = [table.sign * entry.mean_of(table.metric.name) for entry in judged]
    found = []
    for name, estimate in table.first.metrics.items():
        values = [(1.0 if estimate.higher_is_better else -1.0) * entry.mean_of(name) for entry in judged]
        there = [row for row, pair in enumerate(zip(headline, values)) if isfinite(pair[0]) and isfinite(pair[1])]
        if name != table.metric.name and len(there) >= FEWEST_RANKED:
            names = [judged[row].name for row in there]
            found.append(_compared(name, names, [headline[row] for row in there], [values[row] for row in there]))
    return tuple(found)


def _compared(
    metric: str, names: Sequence[str], headline: Sequence[float], values: Sequence[float]
) -> MetricSensitivity:
    first, second = np.array(headline), np.array(values)
    moves = np.abs(ranks(first) - ranks(second))
    spread = len(set(headline)) > 1 and len(set(values)) > 1
    spearman = float(np.corrcoef(ranks(first), ranks(second))[0, 1]) if spread else float("nan")
    far = int(moves.argmax())
    best = names[int(np.argmax(values))]
    return MetricSensitivity(
        metric, spearman, kendall(first, second), len(names), best, round(float(moves[far])), names[far]
    )

"""Where the spread of scores comes from: models, test items, probe seeds, probes.

Everything that moves all models alike is left out, since it changes no ranking: `items` is half the mean squared
error of paired differences, `probes` the interaction of probe and model (two-way layout, method of moments).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from midvision.analysis.entries import Table
from midvision.analysis.outcome import TOO_FEW, VarianceSplit
from midvision.analysis.relations import plain

NAN = float("nan")
FEWEST_MODELS = 3


def variance_splits(tables: Sequence[Table]) -> tuple[VarianceSplit, ...]:
    """One split per task, protocol and data, over all its probes."""
    families: dict[tuple[str, str, int, str], list[Table]] = {}
    for table in tables:
        key = table.key
        families.setdefault((key.task, key.protocol, key.protocol_version, key.fingerprint), []).append(table)
    return tuple(_split(members) for members in families.values())


def _split(tables: Sequence[Table]) -> VarianceSplit:
    first = tables[0]
    tables = _one_per_probe(tables)
    models = [entry.facts.model for entry in plain(tables[0])]
    for table in tables[1:]:
        there = {entry.facts.model for entry in plain(table)}
        models = [model for model in models if model in there]
    seeds = _seed_variance(tables, models)
    n_seeds = min((len(e.records) for t in tables for e in plain(t) if e.facts.model in models), default=0)
    ids, protocol = tuple(table.id for table in tables), f"{first.key.protocol}@{first.key.protocol_version}"
    if len(models) < FEWEST_MODELS:
        return VarianceSplit(
            first.key.task, protocol, ids, NAN, NAN, NAN, NAN, len(models), n_seeds, len(tables), TOO_FEW
        )
    items = _item_variance(tables, models)
    values = np.array([[_value(table, model) for table in tables] for model in models])
    noise = (0.0 if np.isnan(seeds) else seeds) / max(n_seeds, 1)
    probes = _interaction(values) - noise if len(tables) > 1 else NAN
    probes = max(probes, 0.0) if len(tables) > 1 else NAN
    spread = float(values.mean(axis=1).var(ddof=1))
    rest = items + (noise + (0.0 if np.isnan(probes) else probes)) / len(tables)
    words = [text for text, missing in (("one seed", np.isnan(seeds)), ("one probe", len(tables) == 1)) if missing]
    note = f"only {' and '.join(words)}" if words else ""
    split = max(spread - rest, 0.0), items, seeds, probes
    return VarianceSplit(first.key.task, protocol, ids, *split, len(models), n_seeds, len(tables), note)


def _one_per_probe(tables: Sequence[Table]) -> list[Table]:
    """Of several settings of one probe, the one with most models."""
    found: dict[str, Table] = {}
    for table in sorted(tables, key=lambda one: (-len(plain(one)), one.id)):
        found.setdefault(table.key.probe, table)
    return sorted(found.values(), key=lambda one: one.id)


def _value(table: Table, model: str) -> float:
    entry = next(entry for entry in plain(table) if entry.facts.model == model)
    return entry.mean_of(table.metric.name)


def _seed_variance(tables: Sequence[Table], models: Sequence[str]) -> float:
    """Mean variance between seeds of one model, less what moves all models of a seed alike; NaN for one seed."""
    found = []
    for table in tables:
        entries = [entry for entry in plain(table) if entry.facts.model in models]
        shared = sorted(set.intersection(*({r.seed for r in e.records} for e in entries))) if entries else []
        if len(shared) < 2 or len(entries) < 2:
            continue
        rows = [{record.seed: record.main.value for record in entry.records} for entry in entries]
        found.append(_interaction(np.array([[row[seed] for seed in shared] for row in rows])))
    return float(np.mean(found)) if found else NAN


def _item_variance(tables: Sequence[Table], models: Sequence[str]) -> float:
    """Half the mean squared error of the difference of two models."""
    squares = []
    for table in tables:
        names = {entry.name for entry in plain(table) if entry.facts.model in models}
        squares += [gain.error**2 for pair, (gain, _) in table.pairs.items() if set(pair) <= names]
    return float(np.mean(squares)) / 2 if squares else NAN


def _interaction(values: np.ndarray) -> float:
    """Mean square of what is left of `[M, P]` after row and column means."""
    left = values - values.mean(axis=0) - values.mean(axis=1, keepdims=True) + values.mean()
    return float((left**2).sum() / ((values.shape[0] - 1) * (values.shape[1] - 1)))

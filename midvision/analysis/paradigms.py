"""Do kinds of objective differ? A permutation test across models, within architectures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from math import factorial, isnan, prod

import numpy as np

from midvision.analysis.entries import Entry, Table
from midvision.analysis.facts import UNKNOWN
from midvision.analysis.outcome import TOO_FEW, Assignment, ParadigmEffect, ParadigmMean
from midvision.analysis.ranks import holm_adjusted
from midvision.analysis.relations import plain
from midvision.core.seeds import numpy_generator

SHUFFLES = 4999
FEWEST_ARRANGEMENTS = 20
"""With fewer ways to deal out the paradigms, p = 0.05 cannot be reached."""


def paradigm_effects(tables: Sequence[Table], seed: int = 0) -> tuple[ParadigmEffect, ...]:
    """Every mid-level ranking, with the cards' paradigms and with the border cases moved."""
    found: list[ParadigmEffect] = []
    for assignment in ("main", "other"):
        effects = [_effect(table, assignment, seed) for table in tables if table.level == "mid"]
        adjusted = holm_adjusted([1.0 if isnan(effect.p) else effect.p for effect in effects])
        found += [
            replace(effect, adjusted_p=float("nan") if isnan(effect.p) else p)
            for effect, p in zip(effects, adjusted, strict=True)
        ]
    return tuple(found)


def _effect(table: Table, assignment: Assignment, seed: int) -> ParadigmEffect:
    entries = [entry for entry in plain(table) if entry.facts.self_supervised and entry.facts.paradigm != UNKNOWN]
    labels = [entry.facts.paradigm if assignment == "main" else entry.facts.other_paradigm for entry in entries]
    strata = [entry.facts.architecture for entry in entries]
    y = np.array([table.sign * entry.mean_of(table.metric.name) for entry in entries])
    means = _means(table, entries, labels)
    nan = float("nan")
    if len(set(labels)) < 2 or arrangements(labels, strata) < FEWEST_ARRANGEMENTS:
        return ParadigmEffect(table.id, assignment, nan, nan, nan, len(entries), TOO_FEW, means)
    share, p_value = permutation_test(y, labels, strata, seed)
    note = TOO_FEW if isnan(share) else ""
    return ParadigmEffect(table.id, assignment, share, p_value, p_value, len(entries), note, means)


def _means(table: Table, entries: Sequence[Entry], labels: Sequence[str]) -> tuple[ParadigmMean, ...]:
    found = []
    for paradigm in dict.fromkeys(labels):
        members = [entry for entry, label in zip(entries, labels, strict=True) if label == paradigm]
        mean = float(np.mean([entry.mean_of(table.metric.name) for entry in members]))
        found.append(ParadigmMean(paradigm, tuple(entry.facts.model for entry in members), mean))
    return tuple(sorted(found, key=lambda one: -table.sign * one.mean))


def permutation_test(
    y: np.ndarray, labels: Sequence[str], strata: Sequence[str], seed: int = 0, shuffles: int = SHUFFLES
) -> tuple[float, float]:
    """Share of the variance within strata that labels explain, and its p-value.

    Labels are dealt out again within strata; the p-value counts the actual arrangement (Phipson and Smyth 2010), so it
    is never zero. NaN where the values do not vary.
    """
    codes = np.unique(np.array(labels), return_inverse=True)[1]
    layers = np.unique(np.array(strata), return_inverse=True)[1]
    counts = np.bincount(layers)
    centred = y - (np.bincount(layers, y) / counts)[layers]
    total = float((centred**2).sum())
    if not total > 1e-24 * max(float((y**2).sum()), 1e-300):
        return float("nan"), float("nan")
    generator = numpy_generator("paradigms", seed)
    dealt = np.tile(centred, (shuffles + 1, 1))
    for layer in range(len(counts)):
        rows = np.flatnonzero(layers == layer)
        dealt[1:, rows] = generator.permuted(dealt[1:, rows], axis=1)
    member = (codes[:, None] == np.arange(codes.max() + 1)[None]).astype(np.float64)
    between = ((dealt @ member) ** 2 / member.sum(axis=0)).sum(axis=1)
    return float(between[0] / total), float((between >= between[0] * (1 - 1e-9)).mean())


def arrangements(labels: Sequence[str], strata: Sequence[str]) -> int:
    """In how many different ways the labels can be dealt out within the strata."""
    ways = 1
    for stratum in set(strata):
        counts = Counter(label for label, place in zip(labels, strata, strict=True) if place == stratum)
        ways *= factorial(sum(counts.values())) // prod(factorial(count) for count in counts.values())
    return ways

"""Rankings against each other, and mid level against high level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from midvision.analysis.correlate import partial, pearson, r_squared, spearman, straight_line
from midvision.analysis.entries import Entry, Table
from midvision.analysis.facts import UNKNOWN
from midvision.analysis.groups import pair_verdict
from midvision.analysis.outcome import AgainstHigh, Agreement, Point, Relation
from midvision.results.high_level import HighScore, join_high_scores

OWN = " (own numbers)"
POOLED, GIVEN = "pooled", "given architecture"
HighValues = Mapping[str, Mapping[str, float]]
"""Set -> model id -> per cent."""


def agreement(tables: Sequence[Table]) -> tuple[Agreement, ...]:
    """Every two rankings of one protocol and probe, over the models that both judge."""
    found = []
    for a, b in combinations(tables, 2):
        if not _together(a, b):
            continue
        left, right = ({e.facts.model: t.sign * e.mean_of(t.metric.name) for e in plain(t)} for t in (a, b))
        shared = [model for model in left if model in right]
        x, y = [left[model] for model in shared], [right[model] for model in shared]
        found.append(Agreement(a.id, b.id, spearman(x, y), pearson(x, y)))
    return tuple(found)


def plain(table: Table) -> list[Entry]:
    """Entries to judge that stand for their model: no controls, no layers chosen by hand."""
    return [entry for entry in table.entries if entry.plain and entry.facts.role == "model"]


def high_values(tables: Sequence[Table], scores: Sequence[HighScore]) -> dict[str, dict[str, float]]:
    """What is known of high-level ability: publishers' and a person's numbers, and this study's own high tasks.

    A published number stands only beside the very checkpoint it was measured on. A person's numbers of a set are
    another set, marked as such: nobody says that they were measured the same way.
    """
    records = [record for table in tables for entry in plain(table) for record in entry.records]
    found: dict[str, dict[str, float]] = {}
    for record, score in join_high_scores(records, scores):
        name = score.set if score.origin == "published" else f"{score.set}{OWN}"
        found.setdefault(name, {})[record.model_id] = score.value
    measured = [table for table in tables if table.level == "high"]
    for table in measured:
        alone = sum(other.key.task == table.key.task for other in measured) == 1
        scale = 100.0 if table.metric.unit == "share" else table.sign
        name = table.key.task if alone else table.id
        found[name] = {entry.facts.model: scale * entry.mean_of(table.metric.name) for entry in plain(table)}
    return found


def relations(tables: Sequence[Table], high: HighValues) -> tuple[Relation, ...]:
    """Each mid-level ranking against each high-level set: pooled, by architecture, and given architecture."""
    found: list[Relation] = []
    for table in tables:
        if table.level == "mid":
            for name, values in high.items():
                found += _relations(table, name, values)
    return tuple(found)


def _relations(table: Table, name: str, values: Mapping[str, float]) -> list[Relation]:
    points = [
        Point(e.facts.model, e.facts.architecture, values[e.facts.model], e.mean_of(table.metric.name))
        for e in plain(table)
        if e.facts.self_supervised and e.facts.model in values
    ]
    if not points:
        return []
    found = [_relation(table, name, POOLED, points)]
    architectures = list(dict.fromkeys(point.architecture for point in points))
    if len(architectures) > 1:
        for architecture in architectures:
            if architecture != UNKNOWN:
                within = [point for point in points if point.architecture == architecture]
                found.append(_relation(table, name, architecture, within))
        found.append(_given_architecture(table, name, points))
    return found


def _relation(table: Table, name: str, scope: str, points: Sequence[Point]) -> Relation:
    x, y = [point.x for point in points], [table.sign * point.y for point in points]
    r = pearson(x, y)
    line = straight_line(x, [point.y for point in points])
    return Relation(table.id, name, scope, r, spearman(x, y), r_squared(r), line, tuple(points))


def _given_architecture(table: Table, name: str, points: Sequence[Point]) -> Relation:
    x, y = [point.x for point in points], [table.sign * point.y for point in points]
    labels = [point.architecture for point in points]
    r = partial(x, y, labels)
    freedom = r.n - 1 - len({label for label in labels if labels.count(label) > 1})
    ranked = partial(x, y, labels, ranked=True)
    return Relation(table.id, name, GIVEN, r, ranked, r_squared(r, freedom), None, tuple(points))


def against_high(tables: Sequence[Table], high: HighValues) -> tuple[AgainstHigh, ...]:
    """Neighbours of each high-level order, judged by every mid-level ranking; equal values are no neighbours."""
    found = []
    for table in tables:
        if table.level != "mid":
            continue
        for name, values in high.items():
            entries = [entry for entry in plain(table) if entry.facts.model in values]
            entries.sort(key=lambda entry: (-values[entry.facts.model], entry.name))
            pairs = [
                pair_verdict(table, first.name, second.name)
                for first, second in pairwise(entries)
                if values[first.facts.model] > values[second.facts.model]
            ]
            if pairs:
                found.append(AgainstHigh(table.id, name, tuple(pairs)))
    return tuple(found)


def _together(a: Table, b: Table) -> bool:
    """The same protocol, and the same probe where both have one."""
    probes = {a.key.probe, b.key.probe} - {""}
    return (a.key.protocol, a.key.protocol_version) == (b.key.protocol, b.key.protocol_version) and len(probes) < 2

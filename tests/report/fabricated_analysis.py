"""A made-up analysis of made-up records: every part that the report can show, with invented numbers from a seed."""

from __future__ import annotations

from itertools import combinations, pairwise

import numpy as np

from midvision.analysis.facts import facts_of
from midvision.analysis.outcome import (
    TOO_FEW,
    Agreement,
    Bounded,
    Finding,
    Line,
    MetricSensitivity,
    ModelShare,
    PairVerdict,
    ParadigmEffect,
    ParadigmMean,
    Point,
    Relation,
    Standing,
    StudyAnalysis,
    SupervisedShare,
    TaskGroup,
)
from midvision.report.rows import Ranking, rankings
from midvision.report.study.sweeps import plain_records
from midvision.results.query import Results

NAN = float("nan")


def fabricated_analysis(results: Results) -> StudyAnalysis:
    """One group per ranking of the plain records; everything else is invented around them."""
    rng = np.random.default_rng(3)
    facts = {record.model_id: facts_of(record.model) for record in results}
    groups = tuple(
        _group(ranking, f"g{place}", rng) for place, ranking in enumerate(rankings(plain_records(list(results))))
    )
    agreement = tuple(
        Agreement(a.id, b.id, _bounded(rng, 0.6), _bounded(rng, 0.65)) for a, b in combinations(groups, 2)
    )
    relations = tuple(
        one for number, group in enumerate(groups) for one in _relations(group, facts, rng, few=number == 1)
    )
    paradigms = tuple(_effect(group, facts, assignment, rng) for assignment in ("main", "other") for group in groups)
    shares = tuple(_share(group, facts, rng) for group in groups)
    return StudyAnalysis(
        tuple(facts.values()),
        groups,
        agreement,
        relations,
        (),
        paradigms,
        shares,
        (),
        _findings(rng),
        ("An invented note about something that was left out.",),
    )


def _bounded(rng: np.random.Generator, centre: float, n: int = 24, spread: float = 0.1) -> Bounded:
    value = float(centre + rng.normal(0, spread))
    return Bounded(value, value - 2 * spread, value + 2 * spread, n)


def _group(ranking: Ranking, id: str, rng: np.random.Generator) -> TaskGroup:
    record = ranking.first
    standings = tuple(
        Standing(
            row.record.model_id,
            row.record.model_id,
            row.role,
            Bounded(row.main.value, row.main.ci_low, row.main.ci_high, row.main.groups),
            row.rank or 0,
            row.worst_rank or 0,
            (0,),
            (row.record.run_hash,),
        )
        for row in ranking.rows
    )
    judged = [one for one in standings if one.rank]
    pairs = tuple(
        PairVerdict(
            a.name,
            b.name,
            Bounded(abs(a.value.value - b.value.value), -0.01, 0.05, 12),
            0.01,
            float(rng.uniform(0, 0.4)),
            "ordered" if a.rank < b.rank else "tied",
        )
        for a, b in pairwise(judged)
    )
    other = [name for name in record.metrics if name != record.main_metric][:2]
    sensitivity = tuple(
        MetricSensitivity(name, float(rng.uniform(0.8, 1)), 0.8, len(judged), judged[0].name, 2, judged[-1].name)
        for name in other
    )
    return TaskGroup(
        id, record.task, record.task, "high" if record.task.endswith("labels") else "mid",
        str(record.protocol["name"]), 1, record.probe_name, str(record.dataset["name"]), record.main_metric,
        record.main.unit, record.main.higher_is_better, record.main.groups, ranking.key.reason, standings, pairs,
        sensitivity,
    )  # fmt: skip


def _relations(group: TaskGroup, facts: dict, rng: np.random.Generator, few: bool) -> list[Relation]:
    """Pooled with a line, each architecture without one; `few` has the honest words instead of intervals."""
    points = tuple(
        Point(one.model, facts[one.model].architecture, 45 + 40 * one.value.value + rng.normal(0, 4), one.value.value)
        for one in group.standings
        if facts[one.model].self_supervised
    )
    if few:
        points = points[:4]
    short = Bounded(0.4, NAN, NAN, len(points), TOO_FEW)
    if few or len(points) < 3:
        return [Relation(group.id, "imagenet-linear", "pooled", short, short, short, None, points)]
    x, y = np.array([one.x for one in points]), np.array([one.y for one in points])
    slope, start = (float(number) for number in np.polyfit(x, y, 1))
    band = tuple(
        (float(at), start + slope * at, start + slope * at - 0.03, start + slope * at + 0.03)
        for at in np.linspace(x.min(), x.max(), 20)
    )
    r = Bounded(float(np.corrcoef(x, y)[0, 1]), 0.5, 0.99, len(points))
    line = Line(Bounded(slope, slope - 0.01, slope + 0.01, len(points)), Bounded(start, NAN, NAN, len(points)), band)
    found = [
        Relation(
            group.id, "imagenet-linear", "pooled", r, r, Bounded(r.value**2, 0.25, 0.98, len(points)), line, points
        )
    ]
    for kind in sorted({one.architecture for one in points}):
        ours = tuple(one for one in points if one.architecture == kind)
        found.append(Relation(group.id, "imagenet-linear", kind, short, short, short, None, ours))
    return found


def _effect(group: TaskGroup, facts: dict, assignment: str, rng: np.random.Generator) -> ParadigmEffect:
    by: dict[str, list[Standing]] = {}
    for one in group.standings:
        fact = facts[one.model]
        if fact.self_supervised:
            by.setdefault(fact.paradigm if assignment == "main" else fact.other_paradigm, []).append(one)
    means = tuple(
        ParadigmMean(name, tuple(one.model for one in ours), float(np.mean([one.value.value for one in ours])))
        for name, ours in by.items()
    )
    p = float(rng.uniform(0, 0.2))
    return ParadigmEffect(group.id, assignment, float(rng.uniform(0, 1)), p, min(1.0, 5 * p), 20, "", means)  # type: ignore[arg-type]


def _share(group: TaskGroup, facts: dict, rng: np.random.Generator) -> SupervisedShare:
    ours = [one for one in group.standings if facts[one.model].self_supervised]
    models = tuple(ModelShare(one.model, "deit_vitb16", _bounded(rng, 0.9), _bounded(rng, 0.85)) for one in ours)
    return SupervisedShare(group.id, "", "best constant", _bounded(rng, 0.9, spread=0.02), _bounded(rng, 0.85), models)


def _findings(rng: np.random.Generator) -> tuple[Finding, ...]:
    said = (
        ("weak-link", "Mid-level ability follows from ImageNet accuracy only weakly.", "holds"),
        ("masked-weak", "Masked modelling is weak when the encoder is frozen.", "does not hold"),
        ("dino-pairs", "DINO is best at correspondence.", "undecided"),
    )
    return tuple(
        Finding(
            id,
            sentence,
            "arXiv 2411.17474",
            verdict,  # type: ignore[arg-type]
            "The interval says so." if verdict != "undecided" else "The interval holds both.",
            {"r_squared": _bounded(rng, 0.4), "tied_models": Bounded(2.0, NAN, NAN, 3, TOO_FEW)},
            ("dino_vitb16",),
            ("spair-keypoints",) if verdict == "undecided" else (),
        )
        for id, sentence, verdict in said
    )

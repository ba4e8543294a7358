"""Mid level against high level: scatters with a fit and its band, and the numbers of every scope."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from midvision.analysis.outcome import TOO_FEW, Relation, StudyAnalysis
from midvision.report.numbers import metric_title
from midvision.report.study.charts import PALETTE, Dotted, scatter
from midvision.report.study.figures_of import Shown, of_bounded, pointer
from midvision.report.study.sections import group_titles

FEWEST_POINTS = 3
GLYPHS = ("●", "■", "▲", "◆")

Placed = tuple[int, Relation]
"""A relation with its place in the analysis."""


@dataclass(frozen=True, slots=True)
class ScopeLine:
    scope: str
    n: int
    pearson: Shown
    spearman: Shown
    r_squared: Shown


@dataclass(frozen=True, slots=True)
class ScatterView:
    """One setting against one high-level set: a plot, or why there is no line in it, and a line per scope."""

    title: str
    plot: Any
    words: str
    key: tuple[tuple[str, str, str], ...]
    scopes: tuple[ScopeLine, ...]


@dataclass(frozen=True, slots=True)
class AgainstView:
    """All settings against one high-level set: pooled numbers, and scatters where this is the set with most models."""

    set: str
    pooled: tuple[tuple[str, ScopeLine], ...]
    scatters: tuple[ScatterView, ...]


def against_views(analysis: StudyAnalysis) -> list[AgainstView]:
    """Every high-level set; the one that most models have comes first and is drawn."""
    titles = group_titles(analysis)
    placed = list(enumerate(analysis.relations))
    sets = list(dict.fromkeys(relation.set for relation in analysis.relations))
    count = {name: sum(len(one.points) for one in analysis.relations if one.set == name) for name in sets}
    sets.sort(key=lambda name: -count[name])
    found = []
    for number, name in enumerate(sets):
        ours = [(place, one) for place, one in placed if one.set == name]
        pooled = tuple(
            (titles.get(one.group, one.group), _scope(place, one)) for place, one in ours if one.scope == "pooled"
        )
        groups = list(dict.fromkeys(one.group for _, one in ours)) if number == 0 else []
        scatters = [
            _scatter(titles.get(id, id), [one for one in ours if one[1].group == id], analysis) for id in groups
        ]
        found.append(AgainstView(name, pooled, tuple(scatters)))
    return found


def scatters_of(group: str, analysis: StudyAnalysis) -> list[ScatterView]:
    """One setting against every high-level set."""
    ours = [(place, one) for place, one in enumerate(analysis.relations) if one.group == group]
    sets = list(dict.fromkeys(one.set for _, one in ours))
    return [_scatter(name, [one for one in ours if one[1].set == name], analysis) for name in sets]


def _scope(place: int, one: Relation) -> ScopeLine:
    return ScopeLine(
        one.scope,
        one.pearson.n,
        of_bounded(one.pearson, pointer("relations", place, "pearson")),
        of_bounded(one.spearman, pointer("relations", place, "spearman")),
        of_bounded(one.r_squared, pointer("relations", place, "r_squared")),
    )


def _scatter(title: str, members: Sequence[Placed], analysis: StudyAnalysis) -> ScatterView:
    from markupsafe import Markup

    pooled = next((one for _, one in members if one.scope == "pooled"), members[0][1])
    metric = next((group.metric for group in analysis.groups if group.id == pooled.group), "headline")
    kinds = _kinds(analysis)
    plot: Any = ""
    if len(pooled.points) >= FEWEST_POINTS:
        points = tuple(Dotted(point.model, point.architecture, point.x, point.y) for point in pooled.points)
        band = pooled.line.band if pooled.line else ()
        plot = Markup(scatter(points, tuple(kinds), f"{pooled.set} (%)", metric_title(metric), band))
    words = "" if pooled.pearson.told and pooled.line else pooled.pearson.note or TOO_FEW
    used = {point.architecture for point in pooled.points}
    key = tuple((glyph, colour, kind) for kind, (glyph, colour) in kinds.items() if kind in used)
    return ScatterView(title, plot, words, key, tuple(_scope(place, one) for place, one in members))


def _kinds(analysis: StudyAnalysis) -> Mapping[str, tuple[str, str]]:
    """Glyph and colour of every architecture, the same in all plots."""
    found = sorted({point.architecture for one in analysis.relations for point in one.points})
    return {kind: (GLYPHS[at % len(GLYPHS)], PALETTE[at % len(PALETTE)]) for at, kind in enumerate(found)}

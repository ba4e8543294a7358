"""The leaderboard: encoders by setting, with ranks that ties share, between their ceilings and floors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from midvision.analysis.outcome import Standing, StudyAnalysis, TaskGroup
from midvision.report.figures import Role
from midvision.report.numbers import ARROWS, exact, metric_title
from midvision.report.rows import Ranking, Row
from midvision.report.study.figures_of import Shown, of_estimate, of_record
from midvision.report.study.names import page_name
from midvision.report.subjects import subject_of

TINT = 34.0
"""Per cent of the accent colour behind the best number of a column; none behind the worst."""


@dataclass(frozen=True, slots=True)
class Head:
    """A setting's column."""

    title: str
    metric: str
    hint: str
    first: str
    href: str


@dataclass(frozen=True, slots=True)
class Entrant:
    """A row. Floors that are no encoder (chance, the best constant) have no `href`."""

    model: str
    title: str
    href: str
    role: Role
    paradigm: str
    architecture: str
    mean_rank: str
    mean_rank_exact: str
    cells: tuple[Shown, ...]


@dataclass(frozen=True, slots=True)
class Board:
    anchor: str
    title: str
    note: str
    heads: tuple[Head, ...]
    entrants: tuple[Entrant, ...]


def judged_by(rankings: Sequence[Ranking], analysis: StudyAnalysis) -> list[Ranking]:
    """The rankings with the analysis's ranks where it has them, so that a page never shows two kinds of rank."""
    return [_with_ranks(ranking, group_of(ranking, analysis)) for ranking in rankings]


def group_of(ranking: Ranking, analysis: StudyAnalysis) -> TaskGroup | None:
    """The analysis's group that holds these records."""
    hashes = {row.record.run_hash for row in ranking.rows}
    for group in analysis.groups:
        if any(hashes & set(standing.run_hashes) for standing in group.standings):
            return group
    return None


def _with_ranks(ranking: Ranking, group: TaskGroup | None) -> Ranking:
    if group is None:
        return ranking
    by_hash: dict[str, Standing] = {}
    for standing in group.standings:
        by_hash.update(dict.fromkeys(standing.run_hashes, standing))
    rows = []
    for row in ranking.rows:
        judged = by_hash.get(row.record.run_hash)
        if judged is None or judged.rank == 0:
            rows.append(row)
        else:
            rows.append(replace(row, rank=judged.rank, worst_rank=judged.worst_rank))
    return replace(ranking, rows=tuple(rows))


def boards(rankings: Sequence[Ranking], pages: Mapping[str, str], navs: Sequence[str]) -> list[Board]:
    """One per protocol; protocols are never averaged over. `navs` are short names of the rankings."""
    found: dict[tuple[str, int], list[tuple[Ranking, str]]] = {}
    for ranking, nav in zip(rankings, navs, strict=True):
        found.setdefault((ranking.key.protocol, ranking.key.protocol_version), []).append((ranking, nav))
    return [
        _board(f"board-{place}", f"{name} v{version}", members, pages)
        for place, ((name, version), members) in enumerate(found.items())
    ]


def _board(anchor: str, protocol: str, members: Sequence[tuple[Ranking, str]], pages: Mapping[str, str]) -> Board:
    rankings = [ranking for ranking, _ in members]
    models = list(dict.fromkeys(row.record.model_id for ranking in rankings for row in ranking.rows))
    entrants = [_entrant(model, rankings) for model in models] + _floors(rankings)
    entrants.sort(key=_order)
    heads = tuple(_head(ranking, nav, pages) for ranking, nav in members)
    ranked = sum(entrant.mean_rank_exact != "nan" for entrant in entrants)
    note = (
        f"Mean rank over {len(rankings)} settings for the {ranked} encoders that took part in all of them; of several "
        "probe seeds the first is shown. A rank is one more than the number of encoders that are reliably better, so "
        "encoders that cannot be told apart share it. Bold: no other is reliably better. The deeper the ground of a "
        "number, the nearer it is to the best of its column."
    )
    return Board(anchor, protocol, note, heads, tuple(entrants))


def _head(ranking: Ranking, nav: str, pages: Mapping[str, str]) -> Head:
    main = ranking.first.main
    unit = f", {main.unit}" if main.unit not in ("share", "ratio", "") else ""
    return Head(
        nav,
        metric_title(ranking.first.main_metric),
        f"{ranking.key.reason}: {ranking.first.main_metric}, {ARROWS[main.higher_is_better]}{unit}",
        "descending" if main.higher_is_better else "ascending",
        f"{pages[ranking.key.task]}#{ranking.anchor}",
    )


def _entrant(model: str, rankings: Sequence[Ranking]) -> Entrant:
    rows = [next((row for row in ranking.rows if row.record.model_id == model), None) for ranking in rankings]
    one = next(row for row in rows if row is not None)
    subject = subject_of(one.record)
    ranks = [row.rank for row in rows if row is not None and row.rank is not None]
    mean = sum(ranks) / len(ranks) if len(ranks) == len(rankings) else math.nan
    cells = tuple(
        Shown("–", "", "nan", "nan", "nan") if row is None else _cell(row, ranking)
        for row, ranking in zip(rows, rankings, strict=True)
    )
    return Entrant(
        model,
        subject.title,
        f"models/{page_name(model)}",
        one.role,
        subject.paradigm,
        subject.architecture_words,
        f"{mean:.1f}" if math.isfinite(mean) else "–",
        exact(mean),
        cells,
    )


def _cell(row: Row, ranking: Ranking) -> Shown:
    shown = of_record(row.record)
    page = f"models/{page_name(row.record.model_id)}#{row.anchor}"
    words = f"rank {row.rank}" + (f" to {row.worst_rank}" if row.worst_rank != row.rank else "") if row.rank else ""
    return replace(shown, strong=row.rank == 1, tint=_tint(row.main.value, ranking), href=page, title=words)


def _tint(value: float, ranking: Ranking) -> float:
    """Where the value lies between the worst and the best encoder that is judged, by how much the latter is reached."""
    values = [row.main.value for row in ranking.rows if row.role in ("model", "control")]
    known = [one for one in values if math.isfinite(one)]
    if not math.isfinite(value) or len(set(known)) < 2:
        return 0.0
    best, worst = max(known), min(known)
    if not ranking.first.main.higher_is_better:
        best, worst = worst, best
    share = min(max((value - worst) / (best - worst), 0.0), 1.0)
    return round(TINT * share**2, 1)


def _floors(rankings: Sequence[Ranking]) -> list[Entrant]:
    """Chance and the best constant as rows of their own."""
    titles = list(dict.fromkeys(title for ranking in rankings for title in ranking.floors))
    found = []
    for title in titles:
        cells = []
        for ranking in rankings:
            floor = ranking.floors.get(title)
            if floor is None:
                cells.append(Shown("–", "", "nan", "nan", "nan"))
                continue
            record = ranking.first
            shown = of_estimate(floor, record.run_hash, f"{title}:{record.main_metric}")
            cells.append(replace(shown, interval=""))
        found.append(Entrant("", title, "", "floor", "", "", "–", "nan", tuple(cells)))
    return found


def _order(entrant: Entrant) -> tuple[int, float, str]:
    rank = float(entrant.mean_rank_exact)
    place = {"ceiling": 0, "floor": 2}.get(entrant.role, 1)
    return place + (not entrant.href), rank if math.isfinite(rank) else math.inf, entrant.title

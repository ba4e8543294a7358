"""A task's page: every ranking of it with scores, verdicts, curves, pictures, hard items and costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from midvision.analysis.outcome import StudyAnalysis, TaskGroup
from midvision.report.examples import DenseExample, TripletExample
from midvision.report.groups import GroupView, RowView, group_view, title_and_question
from midvision.report.matrix import size_plots
from midvision.report.pictures import Picture
from midvision.report.rows import Ranking
from midvision.report.study.against import ScatterView, scatters_of
from midvision.report.study.board import group_of
from midvision.report.study.curves import CurveView, bin_views, sweep_view
from midvision.report.study.figures_of import Shown, of_bounded, of_number, p_words, pointer
from midvision.report.study.items_view import ItemsView, items_view
from midvision.report.study.names import page_name
from midvision.report.study.sweeps import Sweep

MOST_PICTURED = 40
CHOSEN_FIRST = 4
FEWEST_COSTS = 2

Store = Callable[[Picture], Picture]
"""Writes a picture beside the pages and returns it with its address there."""


@dataclass(frozen=True, slots=True)
class Verdict:
    first: str
    second: str
    difference: Shown
    p: Shown
    word: str


@dataclass(frozen=True, slots=True)
class Sensitivity:
    metric: str
    spearman: Shown
    best: str
    moved: str
    largest_move: int


@dataclass(frozen=True, slots=True)
class Linked:
    """A board's row with its model's page and its record there."""

    row: RowView
    href: str
    page: str


@dataclass(frozen=True, slots=True)
class RankingView:
    group: GroupView
    rows: tuple[Linked, ...]
    verdicts: tuple[Verdict, ...]
    sensitivity: tuple[Sensitivity, ...]
    bins: tuple[CurveView, ...]
    items: ItemsView | None
    costs: tuple[tuple[str, str, object], ...]
    pictured: tuple[tuple[str, bool], ...]
    against: tuple[ScatterView, ...]


@dataclass(frozen=True, slots=True)
class TaskPage:
    task: str
    file: str
    title: str
    question: str
    rankings: tuple[RankingView, ...]
    curves: tuple[CurveView, ...]


def task_pages(
    rankings: Sequence[Ranking],
    navs: Sequence[str],
    swept: Sequence[Sweep],
    analysis: StudyAnalysis,
    store: Store,
    pages: Mapping[str, str],
) -> list[TaskPage]:
    """One page per task, in the order of the rankings."""
    found = []
    for task in dict.fromkeys(ranking.key.task for ranking in rankings):
        ours = [(ranking, nav) for ranking, nav in zip(rankings, navs, strict=True) if ranking.key.task == task]
        title, question = title_and_question(ours[0][0].first)
        found.append(
            TaskPage(
                task,
                pages[task],
                title,
                question,
                tuple(_ranking_view(ranking, nav, analysis, store) for ranking, nav in ours),
                tuple(sweep_view(sweep) for sweep in swept if sweep.task == task),
            )
        )
    return found


def _ranking_view(ranking: Ranking, nav: str, analysis: StudyAnalysis, store: Store) -> RankingView:
    group = group_view(ranking, nav, MOST_PICTURED, plotted=False)
    group = replace(
        group,
        dense=tuple(_stored_dense(one, store) for one in group.dense),
        pairs=tuple(replace(one, a=store(one.a), b=store(one.b)) for one in group.pairs),
        triplets=tuple(_stored_triplet(one, store) for one in group.triplets),
    )
    judged = group_of(ranking, analysis)
    place = analysis.groups.index(judged) if judged else 0
    rows = tuple(_linked(row) for row in group.rows)
    return RankingView(
        group,
        rows,
        _verdicts(judged, place),
        _sensitivity(judged, place),
        tuple(bin_views(ranking)),
        items_view(ranking),
        tuple(size_plots([ranking], FEWEST_COSTS)),
        _pictured(group),
        tuple(scatters_of(judged.id, analysis)) if judged else (),
    )


def _linked(row: RowView) -> Linked:
    page = f"../models/{page_name(row.model)}"
    return Linked(row, f"{page}#{row.anchor}", page)


def _verdicts(group: TaskGroup | None, place: int) -> tuple[Verdict, ...]:
    if group is None:
        return ()
    return tuple(
        Verdict(
            pair.first,
            pair.second,
            of_bounded(pair.difference, pointer("groups", place, "pairs", number, "difference"), decimals=3),
            p_words(pair.adjusted_p, pointer("groups", place, "pairs", number, "adjusted_p")),
            pair.verdict,
        )
        for number, pair in enumerate(group.pairs)
    )


def _sensitivity(group: TaskGroup | None, place: int) -> tuple[Sensitivity, ...]:
    if group is None:
        return ()
    return tuple(
        Sensitivity(
            one.metric,
            of_number(one.spearman, pointer("groups", place, "sensitivity", number, "spearman")),
            one.best,
            one.moved,
            one.largest_move,
        )
        for number, one in enumerate(group.sensitivity)
    )


def _pictured(group: GroupView) -> tuple[tuple[str, bool], ...]:
    """Names that the pictures show, in rank order, and whether they are chosen at first."""
    names: dict[str, None] = {}
    for dense in group.dense:
        names.update((shot.title, None) for shot in dense.shots if shot.kind == "prediction")
    for pair in group.pairs:
        names.update((lines.title, None) for lines in pair.encoders)
    for triplet in group.triplets:
        names.update((choice.title, None) for choice in triplet.choices)
    return tuple((name, place < CHOSEN_FIRST) for place, name in enumerate(names))


def _stored_dense(example: DenseExample, store: Store) -> DenseExample:
    return replace(example, shots=tuple(replace(shot, picture=store(shot.picture)) for shot in example.shots))


def _stored_triplet(example: TripletExample, store: Store) -> TripletExample:
    return replace(example, left=store(example.left), reference=store(example.reference), right=store(example.right))

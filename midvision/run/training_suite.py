"""The fixed small suite of a training callback: which tasks and how many items fit the time budget.

The choice is made once, from measured times, and kept beside the results, so that all points of a curve
answer the same questions and a training that is resumed goes on with them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from midvision.core.errors import MidvisionError
from midvision.core.places import write_text
from midvision.core.settings import stable_hash
from midvision.core.specs import DataSpec, ProbeSpec, RunSpec
from midvision.results.record import safe_name
from midvision.run.describe import describe_result
from midvision.run.evaluate import Evaluation, evaluate_group
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import Unit, expand_runs, group_units, plan_units

FEWEST_ITEMS = 8
SHARE_OF_BUDGET = 0.8
"""How much of the budget may be planned for; the rest is for what time-taking cannot foresee."""


class OverBudget(MidvisionError):
    """The time that was allowed is used up."""


class Clock:
    """Time since the call began, and the alarm that is asked before every pass through the network.

    `tail_s` is kept free behind the last pass, for fitting, scoring and writing; it grows to the longest seen.
    """

    def __init__(self, budget_s: float, tail_s: float = 0.0) -> None:
        self.limit_s, self.tail_s = budget_s, tail_s
        self._began = time.perf_counter()
        self._longest_s = 0.0
        self._passed_s = 0.0

    @property
    def spent_s(self) -> float:
        return time.perf_counter() - self._began

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Around one pass; raises where it would end too late if it took as long as the longest so far."""
        started_s = self.spent_s
        if started_s + self._longest_s + self.tail_s > self.limit_s:
            raise OverBudget(
                f"{started_s:.1f} s are used and {self.limit_s:.1f} s were allowed.",
                "Probing stopped; training goes on.",
                "Give more budget_s, fewer tasks, or a limit.",
            )
        yield
        self._passed_s = self.spent_s
        self._longest_s = max(self._longest_s, self._passed_s - started_s)

    def evaluated(self) -> None:
        """An evaluation is complete: what it took behind its last pass will be kept free next time."""
        self.tail_s = max(self.tail_s, self.spent_s - self._passed_s)


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asked for; `limit` None means as many items as the budget allows."""

    name: str
    tasks: tuple[str, ...]
    data: DataSpec | None
    protocol: str
    probe: ProbeSpec
    budget_s: float
    limit: int | None

    def key(self) -> str:
        data = self.data.canonical() if self.data else ""
        words = (*self.tasks, data, self.protocol, self.probe.canonical(), str(self.budget_s), str(self.limit))
        return stable_hash("training suite", *words)


@dataclass(frozen=True, slots=True)
class Suite:
    """What every point is measured on. `limit` None: all items."""

    tasks: tuple[str, ...]
    limit: int | None
    dropped: tuple[str, ...] = ()


class Unread:
    """Stands for the network while data are opened: planning reads nothing but its key."""

    key = name = "network in training"


def plan_suite(wish: Wish, suite: Suite) -> list[Unit]:
    """The suite's units, their data opened (generated where missing)."""
    placeholder = Model(wish.name, None, Unread())  # type: ignore[arg-type]
    template = RunSpec(model="", task="", limit=suite.limit)
    runs = expand_runs(
        [placeholder],
        suite.tasks,
        protocols=[wish.protocol],
        data=wish.data,
        probes=[wish.probe],
        template=template,
    )
    return plan_units(runs)


def largest_set(units: Sequence[Unit]) -> int:
    """Items of the largest split that these units read."""
    return max(len(split.items) for unit in units for split in (unit.train, unit.test) if split is not None)


def rungs(items: int, fixed: int | None = None) -> list[int | None]:
    """Limits to choose from: doubling, then everything; or the one that a person fixed."""
    if fixed is not None:
        return [fixed]
    limits: list[int | None] = []
    limit = FEWEST_ITEMS
    while limit < items:
        limits.append(limit)
        limit *= 2
    return [*limits, None]


Measure = Callable[[Suite], list[Evaluation]]


def choose_suite(wish: Wish, items: int, clock: Clock, measure: Measure) -> tuple[Suite, list[Evaluation]]:
    """The largest suite whose cost, bounded from what was measured, fits the budget; with its first evaluations.

    A suite of n times the items takes at most n times the time, so every step up is safe by what the step
    before it took. The last suite tried is the choice, and its results are the first point.
    """
    ladder = rungs(items, wish.limit)
    kept, spent_s, found = _tasks_that_fit(wish, ladder[0], clock, measure)
    sizes = [limit or items for limit in ladder]
    suite = Suite(kept, ladder[0], tuple(name for name in wish.tasks if name not in kept))
    # A first run is slower than all later ones (compiling, counting), so the smallest is run again if it can be.
    size, place = sizes[0], -1 if wish.limit is None else 0
    while True:
        left_s = wish.budget_s - clock.spent_s
        shares = [1.0 if step == size else SHARE_OF_BUDGET for step in sizes]
        higher = [n for n in range(place + 1, len(ladder)) if spent_s * sizes[n] / size <= shares[n] * left_s]
        if not higher:
            return suite, found
        place = higher[-1]
        suite = Suite(kept, ladder[place], suite.dropped)
        began = time.perf_counter()
        found = measure(suite)
        spent_s, size = time.perf_counter() - began, sizes[place]


def _tasks_that_fit(
    wish: Wish, limit: int | None, clock: Clock, measure: Measure
) -> tuple[tuple[str, ...], float, list[Evaluation]]:
    """Tasks in the order given, each tried alone at its smallest, until the planned share of the budget is used."""
    kept: list[str] = []
    found: list[Evaluation] = []
    before_s = clock.spent_s
    for name in wish.tasks:
        clock.limit_s = wish.budget_s if not kept else SHARE_OF_BUDGET * wish.budget_s
        try:
            found += measure(Suite((name,), limit))
        except OverBudget:
            if not kept:
                raise
            break
        kept.append(name)
    clock.limit_s = wish.budget_s
    return tuple(kept), clock.spent_s - before_s, found


def rehearse(suites: Mapping[Suite, Sequence[Unit]], options: RunOptions) -> None:
    """Run the smallest suites once with raw pixels: what only the first time costs is then no part of a budget.

    Whatever is wrong with tasks or data shows here, before the training begins.
    """
    for units in suites.values():
        for evaluation in evaluate_units(units, options, Model("control/pixels"), "rehearsal", 0):
            if evaluation.error is not None:
                raise evaluation.error
            describe_result(evaluation, options)


def evaluate_units(
    units: Sequence[Unit], options: RunOptions, model: Model, digest: str, step: int
) -> list[Evaluation]:
    """Evaluate these units with the network as it is now; running out of time stops all of them."""
    now = [replace(unit, model=model, key=stable_hash(unit.key, digest, str(step))) for unit in units]
    done: list[Evaluation] = []
    for group in group_units(now):
        done += evaluate_group(group, options)
    for evaluation in done:
        if isinstance(evaluation.error, OverBudget):
            raise evaluation.error
    return done


def suite_file(output: Path, name: str) -> Path:
    return output / "training" / f"{safe_name(name)}.json"


def kept_suite(output: Path, wish: Wish) -> Suite | None:
    """The choice that an earlier process made for the same wish."""
    try:
        body: dict[str, Any] = json.loads(suite_file(output, wish.name).read_text(encoding="utf-8"))
        if body["wish"] != wish.key():
            return None
        return Suite(tuple(body["tasks"]), body["limit"], tuple(body["dropped"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_suite(output: Path, wish: Wish, suite: Suite) -> None:
    body = {"wish": wish.key(), "tasks": list(suite.tasks), "limit": suite.limit, "dropped": list(suite.dropped)}
    write_text(suite_file(output, wish.name), json.dumps(body, indent=1) + "\n")

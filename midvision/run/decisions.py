"""What each decision does to the number: one protocol with single decisions of another, on the data at hand.

Every toggled run is a run like any other: stored, found again, and sharing streams and cached features with
those of equal image rules. Effects are differences of the headline on the same items with an interval over
groups; a decision that cannot act, or moved nothing, is said to do so and gets no number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from midvision.analysis.resample import Difference, grouped_difference
from midvision.core.catalog import pick
from midvision.core.errors import MidvisionError
from midvision.core.scores import Metric, Scores
from midvision.core.specs import DataSpec, ProbeSpec, RunSpec
from midvision.run.applies import TRAINED, Side, cannot_act
from midvision.run.local import Outcome, run_planned
from midvision.run.options import RunOptions
from midvision.run.plan import Unit, expand_runs, plan_units
from midvision.tasks.decisions import Differing, as_overrides, differences
from midvision.tasks.task import Task, all_tasks

if TYPE_CHECKING:
    from midvision.core.features import EncoderInfo
    from midvision.results.record import ResultRecord
    from midvision.run.models import Model

ALL, OTHER_SEED = "all at once", "another seed (control)"
HEAVY_PROBES = ("multiscale", "dpt")
HEAVY_TOGETHER = 3
"""Heavy probes trained side by side: each holds its weights three times, for every learning rate."""

State = Literal["measured", "unmoved", "does not apply", "failed"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What one decision does: the headline with it minus the headline without it.

    `decision` is None for all at once and for the control. `said`: why there is no number.
    """

    what: str
    decision: Differing | None
    state: State
    said: str = ""
    difference: Difference | None = None
    record: ResultRecord | None = None

    def as_dict(self) -> dict[str, Any]:
        found = self.difference
        return {
            "decision": self.what,
            **(self.decision.as_dict() if self.decision else {}),
            "state": self.state,
            "said": self.said,
            "effect": found.value if found else None,
            "ci_low": found.ci_low if found else None,
            "ci_high": found.ci_high if found else None,
            "groups": found.groups if found else None,
            "n": found.n if found else None,
            "better": {"a": "with", "b": "without", "": ""}[found.better] if found else "",
            "run_hash": self.record.run_hash if self.record else None,
        }


@dataclass(frozen=True, slots=True)
class Measured:
    """One encoder on one task: protocol `b` with single decisions as in `a`."""

    task: str
    model: str
    a: str
    b: str
    base: ResultRecord
    effects: tuple[Effect, ...]

    def as_dict(self) -> dict[str, Any]:
        base = self.base
        return {
            "task": self.task,
            "model": self.model,
            "a": self.a,
            "b": self.b,
            "probe": base.probe_name,
            "metric": base.main_metric,
            "value": base.main.value,
            "run_hash": base.run_hash,
            "effects": [effect.as_dict() for effect in self.effects],
        }


@dataclass(slots=True)
class Trial:
    """One run of a comparison: which decision it carries, how to do it, and what became of it."""

    what: str
    decision: Differing | None
    spec: RunSpec
    side: Side | None = None
    reason: str = ""
    error: Exception | None = None
    record: ResultRecord | None = None


def measure(
    models: Sequence[Model],
    tasks: Sequence[str],
    a: str,
    b: str,
    *,
    data: DataSpec | None,
    probe: ProbeSpec | None,
    seed: int,
    template: RunSpec,
    options: RunOptions,
) -> list[Measured]:
    """Protocol `b`, then `b` with each decision of `a` alone, then `a`; for every model and task."""
    probes, seeds = [probe], [seed]
    runs = expand_runs(models, tasks, protocols=[b], data=data, probes=probes, seeds=seeds, template=template)
    cases = [(model, trials_of(all_tasks()[spec.task], spec, a, b)) for model, spec in runs]
    _plan(cases, options)
    for _, trials in cases:
        _judge(trials, probe is not None)
    by_key = {t.side.unit.key: t.side.unit for _, trials in cases for t in trials if t.side and not t.reason}
    for wave in waves(by_key.values()):
        outcome = run_planned(wave, options, Outcome())
        records = {record.run_hash: record for record in outcome.records}
        errors = {failure.key: failure.error for failure in outcome.failures}
        for trial in (t for _, trials in cases for t in trials if t.side):
            assert trial.side is not None
            trial.record = records.get(trial.side.unit.key, trial.record)
            trial.error = errors.get(trial.side.unit.key, trial.error)
    return [_measured(model.id, trials, a, b) for model, trials in cases]


def trials_of(task: Task, spec: RunSpec, a: str, b: str) -> list[Trial]:
    """The base first, one trial per decision, everything at once, and where a seed matters another seed."""
    named = dict(task.protocols)
    found = differences(task, pick("protocol", a, named), pick("protocol", b, named))
    trials = [Trial(b, None, spec)]
    for one in found:
        trials.append(Trial(one.field, one, spec.model_copy(update={"overrides": as_overrides(one.field, one.a)})))
    if not found:
        return trials
    if len(found) > 1:
        trials.append(Trial(ALL, None, spec.model_copy(update={"protocol": a})))
    if task.learner is not None:
        trials.append(Trial(OTHER_SEED, None, spec.model_copy(update={"seed": spec.seed + 1})))
    return trials


def _plan(cases: Sequence[tuple[Model, list[Trial]]], options: RunOptions) -> None:
    """Open the data of every trial once; what cannot be planned keeps its error."""
    runs = [(model, trial) for model, trials in cases for trial in trials]
    errors: dict[int, Exception] = {}
    units = plan_units(
        [(model, trial.spec) for model, trial in runs],
        workers=options.workers,
        progress=options.progress,
        on_error=lambda spec, error: errors.update({id(spec): error}),
    )
    left = iter(units)
    infos: dict[str, EncoderInfo] = {}
    for model, trial in runs:
        trial.error = errors.get(id(trial.spec))
        if trial.error is None:
            if model.id not in infos:
                infos[model.id] = model.open("cpu").info
            unit = next(left)
            try:
                trial.side = Side.of(unit, infos[model.id])
            except MidvisionError as error:
                trial.error = error


def _judge(trials: Sequence[Trial], probe_asked: bool) -> None:
    """Give every trial that cannot differ from the base its reason."""
    base = trials[0].side
    if base is None:
        assert trials[0].error is not None
        raise trials[0].error
    for trial in trials[1:]:
        if trial.side is not None and trial.decision is not None:
            trial.reason = cannot_act(trial.what, base, trial.side, probe_asked)
        elif trial.what == OTHER_SEED and (base.unit.probe is None or base.unit.probe.name not in TRAINED):
            trial.reason = "nothing in this run is random."


def waves(units: Iterable[Unit]) -> list[list[Unit]]:
    """Light units all together, so that groups are shared; few heavy ones at a time."""
    light: list[Unit] = []
    heavy: list[Unit] = []
    for unit in units:
        (heavy if unit.probe is not None and unit.probe.name in HEAVY_PROBES else light).append(unit)
    parts = [heavy[start : start + HEAVY_TOGETHER] for start in range(0, len(heavy), HEAVY_TOGETHER)]
    return [part for part in (light, *parts) if part]


def _measured(model: str, trials: Sequence[Trial], a: str, b: str) -> Measured:
    base = trials[0]
    assert base.side is not None
    if base.record is None:
        assert base.error is not None
        raise base.error
    task = base.side.unit.task
    without = base.record.scores()
    effects = tuple(effect_of(trial, without, task.metrics) for trial in trials[1:])
    return Measured(task.name, model, a, b, base.record, effects)


def effect_of(trial: Trial, without: Scores, metrics: Sequence[Metric]) -> Effect:
    """The trial's headline against the base's; a trial that moved no item gets no number."""
    what, decision = trial.what, trial.decision
    if trial.reason:
        return Effect(what, decision, "does not apply", trial.reason)
    if trial.record is None:
        return Effect(what, decision, "failed", str(trial.error))
    scores = trial.record.scores()
    moved = moved_metrics(scores, without, metrics)
    if metrics[0].name not in moved:
        acts = f" It acts on {decision.acts}." if decision else ""
        said = f"moves {', '.join(moved)}, but not the headline." if moved else "no item's score changed."
        return Effect(what, decision, "unmoved", said + ("" if moved else acts), None, trial.record)
    difference = grouped_difference(scores, without, metrics[0])
    return Effect(what, decision, "measured", "", difference, trial.record)


def moved_metrics(a: Scores, b: Scores, metrics: Sequence[Metric]) -> list[str]:
    """The metrics whose items are not exactly the same on both sides."""
    if a.ids != b.ids:
        return [metric.name for metric in metrics]

    def same(name: str | None) -> bool:
        if name is None or (name not in a.columns and name not in b.columns):
            return True
        both = name in a.columns and name in b.columns
        return both and bool(np.array_equal(a.columns[name], b.columns[name], equal_nan=True))

    return [metric.name for metric in metrics if not (same(metric.column) and same(metric.over))]

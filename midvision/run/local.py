"""Units on this machine, group after group; the only writer of results."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from midvision.core.specs import RunSpec
from midvision.results.record import ResultRecord, read, record_paths, stored_runs, write, write_failure
from midvision.run.describe import config_text, describe_failure, describe_result
from midvision.run.evaluate import Evaluation, evaluate_group
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import RunGroup, Unit, group_units, plan_units
from midvision.run.trackers import tracked


@dataclass(frozen=True, slots=True)
class RunFailure:
    """A run that could not be done; `error` is what stopped it, `key` names the unit if it was planned."""

    model: str
    task: str
    error: Exception
    key: str = ""


@dataclass(slots=True)
class Outcome:
    """All records of a call, those found by resume included, and what failed."""

    records: list[ResultRecord] = field(default_factory=list)
    failures: list[RunFailure] = field(default_factory=list)
    found: int = 0


def run_units(runs: Sequence[tuple[Model, RunSpec]], options: RunOptions) -> Outcome:
    """Plan, skip what is stored, run the rest group by group; every finished group is on disk at once."""
    outcome = Outcome()

    def unplannable(spec: RunSpec, error: Exception) -> None:
        if options.fail_fast:
            raise error
        outcome.failures.append(RunFailure(spec.model, spec.task, error))

    units = plan_units(runs, workers=options.workers, progress=options.progress, on_error=unplannable)
    return run_planned(units, options, outcome)


def run_planned(units: Sequence[Unit], options: RunOptions, outcome: Outcome) -> Outcome:
    """Units that are planned: found where stored, else run; records in the order of the units."""
    unique = {unit.key: unit for unit in units}
    todo = pending(unique.values(), options, outcome)
    groups = group_units(todo)
    with (
        tracked(options.log_to, options.output, list(unique.values())) as tell,
        options.progress.bar("results", len(todo)) as advance,
    ):
        tell(outcome.records)
        for group in groups:
            stored = len(outcome.records)
            run_group(group, options, outcome)
            tell(outcome.records[stored:])
            advance(len(group.units))
    order = {key: number for number, key in enumerate(unique)}
    outcome.records.sort(key=lambda record: order[record.run_hash])
    return outcome


def pending(units: Iterable[Unit], options: RunOptions, outcome: Outcome) -> list[Unit]:
    """The units that are not stored yet; stored records go straight into the outcome."""
    stored = {} if options.overwrite == "always" else stored_runs(options.output)
    failed = {path.parent.name for path in record_paths(options.output) if path.name == "failure.json"}
    todo = []
    for unit in units:
        record = read(stored[unit.key]) if unit.key in stored else None
        if isinstance(record, ResultRecord):
            outcome.records.append(record)
            outcome.found += 1
        elif options.overwrite != "never" or unit.key not in failed:
            todo.append(unit)
    return todo


def run_group(group: RunGroup, options: RunOptions, outcome: Outcome) -> None:
    """Evaluate one group and write what came out; a broken encoder fails its units, not the run."""
    try:
        evaluations = evaluate_group(group, options)
    except Exception as error:
        if options.fail_fast:
            raise
        evaluations = [Evaluation(unit, error=error) for unit in group.units]
    for evaluation in evaluations:
        unit, cause = evaluation.unit, evaluation.error
        if cause is not None:
            if options.fail_fast:
                raise cause
            text = "".join(traceback.format_exception(cause))
            write_failure(options.output, describe_failure(unit, cause, text))
            outcome.failures.append(RunFailure(unit.model.id, unit.task.name, cause, unit.key))
            continue
        assert evaluation.scores is not None
        state = evaluation.learner.state() if evaluation.learner else None
        record = describe_result(evaluation, options)
        again = options.overwrite == "always"
        kept = write(
            options.output, record, evaluation.scores, state, config_yaml=config_text(unit.spec), overwrite=again
        )
        outcome.records.append(kept)

"""Units on this machine or elsewhere, group after group; the only writer of results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from midvision.core.specs import RunSpec
from midvision.results.record import ResultRecord, read, record_paths, stored_runs, write, write_failure
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.orders import Executor, InProcess, Product
from midvision.run.plan import Unit, group_units, plan_units
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


def run_units(runs: Sequence[tuple[Model, RunSpec]], options: RunOptions, executor: Executor | None = None) -> Outcome:
    """Plan, skip what is stored, run the rest group by group; every finished group is on disk at once.

    `executor` says where groups are computed, by default in this process; it changes no score.
    """
    outcome = Outcome()

    def unplannable(spec: RunSpec, error: Exception) -> None:
        if options.fail_fast:
            raise error
        outcome.failures.append(RunFailure(spec.model, spec.task, error))

    units = plan_units(runs, workers=options.workers, progress=options.progress, on_error=unplannable)
    return run_planned(units, options, outcome, executor)


def run_planned(
    units: Sequence[Unit], options: RunOptions, outcome: Outcome, executor: Executor | None = None
) -> Outcome:
    """Units that are planned: found where stored, else run; records in the order of the units."""
    unique = {unit.key: unit for unit in units}
    todo = pending(unique.values(), options, outcome)
    groups = group_units(todo)
    with (
        tracked(options.log_to, options.output, list(unique.values())) as tell,
        options.progress.bar("results", len(todo)) as advance,
    ):
        tell(outcome.records)
        for group, products in (executor or InProcess()).run(groups, options):
            stored = len(outcome.records)
            for product in products:
                keep(product, unique[product.key], options, outcome)
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


def keep(product: Product, unit: Unit, options: RunOptions, outcome: Outcome) -> None:
    """Write what came out of one unit."""
    if product.error is not None:
        if options.fail_fast:
            raise product.error
        if product.failure is not None:
            write_failure(options.output, product.failure)
        outcome.failures.append(RunFailure(unit.model.id, unit.task.name, product.error, unit.key))
        return
    assert product.record is not None and product.scores is not None
    again = options.overwrite == "always"
    kept = write(
        options.output, product.record, product.scores, product.state, config_yaml=product.config, overwrite=again
    )
    outcome.records.append(kept)

"""`mv.Evaluator`: probe a network while it is being trained, within a time budget, and disturb nothing."""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import torch
from torch import nn

from midvision.core.errors import EncoderError, UsageError
from midvision.core.features import EncoderInfo
from midvision.core.places import output_dir
from midvision.encoders.encoder import Encoder
from midvision.encoders.live_backbone import Reading, bare, live_encoder
from midvision.encoders.undisturbed import undisturbed
from midvision.encoders.weights import tensors_digest
from midvision.results.query import Results
from midvision.results.record import ResultRecord, write, write_failure
from midvision.run.describe import config_text, describe_failure, describe_result
from midvision.run.evaluate import Evaluation
from midvision.run.front import data_spec, probe_specs
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import Unit, task_names
from midvision.run.trackers import Logged, Tracker, Trackers, describe_run, flat_values, open_trackers
from midvision.run.training_suite import (
    Clock,
    OverBudget,
    Suite,
    Wish,
    choose_suite,
    evaluate_units,
    keep_suite,
    kept_suite,
    largest_set,
    plan_suite,
    rehearse,
    rungs,
)

if TYPE_CHECKING:
    from midvision.core.specs import DataSpec


@dataclass(frozen=True, slots=True)
class Point:
    """One step of the curve: `TASK/METRIC` -> value, the seconds that the call took, and what went wrong."""

    step: int
    seconds: float
    values: dict[str, float] = field(default_factory=dict)
    problem: str = ""


class Evaluator:
    """Scores a network every `every` steps: `evaluator(step, network)` in a training loop.

    It reads the network where it stands, in evaluation mode and without gradients, and puts everything back:
    modes, gradients, buffers, random states, flags (`encoders/undisturbed.py`). Tasks are those that probe with
    ridge or fit nothing. A call takes at most about `budget_s` seconds: the first one chooses how many items
    of how many tasks (in the order given) fit, and that choice never changes, so points can be compared; it is
    kept in `OUTPUT/training/NAME.json`, for a training that is resumed. `limit` fixes the number instead. When the
    evaluator is made, outside of any budget, data are opened (generated where missing) and every task is rehearsed with
    raw pixels, so that mistakes show at once and later calls pay for nothing but the network.

    A call that fails or runs out of time leaves a failure record and one warning; training goes on, unless
    `on_error="raise"`. Results are records like all others (`mv.load_results(output)`), of models called
    `NAME@STEP`; `record.extra["training"]` holds the step. Features are never cached: the weights change.

    `layers`, `patch_size` and so on say how the network is read, as in `mv.wrap`. In distributed training the
    first process probes and the others return at once; sharded parameters (FSDP) cannot be read.
    """

    def __init__(
        self,
        *,
        every: int = 1000,
        tasks: str | Sequence[str] = "synth-depth,synth-scene-pairs",
        preset: str | None = "tiny",
        difficulty: str | None = None,
        data: str | DataSpec | None = None,
        protocol: str = "corrected",
        budget_s: float = 30.0,
        limit: int | None = None,
        name: str = "training",
        output: str | Path | None = None,
        log_to: Sequence[str | Tracker] = (),
        batch_size: int = 8,
        on_error: Literal["warn", "raise"] = "warn",
        **reading: Unpack[Reading],
    ) -> None:
        if every < 1 or budget_s <= 0:
            raise UsageError(f"every={every} and budget_s={budget_s} were given.", "Both must be positive.")
        self.every, self.on_error, self.reading = every, on_error, reading
        (ridge,) = probe_specs("ridge")
        assert ridge is not None
        names = tuple(task_names([tasks] if isinstance(tasks, str) else list(tasks)))
        chosen = data_spec(data, None if data is not None else preset, difficulty)
        self._wish = Wish(name, names, chosen, protocol, ridge, budget_s, limit)
        folder = output_dir() if output is None else Path(output)
        self._options = RunOptions(output=folder, cache="live", batch_size=batch_size, command="mv.Evaluator")
        self._items = largest_set(plan_suite(self._wish, Suite(names, limit)))
        self.suite: Suite | None = kept_suite(folder, self._wish)
        smallest = [self.suite] if self.suite else [Suite((task,), rungs(self._items, limit)[0]) for task in names]
        self._planned = {suite: plan_suite(self._wish, suite) for suite in smallest}
        with undisturbed(nn.Identity()):
            rehearse(self._planned, replace(self._options, device="cpu"))
        self._tail_s = 0.0
        self._trackers: Trackers = open_trackers(log_to, folder)
        self._told = False
        self._network: nn.Module | None = None
        self._info: EncoderInfo | None = None
        self._last: int | None = None
        self.points: list[Point] = []

    def __call__(self, step: int, network: nn.Module) -> Results | None:
        """Probe if this step is due; returns its results, or None where nothing was done or all failed."""
        if step % self.every or step == self._last or not _is_first_process():
            return None
        self._last = step
        clock = Clock(self._wish.budget_s, self._tail_s)
        try:
            with undisturbed(network := bare(network)):
                records = self._probe(step, network, clock)
                self._log(step, records)
        except Exception as error:
            self._note_failure(step, error, clock)
            if self.on_error == "raise":
                raise
            return None
        values = {
            name: value
            for record in records
            for name, value in flat_values(record.task, record.metrics, record.main_metric).items()
        }
        self.points.append(Point(step, clock.spent_s, values))
        return Results(records)

    def close(self) -> None:
        """Tell the trackers that the training is over."""
        self._trackers.on_run_end({"points": len(self.points)})

    def add_tracker(self, tracker: Tracker) -> None:
        """One more listener, from now on."""
        self._trackers.alive.append(tracker)

    def lightning_callback(self, part: str | None = None) -> Any:
        """This evaluator as a callback for a Lightning `Trainer`; `part` names the submodule to probe."""
        from midvision.run.lightning_callback import make_callback

        return make_callback(self, part)

    def _probe(self, step: int, network: nn.Module, clock: Clock) -> list[ResultRecord]:
        _check_whole(network)
        digest = tensors_digest(network.state_dict())
        model = Model(f"{self._wish.name}@{step}", None, self._encoder(network, digest, clock))

        def measure(suite: Suite) -> list[Evaluation]:
            if suite not in self._planned:
                self._planned[suite] = plan_suite(self._wish, suite)
            done = evaluate_units(self._planned[suite], self._options_for(model), model, digest, step)
            clock.evaluated()
            self._tail_s = clock.tail_s
            return done

        if self.suite is None:
            suite, found = choose_suite(self._wish, self._items, clock, measure)
            self._settle(suite)
        else:
            found = measure(self.suite)
        return [record for one in found if (record := self._store(step, one, clock)) is not None]

    def _encoder(self, network: nn.Module, digest: str, clock: Clock) -> Encoder:
        """The network as an encoder; what shapes it returns is found out once."""
        known = self._info if network is self._network else None
        name = self._wish.name
        encoder = live_encoder(network, digest, name, info=known, around_pass=clock.passing, **self.reading)
        self._network, self._info = network, encoder.info
        return encoder

    def _options_for(self, model: Model) -> RunOptions:
        assert isinstance(model.given, Encoder)
        return replace(self._options, device=str(model.given.device))

    def _settle(self, suite: Suite) -> None:
        self.suite = suite
        self._planned.setdefault(suite, plan_suite(self._wish, suite))
        keep_suite(self._options.output, self._wish, suite)
        if suite.dropped:
            warnings.warn(
                f"{', '.join(suite.dropped)} did not fit {self._wish.budget_s:g} s and will not be probed.",
                stacklevel=4,
            )

    def _units(self) -> list[Unit]:
        """What every point is measured on; before the choice, every task at its smallest."""
        if self.suite is not None:
            return self._planned[self.suite]
        return [unit for units in self._planned.values() for unit in units]

    def _store(self, step: int, evaluation: Evaluation, clock: Clock) -> ResultRecord | None:
        """On disk before anyone is told; a task that failed alone leaves its failure record."""
        if evaluation.error is not None:
            self._write_failure(evaluation.unit, evaluation.error, step)
            if self.on_error == "raise":
                raise evaluation.error
            warnings.warn(f"Step {step}: {evaluation.unit.task.name} failed: {evaluation.error}", stacklevel=4)
            return None
        assert evaluation.scores is not None
        record = describe_result(
            evaluation, replace(self._options, device=str(getattr(evaluation.encoder, "device", "cpu")))
        )
        about = {**self._about(step), "seconds_so_far": round(clock.spent_s, 3)}
        state = evaluation.learner.state() if evaluation.learner else None
        text = config_text(evaluation.unit.spec)
        noted = replace(record, extra={"training": about})
        return write(self._options.output, noted, evaluation.scores, state, config_yaml=text)

    def _about(self, step: int) -> dict[str, Any]:
        suite = self.suite
        return {
            "name": self._wish.name,
            "step": step,
            "budget_s": self._wish.budget_s,
            "limit": suite.limit if suite else self._wish.limit,
            "dropped": list(suite.dropped) if suite else [],
        }

    def _log(self, step: int, records: Sequence[ResultRecord]) -> None:
        if not self._told:
            self._told = True
            self._trackers.on_run_start({**describe_run(self._units()), "training": self._about(step)})
        for record in records:
            values = flat_values(record.task, record.metrics, record.main_metric)
            self._trackers.on_unit_end(Logged(self._wish.name, step, values, record))

    def _note_failure(self, step: int, error: Exception, clock: Clock) -> None:
        """A warning, a point without values, and a failure record for every unit that gave no result."""
        self.points.append(Point(step, clock.spent_s, problem=f"{type(error).__name__}: {error}"))
        try:
            for unit in self._units():
                self._write_failure(unit, error, step)
        except Exception as another:
            warnings.warn(f"The failure could not be noted: {another}", stacklevel=3)
        kind = "stopped" if isinstance(error, OverBudget) else f"failed ({type(error).__name__})"
        warnings.warn(f"Step {step}: probing {kind}: {error}", stacklevel=3)

    def _write_failure(self, unit: Unit, error: Exception, step: int) -> None:
        named = replace(unit, model=Model(f"{self._wish.name}@{step}"), key=f"{unit.key[:8]}{step:08d}")
        text = "".join(traceback.format_exception(error))
        failure = describe_failure(named, error, text)
        write_failure(self._options.output, replace(failure, extra={"training": self._about(step)}))


def _is_first_process() -> bool:
    distributed = torch.distributed
    return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0


def _check_whole(network: nn.Module) -> None:
    """Parameters that are spread over processes cannot be read by one of them."""
    sharded = any(type(part).__name__ == "FullyShardedDataParallel" for part in network.modules())
    if sharded or any(type(weights).__name__ == "DTensor" for weights in network.parameters()):
        raise EncoderError(
            "The network's parameters are sharded over processes.",
            "A network that one process holds whole is needed.",
            "Gather a full copy of it, or evaluate checkpoints with mv.evaluate.",
        )

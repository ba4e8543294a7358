"""Numbers for a tracker that a person uses already: one small hook, and its adapters, imported when asked for.

What is on disk comes first and is complete without any tracker. A tracker that fails is left out with one warning.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from midvision.core.errors import UsageError, nearest
from midvision.results.record import ResultRecord, plain, safe_name

if TYPE_CHECKING:
    from midvision.core.scores import Estimate
    from midvision.run.plan import Unit

PROJECT = "midvision"
Tell = Callable[[Sequence[ResultRecord]], None]


@dataclass(frozen=True, slots=True)
class Logged:
    """The numbers of one result. `series` is the curve they belong to, `step` their place on it."""

    series: str
    step: int
    values: Mapping[str, float]
    record: ResultRecord


class Tracker(Protocol):
    """What a tracker is told. `description` is the resolved run: plain values, nested."""

    name: str

    def on_run_start(self, description: Mapping[str, Any]) -> None: ...

    def on_unit_end(self, logged: Logged) -> None: ...

    def on_run_end(self, summary: Mapping[str, Any]) -> None: ...


class Trackers:
    """All trackers of a run as one. Whichever raises is left out from then on, with one warning."""

    def __init__(self, members: Sequence[Tracker]) -> None:
        self.alive = list(members)

    def on_run_start(self, description: Mapping[str, Any]) -> None:
        self._tell(lambda tracker: tracker.on_run_start(description))

    def on_unit_end(self, logged: Logged) -> None:
        self._tell(lambda tracker: tracker.on_unit_end(logged))

    def on_run_end(self, summary: Mapping[str, Any]) -> None:
        self._tell(lambda tracker: tracker.on_run_end(summary))

    def _tell(self, message: Callable[[Tracker], None]) -> None:
        for tracker in list(self.alive):
            try:
                message(tracker)
            except Exception as error:
                self.alive.remove(tracker)
                name = getattr(tracker, "name", type(tracker).__name__)
                warnings.warn(
                    f"Tracker {name} failed ({type(error).__name__}: {error}) and gets nothing more. "
                    "The results on disk are complete.",
                    stacklevel=3,
                )


def flat_values(task: str, metrics: Mapping[str, Estimate], main_metric: str) -> dict[str, float]:
    """`TASK/METRIC` -> value, and the interval of the headline metric; numbers that are not finite are left out."""
    values = {f"{task}/{name}": float(estimate.value) for name, estimate in metrics.items()}
    main = metrics[main_metric]
    values[f"{task}/{main_metric}_ci_low"] = float(main.ci_low)
    values[f"{task}/{main_metric}_ci_high"] = float(main.ci_high)
    return {name: value for name, value in values.items() if math.isfinite(value)}


class TensorBoard:
    """One folder of events per series below `OUTPUT/tensorboard`."""

    name = "tensorboard"

    def __init__(self, output: Path) -> None:
        self.folder = output / "tensorboard"
        self._description = ""
        self._writers: dict[str, Any] = {}

    def on_run_start(self, description: Mapping[str, Any]) -> None:
        self._description = json.dumps(plain(description), indent=1)

    def on_unit_end(self, logged: Logged) -> None:
        writer = self._writers.get(logged.series)
        if writer is None:
            board = importlib.import_module("torch.utils.tensorboard")
            writer = self._writers[logged.series] = board.SummaryWriter(str(self.folder / safe_name(logged.series)))
            writer.add_text("config", f"```json\n{self._description}\n```")
        for name, value in logged.values.items():
            writer.add_scalar(name, value, logged.step)
        writer.flush()

    def on_run_end(self, summary: Mapping[str, Any]) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()


class WeightsAndBiases:
    """One W&B run per series, in the project of `WANDB_PROJECT` (default `midvision`)."""

    name = "wandb"

    def __init__(self, output: Path) -> None:
        self.output = output
        self._wandb: Any = importlib.import_module("wandb")
        self._description: Any = {}
        self._runs: dict[str, Any] = {}

    def on_run_start(self, description: Mapping[str, Any]) -> None:
        self._description = plain(description)

    def on_unit_end(self, logged: Logged) -> None:
        if logged.series not in self._runs:
            self.output.mkdir(parents=True, exist_ok=True)
            self._runs[logged.series] = self._wandb.init(
                project=os.environ.get("WANDB_PROJECT", PROJECT),
                name=logged.series,
                config=self._description,
                dir=str(self.output),
                reinit="create_new",
            )
        self._runs[logged.series].log(dict(logged.values), step=logged.step)

    def on_run_end(self, summary: Mapping[str, Any]) -> None:
        for run in self._runs.values():
            run.summary.update(plain(summary))
            run.finish()
        self._runs.clear()


class MLflow:
    """One MLflow run per series, in the experiment of `MLFLOW_EXPERIMENT_NAME` (default `midvision`)."""

    name = "mlflow"

    def __init__(self, output: Path) -> None:
        self._client: Any = importlib.import_module("mlflow").MlflowClient()
        self._description: Any = {}
        self._runs: dict[str, str] = {}

    def on_run_start(self, description: Mapping[str, Any]) -> None:
        self._description = plain(description)

    def on_unit_end(self, logged: Logged) -> None:
        if logged.series not in self._runs:
            self._runs[logged.series] = self._open(logged.series)
        for name, value in logged.values.items():
            self._client.log_metric(self._runs[logged.series], name, value, step=logged.step)

    def _open(self, series: str) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        known = self._client.get_experiment_by_name(name)
        experiment = known.experiment_id if known else self._client.create_experiment(name)
        run = str(self._client.create_run(experiment, run_name=series).info.run_id)
        self._client.log_dict(run, self._description, "config.json")
        return run

    def on_run_end(self, summary: Mapping[str, Any]) -> None:
        for run in self._runs.values():
            self._client.log_dict(run, plain(summary), "summary.json")
            self._client.set_terminated(run)
        self._runs.clear()


KNOWN: Mapping[str, Callable[[Path], Tracker]] = {
    "tensorboard": TensorBoard,
    "wandb": WeightsAndBiases,
    "mlflow": MLflow,
}
"""Each needs the package of its name, which the extra of its name installs."""


def check_trackers(names: Sequence[str | Tracker]) -> None:
    """Raise for a name that nobody knows and for one whose package is not installed; imports neither."""
    for name in names:
        if not isinstance(name, str):
            continue
        if name not in KNOWN:
            raise UsageError(f"There is no tracker {name!r}.", nearest(name, KNOWN))
        if find_spec(name) is None:
            raise UsageError(
                f"Logging to {name} needs the package {name}, which is not installed.",
                "",
                f"Install it: pip install 'midvision[{name}]'",
            )


def open_trackers(names: Sequence[str | Tracker], output: Path) -> Trackers:
    """Trackers by name, or a person's own objects as they are. One that cannot be opened is left out with a warning."""
    check_trackers(names)
    members: list[Tracker] = []
    for name in dict.fromkeys(names):
        try:
            members.append(KNOWN[name](output) if isinstance(name, str) else name)
        except Exception as error:
            warnings.warn(f"Tracker {name} cannot be opened ({type(error).__name__}: {error}).", stacklevel=2)
    return Trackers(members)


@contextmanager
def tracked(names: Sequence[str | Tracker], output: Path, units: Sequence[Unit]) -> Iterator[Tell]:
    """Tell the trackers of a run; yields what to call with every record that is on disk."""
    trackers = open_trackers(names, output)
    trackers.on_run_start(describe_run(units))
    series = series_names(units)
    count = 0

    def tell(records: Sequence[ResultRecord]) -> None:
        nonlocal count
        for record in records:
            count += 1
            values = flat_values(record.task, record.metrics, record.main_metric)
            trackers.on_unit_end(Logged(series.get(record.run_hash, record.model_id), 0, values, record))

    try:
        yield tell
    finally:
        trackers.on_run_end({"results": count, "planned": len(series)})


def describe_run(units: Sequence[Unit]) -> dict[str, Any]:
    """Everything that decides the numbers of these units."""
    return {
        "models": list(dict.fromkeys(unit.model.id for unit in units)),
        "tasks": list(dict.fromkeys(unit.task.name for unit in units)),
        "protocols": {
            f"{unit.task.name}/{unit.spec.protocol}": unit.protocol.model_dump(mode="json") for unit in units
        },
        "runs": {unit.key: unit.spec.model_dump(mode="json") for unit in units},
    }


def series_names(units: Sequence[Unit]) -> dict[str, str]:
    """Run key -> the model's id, followed by whatever else differs between runs of this call."""
    rows = {
        unit.key: (
            unit.spec.protocol,
            unit.probe.name if unit.probe else "",
            f"seed {unit.spec.seed}",
            f"{unit.spec.data.set} {unit.spec.data.difficulty or ''}".strip(),
        )
        for unit in units
    }
    differ = [len({row[place] for row in rows.values()} - {""}) > 1 for place in range(4)]
    names = {}
    for unit in units:
        more = [word for word, shown in zip(rows[unit.key], differ) if shown and word]
        names[unit.key] = ", ".join([unit.model.id, *more])
    return names

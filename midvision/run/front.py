"""The Python front door's `evaluate`: the same path as the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.core.specs import DataSpec, ProbeSpec, RunSpec
from midvision.run.local import Outcome, run_units
from midvision.run.models import as_models
from midvision.run.options import RunOptions
from midvision.run.plan import expand_runs, parse_data

if TYPE_CHECKING:
    from midvision.core.features import ImageEncoder
    from midvision.results.query import Results
    from midvision.run.orders import Executor


def evaluate(
    model: str | ImageEncoder | Sequence[str | ImageEncoder],
    tasks: str | Sequence[str] = "synth",
    *,
    data: str | DataSpec | None = None,
    preset: str | None = None,
    difficulty: str | None = None,
    protocol: str | Sequence[str] = "corrected",
    probe: str | ProbeSpec | Sequence[str | ProbeSpec] | None = None,
    seeds: Sequence[int] = (0,),
    weights: str | None = None,
    output: str | Path | None = None,
    options: RunOptions | None = None,
    **settings: Any,
) -> Results:
    """Score one or several encoders on tasks; returns all results of this call, found ones included.

    `model` is an id or an encoder (`mv.load_model`, `mv.wrap`). `data="READER:PATH"` serves the bare
    task ids. `settings` are further fields of a run (`limit`, `layers`, `image_size`,
    `final_norm`, `feature_dtype`, `precision`). Finished runs in `output` are not repeated. Raises the first
    failure after all other runs are done.
    """
    from midvision.results.query import Results

    chosen = options or RunOptions(command="midvision.evaluate")
    if output is not None:
        from dataclasses import replace

        chosen = replace(chosen, output=Path(output))
    outcome = evaluate_runs(
        model,
        [tasks] if isinstance(tasks, str) else list(tasks),
        data=data_spec(data, preset, difficulty),
        protocols=[protocol] if isinstance(protocol, str) else list(protocol),
        probes=probe_specs(probe),
        seeds=seeds,
        weights=weights,
        template=RunSpec.model_validate({"model": "", "task": "", **settings}),
        options=chosen,
    )
    if outcome.failures:
        raise outcome.failures[0].error
    return Results(outcome.records)


def evaluate_runs(
    model: str | ImageEncoder | Sequence[str | ImageEncoder],
    tasks: Sequence[str],
    *,
    data: DataSpec | None,
    protocols: Sequence[str],
    probes: Sequence[ProbeSpec | None],
    seeds: Sequence[int],
    weights: str | None,
    template: RunSpec,
    options: RunOptions,
    executor: Executor | None = None,
) -> Outcome:
    """Expand, plan and run; failures come back beside the records."""
    runs = expand_runs(
        as_models(model, weights),
        tasks,
        protocols=protocols,
        data=data,
        probes=probes,
        seeds=seeds,
        template=template,
    )
    return run_units(runs, options, executor)


def data_spec(data: str | DataSpec | None, preset: str | None = None, difficulty: str | None = None) -> DataSpec | None:
    """What a person wrote as data; None leaves the built-in suite at its defaults."""
    if data is None:
        if preset is None and difficulty is None:
            return None
        return DataSpec.model_validate({"preset": preset, "difficulty": difficulty})
    return parse_data(data) if isinstance(data, str) else data


def probe_specs(probe: str | ProbeSpec | Sequence[str | ProbeSpec] | None) -> list[ProbeSpec | None]:
    if probe is None:
        return [None]
    several = [probe] if isinstance(probe, (str, ProbeSpec)) else list(probe)
    return [ProbeSpec.model_validate({"name": entry}) if isinstance(entry, str) else entry for entry in several]

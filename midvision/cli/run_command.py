"""`midvision run`: score encoders on tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, put_table, say

if TYPE_CHECKING:
    from midvision.cli.config import RunConfig
    from midvision.core.progress import Progress
    from midvision.run.local import Outcome

SOME_FAILED = 1
INTERRUPTED = 130
PLURAL = {"model": "models", "task": "tasks", "protocol": "protocols", "probe": "probes", "seed": "seeds"}
NUMBERS = ("images", "seconds_last_time")


def run(
    context: typer.Context,
    model: o.Models = None,
    task: o.Tasks = None,
    config: o.Config = None,
    set: o.Set = None,
    protocol: o.Protocols = None,
    data: o.Data = None,
    preset: o.PresetFlag = None,
    difficulty: o.DifficultyFlag = None,
    probe: o.Probes = None,
    weights: o.Weights = None,
    seed: o.Seeds = None,
    layers: o.Layers = None,
    image_size: o.ImageSize = None,
    final_norm: o.FinalNorm = None,
    limit: o.Limit = None,
    train_batch_size: o.TrainBatchSize = None,
    data_root: o.DataRoot = None,
    output: o.Output = None,
    cache_dir: o.CacheDir = None,
    dry_run: o.DryRun = False,
    resume: o.Resume = None,
    overwrite: o.OverwriteFlag = None,
    fail_fast: o.FailFast = None,
    batch_size: o.BatchSize = None,
    device: o.Device = None,
    precision: o.PrecisionFlag = None,
    feature_dtype: o.FeatureDtypeFlag = None,
    workers: o.Workers = None,
    jobs: o.Jobs = None,
    log_to: o.LogTo = None,
    offline: o.Offline = False,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    json: o.Json = False,
) -> None:
    """Score encoders on tasks. Finished units in the output folder are not repeated."""
    from midvision.cli import work
    from midvision.cli.config import load_config

    short = [] if train_batch_size is None else [f"overrides.train.batch_images={train_batch_size}"]
    chosen = load_config(config, [*(set or []), *short], asked(context.params))
    work.set_environment(chosen, offline=offline)
    progress = make_progress(quiet=quiet, bars=not no_progress)
    work.check_models(chosen)
    work.check_trackers(chosen)
    if dry_run:
        return show_plan(chosen, json)
    outcome = run_saving(chosen, progress)
    tell(outcome, json=json, verbose=verbose)
    if outcome.failures:
        raise typer.Exit(exit_code(outcome))
    return None


def asked(flags: Mapping[str, Any]) -> dict[str, Any]:
    """The flags that describe a run, by the names and in the types of its settings."""
    from midvision.cli import work
    from midvision.cli.config import RunConfig

    read: dict[str, Callable[[Any], Any]] = {
        "layers": work.layer_list,
        "image_size": work.size_pair,
        "batch_size": work.number_or_word,
        "data": data_words,
    }
    named = {PLURAL.get(name, name): read.get(name, lambda value: value)(value) for name, value in flags.items()}
    return work.flag_values(**{name: value for name, value in named.items() if name in RunConfig.model_fields})


def exit_code(outcome: Outcome) -> int:
    """1 where some units failed; if all failed for one kind of reason, the code of that reason."""
    from midvision.core.errors import MidvisionError

    codes = {f.error.exit_code if isinstance(f.error, MidvisionError) else SOME_FAILED for f in outcome.failures}
    return codes.pop() if len(codes) == 1 and not outcome.records else SOME_FAILED


def data_words(data: str | None) -> Any:
    """`READER:PATH` as it is; the name of an existing YAML file as what the file says."""
    if data is None or not data.endswith((".yaml", ".yml")) or ":" in data:
        return data
    from pathlib import Path

    from midvision.cli.config import read_yaml

    return read_yaml(Path(data))


def run_saving(config: RunConfig, progress: Progress) -> Outcome:
    """Carry the run out; an interruption leaves finished units saved and says how to go on."""
    from midvision.cli import work

    try:
        return work.carry_out(config, progress)
    except KeyboardInterrupt:
        say(f"\nInterrupted. Finished units are saved in {config.output}. To go on:\n  {work.resume_line()}")
        raise typer.Exit(INTERRUPTED) from None


def tell(outcome: Outcome, *, json: bool, verbose: bool = False) -> None:
    """Numbers to stdout, failures to stderr (and into the document of --json)."""
    from midvision.cli.summary import failure_record, summary

    if json:
        put_json(
            {
                "results": [record.as_dict() for record in outcome.records],
                "failures": [failure_record(failure) for failure in outcome.failures],
            }
        )
    elif outcome.records:
        head, rows = summary(outcome.records)
        put_table(head, rows, numbers=1)
    for failure in outcome.failures:
        found = failure_record(failure)
        say(f"Failed: {found['model']} on {found['task']}: {found['reason']}")
        if verbose and isinstance(getattr(failure, "error", None), BaseException):
            import traceback

            traceback.print_exception(failure.error)


def show_plan(config: RunConfig, json: bool) -> None:
    """What would run, what is already there, and how much it is."""
    from midvision.cli.plan_view import preview

    plan = preview(config)
    if json:
        return put_json(plan)
    rows = [
        [u["model"], u["task"], u["protocol"], u["probe"] or "–", u["state"], *(_known(u[n]) for n in NUMBERS)]
        for u in plan["units"]
    ]
    put_table(["model", "task", "protocol", "probe", "state", "images", "s last time"], rows, numbers=5)
    return say(", ".join(f"{name.replace('_', ' ')}: {_known(value)}" for name, value in plan["totals"].items()))


def _known(value: object) -> str:
    return "not known" if value is None else str(value)

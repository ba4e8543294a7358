"""`midvision demo`: the built-in suite on encoders that need no download, ending with one page."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, say

SIX_TASKS = (
    "synth-seg",
    "synth-depth",
    "synth-normals",
    "synth-object-pairs",
    "synth-scene-pairs",
    "synth-triplets",
)
ENCODERS = (
    "control/oracle",
    "control/pixels",
    "control/descriptor",
    "control/position",
    "control/noise",
    "random/resnet50",
    "random/vit_small_patch16_224",
)


def demo(
    model: o.Models = None,
    task: o.Tasks = None,
    preset: o.PresetFlag = None,
    difficulty: o.DifficultyFlag = None,
    probe: o.Probes = None,
    weights: o.Weights = None,
    output: o.Output = None,
    cache_dir: o.CacheDir = None,
    device: o.Device = None,
    workers: o.Workers = None,
    jobs: o.Jobs = None,
    open: Annotated[bool, typer.Option("--open", help="Show the page in a browser.", rich_help_panel=o.TALK)] = False,
    offline: o.Offline = False,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    json: o.Json = False,
) -> None:
    """Six tasks on generated scenes, with controls and a ceiling. Models given with -m are added."""
    from midvision.cli import work
    from midvision.cli.config import checked
    from midvision.cli.run_command import exit_code, run_saving, tell

    added = work.model_ids(model) if model else []
    if weights and len(added) != 1:
        from midvision.core.errors import UsageError

        raise UsageError("--weights goes with exactly one model.", f"{len(added)} were named with -m.")
    config = checked(
        work.flag_values(
            models=[*ENCODERS, *(name for name in added if name not in ENCODERS)],
            tasks=task or list(SIX_TASKS),
            probes=probe or ["ridge"],
            preset=preset or "small",
            difficulty=difficulty,
            output=output,
            cache_dir=cache_dir,
            device=device,
            workers=workers if workers is not None else min(2, os.cpu_count() or 1),
            jobs=jobs or min(4, os.cpu_count() or 1),
        ),
        "the options",
    )
    work.set_environment(config, offline=offline)
    progress = make_progress(quiet=quiet, bars=not no_progress)
    work.check_models(config)
    outcome = run_saving(config, progress)
    page = config.output / "demo.html"
    from midvision.report.page import write_report

    write_report(outcome.records, page, failures=outcome.failures, title="What these encoders know of a scene")
    tell(outcome, json=json, verbose=verbose)
    say(f"Report: {page.resolve()}")
    if open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    if outcome.failures:
        raise typer.Exit(exit_code(outcome))

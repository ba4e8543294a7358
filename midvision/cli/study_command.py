"""`midvision study`: many runs from one declaration, resumed, on this machine or a cluster, ending with a report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, put_table, say

if TYPE_CHECKING:
    from midvision.cli.config import RunConfig
    from midvision.results.record import ResultRecord
    from midvision.run.conduct import Conducted
    from midvision.run.study import Study

WIDE_COLUMNS = 12

Name = Annotated[
    str | None, typer.Argument(metavar="NAME|FILE.yaml", help="A built-in study, or your own.", show_default=False)
]
Also = Annotated[
    list[str] | None, typer.Option("--also", help="Model beside the study's own; repeatable.", rich_help_panel=o.WHAT)
]
Source = Annotated[
    str | None,
    typer.Option("--data", help="built-in, benchmarks or auto (benchmarks if prepared).", rich_help_panel=o.WHAT),
]
RandomInit = Annotated[
    bool,
    typer.Option("--random-init", help="Untrained stand-ins: each model's architecture.", rich_help_panel=o.WHAT),
]
Ray = Annotated[
    str | None, typer.Option("--ray", help="Ray cluster: auto, HOST:PORT, or local.", rich_help_panel=o.HOW)
]
ReportOnly = Annotated[
    bool, typer.Option("--report-only", help="Write the report of what is there, then stop.", rich_help_panel=o.HOW)
]


def study(
    name: Name = None,
    model: o.Models = None,
    also: Also = None,
    task: o.Tasks = None,
    protocol: o.Protocols = None,
    data: Source = None,
    preset: o.PresetFlag = None,
    difficulty: o.DifficultyFlag = None,
    probe: o.Probes = None,
    seed: o.Seeds = None,
    limit: o.Limit = None,
    random_init: RandomInit = False,
    high_level: o.HighLevel = None,
    output: o.Output = None,
    cache_dir: o.CacheDir = None,
    data_root: o.DataRoot = None,
    dry_run: o.DryRun = False,
    report_only: ReportOnly = False,
    ray: Ray = None,
    jobs: o.Jobs = None,
    overwrite: o.OverwriteFlag = None,
    fail_fast: o.FailFast = None,
    batch_size: o.BatchSize = None,
    device: o.Device = None,
    workers: o.Workers = None,
    offline: o.Offline = False,
    verbose: o.Verbose = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    json: o.Json = False,
) -> None:
    """Carry out a study: what is missing is computed, what is there is kept. Without a name: list them."""
    from midvision.cli import work
    from midvision.cli.config import checked

    if name is None:
        return _list(json)
    places = {"output": output, "cache_dir": cache_dir, "data_root": data_root}
    how = {"overwrite": overwrite, "fail_fast": fail_fast, "device": device, "workers": workers}
    size = {"batch_size": work.number_or_word(batch_size)}
    config = checked(work.flag_values(**places, **how, **size), "the options")
    work.set_environment(config, offline=offline)
    wishes = work.flag_values(
        models=model, tasks=task, protocols=protocol, preset=preset, difficulty=difficulty, probes=probe, seeds=seed,
        limit=limit, data=data, high_level=str(high_level) if high_level else None,
    )  # fmt: skip
    chosen = declared_study(name, wishes, also or [], random_init)
    progress = make_progress(quiet=quiet, bars=not no_progress)
    options = work.run_options(config, work.command_line(), progress)
    if dry_run:
        return _preview(chosen, config, json)
    from midvision.run.conduct import code_of, conduct, executor_of, gather

    try:
        if report_only:
            conducted = gather(chosen, options)
        else:
            conducted = conduct(chosen, options, executor_of(options, ray, jobs))
    except KeyboardInterrupt:
        say(f"\nInterrupted. Finished units are saved in {config.output}. To go on:\n  {work.resume_line()}")
        say("For a report of what is there, add --report-only.")
        raise typer.Exit(130) from None
    _tell(conducted, json=json, verbose=verbose)
    if code := code_of(conducted):
        raise typer.Exit(code)
    return None


def declared_study(name: str, wishes: dict[str, Any], also: list[str], random_init: bool) -> Study:
    """The study by name or file, with what the flags change. A preset asks for built-in data."""
    from midvision.cli.config import read_yaml
    from midvision.cli.work import model_ids
    from midvision.core.errors import UsageError, nearest
    from midvision.run.conduct import declared
    from midvision.run.study import all_studies

    changes = dict(wishes)
    if "models" in changes:
        changes["models"] = model_ids(changes["models"])
    if name.endswith((".yaml", ".yml")):
        found = declared(read_yaml(Path(name)), name)
    elif name in all_studies():
        found = all_studies()[name]
    else:
        raise UsageError(f"There is no study {name!r}.", nearest(name, all_studies()), "Or a FILE.yaml is expected.")
    if "preset" in changes and changes.get("data") == "benchmarks":
        raise UsageError("--preset is a size of the built-in data.", "With --data benchmarks there is none.")
    if "preset" in changes or "difficulty" in changes:
        changes["data"] = "built-in"
    if "tasks" in changes:
        changes |= _by_data(changes.pop("tasks"), changes)
    models = [*changes.get("models", found.models), *(model_ids(also) if also else ())]
    changes["models"] = list(dict.fromkeys(models))
    if random_init:
        changes["random_init"] = True
    return declared({**found.model_dump(), **changes}, name)


def _by_data(patterns: list[str], changes: dict[str, Any]) -> dict[str, Any]:
    """Tasks that a person named: built-in ones, or those of benchmarks; which of the two is then settled."""
    from midvision.core.errors import UsageError
    from midvision.run.plan import task_names

    names = task_names(patterns)
    built_in = [name for name in names if name.startswith("synth-")]
    if built_in and len(built_in) < len(names):
        raise UsageError("A study reads built-in data or benchmarks.", f"Both were named: {', '.join(names)}.")
    if built_in:
        return {"tasks": names, "data": "built-in"}
    return {"benchmarks": names, "data": changes.get("data", "benchmarks")}


def _list(json: bool) -> None:
    from midvision.run.study import all_studies

    studies = list(all_studies().values())
    if json:
        return put_json({"studies": [one.model_dump(mode="json") for one in studies]})
    return put_table(["study", "models", "question"], [[s.name, str(len(s.models)), s.question] for s in studies])


def _preview(chosen: Study, config: RunConfig, json: bool) -> None:
    """What would run and what it would take."""
    import shutil

    from midvision.cli.plan_view import _existing, stored_results
    from midvision.cli.work import run_options
    from midvision.core.progress import SILENT
    from midvision.run.conduct import runs_of, settled
    from midvision.run.estimate import estimate, plan_of

    study, left_out = settled(chosen)
    stored = stored_results(config.output)
    units = plan_of(runs_of(study), stored)
    totals = estimate(units, stored, run_options(config, "", SILENT))
    totals["free_disk_gib"] = round(shutil.disk_usage(_existing(config.output)).free / 2**30, 1)
    if json:
        plan = {"study": study.model_dump(mode="json"), "units": [unit.as_dict() for unit in units]}
        return put_json({**plan, "totals": totals, "left_out": list(left_out)})
    rows = [
        [
            unit.model.id,
            unit.task.name,
            variant(unit.spec.model_dump(mode="json")),
            "stored" if unit.stored else "to do",
        ]
        for unit in units
    ]
    put_table(["model", "task", "variant", "state"], rows)
    for key, value in totals.items():
        say(f"{key.replace('_', ' ')}: {_words(value)}")
    _say_left_out(left_out)
    return None


def _words(value: Any) -> str:
    if value is None:
        return "not measured yet"
    return (", ".join(map(str, value)) or "nothing") if isinstance(value, list) else str(value)


def _say_left_out(left_out: tuple[str, ...]) -> None:
    if left_out:
        say(f"Left out, because their data is not prepared here: {', '.join(left_out)} (midvision data prepare)")


def _tell(conducted: Conducted, *, json: bool, verbose: bool) -> None:
    from midvision.cli.run_command import tell
    from midvision.cli.summary import failure_record

    outcome = conducted.outcome
    if json:
        records = [record.as_dict() for record in outcome.records]
        failures = [failure_record(failure) for failure in outcome.failures]
        report = str(conducted.report) if conducted.report else None
        return put_json({"results": records, "failures": failures, "report": report})
    wide = len({(record.task, variant(record.run)) for record in outcome.records}) > WIDE_COLUMNS
    if wide:
        _put_long(outcome.records)
        for failure in outcome.failures:
            found = failure_record(failure)
            say(f"Failed: {found['model']} on {found['task']}: {found['reason']}")
    else:
        tell(outcome, json=False, verbose=verbose)
    _say_left_out(conducted.left_out)
    say(f"{len(outcome.records)} results ({outcome.found} found), {len(outcome.failures)} failures.")
    if conducted.report:
        say(f"Report: {conducted.report.resolve()}")
    return None


def _put_long(records: list[ResultRecord]) -> None:
    """One row per encoder and variant, one table per task: what varies has too many values for columns."""
    from midvision.report.numbers import interval, metric_title, number

    for task in dict.fromkeys(record.task for record in records):
        mine = [record for record in records if record.task == task]
        head = ["encoder", "variant", metric_title(mine[0].main_metric), "95 %"]
        rows = [[r.model_id, variant(r.run), number(r.main.value, r.main.unit), interval(r.main)] for r in mine]
        put_table(head, rows, title=task, numbers=2)


def variant(run: Any) -> str:
    """What sets this run apart from the plain one, in words."""
    probe, data = run.get("probe") or {}, run.get("data") or {}
    size = run.get("image_size")
    named = {
        "layers": ",".join(map(str, run.get("layers") or ())),
        "px": size and f"{size[0]}x{size[1]}",
        "probe": probe.get("name", "") + (f"-{probe['hidden']}" if probe.get("name") in ("multiscale", "dpt") else ""),
        "trained on": run.get("train_images"),
        "axes": ",".join(f"{k}={v}" for k, v in (data.get("options", {}).get("axes") or {}).items()),
        "seed": run.get("seed") or "",
        "limit": run.get("limit"),
        "protocol": "" if run.get("protocol") == "corrected" else run.get("protocol"),
    }
    return " ".join(f"{name} {value}" for name, value in named.items() if value) or "–"

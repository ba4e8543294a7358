"""`midvision protocol diff A B`: which decisions differ, and what each does to the number."""

from __future__ import annotations

import json as text_of
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, put_table, say
from midvision.core.errors import UsageError

if TYPE_CHECKING:
    from midvision.cli.config import RunConfig
    from midvision.run.decisions import Effect, Measured
    from midvision.tasks.decisions import Differing

DEFAULT_MODELS = ["control/descriptor", "random/resnet18"]
Name = Annotated[str, typer.Argument(help="paper or corrected.")]


def build() -> typer.Typer:
    """The group of protocol commands."""
    group = typer.Typer(help="Named protocols: how they differ, and what that does.", no_args_is_help=True)
    group.callback()(lambda: None)
    group.command("diff", help=diff.__doc__)(diff)
    return group


def diff(
    context: typer.Context,
    a: Name,
    b: Name,
    task: o.Tasks = None,
    measure: Annotated[
        bool, typer.Option("--measure", help="Run B with each decision of A alone, and tell what it does.")
    ] = False,
    model: o.Models = None,
    data: o.Data = None,
    preset: o.PresetFlag = None,
    difficulty: o.DifficultyFlag = None,
    probe: Annotated[o.Probe | None, typer.Option("--probe", help="Probe to fit.", rich_help_panel=o.WHAT)] = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Probe seed.", rich_help_panel=o.WHAT)] = None,
    limit: o.Limit = None,
    weights: o.Weights = None,
    set: o.Set = None,
    data_root: o.DataRoot = None,
    output: o.Output = None,
    cache_dir: o.CacheDir = None,
    batch_size: o.BatchSize = None,
    device: o.Device = None,
    workers: o.Workers = None,
    offline: o.Offline = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    json: o.Json = False,
) -> None:
    """Every decision on which protocols A and B differ; with --measure, what each alone does to the headline.

    Measuring starts from B and takes one decision at a time from A, then all. Runs are stored as any run is.
    """
    if not task:
        raise UsageError("No task was named.", "-t/--task is needed.", "See: midvision list tasks")
    if not measure:
        return tell_differences(task, a, b, json)
    from midvision.cli.config import load_config
    from midvision.cli.run_command import asked

    given = asked({**context.params, "model": model or DEFAULT_MODELS})
    config = load_config(None, set or [], given)
    found = measured(config, a, b, make_progress(quiet=quiet, bars=not no_progress), offline)
    if json:
        put_json([one.as_dict() for one in found])
    else:
        for one in found:
            tell_effects(one)
    if any(effect.state == "failed" for one in found for effect in one.effects):
        raise typer.Exit(1)
    return None


def tell_differences(tasks: list[str], a: str, b: str, json: bool) -> None:
    """The decisions that differ, task by task; nothing is run."""
    from midvision.core.catalog import pick
    from midvision.run.plan import task_names
    from midvision.tasks.decisions import differences, elsewhere
    from midvision.tasks.task import all_tasks

    documents: list[dict[str, Any]] = []
    for name in task_names(tasks):
        task = all_tasks()[name]
        named = dict(task.protocols)
        found = differences(task, pick("protocol", a, named), pick("protocol", b, named))
        absent = elsewhere(found) if a != b else {}
        documents.append(
            {"task": name, "a": a, "b": b, "decisions": [one.as_dict() for one in found], "not_here": absent}
        )
        if not json:
            rows = [[one.field, short(one.a), short(one.b), one.defect, one.meaning] for one in found]
            put_table(["decision", a, b, "defect", "what it decides"], rows, title=f"{name}: {len(found)} decisions")
            for number, acts in absent.items():
                say(f"{name}: both protocols agree on {number}, which acts on {acts}.")
    if json:
        put_json(documents)


def measured(config: RunConfig, a: str, b: str, progress: Any, offline: bool) -> list[Measured]:
    """Carry the comparison out."""
    from midvision.cli import work
    from midvision.run.decisions import measure
    from midvision.run.models import as_models

    if config.overrides or len(config.probes) > 1 or len(config.seeds) > 1:
        raise UsageError("--measure takes one probe, one seed and no overrides.", "It makes its own overrides.")
    work.set_environment(config, offline=offline)
    work.check_models(config)
    return measure(
        as_models(work.model_ids(config.models), config.weights),
        work.wanted_tasks(config),
        a,
        b,
        data=config.data_spec(),
        probe=config.probes[0] if config.probes else None,
        seed=config.seeds[0],
        template=work.template(config),
        options=work.run_options(config, work.command_line(), progress),
    )


def tell_effects(found: Measured) -> None:
    """One table: the base in the title, a row per decision, numbers only where there is an effect."""
    from midvision.report.numbers import metric_title, number

    base = found.base
    probe = f", {base.probe_name} probe" if base.probe_name else ""
    title = (
        f"{found.task}, {found.model}{probe}: {metric_title(base.main_metric)} "
        f"{number(base.main.value, base.main.unit)} under {found.b}; with single decisions as in {found.a}:"
    )
    if not found.effects:
        return say(f"{found.task}, {found.model}: {found.a} and {found.b} decide alike; there is nothing to measure.")
    rows = [[*_words(effect.decision, effect.what), _came_out(effect), *_numbers(effect)] for effect in found.effects]
    head = ["decision", "defect", f"{found.b} → {found.a}", "what it does", "effect", "95 % interval"]
    return put_table(head, rows, title=title, numbers=4)


def _words(decision: Differing | None, what: str) -> list[str]:
    if decision is None:
        return [what, "", ""]
    return [what, decision.defect, f"{short(decision.b)} → {short(decision.a)}"]


def _came_out(effect: Effect) -> str:
    if effect.difference is not None:
        words = {"a": "scores better with it", "b": "scores worse with it", "": "cannot be told from none"}
        return words[effect.difference.better]
    return f"{effect.state}: {effect.said}" if effect.state in ("does not apply", "failed") else effect.said


def _numbers(effect: Effect) -> list[str]:
    found = effect.difference
    if found is None:
        return ["–", ""]
    # Four places hide a tiny effect that is none the less certain.
    form = "+.4f" if abs(found.value) >= 5e-5 else "+.1e"
    return [f"{found.value:{form}}", f"[{found.ci_low:{form}}, {found.ci_high:{form}}]"]


def short(value: Any) -> str:
    """A value as a person reads it."""
    return value if isinstance(value, str) else text_of.dumps(value)

"""From a checked description to results: what `run`, `demo` and `validate` share."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from midvision.cli.config import RunConfig
from midvision.core.errors import UsageError
from midvision.core.progress import Progress

if TYPE_CHECKING:
    from midvision.core.items import Dataset
    from midvision.core.specs import ProbeSpec, RunSpec
    from midvision.run.local import Outcome
    from midvision.run.models import Model
    from midvision.run.options import RunOptions

DEFAULT_BATCH = 16


def set_environment(config: RunConfig, *, offline: bool = False) -> None:
    """Folders and manners that libraries read from the environment, set before any of them is imported."""
    os.environ["MIDVISION_CACHE"] = str(config.cache_dir)
    if config.data_root is not None:
        os.environ["MIDVISION_DATA"] = str(config.data_root)
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"


def model_ids(patterns: Sequence[str]) -> list[str]:
    """Ids for what a person wrote; globs are looked up among the listed models, other ids pass as they are."""
    found: dict[str, None] = {}
    for word in (part.strip() for text in patterns for part in text.split(",")):
        if not word:
            continue
        if any(mark in word for mark in "*[") and not word.startswith(("file:", "python:")):
            from midvision.core.catalog import expand

            known = {
                str(record["id"]): record
                for record in listed_models()
                if record["kind"] != "form" and record.get("usable", True)
            }
            found.update(dict.fromkeys(expand("model", [word], known)))
        else:
            found[word] = None
    if not found:
        raise UsageError(
            "No model was named.", "-m/--model or `models:` in the config is needed.", "See: midvision list models"
        )
    return list(found)


def listed_models() -> list[dict[str, Any]]:
    """Every model that can be named."""
    from midvision.zoo.load import list_models

    return [dict(record) for record in list_models()]


def run_options(config: RunConfig, command: str, progress: Progress) -> RunOptions:
    """How to carry the run out; nothing of it may change a score."""
    from midvision.run.options import GIBIBYTE, RunOptions

    return RunOptions(
        output=config.output,
        cache_folder=config.cache_dir / "features",
        cache=config.cache,
        cache_limit_bytes=int(config.cache_limit_gib * GIBIBYTE),
        batch_size=DEFAULT_BATCH if config.batch_size == "auto" else config.batch_size,
        workers=config.workers,
        device=config.device,
        overwrite=config.overwrite if config.resume else "always",
        fail_fast=config.fail_fast,
        command=command,
        progress=progress,
        log_to=config.log_to,
    )


def template(config: RunConfig) -> RunSpec:
    """The settings that all runs of this description share."""
    from midvision.core.specs import RunSpec

    names = ("layers", "image_size", "final_norm", "limit", "precision", "feature_dtype", "overrides", "train_images")
    return RunSpec.model_validate({"model": "", "task": "", **{name: getattr(config, name) for name in names}})


def probes(config: RunConfig) -> list[ProbeSpec | None]:
    return list(config.probes) or [None]


def planned(config: RunConfig) -> list[tuple[Model, RunSpec]]:
    """Every run that the description asks for."""
    from midvision.run.models import as_models
    from midvision.run.plan import expand_runs

    return expand_runs(
        as_models(model_ids(config.models), config.weights),
        wanted_tasks(config),
        protocols=config.protocols,
        data=config.data_spec(),
        probes=probes(config),
        seeds=config.seeds,
        template=template(config),
    )


def check_models(config: RunConfig) -> None:
    """Raise for the first model id that nobody knows; builds and downloads nothing."""
    from midvision.run.models import as_models

    for model in as_models(model_ids(config.models), config.weights):
        model.key()


def check_trackers(config: RunConfig) -> None:
    """Raise for a tracker that nobody knows or whose package is missing."""
    if config.log_to:
        from midvision.run.trackers import check_trackers

        check_trackers(config.log_to)


def seen(config: RunConfig, task: str, split: str, protocol: str, progress: Progress) -> tuple[Dataset, str]:
    """One split of a task's data as its probe sees it under the protocol, and the unit of its depth."""
    from midvision.core.catalog import pick
    from midvision.core.specs import RunSpec
    from midvision.data.card import Request, open_data
    from midvision.run.plan import resolve_protocol, task_data
    from midvision.tasks.seen import seen_by_probe
    from midvision.tasks.task import all_tasks

    found = pick("task", task, all_tasks())
    data = task_data(found, config.data_spec())
    rules = resolve_protocol(RunSpec(model="", task=task, protocol=protocol, data=data), found)
    part: Literal["train", "test"] = "train" if split == "train" else "test"
    request = Request(found.content, part, data, rules.images, workers=config.workers, progress=progress)
    return seen_by_probe(open_data(request), rules)


def wanted_tasks(config: RunConfig) -> list[str]:
    if not config.tasks:
        raise UsageError(
            "No task was named.", "-t/--task or `tasks:` in the config is needed.", "See: midvision list tasks"
        )
    return list(config.tasks)


def carry_out(config: RunConfig, progress: Progress) -> Outcome:
    """Run everything; what the output folder already holds is taken from there."""
    from midvision.run.front import evaluate_runs
    from midvision.run.processes import executor_for

    options = run_options(config, command_line(), progress)
    return evaluate_runs(
        model_ids(config.models),
        wanted_tasks(config),
        data=config.data_spec(),
        protocols=config.protocols,
        probes=probes(config),
        seeds=config.seeds,
        weights=config.weights,
        template=template(config),
        options=options,
        executor=executor_for(options, config.jobs),
    )


def command_line(drop: Sequence[str] = ()) -> str:
    """This command as a person can type it again, without the words in `drop` (and their values)."""
    words: list[str] = []
    arguments = iter(sys.argv[1:])
    for word in arguments:
        name = word.split("=")[0].replace("_", "-")
        if name in drop:
            if name == "--overwrite" and "=" not in word:
                next(arguments, None)
            continue
        words.append(word)
    return shlex.join(["midvision", *words])


def resume_line() -> str:
    """What to type after an interruption: the same command, taking finished units from the output."""
    return command_line(drop=("--no-resume", "--overwrite"))


def flag_values(**given: Any) -> dict[str, Any]:
    """Flags that were given, as plain values; enum members become their words, repeated flags a list."""
    plain: dict[str, Any] = {}
    for name, value in given.items():
        if value is None or value == [] or value == ():
            continue
        if isinstance(value, list | tuple):
            value = [getattr(entry, "value", entry) for entry in value]
        plain[name] = getattr(value, "value", value)
    return plain


def number_or_word(text: str | None) -> int | str | None:
    return int(text) if text is not None and text.isdigit() else text


def layer_list(text: str | None) -> list[int | float] | None:
    """`2,5,8,11`, `-1` or `0.25,0.5`."""
    if text is None:
        return None
    try:
        return [float(word) if "." in word else int(word) for word in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--layers {text!r} is not a list of numbers.", "2,5,8,11 or 0.25,1.0 is expected.") from error


def size_pair(text: str | None, flag: str = "--image-size") -> tuple[int, int] | None:
    """`224` or `448x336` (height x width)."""
    if text is None:
        return None
    words = text.lower().split("x")
    if not all(word.isdigit() and int(word) > 0 for word in words) or len(words) > 2:
        raise UsageError(f"{flag} {text!r} is not a size.", "H or HxW in pixels is expected, such as 448x336.")
    return int(words[0]), int(words[-1])

"""`midvision validate run.yaml`: settings, data folders and ids are checked; nothing runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from midvision.cli import options as o
from midvision.cli.terminal import put_json, say

if TYPE_CHECKING:
    from midvision.cli.config import RunConfig


def validate(
    file: Annotated[Path, typer.Argument(help="Settings as YAML.")], set: o.Set = None, json: o.Json = False
) -> None:
    """Check a config: keys, values, model and task ids, data folders. Runs nothing."""
    from midvision.cli import work
    from midvision.cli.config import load_config

    config = load_config(file, set or [], {})
    work.set_environment(config)
    runs = work.planned(config)
    work.check_models(config)
    data = checked_data(config)
    if json:
        return put_json({"valid": True, "runs": len(runs), "data": data, "settings": config.model_dump(mode="json")})
    models, tasks = {model.id for model, _ in runs}, {spec.task for _, spec in runs}
    say(f"{file} is sound: {len(runs)} runs of {len(models)} models on {len(tasks)} tasks.")
    for entry in data:
        say(f"  {entry['content']}: {entry['items']} {entry['split']} items, {entry['images']} images")
    return None


def checked_data(config: RunConfig) -> list[dict[str, Any]]:
    """Open own data and benchmarks once per content and split; the built-in suite is made on demand and not touched."""
    from midvision.cli import work
    from midvision.data.card import Request, open_data
    from midvision.run.plan import resolve_protocol
    from midvision.tasks.task import all_tasks

    found: dict[tuple[str, str], dict[str, Any]] = {}
    for _, spec in work.planned(config):
        task = all_tasks()[spec.task]
        splits: tuple[Literal["train", "test"], ...] = ("train", "test") if task.learner is not None else ("test",)
        for split in splits:
            if (spec.data.path is None and spec.data.set == "synthetic") or (task.content, split) in found:
                continue
            rules = resolve_protocol(spec, task).images
            request = Request(content=task.content, split=split, data=spec.data, rules=rules, limit=spec.limit)
            dataset = open_data(request)
            found[task.content, split] = {
                "content": task.content,
                "split": split,
                "items": len(dataset.items),
                "images": len(dataset.images),
                "frame_size": list(dataset.frame_size),
            }
    return list(found.values())

"""Front-door look-ups: the tasks there are, and a task's data as its probe will see it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from midvision.core.catalog import pick
from midvision.data.card import Request
from midvision.data.card import open_data as open_request
from midvision.run.plan import resolve_protocol, task_data
from midvision.tasks.task import all_tasks

if TYPE_CHECKING:
    from midvision.core.items import Dataset
    from midvision.core.specs import DataSpec


def list_tasks() -> list[dict[str, Any]]:
    """Every task: name, title, question, level, headline metric, protocols, and whether it brings data."""
    return [
        {
            "name": task.name,
            "title": task.title,
            "question": task.question,
            "level": task.level,
            "content": task.content,
            "data_set": task.data_set,
            "headline": task.metrics[0].name,
            "metrics": [metric.name for metric in task.metrics],
            "protocols": {name: protocol.version for name, protocol in task.protocols.items()},
            "trains_a_probe": task.learner is not None,
        }
        for task in all_tasks().values()
    ]


def open_data(
    task: str,
    data: str | DataSpec | None = None,
    *,
    split: Literal["train", "test"] = "test",
    protocol: str = "corrected",
    preset: str | None = None,
    difficulty: str | None = None,
    limit: int | None = None,
) -> Dataset:
    """The data set that a task reads: images and items by id, under the protocol's image rules."""
    from midvision.core.specs import RunSpec
    from midvision.run.front import data_spec

    found = pick("task", task, all_tasks())
    chosen = task_data(found, data_spec(data, preset, difficulty))
    rules = resolve_protocol(RunSpec(model="", task=task, protocol=protocol, data=chosen), found).images
    return open_request(Request(content=found.content, split=split, data=chosen, rules=rules, limit=limit))

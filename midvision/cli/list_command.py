"""`midvision list models|tasks|protocols|data`: what there is, without loading any of it."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from midvision.cli.options import Json
from midvision.cli.terminal import put_json, put_table, say
from midvision.core.errors import UsageError, nearest

Pattern = Annotated[str | None, typer.Argument(help="Name, part of a name, or glob.")]


def build() -> typer.Typer:
    """The group of list commands."""
    group = typer.Typer(help="Models, tasks, protocols and data that can be named.", no_args_is_help=True)
    for name, command in (("models", models), ("tasks", tasks), ("protocols", protocols), ("data", data)):
        group.command(name)(command)
    return group


def matching(kind: str, records: Sequence[Mapping[str, Any]], pattern: str | None, key: str) -> list[Mapping[str, Any]]:
    """Records whose name is, contains or globs to the pattern; none at all is an error with near names."""
    if pattern is None:
        return list(records)
    wanted = pattern if any(mark in pattern for mark in "*?[") else f"*{pattern}*"
    found = [record for record in records if fnmatch.fnmatchcase(str(record[key]).lower(), wanted.lower())]
    if not found:
        raise UsageError(f"No {kind} matches {pattern!r}.", nearest(pattern, [str(record[key]) for record in records]))
    return found


def models(pattern: Pattern = None, json: Json = False) -> None:
    """Model ids, what they need, and whether they can be used here."""
    from midvision.cli.work import listed_models

    found = matching("model", listed_models(), pattern, "id")
    if json:
        return put_json(found)
    rows = [
        [str(r["id"]), str(r.get("kind") or ""), str(r.get("title") or r.get("source") or ""), _needs(r)] for r in found
    ]
    put_table(["model", "kind", "what it is", "needs"], rows)
    return say(card_counts(found))


def card_counts(records: Sequence[Mapping[str, Any]]) -> str:
    """How many listed checkpoints can be used, and how much of their cards nobody knows."""
    cards = [record for record in records if record["kind"] == "card"]
    unknown = sum(int(record["unknown"]) for record in cards)
    usable = sum(bool(record["usable"]) for record in cards)
    return f"{len(cards)} checkpoints with cards, {usable} usable; {unknown} facts unknown (--json names each)."


def _needs(record: Mapping[str, Any]) -> str:
    """What has to be installed or fetched before the model can be used; nothing where it can be used now."""
    return "" if record.get("available", True) else str(record.get("needs") or "not available")


def task_records() -> list[dict[str, Any]]:
    """One plain record per task, as `list tasks --json` prints it."""
    from midvision.run.open import list_tasks

    return list_tasks()


def tasks(pattern: Pattern = None, json: Json = False) -> None:
    """Task ids with their question and headline metric."""
    found = matching("task", task_records(), pattern, "name")
    if json:
        return put_json(found)
    rows = [[r["name"], r["headline"], r["data_set"] or "your own (--data)", r["question"]] for r in found]
    return put_table(["task", "headline", "data", "question"], rows)


def protocols(pattern: Pattern = None, json: Json = False) -> None:
    """Named protocols of every task, with all their decisions under --json."""
    from midvision.tasks.task import all_tasks

    records = [
        {"task": task.name, "protocol": name, "version": protocol.version, "settings": protocol.model_dump(mode="json")}
        for task in all_tasks().values()
        for name, protocol in task.protocols.items()
    ]
    found = matching("task", records, pattern, "task")
    if json:
        return put_json(found)
    rows = [
        [str(r["task"]), f"{r['protocol']}@{r['version']}", str(r["settings"]["default_probe"] or "no probe")]
        for r in found
    ]
    return put_table(["task", "protocol", "default probe"], rows)


def data(pattern: Pattern = None, json: Json = False) -> None:
    """Data sets and readers for your own data, with their options."""
    from midvision.data.card import all_sets

    records = [
        {
            "name": card.name,
            "version": card.version,
            "title": card.title,
            "contents": list(card.contents),
            "options": dict(card.options),
            "licence": card.licence,
            "how_to_get": card.how_to_get,
            "pixel_centre": card.pixel_centre,
            "pose_direction": card.pose_direction,
        }
        for card in all_sets().values()
    ]
    found = matching("data set", records, pattern, "name")
    if json:
        return put_json(found)
    rows = [[str(r["name"]), ", ".join(r["contents"]), ", ".join(r["options"]), str(r["title"])] for r in found]
    return put_table(["data", "serves", "options", "title"], rows)

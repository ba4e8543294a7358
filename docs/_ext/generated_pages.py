"""Pages that are written from the program itself at every build: the command line and the protocols."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args

FOLDER = Path(__file__).parents[1] / "generated"


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", lambda _: write_pages(FOLDER))
    return {"version": "1", "parallel_read_safe": True}


def write_pages(folder: Path) -> None:
    """Write every page; one that is as it was keeps its time stamp, so that Sphinx need not read it again."""
    folder.mkdir(exist_ok=True)
    pages = {"cli": command_page(), "tasks": task_page(), **protocol_pages()}
    for name, text in pages.items():
        path = folder / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


# The command line ----------------------------------------------------------------------------------------------


def command_page() -> str:
    """One section per command, from the parser that reads them."""
    from typer.main import get_command

    from midvision.cli.main import build_app

    root = get_command(build_app())
    lines = [
        "# Command line",
        "",
        "This page is written from the program's own parser, so it is what your version does.",
        "Hyphens in flags may be written as underscores. `midvision COMMAND --help` says the same.",
        "",
        "Exit codes: 0 all done; 1 some units failed, the others are kept; 2 a wrong option or setting;",
        "3 data or weights are missing or unusable; 4 results cannot be compared, or a check failed;",
        "130 interrupted, with everything that was finished saved.",
        "",
    ]
    for name, command in walk(root, "midvision"):
        lines += section(name, command)
    return "\n".join(lines) + "\n"


def walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, below in getattr(command, "commands", {}).items():
        if getattr(below, "commands", None):
            yield from walk(below, f"{name} {word}")
        else:
            yield f"{name} {word}", below


def section(name: str, command: Any) -> list[str]:
    lines = [f"## `{name}`", "", one_line(command.help or ""), ""]
    arguments = [entry for entry in command.params if entry.param_type_name == "argument"]
    options = [entry for entry in command.params if entry.param_type_name == "option" and entry.name != "help"]
    usage = " ".join([name, *map(argument_word, arguments), *(["[OPTIONS]"] if options else [])])
    lines += ["```text", usage, "```", ""]
    if arguments:
        lines += [f"- `{argument_word(entry)}`: {one_line(entry.help)}" for entry in arguments if entry.help]
        lines.append("")
    if options:
        lines += ["| option | meaning |", "| --- | --- |"]
        lines += [f"| {names_of(entry)} | {meaning_of(entry)} |" for entry in options]
        lines.append("")
    return lines


def argument_word(argument: Any) -> str:
    word = argument.name.upper() + ("..." if argument.nargs != 1 else "")
    return word if argument.required else f"[{word}]"


def names_of(option: Any) -> str:
    words = ", ".join(option.opts) + "".join(f"/{word}" for word in option.secondary_opts)
    value = "" if option.is_flag else f" {value_word(option.type_descriptor.annotation)}"
    return f"`{words}{value}`".replace("|", "\\|")


def value_word(annotation: Any) -> str:
    """What may stand after an option: the words of a choice, or the kind of value."""
    inner = [entry for entry in get_args(annotation) if entry is not type(None)]
    kind = inner[0] if inner else annotation
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "|".join(str(entry.value) for entry in kind)
    return {"int": "NUMBER", "float": "NUMBER", "Path": "PATH"}.get(getattr(kind, "__name__", ""), "TEXT")


def plain_word(choice: Any) -> str:
    return str(getattr(choice, "value", choice))


def meaning_of(option: Any) -> str:
    default = option.default
    shown = default is not None and not callable(default) and default not in (False, [], ()) and not option.is_flag
    return cell(one_line(option.help or "") + (f" Default: `{plain_word(default)}`." if shown else "")) or "–"


def one_line(text: str) -> str:
    return " ".join(text.split())


def cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


# Tasks and protocols -------------------------------------------------------------------------------------------


def families() -> dict[str, list[Any]]:
    """Tasks by the file that defines them, in the order of the first name."""
    from midvision.tasks.task import all_tasks

    found: dict[str, list[Any]] = {}
    for task in all_tasks().values():
        found.setdefault(task.title, []).append(task)
    return found


def task_page() -> str:
    lines = [
        "# All tasks",
        "",
        "Written from the task objects. The bare ids read your own data (`--data READER:PATH`).",
        "",
        "| task | question | data | level | headline | fits a probe |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for tasks in families().values():
        for task in tasks:
            data = task.data_set or "your own"
            fits = "yes" if task.learner is not None else "no"
            row = (f"`{task.name}`", task.question, data, task.level, f"`{task.metrics[0].name}`", fits)
            lines.append(f"| {' | '.join(row)} |")
    return "\n".join(lines) + "\n"


def protocol_pages() -> dict[str, str]:
    """An overview and one page per family, where tasks of equal decisions share a table."""
    pages = {}
    for title, tasks in families().items():
        pages[f"protocol-{slug(title)}"] = family_page(title, tasks)
    links = "\n".join(pages)
    pages["protocols"] = (
        "# Protocols\n\n"
        "A protocol is every decision that can change a number. Two are named and versioned: `corrected`, the\n"
        "default, and `paper`, which does what the reference code does wherever that can be reproduced. Each\n"
        "record stores its protocol with all decisions. A run that overrides one is called `custom`.\n\n"
        "These pages are written from the protocol objects. Bold rows are where the two differ.\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n\n{links}\n```\n"
    )
    return pages


def slug(title: str) -> str:
    return "-".join(title.lower().split())


def family_page(title: str, tasks: list[Any]) -> str:
    alike: dict[str, list[Any]] = {}
    for task in tasks:
        key = "".join(task.protocols[name].canonical() for name in sorted(task.protocols))
        alike.setdefault(key, []).append(task)
    lines = [f"# {title}: decisions", ""]
    for members in alike.values():
        lines += [f"## {', '.join(f'`{task.name}`' for task in members)}", "", *decision_table(members[0]), ""]
    return "\n".join(lines)


def decision_table(task: Any) -> list[str]:
    from midvision.tasks.decisions import DECISIONS, decided

    versions = {name: decided(protocol) for name, protocol in sorted(task.protocols.items())}
    lines = [
        f"| decision | {' | '.join(f'`{name}`' for name in versions)} | what it decides |",
        f"| --- |{' --- |' * len(versions)} --- |",
    ]
    for field in dict.fromkeys(field for row in versions.values() for field in row):
        shown = [cell(str(row.get(field, "–"))) for row in versions.values()]
        if len(set(shown)) > 1:
            shown = [f"**{value}**" for value in shown]
        meaning = cell(DECISIONS[field].meaning) if field in DECISIONS else ""
        lines.append(f"| `{field}` | {' | '.join(shown)} | {meaning} |")
    return lines

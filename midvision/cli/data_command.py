"""`midvision data list|info|prepare|check`: benchmarks from a person's official files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, put_table, say
from midvision.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from midvision.data.card import DataCard

SHOWN_PROBLEMS = 20
SetName = Annotated[str, typer.Argument(metavar="SET", help="Benchmark, such as voc12, or a task that reads it.")]


def build() -> typer.Typer:
    """The group of data commands."""
    group = typer.Typer(help="Benchmarks: what they are, prepare them from official files.", no_args_is_help=True)
    for name, command in (("list", list_sets), ("info", info), ("prepare", prepare), ("check", check)):
        group.command(name, help=command.__doc__)(command)
    return group


def list_sets(data_root: o.DataRoot = None, json: o.Json = False) -> None:
    """The benchmarks, and which of them are prepared here."""
    _root(data_root)
    records = [_state(card) for card in benchmarks().values()]
    if json:
        return put_json(records)
    rows = [[r["name"], ", ".join(r["tasks"]), r["state"], r["size"]] for r in records]
    return put_table(["benchmark", "tasks", "here", "official size"], rows)


def info(name: SetName, data_root: o.DataRoot = None, json: o.Json = False) -> None:
    """Licence, official page, size, citation, expected layout, and what the protocols decide."""
    _root(data_root)
    card = picked(name)
    bench = card.benchmark
    assert bench is not None
    state = _state(card)
    record = {
        **state,
        "title": card.title,
        "version": card.version,
        "contents": list(card.contents),
        "licence": card.licence,
        "page": bench.page,
        "citation": bench.citation,
        "sources": [
            {"file": s.file, "holds": s.holds, "size": s.size, "checksum": s.checksum or None, "needed": s.needed}
            for s in bench.sources
        ],
        "layout": list(bench.layout),
        "counts": dict(bench.counts),
        "decisions": dict(bench.decisions),
        "parts": list(bench.parts),
        "options": dict(card.options),
        "notes": list(bench.notes),
        "prepare": f"midvision data prepare {card.name} --from PATH...",
    }
    if json:
        return put_json(record)
    print(f"{card.name}: {card.title}")
    for title in ("licence", "page", "size", "citation"):
        print(f"  {title + ':':10}{record[title]}")
    _lines("official files", [_source_line(source) for source in record["sources"]])
    _lines("layout", bench.layout)
    _lines("official lists", [f"{split}: {count}" for split, count in bench.counts.items()])
    _lines("decisions", [f"{topic}: {text}" for topic, text in bench.decisions.items()])
    _lines("notes", bench.notes)
    print(f"  here: {state['state']} ({state['folder']})")
    return print(f"  {record['prepare']}")


def prepare(
    name: SetName,
    more: Annotated[list[Path] | None, typer.Argument(metavar="[PATH]...", help="More paths after --from.")] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option("--from", help="Official archives, or folders that hold them or were unpacked from them."),
    ] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Copy out of unpacked folders too; without it their files stay there.")
    ] = False,
    subset: Annotated[bool, typer.Option("--subset", help="Accept lists that are not of the official size.")] = False,
    only: Annotated[list[str] | None, typer.Option(help="Files of this list alone, such as test; repeatable.")] = None,
    again: Annotated[bool, typer.Option("--again", help="Make the copy anew even if it is there.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Parallel pieces; 0 chooses.")] = 0,
    data_root: o.DataRoot = None,
    dry_run: o.DryRun = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Make a verified copy from official files, which are only read. Killed, it goes on where it was."""
    from midvision.data.prepare import Wish
    from midvision.data.prepare import prepare as make

    _root(data_root)
    card = picked(name)
    progress = make_progress(quiet=quiet, bars=not no_progress)
    wish = Wish(
        copy=copy,
        subset=subset,
        only=tuple(only or ()),
        again=again,
        dry_run=dry_run,
        workers=workers,
        progress=progress,
    )
    done = make(card, [*(source or []), *(more or [])], wish)
    if json:
        return put_json(
            {
                "set": card.name,
                "folder": str(done.folder),
                "counts": done.counts,
                "sources": done.sources,
                "files": done.files,
                "kept_in_place": done.kept_in_place,
                "bytes_to_write": done.bytes_to_write,
                "official": done.official,
                "already_prepared": done.already,
                "dry_run": dry_run,
                "content": done.content,
            }
        )
    lists = ", ".join(f"{split} {count}" for split, count in done.counts.items())
    how = f"{done.files} files, {done.kept_in_place} of them in place, {done.bytes_to_write / 2**20:.1f} MiB"
    if dry_run:
        return say(f"Would prepare {card.name} in {done.folder}: {how} to write. Lists: {lists}.")
    part = "" if done.official else " This is a subset: its results are not those of the benchmark."
    if done.already:
        return say(f"{card.name} is prepared already in {done.folder}. Lists: {lists}.{part}", quiet=quiet)
    return say(f"{card.name} is prepared in {done.folder}: {how} written. Lists: {lists}.{part}", quiet=quiet)


def check(
    name: SetName,
    full: Annotated[bool, typer.Option("--full", help="Every checksum and every image.")] = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0 chooses.")] = 0,
    data_root: o.DataRoot = None,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    json: o.Json = False,
) -> None:
    """Verify a prepared copy: counts, sizes and a decoded sample in seconds; with --full every byte."""
    from midvision.data.manifest import open_copy
    from midvision.data.verify import check as verify

    _root(data_root)
    card = picked(name)
    copy = open_copy(card)
    found = verify(card, copy, full=full, workers=workers, progress=make_progress(quiet=quiet, bars=not no_progress))
    if json:
        put_json(
            {
                "set": card.name,
                "folder": str(copy.folder),
                "official": copy.manifest.official,
                "content": copy.manifest.content,
                "counts": copy.manifest.counts,
                "files": found.files,
                "bytes": found.bytes,
                "decoded": found.decoded,
                "hashed": found.hashed,
                "problems": list(found.problems),
            }
        )
    if found.problems:
        for problem in found.problems[1:SHOWN_PROBLEMS]:
            say(f"Damaged: {problem}")
        raise DataError(
            f"The copy of {card.name} is damaged ({_problems(len(found.problems))}): {found.problems[0]}.",
            "",
            f"Prepare it again: midvision data prepare {card.name} --again --from PATH...",
        )
    lists = ", ".join(f"{split} {count}" for split, count in copy.manifest.counts.items())
    part = "" if copy.manifest.official else " It is a subset."
    depth = "every checksum and every image" if full else f"sizes, and {found.decoded} images decoded"
    say(f"{card.name} is sound: {found.files} files ({depth}). Lists: {lists}.{part}", quiet=quiet)


def benchmarks() -> dict[str, DataCard]:
    """Every benchmark by name."""
    from midvision.data.card import all_sets

    return {name: card for name, card in all_sets().items() if card.benchmark is not None}


def picked(name: str) -> DataCard:
    """A benchmark by its own name, or by the name of a task that reads it."""
    from midvision.core.catalog import pick
    from midvision.tasks.task import all_tasks

    known = benchmarks()
    task = all_tasks().get(name)
    if name not in known and task is not None and task.data_set in known:
        name = str(task.data_set)
    if name in known:
        return known[name]
    try:
        card: DataCard = pick("benchmark", name, known)
    except UsageError as error:
        raise UsageError(error.wrong, error.expected, "See: midvision data list") from error
    return card


def _root(data_root: Path | None) -> None:
    if data_root is not None:
        os.environ["MIDVISION_DATA"] = str(data_root)


def _state(card: DataCard) -> dict[str, Any]:
    """Whether the set is prepared here. Reads the manifest, looks at no file."""
    from midvision.data.manifest import copy_folder, open_copy
    from midvision.tasks.task import all_tasks

    assert card.benchmark is not None
    folder, state, problem = copy_folder(card.name), "not prepared", None
    try:
        manifest = open_copy(card).manifest
        state = f"prepared ({len(manifest.files)} files{'' if manifest.official else ', a subset'})"
    except DataError as error:
        if folder.exists():
            state, problem = "not usable", error.wrong
    tasks = [task.name for task in all_tasks().values() if task.data_set == card.name]
    size = card.benchmark.size
    return {"name": card.name, "tasks": tasks, "state": state, "problem": problem, "folder": str(folder), "size": size}


def _source_line(source: dict[str, Any]) -> str:
    extra = [source["holds"], source["size"], source["checksum"] or "", "" if source["needed"] else "optional"]
    return f"{source['file']} ({', '.join(part for part in extra if part)})"


def _problems(count: int) -> str:
    return "1 problem" if count == 1 else f"{count} problems"


def _lines(title: str, lines: Any) -> None:
    if lines:
        print(f"  {title}:")
        for line in lines:
            print(f"    {line}")

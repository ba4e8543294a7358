"""`midvision show TASK`: what a task's data looks like, before anything is measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, say


def show(
    task: Annotated[str, typer.Argument(help="Task id.")],
    data: o.Data = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Page (.html) or picture (.png) [default: show-TASK.html].")
    ] = None,
    preset: o.PresetFlag = None,
    difficulty: o.DifficultyFlag = None,
    split: Annotated[str, typer.Option(help="train or test.")] = "test",
    protocol: Annotated[str, typer.Option(help="corrected or paper.")] = "corrected",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=200, help="Items to draw.")] = 8,
    data_root: o.DataRoot = None,
    cache_dir: o.CacheDir = None,
    open: Annotated[bool, typer.Option("--open", help="Show it in a browser.")] = False,
    quiet: o.Quiet = False,
    json: o.Json = False,
) -> None:
    """Draw what a probe will see: image and truth, pairs or triplets, with what is invalid, ranges and overlap."""
    from midvision.cli import work
    from midvision.cli.config import checked
    from midvision.core.errors import UsageError, nearest

    if split not in ("train", "test"):
        raise UsageError(f"There is no split {split!r}.", nearest(split, ("train", "test")))
    from midvision.cli.run_command import data_words

    flags = work.flag_values(
        tasks=[task],
        data=data_words(data),
        preset=preset,
        difficulty=difficulty,
        cache_dir=cache_dir,
        data_root=data_root,
    )
    config = checked(flags, "the options")
    work.set_environment(config)
    dataset, unit = work.seen(config, task, split, protocol, make_progress(quiet=quiet))
    path = output or Path(f"show-{task}.html")
    from midvision.report.preview import write_preview

    drawn = write_preview(dataset, path, count, f"{task}, protocol {protocol}", unit)
    if json:
        put_json(
            {
                "page": str(path.resolve()),
                "items": len(dataset.items),
                "drawn": len(drawn),
                "facts": {tile.id: tile.facts for tile in drawn},
                "fingerprint": dataset.fingerprint,
            }
        )
    else:
        say(
            f"{len(drawn)} of {len(dataset.items)} {split} items of {dataset.name}, "
            f"{len(dataset.images)} images: {path.resolve()}",
            quiet=quiet,
        )
    if open:
        import webbrowser

        webbrowser.open(path.resolve().as_uri())

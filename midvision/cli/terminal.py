"""What people see: messages and bars on stderr, tables and documents on stdout."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from midvision.core.progress import Advance, Progress, listen

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

PLAIN_EVERY_S = 30.0


def say(message: str, *, quiet: bool = False) -> None:
    """One line on stderr, as it is: a model's name is never read as markup."""
    if not quiet:
        print(message, file=sys.stderr, flush=True)


def put_json(document: object) -> None:
    """The one document of `--json`, on stdout; a value that JSON lacks (NaN) becomes null."""
    print(json.dumps(_plain(document), indent=2, ensure_ascii=False, allow_nan=False))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(entry) for entry in value]
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if value is None or isinstance(value, str | int | bool):
        return value
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    return _plain(value.item()) if hasattr(value, "item") else str(value)


def put_table(head: Sequence[str], rows: Iterable[Sequence[str]], title: str = "", numbers: int | None = None) -> None:
    """A table on stdout; columns from index `numbers` on are right-aligned."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, title=Text(title) if title else None, title_justify="left", pad_edge=False)
    for place, name in enumerate(head):
        right = numbers is not None and place >= numbers
        table.add_column(Text(name), justify="right" if right else "left", overflow="fold", no_wrap=right)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
    Console(width=width).print(table)


def make_progress(*, quiet: bool = False, bars: bool = True) -> Progress:
    """Bars on a terminal, a plain line now and then elsewhere, nothing under `CI` or when asked to be quiet."""
    if quiet or not bars or os.environ.get("CI"):
        return listen(Spoken(quiet=quiet))
    return listen(RichProgress() if sys.stderr.isatty() else PlainProgress())


class Spoken(Progress):
    """No bars; messages still reach people unless quiet."""

    def __init__(self, *, quiet: bool) -> None:
        self.quiet = quiet

    def say(self, message: str) -> None:
        say(message, quiet=self.quiet)


class PlainProgress(Progress):
    """A line per stretch of work at most every 30 s, for logs."""

    def __init__(self, every_s: float = PLAIN_EVERY_S) -> None:
        self.every_s = every_s

    @contextmanager
    def bar(self, label: str, total: int | None) -> Iterator[Advance]:
        started = told = time.monotonic()
        done = 0

        def advance(steps: int) -> None:
            nonlocal done, told
            done += steps
            now = time.monotonic()
            if now - told >= self.every_s:
                told = now
                say(_line(label, done, total, now - started))

        yield advance

    def say(self, message: str) -> None:
        say(message)


def _line(label: str, done: int, total: int | None, elapsed_s: float) -> str:
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    if total is None:
        return f"{label}: {done} ({rate:.1f}/s)"
    left = f", {(total - done) / rate:.0f} s left" if rate > 0 else ""
    return f"{label}: {done}/{total} ({rate:.1f}/s{left})"


class RichProgress(Progress):
    """Nested bars that live as long as the outermost stretch of work."""

    def __init__(self) -> None:
        self._bars: Bars | None = None

    @contextmanager
    def bar(self, label: str, total: int | None) -> Iterator[Advance]:
        outermost = self._bars is None
        bars = self._bars or _new_bars()
        if outermost:
            self._bars = bars
            bars.start()
        task = bars.add_task(label.replace("[", r"\["), total=total)
        try:
            yield lambda steps: bars.advance(task, steps)
        finally:
            bars.remove_task(task)
            if outermost:
                bars.stop()
                self._bars = None

    def say(self, message: str) -> None:
        if self._bars is None:
            say(message)
        else:
            from rich.text import Text

            self._bars.console.print(Text(message))


def _new_bars() -> Bars:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichBars

    return RichBars(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _speed_column(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )


def _speed_column() -> Any:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class Speed(ProgressColumn):
        """Steps per second, blank until known."""

        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "")

    return Speed()

"""How long work tells that it moves, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Advance = Callable[[int], None]


class Progress:
    """Listener that hears nothing; the command line puts bars in its place."""

    @contextmanager
    def bar(self, label: str, total: int | None) -> Iterator[Advance]:
        """A named stretch of work; call the yielded function with the number of steps done."""
        yield lambda steps: None

    def say(self, message: str) -> None:
        """One line for people."""


SILENT = Progress()
_listener: ContextVar[Progress] = ContextVar("listener", default=SILENT)


def listen(progress: Progress) -> Progress:
    """Make `progress` the listener of work that is handed none, such as a download while a model is opened."""
    _listener.set(progress)
    return progress


def listener() -> Progress:
    """Who listens to work that was handed no listener."""
    return _listener.get()

"""Bars of worker processes on the driver's screen: what a worker reports travels through a pipe of its own.

One pipe per worker, because a worker may be killed at any moment and a shared queue would stay locked.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from typing import Any

from midvision.core.progress import Advance, Progress

EVERY_S = 0.2
"""How often at most a worker reports steps of one bar."""


class Relayed(Progress):
    """A worker's side. A driver that is gone stops nothing here."""

    def __init__(self, pipe: Connection, prefix: str) -> None:
        self._pipe, self._prefix = pipe, prefix
        self._lock, self._bars = threading.Lock(), 0

    @contextmanager
    def bar(self, label: str, total: int | None) -> Iterator[Advance]:
        self._bars += 1
        name, waiting, told = self._bars, 0, time.monotonic()

        def advance(steps: int) -> None:
            nonlocal waiting, told
            waiting += steps
            if (now := time.monotonic()) - told >= EVERY_S:
                self._tell("step", name, waiting)
                waiting, told = 0, now

        self._tell("open", name, f"{self._prefix}, {label}", total)
        try:
            yield advance
        finally:
            self._tell("step", name, waiting)
            self._tell("close", name)

    def say(self, message: str) -> None:
        self._tell("say", message)

    def _tell(self, *words: Any) -> None:
        with self._lock, suppress(OSError):
            self._pipe.send(words)


class Screen:
    """The driver's side: shows what arrives on any of its pipes until it is closed."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._pipes: dict[Connection, tuple[ExitStack, dict[int, tuple[ExitStack, Advance]]]] = {}
        self._lock, self._open = threading.Lock(), True
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()

    def listen(self, pipe: Connection) -> None:
        with self._lock:
            self._pipes[pipe] = ExitStack(), {}
        if not self._thread.is_alive():
            self._drop(pipe)

    def close(self) -> None:
        """Show what was said so far, then nothing more."""
        self._open = False
        self._thread.join()

    def _show(self) -> None:
        """A pipe that nobody reads would stop its worker, so none stays open when this ends, however it does."""
        try:
            while self._open or self._pipes:
                last = not self._open
                with self._lock:
                    pipes = list(self._pipes)
                ready = wait(pipes, timeout=0 if last else EVERY_S) if pipes else []
                for pipe in ready:
                    assert isinstance(pipe, Connection)
                    try:
                        self._hear(pipe, pipe.recv())
                    except (EOFError, OSError):
                        self._drop(pipe)
                if not ready and last:
                    return
                if not pipes:
                    time.sleep(EVERY_S)
        finally:
            for pipe in list(self._pipes):
                self._drop(pipe)

    def _hear(self, pipe: Connection, words: tuple[Any, ...]) -> None:
        all_of_worker, bars = self._pipes[pipe]
        match words:
            case "open", name, label, total:
                stack = all_of_worker.enter_context(ExitStack())
                bars[name] = stack, stack.enter_context(self._progress.bar(label, total))
            case "step", name, steps:
                bars[name][1](steps)
            case "close", name:
                bars.pop(name)[0].close()
            case "say", message:
                self._progress.say(message)

    def _drop(self, pipe: Connection) -> None:
        """A worker that is gone leaves no bar behind."""
        with self._lock:
            stack, _ = self._pipes.pop(pipe)
        stack.close()
        pipe.close()

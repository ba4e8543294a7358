"""Checkpoints as their publishers package them, fabricated: no real file was opened for this.

Written from a description of the published containers alone; nothing of midvision is used, so that these files can
witness against its loader. Heads, queues, optimisers and log objects carry their full shapes over one stored number.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from published_tensors import State

RECORD_MODULE = "mmengine.logging.history_buffer"


@dataclass(frozen=True)
class Published:
    """A file's content, and what is to be found in it.

    `tensors` are the network's under public names; `where` leads to the table that holds them, `spelt` says how they
    are called there. `momentum` are the values of a twin in the same file.
    """

    content: dict[str, Any]
    tensors: State
    where: tuple[str, ...]
    spelt: dict[str, str]
    momentum: State | None = None


@dataclass(frozen=True)
class Case:
    """A checkpoint under a public model id. `build(counters)`: with or without batch counters (ResNets)."""

    name: str
    model: str
    build: Callable[[bool], Published]
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def is_resnet(self) -> bool:
        return "resnet50" in self.model


def write(path: Path, content: Mapping[str, Any], zipped: bool, old_numpy: bool = False) -> Path:
    """`torch.save` in the new (zip) or the old format. `old_numpy`: numpy's names of before version 2 (old format)."""
    with _records_module():
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    if old_numpy:
        assert not zipped
        path.write_bytes(path.read_bytes().replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n"))
    return path


def with_one_renamed(published: Published, name: str) -> dict[str, Any]:
    """The content with the public tensor `name` under a name that nobody expects."""
    spelt = published.spelt[name]
    head, dot, tail = spelt.rpartition(".")
    return _edited(
        published, lambda table: type(table)((f"{head}{dot}x{tail}" if k == spelt else k, v) for k, v in table.items())
    )


def without_network(published: Published) -> dict[str, Any]:
    """The content without the network's tensors: what is left may be a momentum twin and heads."""
    gone = set(published.spelt.values())
    return _edited(published, lambda table: type(table)((k, v) for k, v in table.items() if k not in gone))


def _edited(published: Published, change: Callable[[Any], Any]) -> dict[str, Any]:
    """A copy of the nested dicts on the way to the table, which `change` replaces."""

    def along(content: Any, rest: tuple[str, ...]) -> Any:
        if not rest:
            return change(content)
        return type(content)((k, along(v, rest[1:]) if k == rest[0] else v) for k, v in content.items())

    changed: dict[str, Any] = along(published.content, published.where)
    return changed


class HistoryBuffer:
    """Stands in for OpenMMLab's log object; pickles as it does: numpy arrays and references to its own methods."""

    def __init__(self, values: list[float]) -> None:
        self.max_length = 1_000_000
        self._log_history = np.array(values)
        self._count_history = np.ones(len(values), dtype=np.int64)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "statistics_methods": {"min": HistoryBuffer.min, "mean": HistoryBuffer.mean}}

    def min(self) -> float:
        return float(self._log_history.min())

    def mean(self) -> float:
        return float(self._log_history.mean())


HistoryBuffer.__module__ = RECORD_MODULE


@contextmanager
def _records_module() -> Iterator[None]:
    """While a file is written, the log object lies in the module whose name goes into the file."""
    parts = RECORD_MODULE.split(".")
    names = [".".join(parts[: n + 1]) for n in range(len(parts))]
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    sys.modules[RECORD_MODULE].HistoryBuffer = HistoryBuffer  # type: ignore[attr-defined]
    for method in (HistoryBuffer.min, HistoryBuffer.mean):
        method.__module__ = RECORD_MODULE
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]

"""What stands in for the classes that publishers' pickles name: plain data, rebuilt by code of our own.

numpy's own hooks are not used: through the state of a shared `dtype` a hostile file could make numbers pass for
objects, in this file and in every array made afterwards.
"""

from __future__ import annotations

import argparse
import pickle
from typing import Any

import numpy as np

# Kind and bytes, as numpy writes them: booleans, integers, floats.
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
_ORDERS = ("<", ">", "|", "=")


class InertRecord:
    """Stands in for log objects that some publishers' files carry; keeps their fields, does nothing."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


class NumberType:
    """`numpy.dtype` of plain numbers; anything else (objects, text, records) is refused."""

    def __init__(self, code: Any, *_: Any) -> None:
        if code not in _NUMBERS:
            raise _refused("numpy.object_" if code in ("O", "O8") else "numpy.dtype")
        self._code, self._order = code, "="

    def __setstate__(self, state: Any) -> None:
        if state[1] not in _ORDERS or any(part is not None for part in state[2:5]):
            raise _refused("numpy.dtype")
        self._order = state[1]

    def numbers(self, data: bytes) -> np.ndarray:
        return np.frombuffer(data, dtype=np.dtype(self._order + self._code))


class ArrayRecord:
    """`numpy.ndarray` on its way: `settled` puts the array itself in its place."""

    array: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, column_first, data = state
        self.array = kind.numbers(data).reshape(shape, order="F" if column_first else "C")


def rebuild_array(kind: Any, *_: Any) -> ArrayRecord:
    if kind is not ArrayRecord:
        raise _refused("numpy.core.multiarray._reconstruct")
    return ArrayRecord()


def rebuild_number(kind: NumberType, data: bytes) -> bool | int | float:
    """`numpy.float64` and its like, as Python's own."""
    (number,) = kind.numbers(data).tolist()
    plain: bool | int | float = number
    return plain


def no_bytes() -> bytes:
    """The content of an empty array, which numpy writes as a call of `bytes`."""
    return b""


def named_only(owner: Any, name: Any) -> str:
    """In place of `getattr`: log objects list their own methods in this way. Looks nothing up."""
    if owner is not InertRecord or not isinstance(name, str):
        raise _refused("getattr")
    return name


def settled(content: Any, seen: set[int] | None = None) -> Any:
    """The content with arrays in place of their records, changed in place; tuples are made anew."""
    seen = set() if seen is None else seen
    if isinstance(content, ArrayRecord):
        return content.array
    if type(content) is tuple:
        return tuple(settled(part, seen) for part in content)
    inside = vars(content) if isinstance(content, InertRecord | argparse.Namespace) else content
    if isinstance(inside, dict | list) and id(inside) not in seen:
        seen.add(id(inside))
        for place, part in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
            inside[place] = settled(part, seen)
    return content


def _refused(name: str) -> pickle.UnpicklingError:
    return pickle.UnpicklingError(f"GLOBAL {name} was not an allowed global")


# Stand-ins with the full names that old and new files use. A file that names anything else is refused.
STAND_INS: list[Any] = [
    argparse.Namespace,
    *((rebuild_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((rebuild_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (ArrayRecord, "numpy.ndarray"),
    (NumberType, "numpy.dtype"),
    (InertRecord, "mmengine.logging.history_buffer.HistoryBuffer"),
    (named_only, "builtins.getattr"),
    (no_bytes, "builtins.bytes"),
]

"""Arrays of numbers and text out of pickles, rebuilt by code of our own.

numpy's own hooks are not used: through the state of a `dtype` a hostile file can make its bytes pass for the
addresses of objects. These stand-ins know plain types alone; `settled` puts the arrays in their places.
"""

from __future__ import annotations

import pickle
import re
from typing import Any

import numpy as np

# Kind and bytes, as numpy writes them: booleans, integers, floats; text of a length.
_PLAIN = re.compile(r"b1|[iu][1248]|f[248]|[SU]\d{1,5}")
_ORDERS = ("<", ">", "|", "=")


class Refused(pickle.UnpicklingError):
    """A pickle names something else than plain data; `name` says what. The wording is torch's own."""

    def __init__(self, name: str) -> None:
        super().__init__(f"GLOBAL {name} was not an allowed global")
        self.name = name


class NumberType:
    """`numpy.dtype` of plain numbers or text; anything else (objects, records) is refused."""

    def __init__(self, code: Any, *_: Any) -> None:
        text = code.decode("ascii") if isinstance(code, bytes) else code
        if not isinstance(text, str) or not _PLAIN.fullmatch(text):
            raise Refused("numpy.object_" if str(text).startswith("O") else "numpy.dtype")
        self._code, self._order = text, "="

    def __setstate__(self, state: Any) -> None:
        order = state[1].decode("ascii") if isinstance(state[1], bytes) else state[1]
        if order not in _ORDERS or any(part is not None for part in state[2:5]):
            raise Refused("numpy.dtype")
        self._order = order

    def values(self, data: Any) -> np.ndarray:
        return np.frombuffer(data, dtype=np.dtype(self._order + self._code))


class ArrayRecord:
    """`numpy.ndarray` on its way."""

    array: np.ndarray

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, column_first, data = state
        self.array = _typed(kind).values(data).reshape(shape, order="F" if column_first else "C")


def rebuild_array(kind: Any, *_: Any) -> ArrayRecord:
    """`numpy.core.multiarray._reconstruct`: an array whose state follows."""
    if kind is not ArrayRecord:
        raise Refused("numpy.core.multiarray._reconstruct")
    return ArrayRecord()


def rebuild_from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    """`numpy.core.numeric._frombuffer`, as newer pickles have it."""
    return _typed(kind).values(data).reshape(shape, order="F" if order in ("F", b"F") else "C")


def rebuild_number(kind: Any, data: bytes) -> Any:
    """`numpy.float64` and its like, as Python's own."""
    (number,) = _typed(kind).values(data).tolist()
    return number


def settled(content: Any, carriers: tuple[type, ...] = (), seen: dict[int, Any] | None = None) -> Any:
    """The content with arrays (read-only) in place of their records, changed in place; tuples are made anew.

    Looks inside dicts, lists, tuples, and the fields of `carriers`; each once, however often the content names it.
    """
    seen = {} if seen is None else seen
    if isinstance(content, ArrayRecord):
        return content.array
    if type(content) is tuple:
        if id(content) not in seen:
            # With the old one, since its number must not go to another while this lasts.
            seen[id(content)] = content, tuple(settled(part, carriers, seen) for part in content)
        return seen[id(content)][1]
    inside = vars(content) if isinstance(content, carriers) else content
    if isinstance(inside, dict | list) and id(inside) not in seen:
        seen[id(inside)] = inside
        for place, part in list(inside.items() if isinstance(inside, dict) else enumerate(inside)):
            inside[place] = settled(part, carriers, seen)
    return content


def _typed(kind: Any) -> NumberType:
    if not isinstance(kind, NumberType):
        raise Refused("numpy.dtype")
    return kind

"""Pickles that publishers ship, read as plain data: numbers, text, lists, dicts and numpy arrays; nothing is run.

The file may be packed by gzip or zlib. A pickle that names any other class or function is refused by that
name before anything of it is built, and one that unpacks to more than `most_bytes` is refused too.
"""

from __future__ import annotations

import io
import pickle
import zlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import IO, Any, ClassVar

from midvision.core.errors import DataError
from midvision.data.plain_arrays import (
    ArrayRecord,
    NumberType,
    Refused,
    rebuild_array,
    rebuild_from_buffer,
    rebuild_number,
    settled,
)

CHUNK = 2**20
EXPECTED = ("A pickle of plain data and numpy arrays was expected.", "Fetch the official file again.")
BROKEN = (
    *(pickle.UnpicklingError, EOFError, ValueError, TypeError, LookupError, AttributeError, OSError),
    *(RecursionError, MemoryError, OverflowError),
)
_LATIN = ("latin1", "latin-1", "iso-8859-1")


def read_plain_pickle(stream: IO[bytes], what: str, most_bytes: int = 8 * 2**30) -> Any:
    """The data in `stream`; `what` names the file in errors.

    Text that Python 2 wrote stays bytes, which keeps a large array in memory once; keys of dicts become text.
    """
    return load_plain(_Plain, stream, what, most_bytes)


def load_plain(unpickler: Callable[[IO[bytes]], Any], stream: IO[bytes], what: str, most_bytes: int) -> Any:
    """What `unpickler`, a class with `PlainRules`, makes of `stream`; every fault is a `DataError`."""
    try:
        plain = unpickler(io.BufferedReader(_Unpacked(stream, what, most_bytes), CHUNK)).load()
        return _with_text_keys(settled(plain), {})
    except Refused as error:
        raise DataError(f"{what} asks for {error.name} to be run, so it was not loaded.", *EXPECTED) from error
    except BROKEN as error:
        reason = str(error) or ("it claims too much" if isinstance(error, MemoryError) else "it ends too early")
        raise DataError(f"{what} is damaged or cut short ({reason}).", *EXPECTED) from error


def _with_text_keys(value: Any, made: dict[int, dict[Any, Any]]) -> Any:
    """Dicts made anew, each once, however often the data names it."""
    if not isinstance(value, dict):
        return value
    if id(value) not in made:
        mine = made[id(value)] = {}
        for key, entry in value.items():
            mine[key.decode("latin-1") if isinstance(key, bytes) else key] = _with_text_keys(entry, made)
    return made[id(value)]


class PlainRules(pickle._Unpickler):  # type: ignore[name-defined, misc]
    """What a pickle may name: dicts, bytes, and numpy's arrays through `stand_ins`, whose state alone may be set.

    Python's own unpickler in Python: the compiled one makes room for as many marks as a file claims.
    """

    stack: list[Any]
    stand_ins: ClassVar[Mapping[str, Any]]
    dispatch: ClassVar[dict[int, Any]] = dict(pickle._Unpickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(stream, encoding="bytes")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("_codecs", "encode"):
            return _latin_bytes
        if found := self.stand_ins.get(f"{module}.{name}".removeprefix("numpy.core.").removeprefix("numpy._core.")):
            return found
        raise Refused(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise Refused(f"the outside object {pid!r}")

    def get_extension(self, code: int) -> Any:
        raise Refused(f"the extension {code}")

    def set_state(self) -> None:
        if not isinstance(self.stack[-2], ArrayRecord | NumberType):
            raise Refused(f"__setstate__ of {type(self.stack[-2]).__name__}")
        pickle._Unpickler.load_build(self)  # type: ignore[attr-defined]


PlainRules.dispatch[pickle.BUILD[0]] = PlainRules.set_state


class _Plain(PlainRules):
    stand_ins: ClassVar[Mapping[str, Any]] = {
        "numpy.ndarray": ArrayRecord,
        "numpy.dtype": NumberType,
        "multiarray._reconstruct": rebuild_array,
        "multiarray.scalar": rebuild_number,
        "numeric._frombuffer": rebuild_from_buffer,
    }


def _latin_bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles; nothing else is encoded."""
    if not isinstance(text, str) or encoding not in _LATIN:
        raise Refused(f"_codecs.encode to {encoding!r}")
    return text.encode("latin-1")


class _Unpacked(io.RawIOBase):
    """The bytes of a stream, unpacked from gzip or zlib as they are asked for; a bounded number of them."""

    def __init__(self, stream: IO[bytes], what: str, most_bytes: int) -> None:
        super().__init__()
        self._stream, self._what, self._left = stream, what, most_bytes
        self._pending = stream.read(CHUNK)
        start = self._pending[:2]
        packed = start == b"\x1f\x8b" or (start[:1] == b"\x78" and int.from_bytes(start, "big") % 31 == 0)
        # 32 + 15: gzip or zlib, told from the header.
        self._decoder = zlib.decompressobj(47) if packed else None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        try:
            data = self._next(min(len(view), CHUNK))
        except zlib.error as error:
            raise DataError(f"{self._what} is damaged ({error}).", "", "Fetch the official file again.") from error
        self._left -= len(data)
        if self._left < 0:
            raise DataError(f"{self._what} unpacks to more than it should.", "", "Do not use this file.")
        view[: len(data)] = data
        return len(data)

    def _next(self, count: int) -> bytes:
        """At most `count` more bytes; none at the end."""
        while True:
            if not self._pending:
                self._pending = self._stream.read(CHUNK)
            if self._decoder is None:
                data, self._pending = self._pending[:count], self._pending[count:]
                return data
            if self._decoder.eof:
                return b""
            if not self._pending:
                raise DataError(f"{self._what} is cut short.", "", "Fetch the official file again.")
            data = self._decoder.decompress(self._pending, count)
            self._pending = self._decoder.unconsumed_tail
            if data:
                return data

"""Publishers' pickles of arrays that are larger than memory: their bytes go to a file on the way, not into it.

The same plain data as `plain_pickle.py` reads, and the same refusals. An array above `SPILL_BYTES` becomes a
`LargeArray`, read by rows from an unnamed temporary file in the data folder, which is gone with the process.
"""

from __future__ import annotations

import pickle
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar

import numpy as np

from midvision.core.places import cannot_write, data_dir
from midvision.data.plain_arrays import ArrayRecord, NumberType, Refused, rebuild_number
from midvision.data.plain_pickle import CHUNK, PlainRules, load_plain

SPILL_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class _Spilled:
    """Bytes of a pickle that lie in a file."""

    file: IO[bytes]
    bytes: int


@dataclass(frozen=True, slots=True)
class LargeArray:
    """An array in a file, row after row along its first axis."""

    shape: tuple[int, ...]
    dtype: np.dtype
    file: IO[bytes]

    def row(self, index: int) -> np.ndarray:
        """`array[index]`."""
        count = int(np.prod(self.shape[1:]))
        self.file.seek(index * count * self.dtype.itemsize)
        data = self.file.read(count * self.dtype.itemsize)
        return np.frombuffer(data, self.dtype).reshape(self.shape[1:])


def read_large_pickle(stream: IO[bytes], what: str, most_bytes: int) -> Any:
    """The data in `stream`, with large arrays as `LargeArray`; `what` names the file in errors."""
    return load_plain(_Large, stream, what, most_bytes)


class _Record(ArrayRecord):
    """`numpy.ndarray` on its way, whose bytes may lie in a file."""

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, column_first, data = state
        if isinstance(data, _Spilled):
            self.array = _placed(data, kind, shape, bool(column_first))  # type: ignore[assignment]
        else:
            super().__setstate__(state)


def _placed(data: _Spilled, kind: Any, shape: Any, column_first: bool) -> LargeArray:
    if not isinstance(kind, NumberType):
        raise Refused("numpy.dtype")
    dtype, sizes = kind.values(b"").dtype, tuple(int(n) for n in shape)
    if column_first or int(np.prod(sizes)) * dtype.itemsize != data.bytes:
        raise ValueError(f"an array of shape {sizes} in {data.bytes:,} bytes")
    return LargeArray(sizes, dtype, data.file)


def _rebuild(kind: Any, *_: Any) -> _Record:
    if kind is not _Record:
        raise Refused("numpy.core.multiarray._reconstruct")
    return _Record()


def _rebuild_from_buffer(data: Any, kind: Any, shape: Any, order: Any) -> Any:
    column_first = order in ("F", b"F")
    if isinstance(data, _Spilled):
        return _placed(data, kind, shape, column_first)
    if not isinstance(kind, NumberType):
        raise Refused("numpy.dtype")
    return kind.values(data).reshape(shape, order="F" if column_first else "C")


class _Large(PlainRules):
    """The same, but a long string goes to a file instead of being held as a whole."""

    dispatch: ClassVar[dict[int, Any]] = dict(PlainRules.dispatch)
    stand_ins: ClassVar[Mapping[str, Any]] = {
        "numpy.ndarray": _Record,
        "numpy.dtype": NumberType,
        "multiarray._reconstruct": _rebuild,
        "multiarray.scalar": rebuild_number,
        "numeric._frombuffer": _rebuild_from_buffer,
    }


def _taken(unpickler: Any, count: int) -> Any:
    """The next `count` bytes: themselves where they are few, else in a file."""
    if count <= SPILL_BYTES:
        return unpickler.read(count)
    try:
        data_dir().mkdir(parents=True, exist_ok=True)
        file = tempfile.TemporaryFile(dir=data_dir())  # noqa: SIM115 - as long as the array is used
    except OSError as error:
        raise cannot_write(data_dir(), error) from error
    left = count
    while left:
        block = unpickler.read(min(left, CHUNK))
        if not block:
            raise EOFError
        try:
            file.write(block)
        except OSError as error:
            raise cannot_write(data_dir(), error) from error
        left -= len(block)
    file.flush()
    return _Spilled(file, count)


def _loader(width: str) -> Any:
    size = struct.calcsize(width)

    def load(self: Any) -> None:
        (count,) = struct.unpack(width, self.read(size))
        if count < 0:
            raise ValueError("a length below zero")
        self.append(_taken(self, count))

    return load


_Large.dispatch[pickle.BINBYTES[0]] = _loader("<I")
_Large.dispatch[pickle.BINBYTES8[0]] = _loader("<Q")
_Large.dispatch[pickle.BYTEARRAY8[0]] = _loader("<Q")
_Large.dispatch[pickle.BINSTRING[0]] = _loader("<i")

"""Pickles that publishers ship, read as plain data: numbers, text, lists, dicts and numpy arrays; nothing is run.

The file may be packed by gzip or zlib. A pickle that names any other class or function is refused by that
name before anything of it is built, and one that unpacks to more than `most_bytes` is refused too.
"""

from __future__ import annotations

import io
import pickle
import zlib
from collections import OrderedDict
from typing import IO, Any

import numpy as np

from midvision.core.errors import DataError

CHUNK = 2**20
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy")
_LATIN = ("latin1", "latin-1", "iso-8859-1")


def read_plain_pickle(stream: IO[bytes], what: str, most_bytes: int = 8 * 2**30) -> Any:
    """The data in `stream`; text of Python 2 is read as Latin-1. `what` names the file in errors."""
    content = _unpacked(stream, what, most_bytes)
    try:
        return _Plain(content, encoding="latin1").load()
    except _Refused as error:
        raise DataError(
            f"{what} asks for {error} to be run, so it was not loaded.",
            "A pickle of plain data and numpy arrays was expected.",
            "Fetch the official file again.",
        ) from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DataError(
            f"{what} is damaged or cut short ({str(error) or 'it ends too early'}).",
            "A pickle of plain data and numpy arrays was expected.",
            "Fetch the official file again.",
        ) from error


class _Refused(Exception):
    """Holds the name that a pickle wanted."""


class _Plain(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("_codecs", "encode"):
            return _latin_bytes
        if module in _ARRAYS and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module in _ARRAYS and name in ("_reconstruct", "scalar"):
            return getattr(np._core.multiarray, name)  # type: ignore[attr-defined]
        if module in ("numpy._core.numeric", "numpy.core.numeric") and name == "_frombuffer":
            return np._core.numeric._frombuffer  # type: ignore[attr-defined]
        raise _Refused(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise _Refused(f"the outside object {pid!r}")


def _latin_bytes(text: str, encoding: str) -> bytes:
    """How Python 3 writes bytes into old pickles; nothing else is encoded."""
    if not isinstance(text, str) or encoding not in _LATIN:
        raise _Refused(f"_codecs.encode to {encoding!r}")
    return text.encode("latin-1")


def _unpacked(stream: IO[bytes], what: str, most_bytes: int) -> io.BytesIO:
    start = stream.read(2)
    packed = start == b"\x1f\x8b" or (start[:1] == b"\x78" and int.from_bytes(start, "big") % 31 == 0)
    # 32 + 15: gzip or zlib, told from the header.
    decoder = zlib.decompressobj(47) if packed else None
    out = io.BytesIO()
    block = start + stream.read(CHUNK)
    try:
        while block:
            out.write(block if decoder is None else decoder.decompress(block, most_bytes + 1 - out.tell()))
            if out.tell() > most_bytes:
                raise DataError(f"{what} unpacks to more than {most_bytes:,} bytes.", "", "Do not use this file.")
            block = stream.read(CHUNK)
    except zlib.error as error:
        raise DataError(f"{what} is damaged ({error}).", "", "Fetch the official file again.") from error
    if decoder is not None and not decoder.eof:
        raise DataError(f"{what} is cut short.", "", "Fetch the official file again.")
    out.seek(0)
    return out

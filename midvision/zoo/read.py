"""Reading a checkpoint file as plain tensors: no file ever runs code."""

from __future__ import annotations

import argparse
import hashlib
import pickle
import re
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from midvision.core.errors import DataError

_TEXT_STARTS = {b"<": "a web page", b"{": "JSON text", b"version http": "a Git LFS pointer"}


class InertRecord:
    """Stands in for log objects that some publishers' files carry; keeps their fields, does nothing."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _named_only(owner: Any, name: Any) -> str:
    """In place of `getattr`: log objects list their own methods in this way. Looks nothing up."""
    if owner is not InertRecord or not isinstance(name, str):
        raise pickle.UnpicklingError("GLOBAL getattr was not an allowed global")
    return name


# Data-only classes, under the names that old and new files use. Anything else is refused by name.
_ALLOWED: list[Any] = [
    argparse.Namespace,
    (np._core.multiarray._reconstruct, "numpy.core.multiarray._reconstruct"),  # type: ignore[attr-defined]
    (np._core.multiarray._reconstruct, "numpy._core.multiarray._reconstruct"),  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy.core.multiarray.scalar"),  # type: ignore[attr-defined]
    (np._core.multiarray.scalar, "numpy._core.multiarray.scalar"),  # type: ignore[attr-defined]
    np.ndarray,
    np.dtype,
    *(type(np.dtype(name)) for name in ("float16", "float32", "float64", "int32", "int64", "uint8", "bool")),
    (InertRecord, "mmengine.logging.history_buffer.HistoryBuffer"),
    (_named_only, "builtins.getattr"),
]


def read_checkpoint(path: Path) -> Any:
    """What the file holds, tensors on the processor. The container is told from the content.

    Raises `DataError` for a missing, empty, truncated or text file, and for a pickle that names a
    class outside a short list of plain data.
    """
    start = _first_bytes(path)
    if start[8:9] == b"{" and not start.startswith(b"PK"):
        return _read_safetensors(path)
    if start.startswith(b"PK") or start[:1] in (b"\x80", b"("):
        return _read_pickle(path)
    if start[:6] == b"\x93NUMPY":
        raise _unreadable(path, "It is a single numpy array.")
    raise _unreadable(path, "Its first bytes are those of no known checkpoint format.")


@lru_cache(maxsize=256)
def _digest_of(path: Path, size: int, changed: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of the file's bytes, remembered while size and time stamp stay."""
    if not path.is_file():
        raise _missing(path)
    stat = path.stat()
    return _digest_of(path.resolve(), stat.st_size, stat.st_mtime_ns)


def _first_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise _missing(path)
    try:
        with open(path, "rb") as file:
            start = file.read(512)
    except OSError as error:
        raise _unreadable(path, f"It cannot be opened: {error.strerror}.") from error
    if not start:
        raise _unreadable(path, "It is empty.")
    bare = start.lstrip()
    for mark, kind in _TEXT_STARTS.items():
        if bare.startswith(mark):
            raise _unreadable(path, f"It is {kind}, probably an error message saved under this name.")
    return start


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, f"It is a damaged safetensors file ({error}).") from error


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(_ALLOWED):
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except (
        EOFError,
        RuntimeError,
        ValueError,
        KeyError,
        OSError,
        zipfile.BadZipFile,
    ) as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise _unreadable(path, f"It is damaged or cut short ({reason}).") from error


def _refused(path: Path, message: str) -> DataError:
    """The refusal with the name of the class that the file wanted to have run."""
    named = re.search(r"(?:GLOBAL|global|class|function) `?([\w.]+)`? (?:was not|is not|whose)", message)
    name = named.group(1) if named else None
    if name is None:
        return _unreadable(path, "It is no checkpoint of plain tensors, or it is damaged.")
    return DataError(
        f"{path} asks for {name} to be run, so it was not loaded.",
        "A checkpoint may hold tensors and plain data only.",
        "Save its state_dict alone, best as safetensors, on a machine where you trust the file.",
    )


def _missing(path: Path) -> DataError:
    return DataError(f"There is no file {path}.", "A checkpoint is expected there.", "Check the path.")


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is not a readable checkpoint. {why}",
        "A torch file (.pth, .pt, .bin) or safetensors file is expected.",
        "Fetch it again and compare its size or checksum with the publisher's.",
    )

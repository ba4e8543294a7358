"""Reading a checkpoint file as plain tensors: no file ever runs code."""

from __future__ import annotations

import hashlib
import pickle
import re
import struct
import warnings
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from midvision.core.errors import DataError
from midvision.data.plain_arrays import settled
from midvision.zoo.inert import CARRIERS, STAND_INS

_TEXT_STARTS = {b"<": "a web page", b"{": "JSON text", b"version http": "a Git LFS pointer"}


def read_checkpoint(path: Path) -> Any:
    """What the file holds, tensors on the processor. The container is told from the content.

    Raises `DataError` for a missing, empty, truncated or text file, and for a pickle that names a
    class outside a short list of plain data.
    """
    start = _first_bytes(path)
    if start[8:9] == b"{" and not start.startswith(b"PK"):
        return _read_safetensors(path)
    if start.startswith(b"PK"):
        _check_archive(path)
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
        # Copies: the library maps the file, and weights must not follow what happens to the file later.
        return {name: tensor.clone() for name, tensor in load_file(path).items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise _unreadable(path, f"It is a damaged safetensors file ({error}).") from error


def _check_archive(path: Path) -> None:
    """Refuse a zip that is no checkpoint, or would unpack to more than the file holds, before anything is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise _unreadable(path, "It is a zip archive that is damaged or cut short.") from error
    parts = {Path(entry.filename).name for entry in entries}
    if "constants.pkl" in parts:
        raise _unreadable(path, "It is a TorchScript program, not plain tensors.")
    if "data.pkl" not in parts:
        raise _unreadable(path, "It is a zip archive without a table of tensors.")
    claimed, size = sum(entry.file_size for entry in entries), path.stat().st_size
    if claimed > size:
        raise _unreadable(path, f"It claims to hold {_size_text(claimed)} but is a file of {_size_text(size)}.")


def _size_text(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size:,} bytes"


def _read_pickle(path: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(STAND_INS):
            warnings.simplefilter("ignore")
            return settled(torch.load(path, map_location="cpu", weights_only=True), CARRIERS)
    except pickle.UnpicklingError as error:
        raise _refused(path, str(error)) from error
    except Exception as error:
        # What a damaged pickle asks for is arbitrary, and so is the exception that it ends in.
        raise _unreadable(path, f"It is damaged or cut short ({_first_sentence(error)}).") from error


def _first_sentence(error: Exception) -> str:
    if isinstance(error, EOFError):
        return "it ends too early"
    text = str(error).splitlines()[0].partition(". ")[0].strip() if str(error) else ""
    return text if 0 < len(text) <= 160 else type(error).__name__


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
    if path.is_dir():
        return DataError(f"{path} is a folder.", "A checkpoint file is expected.", "Name the file inside.")
    return DataError(f"There is no file {path}.", "A checkpoint is expected there.", "Check the path.")


def _unreadable(path: Path, why: str) -> DataError:
    return DataError(
        f"{path} is not a readable checkpoint. {why}",
        "A torch file (.pth, .pt, .bin) or safetensors file is expected.",
        "Fetch it again and compare its size or checksum with the publisher's.",
    )

"""Where things live on disk, and how a file is written so that it is complete or absent."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from midvision.core.errors import DataError


def cache_dir() -> Path:
    """`MIDVISION_CACHE`, else the user's cache folder."""
    if value := os.environ.get("MIDVISION_CACHE"):
        return Path(value).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "midvision"


def data_dir() -> Path:
    """`MIDVISION_DATA`, else `data` below the cache: benchmark copies and generated scenes."""
    value = os.environ.get("MIDVISION_DATA")
    return Path(value).expanduser() if value else cache_dir() / "data"


def output_dir() -> Path:
    """`MIDVISION_OUTPUT`, else `results` in the working folder."""
    return Path(os.environ.get("MIDVISION_OUTPUT") or "results").expanduser()


def write_atomic(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary name beside `path`, flush it to disk, then rename.

    Raises `DataError` where the folder cannot be written or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
    except OSError as error:
        raise cannot_write(path, error) from error
    temporary = Path(name)
    try:
        write(temporary)
        # mkstemp files are private to their owner; what is written here is as readable as any other file.
        temporary.chmod(0o666 & ~_umask())
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def write_text(path: Path, text: str) -> None:
    write_atomic(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def cannot_write(path: Path, error: OSError) -> DataError:
    """What an unwritable folder or a full disk becomes for a person."""
    return DataError(
        f"Cannot write {path}: {error.strerror or error}.",
        "A writable folder with free space is needed.",
        "Free some space, or choose another folder (--output, --cache-dir).",
    )

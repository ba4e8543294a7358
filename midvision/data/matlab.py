"""MATLAB files: v5 through scipy, v7.3 (HDF5) through h5py, which reads axes in the reverse of MATLAB's order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

from midvision.core.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

CACHE_BYTES = 64 * 2**20
AGAIN = "Fetch the official file again."


@contextmanager
def open_hdf5(source: Path | IO[bytes], what: str, expected: str) -> Iterator[Any]:
    """An HDF5 file; whatever goes wrong while this block reads it is one error that names `what`."""
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            f"{what} is an HDF5 file; reading it needs h5py.", "", "Run: pip install 'midvision[data]'"
        ) from error
    try:
        # Frames are read one by one: a chunk that holds several stays in this cache between them.
        with h5py.File(source, "r", rdcc_nbytes=CACHE_BYTES) as file:
            yield file
    except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise DataError(f"{what} cannot be read ({_short(error)}).", expected, AGAIN) from error


def text_cells(file: Any, name: str) -> list[str]:
    """A cell array of strings: references to arrays of UTF-16 codes."""
    return ["".join(map(chr, file[reference][()].ravel().tolist())) for reference in file[name][()].ravel()]


def read_v5(stream: IO[bytes], names: Sequence[str], what: str) -> dict[str, np.ndarray]:
    """The named arrays of a MATLAB v5 file; the others are passed over."""
    import zlib

    import scipy.io
    from scipy.io.matlab import MatReadError

    expected = f"A MATLAB v5 file with {', '.join(names)} was expected."
    try:
        found = scipy.io.loadmat(stream, variable_names=list(names), squeeze_me=False)
        found = {name: found[name] for name in names}
    except NotImplementedError as error:
        raise DataError(f"{what} cannot be read (it is a v7.3 file).", expected, AGAIN) from error
    except (MatReadError, OSError, ValueError, TypeError, KeyError, IndexError, EOFError, zlib.error) as error:
        raise DataError(f"{what} cannot be read ({_short(error)}).", expected, AGAIN) from error
    return found


def _short(error: Exception) -> str:
    lines = str(error).strip().strip("'\"").splitlines()
    return lines[0] if lines else type(error).__name__

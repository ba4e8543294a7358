"""Pooled vectors of many images: in memory while that is small, else in a file without a name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from midvision.core.places import cache_dir, cannot_write

MEMORY_BYTES = 2**30
"""Up to here the vectors are held in memory."""

CHUNK_ROWS = 4096


class Bank:
    """Rows `[N, C]`, written in any order and read in chunks.

    `half` stores float16, which loses nothing where features were rounded to it before. A bank larger than
    `MEMORY_BYTES` lies in the cache folder and is gone with the process: 1.28 million vectors of
    2048 channels are 5.2 GB.
    """

    def __init__(self, rows: int, channels: int, half: bool) -> None:
        kind = np.dtype(np.float16 if half else np.float32)
        self.shape = (rows, channels)
        size = rows * channels * kind.itemsize
        self.on_disk = size > MEMORY_BYTES
        self._values: Any = _unnamed(size, self.shape, kind) if self.on_disk else np.empty(self.shape, kind)
        self._filled = np.zeros(rows, dtype=bool)

    def write(self, row: int, vector: Tensor) -> None:
        """Put one vector `[C]` into its row."""
        self._values[row] = vector.detach().cpu().numpy()
        self._filled[row] = True

    def missing(self) -> int | None:
        """The first row that was never written."""
        empty = np.flatnonzero(~self._filled)
        return int(empty[0]) if empty.size else None

    def rows(self, chosen: Sequence[int] | Tensor) -> Tensor:
        """Some rows `[n, C]`, float64, in the order asked for."""
        return torch.from_numpy(np.asarray(self._values[np.asarray(chosen, dtype=np.int64)], dtype=np.float64))

    def whole(self) -> Tensor:
        """All rows, float64."""
        return torch.from_numpy(np.asarray(self._values, dtype=np.float64))

    def chunks(self, dtype: torch.dtype = torch.float64) -> Iterator[tuple[slice, Tensor]]:
        """Neighbouring rows as a slice, with their values `[n, C]`; borders do not depend on anything but N."""
        for start in range(0, self.shape[0], CHUNK_ROWS):
            part = slice(start, min(start + CHUNK_ROWS, self.shape[0]))
            yield part, torch.from_numpy(np.array(self._values[part])).to(dtype)


def _unnamed(size: int, shape: tuple[int, int], kind: np.dtype) -> Any:
    """A mapped file that no name leads to; the space is taken at once, so a full disk is an error here."""
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, size)
            return np.memmap(file, dtype=kind, mode="r+", shape=shape)
    except OSError as error:
        raise cannot_write(folder, error) from error

"""One file of the cache: one part of up to a few dozen images, as safetensors, checked on every read.

The header holds each image's digest and the CRC-32 of its bytes. Rows are read with plain reads, not
through a memory map: a mapped file that somebody cuts short kills the process instead of failing.
"""

from __future__ import annotations

import json
import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from midvision.core.places import write_atomic
from midvision.core.settings import stable_hash

SUFFIX = ".safetensors"
TENSOR = "features"
TYPES = {"F16": torch.float16, "F32": torch.float32}
LONGEST_HEADER = 1 << 26


class Damaged(Exception):
    """A shard that is not what was written; its features are made again."""


@dataclass(frozen=True, slots=True)
class Shard:
    """A file's header: part, image digests in row order, their checksums, and where the rows lie."""

    path: Path
    part: str
    digests: tuple[str, ...]
    sums: tuple[int, ...]
    shape: tuple[int, ...]
    kind: str
    offset: int
    bytes: int

    def rows(self, wanted: Sequence[int]) -> list[Tensor]:
        """Those rows, each `shape`, after comparing their checksums; raises `Damaged`."""
        length = math.prod(self.shape) * TYPES[self.kind].itemsize
        found = []
        try:
            with open(self.path, "rb") as stream:
                for row in wanted:
                    stream.seek(self.offset + row * length)
                    data = bytearray(stream.read(length))
                    if len(data) != length or zlib.crc32(data) != self.sums[row]:
                        raise Damaged(f"{self.path}: row {row}")
                    found.append(torch.frombuffer(data, dtype=TYPES[self.kind]).reshape(self.shape))
        except OSError as error:
            raise Damaged(f"{self.path}: {error}") from error
        return found


def shard_name(part: str, digests: Sequence[str]) -> str:
    """Equal content, equal name: two writers of the same rows write the same file."""
    return f"{part}-{stable_hash(part, *digests)}{SUFFIX}"


def write_shard(path: Path, part: str, digests: Sequence[str], rows: Tensor) -> Shard:
    """Write `rows [n, ...]`, complete or not at all."""
    rows = rows.detach().cpu().contiguous()
    sums = [zlib.crc32(row.view(torch.uint8).numpy()) for row in rows.flatten(1)]
    about = {"part": part, "digests": ",".join(digests), "crc32": ",".join(f"{total:08x}" for total in sums)}
    data: bytes = save({TENSOR: rows}, metadata=about)
    write_atomic(path, lambda temporary: temporary.write_bytes(data))
    return read_header(path)


def read_header(path: Path) -> Shard:
    """What a shard says of itself; raises `Damaged` where header and file disagree."""
    try:
        with open(path, "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= min(LONGEST_HEADER, size):
                raise Damaged(f"{path}: no header")
            header = json.loads(stream.read(length).decode("utf-8"))
        about, tensor = header["__metadata__"], header[TENSOR]
        digests = tuple(about["digests"].split(","))
        sums = tuple(int(word, 16) for word in about["crc32"].split(","))
        count, *shape = (int(side) for side in tensor["shape"])
        begin, end = (int(place) for place in tensor["data_offsets"])
        shard = Shard(
            path, str(about["part"]), digests, sums, tuple(shape), str(tensor["dtype"]), 8 + length + begin, size
        )
        expected = count * math.prod(shape) * TYPES[shard.kind].itemsize
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{path}: {error}") from error
    right = count == len(digests) == len(sums) and end - begin == expected and size == 8 + length + end
    if not right or path.name != shard_name(shard.part, digests):
        raise Damaged(f"{path}: the header does not fit the file")
    return shard

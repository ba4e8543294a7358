"""Official files of full logical size that take little room: equal frames, compressed once and repeated."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import official_navi
import official_nyu

LABELLED = 1449
HEIGHT, WIDTH = 480, 640


def nyu_mat(path: Path, seen: list[dict[str, np.ndarray]], count: int = LABELLED) -> Path:
    """`nyu_depth_v2_labeled.mat` with `count` frames, each one of `seen`; chunks are written as they are compressed."""
    official_nyu.write_mat(path, seen, tuple(official_nyu.SCENES[n % 6] for n in range(len(seen))))
    with h5py.File(path, "r") as small:
        chunks = {
            name: [small[name].id.read_direct_chunk((n, *(0,) * (small[name].ndim - 1))) for n in range(len(seen))]
            for name in ("images", "rawDepths")
        }
        shapes = {name: (small[name].shape[1:], small[name].dtype) for name in chunks}
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, stored in chunks.items():
            shape, dtype = shapes[name]
            data = file.create_dataset(
                name, (count, *shape), dtype, chunks=(1, *shape), compression="gzip", compression_opts=1
            )
            for number in range(count):
                mask, content = stored[number % len(seen)]
                data.id.write_direct_chunk((number, *(0,) * len(shape)), content, mask)
        scenes = tuple(official_nyu.SCENES[n % 6] for n in range(count))
        for name, texts in {"scenes": scenes, "sceneTypes": tuple(s.split("_0")[0] for s in scenes)}.items():
            file.create_dataset(name, data=official_nyu.cells(file, texts)).attrs["MATLAB_class"] = np.bytes_("cell")
    with path.open("r+b") as raw:
        raw.write((official_nyu.HEADER.ljust(124) + b"\x00\x02IM").ljust(512, b"\0"))
    return path


class _Mark:
    """Pickles as a float32 array of a given shape whose bytes are a mark."""

    def __init__(self, shape: tuple[int, ...], mark: bytes) -> None:
        self.shape, self.mark = shape, mark

    def __reduce__(self) -> tuple[Any, ...]:
        maker, arguments, _ = np.empty(0, np.float32).__reduce__()[:3]  # type: ignore[misc]
        return maker, arguments, (1, self.shape, np.dtype(np.float32), False, self.mark)


def fair_zip(folder: Path, seen: list[dict[str, np.ndarray]], count: int = LABELLED, listed: int = 48) -> Path:
    """FAIR's archive with `count` frames of normals; its lists name `listed` frames between them."""
    mark = b"the bytes of all normals"
    content = {
        "all_normals": _Mark((count, HEIGHT, WIDTH, 3), mark),
        "all_filenames": [f"{number + 1:06d}" for number in range(count)],
    }
    before, after = pickle.dumps(content, protocol=3).split(b"C" + bytes([len(mark)]) + mark)
    turned = [(frame["normals"] * np.array((1, -1, -1), np.float32)).astype(np.float32) for frame in seen]
    frames = [np.ascontiguousarray(normals).tobytes() for normals in turned]
    head = before + pickle.BINBYTES8 + struct.pack("<Q", count * HEIGHT * WIDTH * 12)
    path = folder / "nyuv2_surfacenormal_metadata.zip"
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("surfacenormal_metadata/all_normals.pklz", "w", force_zip64=True) as stream:
            for block in _gzipped(head, frames, count, after):
                stream.write(block)
        step = max(1, count // listed)
        for place, name in enumerate(("train", "test")):
            names = [f'{{"img": "{n + 1:06d}_rgb.jpg"}}' for n in range(place * step, count, 2 * step)]
            archive.writestr(f"surfacenormal_metadata/{name}_SN40.json", f"[{', '.join(names)}]")
    return path


def _gzipped(head: bytes, frames: list[bytes], count: int, after: bytes) -> Iterator[bytes]:
    """One gzip member of the head, `count` frames in turn and the rest; every frame is compressed once."""

    def packed(content: bytes, last: bool = False) -> bytes:
        deflate = zlib.compressobj(1, zlib.DEFLATED, -15)
        return deflate.compress(content) + deflate.flush(zlib.Z_FINISH if last else zlib.Z_FULL_FLUSH)

    blocks = [packed(frame) for frame in frames]
    crc, size = zlib.crc32(head), len(head)
    yield b"\x1f\x8b\x08" + bytes(7) + packed(head)
    for number in range(count):
        place = number % len(frames)
        crc, size = zlib.crc32(frames[place], crc), size + len(frames[place])
        yield blocks[place]
    crc, size = zlib.crc32(after, crc), size + len(after)
    yield packed(after, last=True) + struct.pack("<LL", crc, size & 0xFFFFFFFF)


def navi_of_large_photographs(root: Path, times: int = 25, views: int = 4) -> Path:
    """NAVI's archive with photographs of 4000x3000 pixels (`times` 160x120)."""
    top = root / "navi_v1.5"
    for name in ("3d_dollhouse_sink", "bottle_vitamin_d"):
        for scene in ("wild_set", "multiview_00_pixel_4a"):
            scans = []
            for turn in np.linspace(-60, 60, views):
                small = official_navi.scan(turn)
                photo, depth = (_enlarged(plane, times) for plane in (small.photo, small.depth_mm))
                size = (small.size[0] * times, small.size[1] * times)
                scans.append(replace(small, photo=photo, depth_mm=depth, size=size, focal_px=small.focal_px * times))
            official_navi.write_scene(top / name / scene, name, scans)
    return official_navi.packed(top, root / "navi_v1.5.tar.gz")


def _enlarged(plane: np.ndarray, times: int) -> np.ndarray:
    return plane.repeat(times, axis=0).repeat(times, axis=1)


def stream_of_normals(frames: int) -> io.BytesIO:
    """A pickle of `frames` frames of normals, uncompressed, with whatever stands around them."""
    mark = b"the bytes of all normals"
    before, after = pickle.dumps({"all_normals": _Mark((frames, HEIGHT, WIDTH, 3), mark)}, protocol=3).split(
        b"C" + bytes([len(mark)]) + mark
    )
    size = struct.pack("<Q", frames * HEIGHT * WIDTH * 12)
    return io.BytesIO(before + pickle.BINBYTES8 + size + bytes(frames * HEIGHT * WIDTH * 12) + after)

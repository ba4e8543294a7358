"""Generated scenes on disk: a shard is one tar of pictures and one JSON manifest, complete or absent.

A record holds RGB as lossless WebP, depth as 16-bit PNG in steps of 1/8 mm, normals octahedral in
two stacked 16-bit planes, instance ids and the edge mask as 8-bit and 1-bit PNG. Cameras, objects,
pairs and triplets live in the manifest, so a data set can be listed without opening a tar. The
manifest is written last and carries the tar's SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from midvision.core.errors import DataError
from midvision.core.places import write_atomic, write_text

FORMAT = 1
DEPTH_STEP_M = 1 / 8000
PARTS = {"rgb": "rgb.webp", "depth": "depth.png", "normals": "normals.png", "ids": "ids.png", "edge": "edge.png"}


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """One object of a frame: `pixels` is what the camera sees of it, `world_from_object` is rigid.

    `bounds` are the first and last row and column with a pixel of it (-1 where there is none).
    """

    id: int
    family: str
    texture: str
    radius_m: float
    world_from_object: list[list[float]]
    pixels: int
    bounds: list[int]


@dataclass(frozen=True, slots=True)
class FrameInfo:
    """What is known of one frame besides its pixels. `K` is in frame pixels, centres at half integers.

    `focus` is the id of the object a frame was made for, 0 where there is none. Digests are over
    decoded arrays. `tags` carry labels of a variation.
    """

    key: str
    view: int
    K: list[list[float]]
    camera_from_world: list[list[float]]
    objects: list[ObjectInfo]
    foreground: float
    valid: float
    focus: int
    rgb_digest: str
    truth_digest: str
    tags: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PairInfo:
    """Two frames of a group, by view number. `shared` is the visible share, the smaller of both directions."""

    a: int
    b: int
    angle_deg: float
    bin: int
    shared: float
    shared_points: int
    object_share: float


@dataclass(frozen=True, slots=True)
class TripletInfo:
    """Three frames of a group, by view number; `right_share` is 1 where `right` is the answer, else 0."""

    reference: int
    left: int
    right: int
    right_share: float
    kind: str
    factor: str
    nuisance: str
    k: float


@dataclass(frozen=True, slots=True)
class SceneInfo:
    """One scene, object or triplet family of a part, with everything that was made from it."""

    part: str
    split: str
    index: int
    name: str
    scene_type: str
    frames: list[FrameInfo]
    pairs: list[PairInfo] = field(default_factory=list)
    triplets: list[TripletInfo] = field(default_factory=list)


def scene_from_json(data: Mapping[str, Any]) -> SceneInfo:
    """The inverse of `dataclasses.asdict` for a scene."""
    frames = [FrameInfo(**{**f, "objects": [ObjectInfo(**o) for o in f["objects"]]}) for f in data["frames"]]
    pairs = [PairInfo(**p) for p in data["pairs"]]
    triplets = [TripletInfo(**t) for t in data["triplets"]]
    return SceneInfo(**{**data, "frames": frames, "pairs": pairs, "triplets": triplets})


def encode_rgb(rgb: np.ndarray) -> bytes:
    return _picture_bytes(Picture.fromarray(rgb), "WEBP", lossless=True, quality=30, method=2)


def encode_depth(depth_m: np.ndarray) -> bytes:
    """Nearest 1/8 mm; 0 stays invalid, the ceiling is 8.19 m."""
    steps = np.clip(np.rint(depth_m / DEPTH_STEP_M), 0, 65535).astype(np.uint16)
    return _picture_bytes(Picture.fromarray(steps), "PNG", compress_level=6)


def encode_normals(normals: np.ndarray) -> bytes:
    """Octahedral map to [0, 65534], u above v; 65535 marks pixels without a normal."""
    size = np.abs(normals).sum(-1, keepdims=True)
    flat = normals / np.where(size > 0, size, 1)
    x, y, z = flat[..., 0], flat[..., 1], flat[..., 2]
    folded_x = (1 - np.abs(y)) * np.where(x >= 0, 1, -1)
    folded_y = (1 - np.abs(x)) * np.where(y >= 0, 1, -1)
    u, v = np.where(z < 0, folded_x, x), np.where(z < 0, folded_y, y)
    codes = np.rint((np.concatenate([u, v]) * 0.5 + 0.5) * 65534).astype(np.uint16)
    codes[np.concatenate([size[..., 0], size[..., 0]]) == 0] = 65535
    return _picture_bytes(Picture.fromarray(codes), "PNG", compress_level=6)


def decode_rgb(data: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(data)).convert("RGB"))


def decode_depth(data: bytes) -> np.ndarray:
    """Camera z in metres, float32, 0 where invalid."""
    return (np.asarray(Picture.open(io.BytesIO(data)), dtype=np.float64) * DEPTH_STEP_M).astype(np.float32)


def decode_normals(data: bytes) -> np.ndarray:
    """Unit normals `[H, W, 3]` float32, zero where there is none."""
    codes = np.asarray(Picture.open(io.BytesIO(data)), dtype=np.float64)
    u, v = np.split(codes / 65534 * 2 - 1, 2)
    z = 1 - np.abs(u) - np.abs(v)
    x = np.where(z < 0, (1 - np.abs(v)) * np.where(u >= 0, 1, -1), u)
    y = np.where(z < 0, (1 - np.abs(u)) * np.where(v >= 0, 1, -1), v)
    normals = np.stack([x, y, z], -1)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    normals[np.split(codes, 2)[0] == 65535] = 0
    return normals.astype(np.float32)


def decode_ids(data: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(data)), dtype=np.uint8)


def decode_edge(data: bytes) -> np.ndarray:
    return np.asarray(Picture.open(io.BytesIO(data)).convert("1"), dtype=bool)


DECODERS: dict[str, Callable[[bytes], np.ndarray]] = {
    "rgb": decode_rgb,
    "depth": decode_depth,
    "normals": decode_normals,
    "ids": decode_ids,
    "edge": decode_edge,
}


def encode_frame(
    rgb: np.ndarray, depth_m: np.ndarray, normals: np.ndarray, ids: np.ndarray, edge: np.ndarray
) -> dict[str, bytes]:
    """All planes of a frame, ready for the tar."""
    return {
        "rgb": encode_rgb(rgb),
        "depth": encode_depth(depth_m),
        "normals": encode_normals(normals),
        "ids": _picture_bytes(Picture.fromarray(ids), "PNG", compress_level=6),
        "edge": _picture_bytes(Picture.fromarray(edge), "PNG", compress_level=6),
    }


def array_digest(*arrays: np.ndarray) -> str:
    """First 16 hex digits of the SHA-256 of shapes, types and values."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype.str}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def write_shard(
    path: Path,
    identity: Mapping[str, Any],
    libraries: Mapping[str, str],
    scenes: Sequence[SceneInfo],
    pictures: Iterable[tuple[str, Mapping[str, bytes]]],
) -> None:
    """Write `path`.tar, then `path`.json; `pictures` are (frame key, plane -> bytes) in manifest order."""
    bundle = io.BytesIO()
    with tarfile.open(fileobj=bundle, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for key, planes in pictures:
            for plane, data in planes.items():
                member = tarfile.TarInfo(f"{key}.{PARTS[plane]}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    content = bundle.getvalue()
    manifest = {
        "format": FORMAT,
        "identity": dict(identity),
        "libraries": dict(libraries),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "scenes": [asdict(scene) for scene in scenes],
    }
    write_atomic(path.with_suffix(".tar"), lambda temporary: temporary.write_bytes(content))
    write_text(path.with_suffix(".json"), json.dumps(manifest, sort_keys=True, separators=(",", ":")))


@dataclass(frozen=True, slots=True)
class Shard:
    """One finished shard; its pictures are read by `read_plane`."""

    path: Path
    scenes: tuple[SceneInfo, ...]


def read_plane(path: Path, key: str, plane: str) -> np.ndarray:
    """One plane of one frame of the shard at `path`, decoded and read-only; recent ones are kept.

    `rgb` uint8 `[H, W, 3]`, `depth` float32 metres, `normals` float32 `[H, W, 3]`, `ids` uint8, `edge` bool.
    """
    tar = path.with_suffix(".tar")
    try:
        state = tar.stat()
        return _decoded(str(tar), state.st_size, state.st_mtime_ns, key, plane)
    except (OSError, EOFError, KeyError, SyntaxError, tarfile.TarError) as error:
        raise DataError(
            f"Shard {tar} of the built-in suite is damaged: {error!r} while reading {plane} of frame {key}.",
            "A complete shard was expected.",
            "Run the command again: damaged shards are found and made anew.",
        ) from error


@lru_cache(maxsize=64)
def _decoded(tar: str, size: int, mtime_ns: int, key: str, plane: str) -> np.ndarray:
    offset, length = _tar_index(tar, size, mtime_ns)[f"{key}.{PARTS[plane]}"]
    with open(tar, "rb") as file:
        file.seek(offset)
        data = file.read(length)
    array = DECODERS[plane](data)
    array.flags.writeable = False
    return array


def open_shard(path: Path, identity: Mapping[str, Any]) -> Shard | None:
    """The shard if it is there, whole, and made under the same identity (version, preset, axes); else None."""
    try:
        manifest = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT or manifest["identity"] != dict(identity):
            return None
        state = path.with_suffix(".tar").stat()
        if state.st_size != manifest["bytes"]:
            return None
        if _file_sha256(str(path.with_suffix(".tar")), state.st_size, state.st_mtime_ns) != manifest["sha256"]:
            return None
        return Shard(path, tuple(scene_from_json(scene) for scene in manifest["scenes"]))
    except (OSError, ValueError, KeyError, TypeError):
        # A missing, cut or foreign manifest is simply a shard that still has to be made.
        return None


@lru_cache(maxsize=1024)
def _file_sha256(path: str, size: int, mtime_ns: int) -> str:
    """Size and time are part of the key, so a rewritten file is read again."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@lru_cache(maxsize=64)
def _tar_index(path: str, size: int, mtime_ns: int) -> dict[str, tuple[int, int]]:
    with tarfile.open(path) as tar:
        return {member.name: (member.offset_data, member.size) for member in tar}


def _picture_bytes(picture: Picture.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()

"""From NYUv2's files to pictures and arrays: the labelled frames, FAIR's normals, GeoNet's training frames.

All arrays are `[480, 640]` or `[480, 640, 3]`, depth in metres with 0 where missing. Normals stay in the axes
of their files; `measured_signs` finds out by the depth which way those point.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterator, Sequence
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from midvision.core.errors import DataError
from midvision.data.matlab import open_hdf5, read_v5, text_cells

if TYPE_CHECKING:
    from midvision.data.archives import Place

MAT = "nyu_depth_v2_labeled.mat"
NORMALS = "all_normals.pklz"
SIZE = (480, 640)
# GeoNet subtracted these twice from its pictures.
GEONET_MEAN = 2 * np.array([122.175, 116.169, 103.508])
FARTHEST_M = 100.0
# The colour camera of the authors' toolbox; their pixels count from 1, ours have centres at half integers.
CAMERA = ((518.85790117, 0.0, 325.08244941), (0.0, 519.46961112, 253.23616634), (0.0, 0.0, 1.0))
SIGNS = tuple(itertools.product((1, -1), repeat=3))
AGREE_COS = 0.866
LEAST_AGREEMENT = 0.5
OFF_LENGTH, MOST_OFF = 0.05, 0.01
MOST_PICKLE_BYTES = 24 * 2**30


def labelled_facts(place: Place) -> tuple[int, list[str], list[str]]:
    """How many frames the labelled file has, and every frame's scene and type of scene."""
    what = place.describe(MAT)
    with open_hdf5(_file(place), what, f"A complete {MAT} (MATLAB v7.3) was expected.") as file:
        count = _check_axes(file, what)
        scenes, types = (text_cells(file, name) for name in ("scenes", "sceneTypes"))
    if len(scenes) != count or len(types) != count:
        raise DataError(f"{what} names {len(scenes)} scenes for {count} frames.", "One per frame was expected.")
    return count, scenes, types


def _file(place: Place) -> Any:
    return place.local(MAT) or place.open(MAT)


def _check_axes(file: Any, what: str) -> int:
    """The number of frames; an error if pictures or raw depth lie in another order than MATLAB's."""
    missing = [name for name in ("images", "rawDepths", "scenes", "sceneTypes") if name not in file]
    if missing:
        raise DataError(
            f"{what} has no {', '.join(missing)}.",
            "It is another file or another version.",
            f"Get {MAT} from the official page.",
        )
    images, depths = file["images"], file["rawDepths"]
    count = depths.shape[0]
    if images.shape != (count, 3, SIZE[1], SIZE[0]) or depths.shape != (count, SIZE[1], SIZE[0]):
        raise DataError(
            f"{what} holds images of shape {images.shape} and rawDepths of shape {depths.shape}.",
            f"MATLAB's order, read as (N, 3, {SIZE[1]}, {SIZE[0]}) and (N, {SIZE[1]}, {SIZE[0]}), was expected: "
            "its axes were swapped, or it is another file.",
            f"Get {MAT} from the official page.",
        )
    if images.dtype != np.uint8 or depths.dtype.kind != "f":
        raise DataError(f"{what} holds {images.dtype} images and {depths.dtype} depth.", "uint8 and metres expected.")
    return int(count)


def labelled_frames(place: Place, indices: tuple[int, ...]) -> Iterator[tuple[str, bytes]]:
    """Picture and raw depth of some frames (numbered from 0), as PNG and `.npz`; read one by one."""
    what = place.describe(MAT)
    with open_hdf5(_file(place), what, f"A complete {MAT} was expected.") as file:
        for index in indices:
            picture = np.ascontiguousarray(file["images"][index].transpose(2, 1, 0))
            yield picture_name(index), png_of(picture)
            yield depth_name(index), packed(check_metres(file["rawDepths"][index].T, f"Frame {index + 1} of {what}"))


def picture_name(index: int) -> str:
    return f"labelled/images/{index + 1:04d}.png"


def depth_name(index: int) -> str:
    return f"labelled/depths/{index + 1:04d}.npz"


def normal_name(index: int) -> str:
    return f"labelled/normals/{index + 1:04d}.npy"


SIGNS_FILE = "labelled/normals.json"


def png_of(picture: np.ndarray) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def packed(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, depth=np.ascontiguousarray(array))
    return buffer.getvalue()


def check_metres(depth: np.ndarray, what: str) -> np.ndarray:
    """The depth as float32 metres with 0 for what is missing, or an error where it cannot be metres."""
    metres: np.ndarray = np.nan_to_num(depth, nan=0.0, posinf=np.inf, neginf=-np.inf).astype(np.float32)
    low, high = float(metres.min(initial=0)), float(metres.max(initial=0))
    if low < 0 or high > FARTHEST_M:
        raise DataError(
            f"{what} has depth from {low:.4g} to {high:.4g}.",
            "Metres, with 0 where missing, were expected.",
            "Get the official file.",
        )
    return metres


def read_split(place: Place, name: str) -> list[int]:
    """Frames (numbered from 0) of `train_SN40.json` or `test_SN40.json`, in the file's order."""
    what = place.describe(name)
    try:
        entries = json.loads(place.read_text(name))
        return [int(entry["img"].split("_")[0].split(".")[0]) - 1 for entry in entries]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{what} is no list of pictures ({error!r}).",
            'Entries like {"img": "0001_rgb.jpg"} were expected.',
            "Fetch nyuv2_surfacenormal_metadata.zip again.",
        ) from error


def labelled_normals(place: Place, depths: Place, indices: tuple[int, ...]) -> Iterator[tuple[str, bytes]]:
    """FAIR's normals of some frames as `.npy`, after which way they point (measured against the raw depth)."""
    from midvision.data.large_pickle import LargeArray, read_large_pickle

    what = place.describe(NORMALS)
    with place.open(NORMALS) as stream:
        content = read_large_pickle(stream, what, MOST_PICKLE_BYTES)
    normals = content.get("all_normals") if isinstance(content, dict) else None
    count, _, _ = labelled_facts(depths)
    if not isinstance(normals, LargeArray) or normals.shape != (count, *SIZE, 3) or normals.dtype.kind != "f":
        raise DataError(
            f"{what} holds all_normals of {_kind(normals)}.",
            f"Floats of shape {(count, *SIZE, 3)}, as many as {MAT} has frames, were expected.",
            "Fetch nyuv2_surfacenormal_metadata.zip again.",
        )
    check_order(content.get("all_filenames"), count, what)
    sample = indices[:: max(1, len(indices) // 16)][:16]
    with open_hdf5(_file(depths), depths.describe(MAT), "") as file:
        pairs = [(file["rawDepths"][index].T, normals.row(index)) for index in sample]
    signs, shares = measured_signs(pairs, what)
    yield SIGNS_FILE, json.dumps({"signs": signs, "agreement": shares}).encode()
    for index in indices:
        yield normal_name(index), npy_of(check_units(normals.row(index), f"Frame {index + 1} of {what}"))


def _kind(array: Any) -> str:
    return f"{array.dtype} {tuple(array.shape)}" if hasattr(array, "shape") else f"kind {type(array).__name__}"


def check_order(names: Any, count: int, what: str) -> None:
    """FAIR's list of file names, where it is there, must count the labelled frames from 1."""
    if names is None:
        return
    plain = [name.decode("latin-1") if isinstance(name, bytes) else str(name) for name in list(names)]
    numbers = [int(digits) if (digits := name.split("_")[0].split(".")[0]).isdigit() else -1 for name in plain]
    if numbers != list(range(1, count + 1)):
        raise DataError(
            f"{what} lists its frames in another order than {MAT}.",
            f"Numbers from 1 to {count} were expected.",
            "Fetch nyuv2_surfacenormal_metadata.zip again.",
        )


def npy_of(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    kept = array if array.dtype.itemsize <= 4 else array.astype(np.float32)
    np.save(buffer, np.ascontiguousarray(kept), allow_pickle=False)
    return buffer.getvalue()


def check_units(normals: np.ndarray, what: str) -> np.ndarray:
    """The normals as they are, or an error unless all but 1 % are unit or zero vectors."""
    length = np.linalg.norm(normals.astype(np.float32), axis=-1)
    off = float(((np.abs(length - 1) > OFF_LENGTH) & (length > OFF_LENGTH)).mean())
    if off > MOST_OFF or not np.isfinite(length).all():
        raise DataError(f"{what}: {off:.0%} of the normals are not unit vectors.", "Length 1, or 0, was expected.")
    return normals


def measured_signs(pairs: Sequence[tuple[np.ndarray, np.ndarray]], what: str) -> tuple[tuple[int, ...], float]:
    """Signs that turn the axes of stored normals into x right, y down, z forward, and how far the depth agrees.

    Agreement is the share of pixels whose stored normal lies within 30 degrees of the one that the depth
    gives. Where no choice of signs agrees, the frames or axes are others than assumed, which is an error.
    """
    import torch

    from midvision.geometry.surface import normals_from_depth

    totals, count = np.zeros(len(SIGNS)), 0
    K = torch.tensor(CAMERA, dtype=torch.float64)
    for depth, normals in pairs:
        known = torch.from_numpy(np.ascontiguousarray(depth).astype(np.float32))[None]
        found, valid = normals_from_depth(known, K, known > 0, radius=4)
        stored = normals.astype(np.float32)
        length = np.linalg.norm(stored, axis=-1, keepdims=True)
        stored /= np.where(length > OFF_LENGTH, length, np.float32(np.inf))
        both = valid[0].numpy() & (length[..., 0] > OFF_LENGTH)
        ours, theirs = found.permute(1, 2, 0).numpy()[both], stored[both]
        count += len(ours)
        totals += [int(((ours * theirs * np.array(signs)).sum(-1) > AGREE_COS).sum()) for signs in SIGNS]
    shares = np.round(totals / max(count, 1), 2)
    best = int(shares.argmax())
    if count == 0 or shares[best] < LEAST_AGREEMENT:
        raise DataError(
            f"The normals of {what} do not fit the depth: {shares[best]:.0%} agree within 30 degrees at best.",
            "Unit vectors [H, W, 3] of the same frames were expected, in whatever signs.",
            "Fetch both official files again.",
        )
    return SIGNS[best], float(shares[best])


GEONET_FIELDS = ("img", "depth", "norm")


def geonet_picture(place: Place, member: str, name: str) -> dict[str, bytes]:
    """The picture of a GeoNet file as PNG; the whole file is read, so a broken one is found here."""
    picture, _, _ = read_geonet(place.open(member), place.describe(member))
    return {name: png_of(picture)}


def read_geonet(stream: IO[bytes], what: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture uint8, depth float32 metres, normals float32 of a GeoNet `.mat`: the first 480 rows, 640 columns."""
    with stream:
        found = read_v5(stream, GEONET_FIELDS, what)
    for name, array in found.items():
        _check_window(array, 2 if name == "depth" else 3, f"{what}: {name}")
    img, depth, norm = (found[name][: SIZE[0], : SIZE[1]] for name in GEONET_FIELDS)
    picture = np.clip(np.rint(img + GEONET_MEAN), 0, 255).astype(np.uint8)
    return picture, check_metres(depth, what), check_units(norm.astype(np.float32), what)


def geonet_depth(stream: IO[bytes], what: str) -> np.ndarray:
    with stream:
        depth = read_v5(stream, ("depth",), what)["depth"]
    return check_metres(_check_window(depth, 2, what)[: SIZE[0], : SIZE[1]], what)


def geonet_normals(stream: IO[bytes], what: str) -> np.ndarray:
    with stream:
        normals = read_v5(stream, ("norm",), what)["norm"]
    window = _check_window(normals, 3, what)[: SIZE[0], : SIZE[1]]
    return check_units(window.astype(np.float32), what)


def _check_window(array: np.ndarray, ndim: int, what: str) -> np.ndarray:
    good = array.ndim == ndim and array.shape[0] >= SIZE[0] and array.shape[1] >= SIZE[1]
    if not good or (ndim == 3 and array.shape[2] != 3) or array.dtype.kind not in "fiu":
        raise DataError(
            f"{what} is {array.dtype} of shape {array.shape}.",
            f"At least {SIZE[0]} rows and {SIZE[1]} columns{' of 3 numbers' if ndim == 3 else ''} were expected: "
            "its axes were swapped, or it is another file.",
            "Fetch the official file again.",
        )
    return array

"""Miniatures of NYUv2: the labelled .mat (HDF5 behind MATLAB's header), FAIR's archive, GeoNet, repackagings."""

from __future__ import annotations

import gzip
import json
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import scipy.io
from official_rooms import pose_of, trace
from PIL import Image

MEAN = np.array([122.175, 116.169, 103.508])
HEADER = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Mon Nov  5 00:11:53 2012 HDF5 schema 1.00 ."
SCENES = ("kitchen_0004", "kitchen_0004", "office_0001b", "office_0001b", "bedroom_0129", "bedroom_0129")
LISTS = {"train": (1, 2, 5), "test": (0, 3, 4)}
STEMS = tuple(f"dining_room_00{n // 2:02d}_r-1315328302.78518{n}-108978451{n}" for n in range(6))


def frames(count: int, first: int = 0) -> list[dict[str, np.ndarray]]:
    """Seen rooms with a white frame without depth around them, as the labelled set has it."""
    made = []
    for number in range(first, first + count):
        seen = trace(pose_of(number % 6))
        for side in (np.s_[:7], np.s_[-7:], np.s_[:, :9], np.s_[:, -9:]):
            seen["rgb"][side] = 255
            seen["depth_m"][side] = 0
        made.append(seen)
    return made


def write_mat(path: Path, seen: list[dict[str, np.ndarray]], scenes: tuple[str, ...] = SCENES) -> Path:
    """MATLAB writes its axes reversed: images [N, 3, W, H], rawDepths [N, W, H], cells as references to UTF-16."""
    images = np.stack([frame["rgb"].transpose(2, 1, 0) for frame in seen])
    depths = np.stack([frame["depth_m"].T for frame in seen])
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in {"images": images, "rawDepths": depths, "depths": depths + (depths == 0)}.items():
            data = file.create_dataset(
                name, data=array, chunks=(1, *array.shape[1:]), compression="gzip", compression_opts=1
            )
            data.attrs["MATLAB_class"] = np.bytes_("uint8" if name == "images" else "single")
        for name, texts in {"scenes": scenes, "sceneTypes": tuple(s.split("_0")[0] for s in scenes)}.items():
            file.create_dataset(name, data=cells(file, texts)).attrs["MATLAB_class"] = np.bytes_("cell")
    content = bytearray(path.read_bytes())
    content[:512] = (HEADER.ljust(124) + b"\x00\x02IM").ljust(512, b"\0")
    path.write_bytes(bytes(content))
    return path


def cells(file: h5py.File, texts: tuple[str, ...]) -> np.ndarray:
    group = file.require_group("#refs#")
    references = []
    for text in texts:
        data = group.create_dataset(f"r{len(group)}", data=np.array([[ord(letter)] for letter in text], np.uint16))
        data.attrs["MATLAB_class"] = np.bytes_("char")
        references.append(data.ref)
    return np.array([references], dtype=h5py.ref_dtype)


def write_fair(
    folder: Path,
    seen: list[dict[str, np.ndarray]],
    signs: tuple[int, ...] = (1, -1, -1),
    lists: Mapping[str, tuple[int, ...]] = LISTS,
    **changed: object,
) -> Path:
    """`surfacenormal_metadata.zip` of FAIR's benchmark; normals [N, H, W, 3] in the given signs of our axes."""
    normals = np.stack([frame["normals"] for frame in seen]) * np.array(signs, np.float32)
    content = {
        "all_normals": normals.astype(np.float32),
        "all_valid_depth_masks": np.stack([frame["depth_m"] > 0 for frame in seen]),
        "all_filenames": [f"{number + 1:06d}" for number in range(len(seen))],
        **changed,
    }
    inner = folder / "surfacenormal_metadata"
    inner.mkdir(parents=True, exist_ok=True)
    with gzip.open(inner / "all_normals.pklz", "wb", compresslevel=1) as stream:
        pickle.dump(content, stream, protocol=4)
    for name, indices in lists.items():
        entries = [{"img": f"{index + 1:06d}_rgb.jpg", "sn": f"{index + 1:06d}_SN40.png"} for index in indices]
        (inner / f"{name}_SN40.json").write_text(json.dumps(entries))
    path = folder / "nyuv2_surfacenormal_metadata.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(inner.iterdir()):
            archive.write(file, f"surfacenormal_metadata/{file.name}")
    return path


def write_geonet(
    folder: Path, seen: list[dict[str, np.ndarray]], stems: tuple[str, ...] = STEMS, margin: int = 1
) -> Path:
    """MATLAB v5 files, a little larger than 480x640, the mean subtracted twice from the pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    around = ((0, margin), (0, margin), (0, 0))
    for stem, frame in zip(stems, seen, strict=True):
        arrays = {
            "img": np.pad(frame["rgb"].astype(np.float32), around, "edge") - 2 * MEAN.astype(np.float32),
            "depth": np.pad(frame["depth_m"], around[:2], "edge"),
            "norm": np.pad(frame["normals"] * np.array([1, -1, -1], np.float32), around, "edge"),
        }
        scipy.io.savemat(folder / f"{stem}.mat", arrays, format="5", do_compression=True)
    return folder


def write_repackaged(folder: Path, seen: list[dict[str, np.ndarray]], stems: tuple[str, ...] = STEMS) -> Path:
    """The reference's training folders, as its script makes them of GeoNet's files."""
    for name in ("images", "depths", "normals", "segmentations"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for stem, frame in zip(stems, seen, strict=True):
        Image.fromarray(frame["rgb"]).save(folder / f"images/{stem}_image.png", compress_level=1)
        np.save(folder / f"depths/{stem}_depth.npy", frame["depth_m"])
        np.save(folder / f"normals/{stem}_norm.npy", frame["normals"] * np.array([1, -1, -1], np.float32))
        np.savez(folder / f"segmentations/{stem}_image.npz", panoptic_map=np.zeros((480, 640), np.uint8))
    return folder


def write_fastdepth(root: Path, seen: list[dict[str, np.ndarray]]) -> Path:
    """`nyudepthv2` of fast-depth: rgb [3, 480, 640] uint8 and filled depth [480, 640] per HDF5 file."""
    names = [f"train/kitchen_0004/{n:05d}.h5" for n in range(1, len(seen) - 1)]
    names += [f"val/official/{n:05d}.h5" for n in (1, 2)]
    for name, frame in zip(names, seen, strict=True):
        path = root / "nyudepthv2" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(path, "w") as file:
            file.create_dataset("rgb", data=frame["rgb"].transpose(2, 0, 1), compression="gzip", compression_opts=1)
            file.create_dataset("depth", data=np.maximum(frame["depth_m"], 0.7), compression="gzip")
    return root / "nyudepthv2"

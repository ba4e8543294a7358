"""A miniature of ScanNet's 1500 test pairs as LoFTR packs them."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
from official_rooms import K_640, pose_of, trace
from PIL import Image

SCENES = ((707, 0), (711, 1))
FRAMES = (0, 15, 585)


def build_scannet(root: Path, scenes: tuple[tuple[int, int], ...] = SCENES) -> Path:
    """`root/scannet_test_1500`: per scene three frames of a room, and two pairs; tables beside the scenes."""
    folder = root / "scannet_test_1500"
    rows = []
    for scene, run in scenes:
        for place, frame in enumerate(FRAMES):
            write_frame(folder / f"scene{scene:04d}_{run:02d}", frame, place + scene % 3)
        rows += [(scene, run, FRAMES[0], FRAMES[1]), (scene, run, FRAMES[0], FRAMES[2])]
    write_tables(folder, rows, {f"scene{scene:04d}_{run:02d}": K_640 for scene, run in scenes})
    return folder


def write_frame(scene: Path, frame: int, number: int) -> None:
    seen = trace(pose_of(number))
    depth = np.round(seen["depth_m"] * 1000).astype(np.uint16)
    depth[:, :8] = 0
    pose = "".join(" ".join(f"{value:.6f}" for value in row) + "\n" for row in pose_of(number))
    write_view(scene, frame, seen["rgb"], depth, pose)


def write_view(scene: Path, frame: int, rgb: np.ndarray, depth: np.ndarray, pose: str) -> None:
    for kind in ("color", "depth", "pose"):
        (scene / kind).mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(scene / f"color/{frame}.jpg", quality=92)
    Image.fromarray(depth).save(scene / f"depth/{frame}.png")
    (scene / f"pose/{frame}.txt").write_text(pose)


def write_tables(folder: Path, rows: list[tuple[int, int, int, int]], cameras: dict[str, np.ndarray]) -> None:
    np.savez(folder / "test.npz", name=np.array(rows, dtype=np.int64))
    np.savez(folder / "intrinsics.npz", **cameras)


def packed(folder: Path, target: Path) -> Path:
    """The official tar: scenes only; the two tables come apart."""
    with tarfile.open(target, "w") as tar:
        for scene in sorted(folder.glob("scene*")):
            tar.add(scene, f"scannet_test_1500/{scene.name}")
    return target

"""The real RGB-D frames and the graffiti wall beside the project, rewritten into official layouts of pairs and rooms.

Nothing is invented but what the layout needs and the data lack: normals come from the depth (there are no measured
ones), and three of the wall's six photographs are darker copies of the others.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from official_navi import Scan, write_scene
from official_nyu import write_fair, write_geonet, write_mat
from official_scannet import write_tables, write_view
from PIL import Image
from realdata_sets import TABLE_CORNER

KITCHEN, OFFICE = "rgbd_7scenes", "rgbd_slambook2"
HELD_OUT = ("000720", "000840", "000940")
TRAINED = ("000000", "000040", "000140", "000200", "000310", "000430", "000480", "000590")
WILD = ("000000", "000040", "000310", "000480", "000550", "000780", "000900", "000980")
AROUND = ("000010", "000020", "000090", "000200", "000370", "000590", "000840", "000940")


def read(data: Path, folder: str, name: str) -> dict[str, np.ndarray]:
    """Colours, depth [m], `world_from_camera` and K (centres at half integers) of one real frame."""
    [photo] = (data / folder).glob(f"{name}.color.*")
    K = np.loadtxt(data / folder / "intrinsics.txt")
    K[:2, 2] += 0.5
    return {
        "rgb": np.asarray(Image.open(photo).convert("RGB")),
        "depth_m": np.asarray(Image.open(data / folder / f"{name}.depth.png")).astype(np.float32) / 1000,
        "pose": np.loadtxt(data / folder / f"{name}.pose.txt"),
        "K": K,
    }


def points_of(frame: dict[str, np.ndarray]) -> np.ndarray:
    """`[H, W, 3]` in the camera; NaN where depth is missing."""
    height, width = frame["depth_m"].shape
    y, x = np.mgrid[:height, :width] + 0.5
    rays = np.stack((x, y, np.ones_like(x)), -1) @ np.linalg.inv(frame["K"]).T
    depth = np.where(frame["depth_m"] > 0, frame["depth_m"], np.nan)
    return np.asarray(rays * depth[..., None])


def normals_of(frame: dict[str, np.ndarray], reach: int = 5) -> np.ndarray:
    """Differences over twice `reach` pixels, crossed, towards the camera; zero where depth is missing or breaks."""
    points = points_of(frame)
    normals = np.zeros_like(points)
    inner = np.s_[reach:-reach, reach:-reach]
    across = points[reach:-reach, 2 * reach :] - points[reach:-reach, : -2 * reach]
    down = points[2 * reach :, reach:-reach] - points[: -2 * reach, reach:-reach]
    crossed = np.cross(down, across)
    unit = crossed / np.maximum(np.linalg.norm(crossed, axis=-1, keepdims=True), 1e-12)
    unit *= -np.sign((unit * points[inner]).sum(-1, keepdims=True))
    steps = np.maximum(np.abs(across[..., 2]), np.abs(down[..., 2])) / points[inner][..., 2]
    normals[inner] = np.where(np.isfinite(unit) & (steps < 0.1)[..., None], unit, 0)
    return normals.astype(np.float32)


def nyu_of_real_data(data: Path, root: Path) -> Path:
    """Eight kitchen frames train in GeoNet's form; three more and three of an office are the labelled ones."""
    labelled = [read(data, KITCHEN, f"frame-{name}") for name in HELD_OUT]
    labelled += [read(data, OFFICE, f"frame-{name}") for name in ("1", "3", "5")]
    train = [read(data, KITCHEN, f"frame-{name}") for name in TRAINED]
    for frame in (*labelled, *train):
        frame["normals"] = normals_of(frame)
    root.mkdir(parents=True, exist_ok=True)
    scenes = ("kitchen_0001",) * 3 + ("office_0001",) * 3
    write_mat(root / "nyu_depth_v2_labeled.mat", labelled, scenes)
    write_fair(root, labelled, lists={"train": (0,), "test": (1, 2, 3, 4, 5)})
    stems = tuple(f"kitchen_{number // 4 + 2:04d}_r-13153283{number:02d}.785-{number}" for number in range(len(train)))
    write_geonet(root / "nyu_geonet", train, stems)
    return root


def scannet_of_real_data(data: Path, root: Path) -> Path:
    """Six pairs of the kitchen and four of the office, as scenes of LoFTR's packing."""
    folder = root / "scannet_test_1500"
    pairs = {
        KITCHEN: [(0, 40), (0, 310), (480, 590), (840, 940), (550, 590), (200, 310)],
        OFFICE: [(1, 2), (2, 3), (3, 4), (4, 5)],
    }
    rows, cameras = [], {}
    for scene, (name, listed) in enumerate(pairs.items(), start=707):
        for number in sorted({number for pair in listed for number in pair}):
            frame = read(data, name, f"frame-{number:06d}" if name == KITCHEN else f"frame-{number}")
            pose = "".join(" ".join(f"{value:.8f}" for value in row) + "\n" for row in frame["pose"])
            depth = np.round(frame["depth_m"] * 1000).astype(np.uint16)
            write_view(folder / f"scene{scene:04d}_00", number, frame["rgb"], depth, pose)
            cameras[f"scene{scene:04d}_00"] = frame["K"]
        rows += [(scene, 0, *pair) for pair in listed]
    write_tables(folder, rows, cameras)
    return folder


def navi_of_real_data(data: Path, root: Path) -> Path:
    """The corner of the kitchen table as an object: its frame is the world's, the rest of the depth is no object."""
    top = root / "navi_v1.0"
    for scene, names in {"wild_set": WILD, "multiview-00-kinect": AROUND}.items():
        scans = [object_view(read(data, KITCHEN, f"frame-{name}")) for name in names]
        write_scene(top / "table_corner" / scene, "table_corner", [scan for scan in scans if scan is not None])
    return top


def object_view(frame: dict[str, np.ndarray]) -> Scan | None:
    """The frame with depth inside the table corner's box alone; None where too little of it is seen."""
    numbers = [float(word) for word in TABLE_CORNER.split()]
    world = points_of(frame) @ frame["pose"][:3, :3].T + frame["pose"][:3, 3]
    inside = ((world >= numbers[:3]) & (world <= numbers[3:])).all(-1)
    if inside.mean() < 0.02:
        return None
    inverse = np.linalg.inv(frame["pose"])
    size, focal = frame["depth_m"].shape, float(frame["K"][0, 0])
    depth_mm = np.where(inside, frame["depth_m"] * 1000, 0).astype(np.float64)
    return Scan(inverse[:3, :3], inverse[:3, 3] * 1000, (size[0], size[1]), focal, frame["rgb"], depth_mm)


def hpatches_of_real_data(data: Path, root: Path) -> Path:
    """The graffiti wall twice: six photographs of which three are darker copies; and the first in six exposures."""
    top, folder = root / "hpatches-sequences-release", data / "homography_graf"
    for name in ("v_graffiti", "i_graffiti"):
        (top / name).mkdir(parents=True)
        for number in range(1, 7):
            source = (number - 1) % 3 + 1 if name[0] == "v" else 1
            photo = np.asarray(Image.open(folder / f"img{source}.png").convert("RGB")).astype(np.float64)
            dark = 1 + 0.6 * (number > 3) if name[0] == "v" else 1 + 0.25 * (number - 1)
            shown = 255 * (photo / 255) ** dark
            Image.fromarray(np.round(shown).astype(np.uint8)).save(top / name / f"{number}.ppm")
            if number > 1:
                H = np.eye(3) if source == 1 else np.loadtxt(folder / f"H_1_{source}.txt")
                np.savetxt(top / name / f"H_1_{number}", H)
    return top

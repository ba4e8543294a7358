"""A miniature of NAVI in its official layout: a shiny-free ellipsoid per object, ray cast from posed cameras.

Independent of the program: its own projection, its own disparity code, quaternions from scipy.
"""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

RADII_MM = np.array([120.0, 90.0, 70.0])
FOCAL_PX = 190.0
SIZE = (120, 160)


@dataclass(frozen=True)
class Scan:
    """One view: `R`, `t_mm` map object to camera; colours and depth [mm] as a viewer sees them (upright)."""

    R: np.ndarray
    t_mm: np.ndarray
    size: tuple[int, int]
    focal_px: float
    photo: np.ndarray
    depth_mm: np.ndarray


def look_at(eye_mm: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of R are the camera's right, down and forward axes in the object's frame."""
    forward = -eye_mm / np.linalg.norm(eye_mm)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    R = np.stack([right, np.cross(forward, right), forward])
    return R, -R @ eye_mm


def scan(
    turn_deg: float, size: tuple[int, int] = SIZE, shift_mm: float = 0.0, tint: int = 0, away_mm: float = 600.0
) -> Scan:
    """The ellipsoid seen from `away_mm` after a turn about its upright axis; `shift_mm` moves it sideways."""
    angle = np.radians(turn_deg)
    R, t = look_at(away_mm * np.array([np.sin(angle), 0.35, -np.cos(angle)]))
    t = t + np.array([shift_mm, 0.0, 0.0])
    height, width = size
    focal = FOCAL_PX * min(size) / SIZE[0]
    v, u = np.mgrid[:height, :width] + 0.5
    rays = np.stack([(u - width / 2) / focal, (v - height / 2) / focal, np.ones_like(u)], -1)
    # |(R^T (z r - t)) / radii| = 1, a quadratic in z.
    direction, origin = rays @ R / RADII_MM, (-R.T @ t) / RADII_MM
    a, b, c = (direction**2).sum(-1), direction @ origin, origin @ origin - 1
    root = b * b - a * c
    hit = root > 0
    z = np.where(hit, (-b - np.sqrt(np.where(hit, root, 0))) / a, 0.0)
    place = (direction * z[..., None] + origin) * hit[..., None]
    colours = 140 + 50 * np.sign(np.sin(place * 9)) + 40 * place
    background = 12 + tint + 6 * np.sin(u / 9 + tint)[..., None] * np.ones(3)
    return Scan(R, t, size, focal, np.where(hit[..., None], colours, background).clip(0, 255).astype(np.uint8), z)


def codes_of(depth_mm: np.ndarray) -> np.ndarray:
    """disparity = code / (65535 * 10) = 1 / mm."""
    with np.errstate(divide="ignore"):
        return np.where(depth_mm > 0, np.round(655350.0 / depth_mm), 0).astype(np.uint16)


def write_scene(
    folder: Path, object_id: str, scans: list[Scan], turned: tuple[int, ...] = ()
) -> list[dict[str, object]]:
    """`images`, `depth`, `masks`, `annotations.json`; photographs in `turned` are stored lying, with an EXIF tag."""
    entries = []
    for number, one in enumerate(scans):
        stem = f"{number:03d}"
        for kind in ("images", "depth", "masks"):
            (folder / kind).mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(one.photo)
        exif = Image.Exif()
        if number in turned:
            # Orientation 6: to be shown, the stored picture is turned clockwise.
            picture = picture.transpose(Image.Transpose.ROTATE_90)
            exif[0x0112] = 6
        picture.save(folder / f"images/{stem}.jpg", quality=95, exif=exif)
        Image.fromarray(codes_of(one.depth_mm)).save(folder / f"depth/{stem}.png")
        Image.fromarray((one.depth_mm > 0).astype(np.uint8) * 255).save(folder / f"masks/{stem}.png")
        x, y, z, w = Rotation.from_matrix(one.R).as_quat()
        entries.append(
            {
                "object_id": object_id,
                "camera": {
                    "q": [w, x, y, z],
                    "t": one.t_mm.tolist(),
                    "focal_length": one.focal_px,
                    "camera_model": "pixel_4a",
                },
                "filename": f"{stem}.jpg",
                "filename_original": f"IMG_{stem}.jpg",
                "image_size": list(one.size),
                "scene_name": folder.name,
                "split": "val" if number % 5 == 4 else "train",
                "occluded": False,
            }
        )
    (folder / "annotations.json").write_text(json.dumps(entries))
    return entries


def build_navi(root: Path, release: str = "1.5", wild: int = 5, views: int = 4) -> Path:
    """`root/navi_v<release>`: two objects with wild and multi-view scenes, one without a wild set."""
    top = root / f"navi_v{release}"
    mark = "_" if release == "1.5" else "-"
    for place, name in enumerate(("3d_dollhouse_sink", "bottle_vitamin_d")):
        turns = np.linspace(-70, 70, wild) + 7 * place
        scans = [
            scan(turn, (160, 120) if n == 1 else SIZE, 18.0 * (n % 2), 10 * n, 450 + 110 * n)
            for n, turn in enumerate(turns)
        ]
        write_scene(top / name / "wild_set", name, scans, turned=(1,))
        for number in range(2):
            around = [
                scan(turn, tint=30, away_mm=430 + 170 * n)
                for n, turn in enumerate(np.linspace(-80, 60, views) + 11 * number)
            ]
            write_scene(top / name / f"multiview{mark}{number:02d}{mark}pixel_4a", name, around)
        (top / name / "3d_scan").mkdir()
        (top / name / "3d_scan" / f"{name}.obj").write_text("v 0 0 0\n")
        (top / name / "3d_scan" / "texture.jpg").write_bytes((top / name / "wild_set/images/000.jpg").read_bytes())
    write_scene(
        top / "zz_only_multiview" / f"multiview{mark}00{mark}canon_t4i", "zz_only_multiview", [scan(0), scan(30)]
    )
    if release == "1.5":
        write_scene(top / "bottle_vitamin_d" / "video_00_pixel_5", "bottle_vitamin_d", [scan(0), scan(3)])
    return top


def packed(top: Path, archive: Path) -> Path:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(top, top.name)
    return archive

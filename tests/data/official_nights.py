"""A miniature of NIGHTS in its official layout: data.csv, numbered folders, one zip or several."""

from __future__ import annotations

import csv
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

HEADER = tuple("id left_vote right_vote votes ref_path left_path right_path prompt split is_imagenet".split())


def save_picture(path: Path, colour: tuple[int, int, int], seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 30, (64, 64, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((noise + np.array(colour)).clip(0, 255).astype(np.uint8)).save(path)


def build_nights(root: Path, count: int = 8) -> Path:
    """`root/nights`: the chosen picture has the reference's colour. Triplet 1 has five votes, triplet 2 trains."""
    nights = root / "nights"
    rows = []
    for number in range(count):
        folder, name = f"{number % 2:03d}", f"{number:03d}"
        right = number // 2 % 2 == 1
        colours = ((200, 60, 20 * number), (20 * number, 60, 200))
        save_picture(nights / f"ref/{folder}/{name}.png", colours[0], number)
        save_picture(nights / f"distort/{folder}/{name}_0.png", colours[right], 100 + number)
        save_picture(nights / f"distort/{folder}/{name}_1.png", colours[not right], 200 + number)
        rows.append(
            (
                number,
                float(not right),
                float(right),
                5 if number == 1 else 6 + number,
                f"ref/{folder}/{name}.png",
                f"distort/{folder}/{name}_0.png",
                f"distort/{folder}/{name}_1.png",
                "An image of a cat, sitting",
                "train" if number == 2 else "val" if number == 3 else "test",
                number % 3 != 0,
            )
        )
    write_table(nights / "data.csv", rows)
    return nights


def write_table(path: Path, rows: list[tuple[object, ...]], header: tuple[str, ...] = HEADER) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def zipped(folder: Path, archive: Path, top: str) -> Path:
    """A zip of `folder` whose names begin with `top`."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                file.write(path, (Path(top) / path.relative_to(folder)).as_posix())
    return archive


def in_parts(nights: Path, folder: Path) -> Path:
    """The form in 200 parts: `ref/000.zip` holds `000/...`; the table lies beside them."""
    for kind in ("ref", "distort"):
        for part in sorted((nights / kind).iterdir()):
            zipped(part, folder / kind / f"{part.name}.zip", part.name)
    (folder / "data.csv").write_bytes((nights / "data.csv").read_bytes())
    return folder

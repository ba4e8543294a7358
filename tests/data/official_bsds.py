"""A miniature of BSDS500 in its official layout: photographs, MATLAB v5 cells of annotators, the tools beside them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import scipy.io
from official_classes import tar_of
from PIL import Image

TOP = "BSR/BSDS500/data"


def mat_of(segmentations: list[np.ndarray], boundaries: list[np.ndarray]) -> bytes:
    """`groundTruth`: a 1xA cell of structs with `Segmentation` (uint16) and `Boundaries` (logical)."""
    cells = np.empty((1, len(boundaries)), dtype=object)
    for place, (segmentation, boundary) in enumerate(zip(segmentations, boundaries, strict=True)):
        cells[0, place] = {"Segmentation": segmentation.astype(np.uint16), "Boundaries": boundary.astype(bool)}
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"groundTruth": cells}, do_compression=True)
    return stream.getvalue()


def jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=95)
    return stream.getvalue()


def edges_of(labels: np.ndarray) -> np.ndarray:
    """Pixels whose right or lower neighbour has another label."""
    found = np.zeros(labels.shape, dtype=bool)
    found[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    found[:-1] |= labels[:-1] != labels[1:]
    return found


def scene(number: int, size: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """A photograph `[H, W, 3]` of a disc and a box on plain ground; a second annotator draws the disc only."""
    rng = np.random.default_rng(number)
    rows, columns = np.mgrid[: size[0], : size[1]]
    disc = np.hypot(rows - size[0] * rng.uniform(0.3, 0.4), columns - size[1] * 0.3) < min(size) * 0.22
    top, left = int(size[0] * rng.uniform(0.5, 0.6)), int(size[1] * 0.55)
    box = (rows > top) & (rows < top + size[0] // 4) & (columns > left) & (columns < left + size[1] // 3)
    labels = 1 + disc + 2 * box
    colours = rng.integers(20, 235, (4, 3))
    colours[1:] = colours[1:] * 0.3 + np.array([[40, 60, 90], [200, 80, 60], [90, 200, 120]]) * 0.7
    photo = (colours[labels] + rng.integers(-6, 6, (*size, 1))).clip(0, 255).astype(np.uint8)
    return photo, [labels, 1 + disc.astype(int)]


def bsds_files(counts: tuple[int, int, int] = (4, 2, 4)) -> dict[str, bytes]:
    """Landscape and portrait photographs in turn, a demonstration's annotation in the tools, thumbnails."""
    files = {"BSR/bench/data/groundTruth/8068.mat": b"a demonstration", f"{TOP}/images/train/Thumbs.db": b"x"}
    number = 0
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        for _ in range(count):
            number += 1
            photo, drawn = scene(number, (161, 241) if number % 2 else (241, 161))
            files[f"{TOP}/images/{split}/{1000 + number}.jpg"] = jpeg(photo)
            files[f"{TOP}/groundTruth/{split}/{1000 + number}.mat"] = mat_of(drawn, [edges_of(one) for one in drawn])
    return files


def build_bsds(folder: Path, counts: tuple[int, int, int] = (4, 2, 4)) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "BSR_bsds500.tgz"
    path.write_bytes(tar_of(bsds_files(counts), "w:gz"))
    return path


def real_bsds(shared: Path, tests: int, count: int = 16) -> dict[str, bytes]:
    """The first `count` shared photographs in the official layout; the last `tests` of them are scored."""
    files = {}
    photos = sorted(shared.glob("*.jpg"))[:count]
    for place, path in enumerate(photos):
        split = "test" if place >= len(photos) - tests else "val" if place == 0 else "train"
        kept = np.load(path.with_suffix(".npz"))
        numbers = sorted(int(name.rpartition("_")[2]) for name in kept if name.startswith("boundary_"))
        drawn = [kept[f"boundary_{n}"] for n in numbers]
        files[f"{TOP}/images/{split}/{path.stem}.jpg"] = path.read_bytes()
        files[f"{TOP}/groundTruth/{split}/{path.stem}.mat"] = mat_of(
            [kept[f"segmentation_{n}"] for n in numbers], drawn
        )
    return files

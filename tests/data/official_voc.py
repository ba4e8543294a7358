"""Miniatures of the VOC kits in their official layout: folder names, palette pictures, lists, tar files.

Every picture shows a bright object on a dark ground. The palette is VOC's own, so its colours say
nothing of the index: index 255 is light grey, which a reader of colours takes for an object.
"""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZES = ((75, 100), (100, 75))


def palette() -> list[int]:
    """The kit's colours: the bits of the index dealt out to red, green and blue."""
    colours = []
    for index in range(256):
        for channel in range(3):
            bits = [(index >> (3 * place + channel) & 1) << (7 - place) for place in range(8)]
            colours.append(sum(bits))
    return colours


def mask_of(number: int) -> np.ndarray:
    """Indices `[H, W]`: two objects with a void border; a void stripe at the right edge, far from any."""
    height, width = SIZES[number % 2]
    y, x = np.mgrid[:height, :width]
    mask = np.zeros((height, width), np.uint8)
    for index, (top, left) in ((1, (0.35, 0.35 + 0.02 * number % 0.1)), (2, (0.7, 0.6))):
        radius = np.hypot(y - top * height, x - left * width) / min(height, width)
        mask[radius < 0.27] = 255
        mask[radius < 0.25] = index
    mask[:, -6:] = 255
    return mask


def save_mask(path: Path, mask: np.ndarray) -> None:
    image = Image.fromarray(mask, mode="P")
    image.putpalette(palette())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def save_photo(path: Path, mask: np.ndarray, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 40, (*mask.shape, 3))
    bright = np.isin(mask, (1, 2))[..., None] * 180
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((noise + bright).astype(np.uint8)).save(path, quality=95)


def build_kit(root: Path, year: str, lists: dict[str, list[str]]) -> Path:
    """`root/VOCdevkit/VOC<year>` with what the official archive holds of segmentation, and a picture beyond it."""
    kit = root / "VOCdevkit" / f"VOC{year}"
    ids = sorted({id for ids in lists.values() for id in ids})
    for number, id in enumerate(ids):
        mask = mask_of(number)
        save_photo(kit / "JPEGImages" / f"{id}.jpg", mask, number)
        save_mask(kit / "SegmentationObject" / f"{id}.png", mask)
        save_mask(kit / "SegmentationClass" / f"{id}.png", (mask > 0).astype(np.uint8) * 15)
        annotation = kit / "Annotations" / f"{id}.xml"
        annotation.parent.mkdir(exist_ok=True)
        annotation.write_text(f"<annotation><filename>{id}.jpg</filename></annotation>")
    save_photo(kit / "JPEGImages" / "000001.jpg", mask_of(0), 99)
    for name, named in lists.items():
        path = kit / "ImageSets" / "Segmentation" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{id}\n" for id in named))
    return kit


def packed(root: Path, archive: Path) -> Path:
    """A tar of `root/VOCdevkit`, as published."""
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w") as tar:
        tar.add(root / "VOCdevkit", "VOCdevkit")
    return archive


def lists_12(count: int = 10) -> dict[str, list[str]]:
    ids = [f"{2007 + number % 5}_{number + 32:06d}" for number in range(count)]
    return {"train": sorted(ids[: count // 2]), "val": sorted(ids[count // 2 :]), "trainval": sorted(ids)}


def voc12_tar(folder: Path, count: int = 10) -> Path:
    build_kit(folder / "unpacked", "2012", lists_12(count))
    return packed(folder / "unpacked", folder / "VOCtrainval_11-May-2012.tar")


def voc07_tars(folder: Path) -> tuple[Path, Path]:
    """The two archives of 2007; each holds its own lists and pictures below the same folder names."""
    ids = [f"{number:06d}" for number in (32, 39, 63, 68, 121, 170, 175, 243, 333)]
    first = {"train": ids[:3], "val": ids[3:6], "trainval": ids[:6]}
    build_kit(folder / "a", "2007", first)
    build_kit(folder / "b", "2007", {"test": ids[6:]})
    return (
        packed(folder / "a", folder / "VOCtrainval_06-Nov-2007.tar"),
        packed(folder / "b", folder / "VOCtest_06-Nov-2007.tar"),
    )

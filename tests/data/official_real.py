"""The real photographs beside the project, rewritten into the layouts of VOC and NIGHTS."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import numpy as np
from official_nights import write_table
from official_voc import save_mask
from PIL import Image
from PIL.PngImagePlugin import PngInfo


def voc_of_real_data(data: Path, root: Path) -> Path:
    """A VOC2012 kit of DAVIS frames (a sequence is held out), Open Images and labelme's VOC photographs."""
    kit = root / "VOCdevkit" / "VOC2012"
    lists: dict[str, list[str]] = {"train": [], "val": []}
    davis = data / "video_davis2016"
    for number, photo in enumerate(sorted((davis / "JPEGImages").rglob("*.jpg"))[::12]):
        mask = np.asarray(Image.open(davis / "Annotations" / photo.parent.name / f"{photo.stem}.png"))
        put(kit, photo, (mask > 0).astype(np.uint8), f"2012_{number:06d}")
        lists["val" if photo.parent.name == "libby" else "train"].append(f"2012_{number:06d}")
    for number, folder in enumerate(sorted((data / "masks_openimages/masks").iterdir())):
        masks = [np.asarray(Image.open(path)) > 0 for path in sorted(folder.glob("*.png"))]
        indices = np.zeros(masks[0].shape, np.uint8)
        for index, mask in enumerate(masks, start=1):
            indices[mask] = index
        put(kit, data / f"masks_openimages/images/{folder.name}.jpg", indices, f"2010_{number:06d}")
        lists["train" if number else "val"].append(f"2010_{number:06d}")
    for place, photo in enumerate(sorted((data / "masks_voc_labelme/JPEGImages").glob("*.jpg"))):
        mask = np.asarray(Image.open(data / f"masks_voc_labelme/SegmentationObject/{photo.stem}.png"))
        put(kit, photo, mask, photo.stem)
        lists["val" if place else "train"].append(photo.stem)
    lists["trainval"] = lists["train"] + lists["val"]
    for name, ids in lists.items():
        path = kit / "ImageSets/Segmentation" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{id}\n" for id in sorted(ids)))
    return root


def put(kit: Path, photo: Path, indices: np.ndarray, id: str) -> None:
    (kit / "JPEGImages").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(photo, kit / f"JPEGImages/{id}.jpg")
    save_mask(kit / f"SegmentationObject/{id}.png", indices)


def nights_of_real_data(data: Path, root: Path) -> Path:
    """The eight triplets by object class (no votes of people) as NIGHTS, six votes each."""
    nights = root / "nights"
    folder = data / "masks_openimages"
    with open(folder / "class_triplets.csv", newline="") as stream:
        triplets = list(csv.reader(stream))[1:]
    rows = []
    for number, (reference, left, right, closer, _) in enumerate(triplets):
        names = [f"ref/000/{number:03d}.png", *(f"distort/000/{number:03d}_{side}.png" for side in (0, 1))]
        for name, photo in zip(names, (reference, left, right), strict=True):
            (nights / name).parent.mkdir(parents=True, exist_ok=True)
            # No two files of NIGHTS are alike; here a photograph returns in several triplets.
            note = PngInfo()
            note.add_text("name", name)
            Image.open(folder / f"images/{photo}.jpg").convert("RGB").save(nights / name, pnginfo=note)
        side = int(closer)
        rows.append((number, 1 - side, side, 6, *names, "a photograph", "test", number % 2 == 0))
    write_table(nights / "data.csv", rows)
    return root

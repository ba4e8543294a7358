"""Makes the pictures of the task pages from the built-in suite: `python docs/pictures.py`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import midvision as mv
from midvision.core.items import DenseItem, PairItem, TripletItem
from midvision.report.pictures import depth_picture, depth_range, known_pixels, mask_picture, normal_picture

FOLDER = Path(__file__).parent / "images"
SIDE, GAP = 224, 8


def shown(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(pixels)).resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def rgb(dataset: object, name: str) -> np.ndarray:
    values = dataset.images[name].load().permute(1, 2, 0).numpy()  # type: ignore[attr-defined]
    return np.rint(values * 255).astype(np.uint8)


def save(name: str, *pictures: Image.Image) -> Image.Image:
    sheet = Image.new("RGB", (len(pictures) * (SIDE + GAP) - GAP, SIDE), "white")
    for column, picture in enumerate(pictures):
        sheet.paste(picture, (column * (SIDE + GAP), 0))
    sheet.quantize(192, dither=Image.Dither.FLOYDSTEINBERG).save(FOLDER / f"{name}.png", optimize=True)
    print(name, (FOLDER / f"{name}.png").stat().st_size)
    return sheet


def dense(name: str, task: str, number: int) -> None:
    dataset = mv.open_data(task, preset="tiny")
    item = dataset.items[number]
    assert isinstance(item, DenseItem)
    target = item.target()
    values, valid = target.values.numpy(), target.valid.numpy()
    photo, known = rgb(dataset, item.image), known_pixels(values, valid)
    if name == "depth":
        truth = depth_picture(values, depth_range(values, valid), known)
    elif name == "normals":
        truth = normal_picture(values, known)
    else:
        truth = mask_picture(values, photo, known)
    save(name, shown(photo), shown(truth))


def pairs(name: str, task: str, number: int, lines: int = 8) -> None:
    """Two views with lines between pixels that show the same point of the world."""
    dataset = mv.open_data(task, preset="tiny")
    item = dataset.items[number]
    assert isinstance(item, PairItem)
    a, b = item.a.surface(), item.b.surface()
    depth, valid, K = a.depth_m[0].numpy().astype(float), a.valid[0].numpy(), a.K.numpy().astype(float)
    a_from_world = item.a.camera_from_world.numpy().astype(float)
    b_from_world = item.b.camera_from_world.numpy().astype(float)
    height, width = depth.shape
    found = []
    order = np.random.Generator(np.random.Philox(7)).permutation(np.argwhere(valid & (depth > 0)))
    for row, column in order:
        pixel = np.array([column + 0.5, row + 0.5, 1.0])
        point = np.linalg.inv(K) @ pixel * depth[row, column]
        world = np.linalg.inv(a_from_world) @ np.append(point, 1.0)
        seen = (b_from_world @ world)[:3]
        if seen[2] <= 0:
            continue
        x, y, z = b.K.numpy().astype(float) @ seen
        u, v = x / z, y / z
        if not (0 <= u < width and 0 <= v < height):
            continue
        there = float(b.depth_m[0, int(v), int(u)])
        near = [abs(column - c) + abs(row - r) for c, r, *_ in found]
        if abs(there - seen[2]) < 0.01 * seen[2] and min(near, default=99) > 14:
            found.append((column, row, u, v))
        if len(found) == lines:
            break
    sheet = save(name, shown(rgb(dataset, item.a.image)), shown(rgb(dataset, item.b.image)))
    draw, scale = ImageDraw.Draw(sheet), SIDE / width
    colours = ("#ffb000", "#fe6100", "#dc267f", "#785ef0", "#648fff", "#00b38a", "#ffffff", "#ffd1ec")
    for colour, (column, row, u, v) in zip(colours, found):
        start = ((column + 0.5) * scale, (row + 0.5) * scale)
        end = (u * scale + SIDE + GAP, v * scale)
        draw.line([start, end], fill=colour, width=2)
        for x, y in (start, end):
            draw.ellipse([x - 4, y - 4, x + 4, y + 4], outline=colour, width=2)
    sheet.quantize(192, dither=Image.Dither.FLOYDSTEINBERG).save(FOLDER / f"{name}.png", optimize=True)
    print(name, len(found), (FOLDER / f"{name}.png").stat().st_size)


def triplet(number: int) -> None:
    dataset = mv.open_data("synth-triplets", preset="tiny")
    item = dataset.items[number]
    assert isinstance(item, TripletItem)
    print(item.right_share, item.tags)
    save("triplets", *(shown(rgb(dataset, name)) for name in (item.left, item.reference, item.right)))


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    dense("depth", "synth-depth", 2)
    dense("normals", "synth-normals", 2)
    dense("segmentation", "synth-seg", 1)
    pairs("object-pairs", "synth-object-pairs", 1)
    pairs("scene-pairs", "synth-scene-pairs", 1)
    triplet(0)

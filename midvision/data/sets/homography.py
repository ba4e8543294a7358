"""A person's own planar pairs: photographs and the homographies between them.

A homography file maps pixels (x, y, 1) of image a to image b; the card declares that the files put
the centre of the top-left pixel at 0, and the reader converts to (0.5, 0.5) once.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from midvision.data.card import DataCard, Request
from midvision.data.options import FRAME_OPTIONS, Options, root_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from midvision.core.items import Dataset, PairItem, Surface, View
    from midvision.data.patterns import Found
    from midvision.data.photos import Framed, Photo

# Stars of a homography pattern: those of the image pattern but the last, then image a, then image b.
LAYOUTS = (("img*.png", "H_*_*.txt"), ("img*.*", "H_*_*.txt"), ("*/*.ppm", "*/H_*_*"), ("*.*", "H_*_*.txt"))
TAKES_PART = ("common", "all")


def open_homography(request: Request) -> Dataset:
    """Every pair that a homography file names; all in the test split, for nothing is trained."""
    from midvision.data.photos import Framed, dataset, frame_size, need_items, split_roots, spread

    options, root = Options(request.data), root_of(request.data)
    image, matrix = _patterns(root, options)
    named: list[tuple[Photo, Photo, Path]] = []
    areas: list[tuple[int, int]] = []
    for split, folder in split_roots(root).items():
        photos, pairs = _pairs(folder, split, image, matrix, options)
        areas += [photo.size for photo in photos]
        named += pairs if (split or "test") == request.split else []
    need_items(named, request, "Check homography=; planar pairs need no training, so all are in the test split.")
    size = frame_size(areas, request.rules, options)
    kept = spread(named, request.limit, lambda pair: pair[0].group)
    frames = {photo.id: Framed(photo, size, request.rules) for a, b, _ in kept for photo in (a, b)}
    items = [_item(frames[a.id], frames[b.id], path, options) for a, b, path in kept]
    return dataset(DATA, request, frames.values(), items, [path for _, _, path in kept])


def _patterns(root: Path, options: Options) -> tuple[str, str]:
    from midvision.core.errors import UsageError
    from midvision.data.patterns import find
    from midvision.data.photos import split_roots

    folder = next(iter(split_roots(root).values()))
    image, matrix = options.text("image"), options.text("homography")
    for usual_image, usual_matrix in LAYOUTS:
        if find(folder, matrix or usual_matrix) and find(folder, image or usual_image):
            return image or usual_image, matrix or usual_matrix
    raise UsageError(
        f"No images with homographies were found in {root}.",
        f"Looked for: {'; '.join(f'{a} with {b}' for a, b in LAYOUTS)}.",
        "Declare image='img*.png' and homography='H_*_*.txt' (stars: image a, image b).",
    )


def _pairs(
    folder: Path, split: str | None, image: str, matrix: str, options: Options
) -> tuple[list[Photo], list[tuple[Photo, Photo, Path]]]:
    """The photographs of a folder, and which two each homography file joins."""
    from midvision.core.errors import DataError
    from midvision.data.patterns import find
    from midvision.data.photos import grouped, list_photos

    photos = grouped(list_photos({split: folder}, image), options, "folder")
    by_key = {photo.key: photo for photo in photos}
    pairs = []
    for found in find(folder, matrix):
        shared, ends = found.key[:-2], _ends(found, matrix)
        for end in ends:
            if (*shared, end) not in by_key:
                known = ", ".join("/".join(key) for key in list(by_key)[:4])
                raise DataError(
                    f"{found.path} names image {end!r}, which is not there.", f"Images of {image!r} are: {known}."
                )
        pairs.append((by_key[*shared, ends[0]], by_key[*shared, ends[1]], found.path))
    return photos, pairs


def _ends(found: Found, matrix: str) -> tuple[str, str]:
    from midvision.core.errors import UsageError

    if len(found.key) < 2:
        raise UsageError(f"The pattern homography={matrix!r} names no two images.", "It needs a star for each.")
    return found.key[-2], found.key[-1]


def read_homography(path: Path, centre: float) -> Tensor:
    """`b_from_a [3, 3]` float64 with centres at half integers, of a file with its top-left centre at `centre`."""
    import torch

    from midvision.core.errors import DataError
    from midvision.data.truth import read_numbers
    from midvision.geometry.camera import shift_homography

    numbers = torch.from_numpy(read_numbers(path))
    expected = "A 3x3 invertible matrix was expected."
    if tuple(numbers.shape) != (3, 3):
        raise DataError(f"Homography {path} has shape {tuple(numbers.shape)}.", expected)
    if not bool(torch.isfinite(numbers).all()) or abs(float(torch.linalg.det(numbers))) < 1e-12:
        raise DataError(f"Homography {path} cannot be inverted.", expected)
    return shift_homography(numbers, 0.5 - centre)


def _item(a: Framed, b: Framed, path: Path, options: Options) -> PairItem:
    everywhere = options.choice("takes_part", TAKES_PART, TAKES_PART[0]) == "all"
    return planar_item(a, b, read_homography(path, options.centre(DATA.pixel_centre or 0.0)), everywhere)


def planar_item(a: Framed, b: Framed, full: Tensor, everywhere: bool = False) -> PairItem:
    """The pair whose photographs `full [3, 3]` joins; `everywhere`: also pixels that only one of them shows."""
    import torch

    from midvision.core.items import Homography, PairItem
    from midvision.data.frames import frame_transform

    to_a, to_b = (frame_transform(frame.framing().box, frame.size) for frame in (a, b))
    planar = Homography(to_b @ full @ torch.linalg.inv(to_a))
    views = (
        _view(a, None if everywhere else planar.b_from_a),
        _view(b, None if everywhere else torch.linalg.inv(planar.b_from_a)),
    )
    return PairItem(f"{a.photo.id}~{b.photo.id}", a.photo.group, views[0], views[1], planar)


def _view(frame: Framed, other_from_this: Tensor | None) -> View:
    import torch

    from midvision.core.items import View

    surface = partial(_surface, frame.size, other_from_this)
    return View(frame.image_id, surface, torch.eye(4, dtype=torch.float64))


def _surface(size: tuple[int, int], other_from_this: Tensor | None) -> Surface:
    """A plane at 1 m whose valid pixels are those that the other image shows too."""
    import torch

    from midvision.core.items import Surface
    from midvision.geometry.camera import apply_homography, pixel_centres

    height, width = size
    valid = torch.ones(1, height, width, dtype=torch.bool)
    if other_from_this is not None:
        xy = pixel_centres(height, width, other_from_this).flatten(1).T
        there = apply_homography(other_from_this, xy)
        inside = (there >= 0).all(1) & (there[:, 0] < width) & (there[:, 1] < height)
        valid = inside.reshape(1, height, width)
    return Surface(torch.ones(1, height, width), valid, torch.eye(3, dtype=torch.float64))


def _options() -> dict[str, str]:
    own = {
        "image": "pattern of the photographs, for example img*.png; stars name an image",
        "homography": "pattern of the 3x3 text files, for example H_*_*.txt; the last two stars are image a and b",
        "pixel_centre": "where the files put the centre of the top-left pixel: 0 (default) or 0.5",
        "takes_part": "which pixels are matched: common (default; seen in both images) or all",
    }
    return own | {name: FRAME_OPTIONS[name] for name in ("size", "group")}


DATA = DataCard(
    name="homography",
    version="1",
    title="Your photographs of a plane with homographies between them",
    contents=("scene-pairs",),
    licence="your own",
    how_to_get="--data homography:PATH",
    options=_options(),
    open=open_homography,
    pixel_centre=0.0,
)

"""A person's own named points: pairs of photographs of different individuals with the same points clicked.

`annotations.json` holds `images` (file name -> width, height, bbox_xywh, keypoints as [x, y, visible])
and, if wanted, `pairs` (src, trg, common = indices of points labelled in both). The card declares
that the top-left pixel has its centre at 0.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midvision.data.card import DataCard, Request
from midvision.data.options import FRAME_OPTIONS, Options, root_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from midvision.core.items import Dataset, KeypointPairItem
    from midvision.data.photos import Framed, Photo

NAME = "annotations.json"


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photographs and the indices of the points labelled in both."""

    source: str
    target: str
    common: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """One annotation file: photographs by name, their points `(x, y, visible)` and boxes, and the pairs."""

    path: Path
    photos: dict[str, Photo]
    points: dict[str, list[tuple[float, float, bool]]]
    boxes: dict[str, tuple[float, float]]
    pairs: list[Pair]


def open_keypoints(request: Request) -> Dataset:
    """Every pair of every annotation file below the path; all in the test split, for nothing is trained."""
    from midvision.data.photos import Framed, dataset, frame_size, need_items, spread

    options, root = Options(request.data), root_of(request.data)
    sheets = [read_sheet(path, root) for path in _files(root)]
    everyone = [photo for sheet in sheets for photo in sheet.photos.values()]
    size = frame_size([photo.size for photo in everyone], request.rules, options)
    least = options.count("min_points", 3)
    listed = [(s, pair) for s in sheets for pair in s.pairs if len(pair.common) >= least]
    listed = listed if request.split == "test" else []
    need_items(listed, request, f"Pairs need {least} common points, and are all in the test split.")
    kept = spread(listed, request.limit, lambda entry: entry[0].path)
    used = {p.id: p for s, pair in kept for p in (s.photos[pair.source], s.photos[pair.target])}
    frames = {name: Framed(photo, size, request.rules) for name, photo in used.items()}
    items = [_item(sheet, pair, frames, options) for sheet, pair in kept]
    return dataset(DATA, request, frames.values(), items, {sheet.path for sheet, _ in kept})


def _files(root: Path) -> list[Path]:
    from midvision.core.errors import DataError

    files = [root] if root.is_file() else sorted(root.glob(NAME)) or sorted(root.glob(f"*/{NAME}"))
    if not files:
        raise DataError(f"No {NAME} was found in {root} or the folders in it.", "At least one was expected.")
    return files


def read_sheet(path: Path, root: Path) -> Sheet:
    """One annotation file, checked: every photograph is there, has the size written, and as many points."""
    from midvision.core.errors import DataError
    from midvision.data.frames import photo_size, whole
    from midvision.data.photos import Photo
    from midvision.data.truth import read_json

    fields = read_json(path)
    sheet = Sheet(path, {}, {}, {}, [])
    folder = "" if path.parent == root or path == root else path.parent.relative_to(root).as_posix()
    try:
        for name, entry in fields["images"].items():
            size = photo_size(path.parent / name)
            key = f"{folder}/{name}".lstrip("/")
            group = folder or path.parent.name
            sheet.photos[name] = Photo(key, group, path.parent / name, path.parent, (key,), size, whole(size))
            if (entry.get("height", size[0]), entry.get("width", size[1])) != size:
                raise DataError(f"{path} says another size of {name} than its {size[1]}x{size[0]} pixels.")
            sheet.points[name] = [(float(x), float(y), bool(seen)) for x, y, seen in entry["keypoints"]]
            sheet.boxes[name] = (float(entry["bbox_xywh"][2]), float(entry["bbox_xywh"][3]))
        sheet.pairs.extend(_pairs(fields, sheet))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path} does not have the expected fields ({type(error).__name__}: {error}).",
            "images{file: bbox_xywh, keypoints[[x, y, visible]]} and pairs[{src, trg, common}] were expected.",
        ) from error
    if len({len(points) for points in sheet.points.values()}) > 1:
        raise DataError(f"The photographs of {path} have different numbers of keypoints.", "One list of names for all.")
    return sheet


def _pairs(fields: dict[str, Any], sheet: Sheet) -> Iterator[Pair]:
    """The pairs listed; without a list, every two photographs. Only points visible in both count."""
    from midvision.core.errors import DataError

    names = list(sheet.photos)
    listed = fields.get("pairs") or [{"src": a, "trg": b} for a, b in itertools.combinations(names, 2)]
    for entry in listed:
        ends = entry["src"], entry["trg"]
        for name in ends:
            if name not in sheet.photos:
                raise DataError(f"{sheet.path} pairs image {name!r}, which it does not list.")
        a, b = (sheet.points[name] for name in ends)
        indices = entry.get("common", range(len(a)))
        yield Pair(ends[0], ends[1], tuple(int(i) for i in indices if a[int(i)][2] and b[int(i)][2]))


def _item(sheet: Sheet, pair: Pair, frames: dict[str, Framed], options: Options) -> KeypointPairItem:
    import torch

    from midvision.core.items import KeypointPairItem

    shift = 0.5 - options.centre(DATA.pixel_centre or 0.0)
    a, b = frames[sheet.photos[pair.source].id], frames[sheet.photos[pair.target].id]
    xy = [
        frame.framing().xy(torch.tensor([sheet.points[name][i][:2] for i in pair.common], dtype=torch.float64) + shift)
        for frame, name in ((a, pair.source), (b, pair.target))
    ]
    box, size = b.framing().box, b.size
    width, height = sheet.boxes[pair.target]
    scale = max(width * size[1] / box.width, height * size[0] / box.height)
    name = f"{a.photo.id}~{b.photo.id}"
    return KeypointPairItem(name, a.photo.id, a.image_id, b.image_id, xy[0], xy[1], scale)


def _options() -> dict[str, str]:
    own = {
        "pixel_centre": "where the file puts the centre of the top-left pixel: 0 (default) or 0.5",
        "min_points": "least number of points that a pair must share (default 3)",
    }
    return own | {"size": FRAME_OPTIONS["size"]}


DATA = DataCard(
    name="keypoints",
    version="1",
    title="Your photographs with named points",
    contents=("keypoint-pairs",),
    licence="your own",
    how_to_get="--data keypoints:PATH",
    options=_options(),
    open=open_keypoints,
    pixel_centre=0.0,
)

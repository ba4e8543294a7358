"""A person's own rectified stereo pairs with disparity: depth, normals, dense correspondence.

The card declares that calibrations put the centre of the top-left pixel at 0 (as Middlebury's do);
the reader converts to (0.5, 0.5) once. World is the left camera's frame.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from midvision.data.card import DataCard, Request
from midvision.data.options import FRAME_OPTIONS, NORMAL_OPTIONS, Options, root_of

if TYPE_CHECKING:
    from pathlib import Path

    from midvision.core.items import Dataset, PairItem
    from midvision.data.disparity import Calibration
    from midvision.data.photos import Photo
    from midvision.data.shots import Shot

# left, right, disparity, calibration
LAYOUTS = (
    ("left.*", "right.*", "disparity.*", "calib.json"),
    ("im0.*", "im1.*", "disp0.*", "calib.txt"),
    ("*/left.*", "*/right.*", "*/disparity.*", "*/calib.json"),
    ("*/im0.*", "*/im1.*", "*/disp0.*", "*/calib.txt"),
    ("image_2/*.*", "image_3/*.*", "disp_occ_0/*.*", "calib.json"),
    ("left/*.*", "right/*.*", "disparity/*.*", "calib.json"),
)
KINDS = ("left", "right", "disparity", "calib")
NUMBERS = ("focal_px", "cx_left", "cy", "baseline_m", "doffs_px")


def open_stereo(request: Request) -> Dataset:
    """Depth and normals of the left photographs, or a pair per scene; disparity is read when asked for."""
    from midvision.data.photos import dataset, frame_size, need_items, split_photos, spread, tile
    from midvision.data.shots import depth_item, frame_of, normal_item

    options, root = Options(request.data), root_of(request.data)
    patterns = _patterns(root, options)
    scenes = _scenes(root, patterns, options)
    pairs = request.content.endswith("pairs")
    if pairs and options.has("tiles"):
        raise options.wrong("tiles", "Pairs need whole photographs.")
    cut = tile([photo for photo, _ in scenes], options)
    size = frame_size([(photo.area.height, photo.area.width) for photo in cut], request.rules, options)
    if pairs:
        chosen = [pair for pair in scenes if (pair[0].split or "test") == request.split]
        need_items(chosen, request, "Stereo pairs need no training; they are all in the test split.")
        kept = spread(chosen, request.limit, lambda pair: pair[0].group)
        made = [_pair(left, right, patterns, size, request, options) for left, right in kept]
        shots = [shot for _, both in made for shot in both]
        frames = [frame_of(shot, size, request.rules) for shot in shots]
        files = [path for shot in shots for path in shot.files]
        return dataset(DATA, request, frames, [item for item, _ in made], files, "".join(s.notes() for s in shots))
    photos = spread(split_photos(cut, request, options), request.limit, lambda photo: photo.group)
    shots = [_shot(photo, False, patterns, request, options) for photo in photos]
    frames = [frame_of(shot, size, request.rules) for shot in shots]
    make = normal_item if request.content == "normals" else depth_item
    items = [make(shot, frame) for shot, frame in zip(shots, frames)]
    files = [path for shot in shots for path in shot.files]
    return dataset(DATA, request, frames, items, files, "".join(shot.notes() for shot in shots))


def _patterns(root: Path, options: Options) -> dict[str, str]:
    """Declared patterns, else those of the first usual layout that has a left photograph."""
    from midvision.core.errors import UsageError
    from midvision.data.patterns import find
    from midvision.data.photos import split_roots

    folder = next(iter(split_roots(root).values()))
    declared = {kind: options.text(kind) for kind in KINDS}
    for layout in LAYOUTS:
        chosen = {kind: declared[kind] or usual for kind, usual in zip(KINDS, layout)}
        if all(find(folder, chosen[kind]) for kind in KINDS[:3]):
            return chosen
    raise UsageError(
        f"No left and right photographs with disparity were found in {root}.",
        f"Looked for: {'; '.join(', '.join(layout[:3]) for layout in LAYOUTS)}.",
        "Declare left=, right= and disparity=.",
    )


def _scenes(root: Path, patterns: dict[str, str], options: Options) -> list[tuple[Photo, Photo]]:
    """Left and right photograph of every scene, equal in size."""
    from midvision.core.errors import DataError
    from midvision.data.frames import photo_size
    from midvision.data.patterns import one_of
    from midvision.data.photos import grouped, list_photos, split_roots

    scenes = []
    for left in grouped(list_photos(split_roots(root), patterns["left"]), options, "image"):
        path = one_of(left.root, patterns["right"], left.key, "right")
        if path is None:
            raise DataError(f"{left.path} has no right photograph {patterns['right']!r}.", "Stereo needs both.")
        if photo_size(path) != left.size:
            raise DataError(f"{path} and {left.path} differ in size.", "A rectified pair has one size.")
        name = "/".join(left.key)
        sides = (f"{name}/left", f"{name}/right") if name else ("left", "right")
        scenes.append((replace(left, id=sides[0]), replace(left, id=sides[1], path=path)))
    return scenes


def _shot(photo: Photo, right: bool, patterns: dict[str, str], request: Request, options: Options) -> Shot:
    import torch

    from midvision.core.errors import DataError
    from midvision.data.disparity import left_depth, right_depth
    from midvision.data.patterns import one_of
    from midvision.data.shots import NORMAL_RADIUS, Region, Shot, need_region
    from midvision.data.truth import check_size

    disparity = one_of(photo.root, patterns["disparity"], photo.key, "disparity")
    if disparity is None:
        raise DataError(f"{photo.path} has no disparity file {patterns['disparity']!r}.", "Every scene needs one.")
    check_size(disparity, photo.size, photo.path)
    calibration = _calibration(photo, patterns["calib"], options)
    scale = options.positive("disparity_scale", 1) if options.has("disparity_scale") else None
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = -calibration.baseline_m if right else 0.0
    near_far = options.numbers("region_depth")
    if near_far is not None and (len(near_far) != 2 or near_far[0] >= near_far[1]):
        raise options.wrong("region_depth", "Two numbers were expected, nearest and farthest.")
    wants_object = request.content.startswith("object")
    shot = Shot(
        photo,
        partial(right_depth if right else left_depth, disparity, scale, calibration),
        (disparity,),
        calibration.K(right, options.centre(DATA.pixel_centre or 0.0)),
        pose,
        Region(depth_m=near_far) if near_far is not None and wants_object else None,
        normals_radius=max(1, options.count("normals_radius", NORMAL_RADIUS)),
    )
    return need_region(shot) if wants_object else shot


def _calibration(photo: Photo, pattern: str, options: Options) -> Calibration:
    """Numbers declared one by one, else the calibration file."""
    from midvision.core.errors import DataError
    from midvision.data.disparity import calibration_of, read_calibration
    from midvision.data.patterns import one_of

    if options.has("focal_px"):
        return calibration_of({name: options.number(name, 0) for name in NUMBERS if options.has(name)}, "The options")
    path = one_of(photo.root, pattern, photo.key, "calib")
    if path is None:
        raise DataError(
            f"{photo.path} has no calibration file {pattern!r}.",
            "Focal length, principal point and baseline are needed.",
            "Declare calib=FILE, or focal_px, cx_left, cy, baseline_m (and doffs_px).",
        )
    return read_calibration(path)


def _pair(
    left: Photo, right: Photo, patterns: dict[str, str], size: tuple[int, int], request: Request, options: Options
) -> tuple[PairItem, tuple[Shot, Shot]]:
    from midvision.core.items import PairItem
    from midvision.data.shots import frame_of, view_of

    shots = _shot(left, False, patterns, request, options), _shot(right, True, patterns, request, options)
    a, b = (view_of(shot, frame_of(shot, size, request.rules)) for shot in shots)
    baseline = -float(shots[1].pose[0, 3])
    tags = {"angle_deg": 0.0, "baseline_m": baseline}
    return PairItem(f"{left.id}~{right.id}", left.group, a, b, None, tags), shots


def _options() -> dict[str, str]:
    own = {
        "left": "pattern of the left photographs",
        "right": "pattern of the right photographs",
        "disparity": "pattern of the left disparity files (.npy, .npz, PFM, integer PNG)",
        "disparity_scale": "stored units per pixel (default 256 for integer images, else 1)",
        "calib": "pattern of the calibrations: JSON, or Middlebury's calib.txt",
        "focal_px": "focal length in pixels, in place of a calibration file",
        "cx_left": "left principal point x",
        "cy": "principal point y",
        "baseline_m": "distance of the cameras in metres",
        "doffs_px": "right minus left principal point x (default 0)",
        "pixel_centre": "where the calibration puts the centre of the top-left pixel: 0 (default) or 0.5",
        "region_depth": "object pairs: nearest and farthest depth of the object in metres",
    }
    return own | FRAME_OPTIONS | {"normals_radius": NORMAL_OPTIONS["normals_radius"]}


DATA = DataCard(
    name="stereo",
    version="1",
    title="Your rectified stereo pairs with disparity",
    contents=("depth", "object-depth", "normals", "scene-pairs", "object-pairs"),
    licence="your own",
    how_to_get="--data stereo:PATH",
    options=_options(),
    open=open_stereo,
    pixel_centre=0.0,
)

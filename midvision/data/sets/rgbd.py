"""A person's own posed RGB-D frames: depth, normals, scene pairs and object pairs.

Conventions of the files (the card declares the defaults, options change them): intrinsics with the
top-left pixel's centre at 0, poses from camera to world, depth along the optical axis. All are
converted here, once: inside, that centre is (0.5, 0.5) and poses map world to camera.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from midvision.data.card import DataCard, Request
from midvision.data.options import CAMERA_OPTIONS, DEPTH_OPTIONS, FRAME_OPTIONS, NORMAL_OPTIONS, Options, root_of

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from midvision.core.items import Dataset
    from midvision.data.photos import Photo
    from midvision.data.shots import Region, Shot

LAYOUTS = {
    "image": (
        "*.color.*",
        "*/*.color.*",
        "color/*.*",
        "rgb/*.*",
        "images/*.*",
        "*/color/*.*",
        "*/rgb/*.*",
        "*_color.*",
    ),
    "depth": ("*.depth.*", "*/*.depth.*", "depth/*.*", "*/depth/*.*", "*_depth.*"),
    "pose": ("*.pose.txt", "*/*.pose.txt", "pose/*.txt", "poses/*.txt", "*/pose/*.txt", "*_pose.txt"),
    "intrinsics": (
        "intrinsics.txt",
        "*.intrinsics.txt",
        "intrinsics/*.txt",
        "*/intrinsics.txt",
        "camera-intrinsics.txt",
        "*/intrinsic/intrinsic_depth.txt",
        "K.txt",
        "intrinsics.json",
        "camera.json",
    ),
}
DIRECTIONS = ("world_from_camera", "camera_from_world")


def open_rgbd(request: Request) -> Dataset:
    """One content of posed RGB-D frames; depth is read when an item asks for it."""
    from midvision.data.pairing import pair_items
    from midvision.data.photos import dataset, frame_size, split_photos, spread
    from midvision.data.shots import depth_item, frame_of, normal_item

    options, root = Options(request.data), root_of(request.data)
    shots = list_shots(root, request, options)
    size = frame_size([(s.photo.area.height, s.photo.area.width) for s in shots], request.rules, options)
    if request.content.endswith("pairs"):
        pairs, used, frames = pair_items(shots, size, request, options, root)
        files = [path for shot in used for path in shot.files]
        return dataset(DATA, request, frames, pairs, files, "".join(shot.notes() for shot in used))
    by_id = {shot.photo.id: shot for shot in shots}
    photos = split_photos([shot.photo for shot in shots], request, options)
    kept = [by_id[photo.id] for photo in spread(photos, request.limit, lambda photo: photo.group)]
    frames = [frame_of(shot, size, request.rules) for shot in kept]
    make = normal_item if request.content == "normals" else depth_item
    items = [make(shot, frame) for shot, frame in zip(kept, frames)]
    files = [path for shot in kept for path in shot.files]
    return dataset(DATA, request, frames, items, files, "".join(shot.notes() for shot in kept))


def list_shots(root: Path, request: Request, options: Options) -> list[Shot]:
    """Every frame that has depth (and a pose, where pairs are asked for), cameras converted."""
    from midvision.core.errors import DataError, UsageError
    from midvision.data.patterns import detect, one_of
    from midvision.data.photos import grouped, list_photos, split_roots, tile

    roots = split_roots(root)
    first = next(iter(roots.values()))
    photos = list_photos(roots, options.text("image") or detect(first, "image", LAYOUTS["image"]))
    patterns = {kind: _pattern(kind, first, photos, options) for kind in ("depth", "pose", "intrinsics")}
    if patterns["depth"] is None:
        raise UsageError(
            f"No depth files were found in {root}.", f"Looked for: {', '.join(LAYOUTS['depth'])}.", "Declare depth=..."
        )
    needed = {"depth": patterns["depth"]}
    if request.content == "normals" and (normals := options.text("normals")):
        needed["normals"] = normals
    whole_photos = [p for p in photos if all(one_of(p.root, needed[kind], p.key, kind) for kind in needed)]
    if not whole_photos:
        raise DataError(f"None of the {len(photos)} photographs of {root} has its file of {needed}.", "", "Check them.")
    if len(whole_photos) < len(photos):
        request.progress.say(f"{len(photos) - len(whole_photos)} of {len(photos)} photographs have no truth: left out.")
    if request.content.endswith("pairs") and options.has("tiles"):
        raise options.wrong("tiles", "Pairs need whole photographs.")
    cut = grouped(tile(whole_photos, options), options, "block")
    return [_shot(photo, patterns, request, options) for photo in cut]


def _pattern(kind: str, root: Path, photos: list[Photo], options: Options) -> str | None:
    from midvision.data.patterns import detect_beside

    if kind == "intrinsics" and _declared_numbers(options) is not None:
        return None
    keys = [photo.key for photo in photos if photo.root == root]
    return options.text(kind) or detect_beside(root, kind, LAYOUTS[kind], keys)


def _shot(photo: Photo, patterns: dict[str, str | None], request: Request, options: Options) -> Shot:
    from midvision.data.patterns import one_of
    from midvision.data.shots import NORMAL_RADIUS, Shot, need_region
    from midvision.data.truth import AXES, DepthRules, check_size, read_depth

    depth = one_of(photo.root, patterns["depth"] or "", photo.key, "depth")
    assert depth is not None
    check_size(depth, photo.size, photo.path)
    normal_files = options.text("normals") if request.content == "normals" else None
    normals = one_of(photo.root, normal_files, photo.key, "normals") if normal_files else None
    region = _region(photo, options) if request.content.startswith("object") else None
    files = tuple(path for path in (depth, normals, *(region.masks if region else ())) if path is not None)
    shot = Shot(
        photo,
        partial(read_depth, depth, DepthRules.of(options)),
        files,
        _camera(photo, patterns["intrinsics"], options),
        _pose(photo, patterns["pose"], options),
        region,
        normals,
        options.choice("normals_axes", AXES, AXES[0]),
        max(1, options.count("normals_radius", NORMAL_RADIUS)),
    )
    return need_region(shot) if request.content.startswith("object") else shot


def _camera(photo: Photo, pattern: str | None, options: Options) -> Tensor | None:
    from midvision.core.errors import DataError
    from midvision.data.patterns import one_of
    from midvision.data.truth import K_of_numbers, read_K

    centre = options.centre(DATA.pixel_centre or 0.0)
    numbers = _declared_numbers(options)
    if numbers is not None:
        return K_of_numbers(numbers, centre, photo.size)
    if pattern is None:
        return None
    path = one_of(photo.root, pattern, photo.key, "intrinsics")
    if path is None:
        raise DataError(f"{photo.path} has no file of intrinsics={pattern!r}.", "Every frame needs intrinsics.")
    return read_K(path, centre, photo.size)


def _declared_numbers(options: Options) -> tuple[float, ...] | None:
    text = options.text("intrinsics")
    if text is None or any(letter.isalpha() and letter not in "eE" for letter in text):
        return None
    return options.numbers("intrinsics")


def _pose(photo: Photo, pattern: str | None, options: Options) -> Tensor | None:
    from midvision.core.errors import DataError
    from midvision.data.patterns import one_of
    from midvision.data.truth import read_pose

    if pattern is None:
        return None
    path = one_of(photo.root, pattern, photo.key, "pose")
    if path is None:
        raise DataError(f"{photo.path} has no file of pose={pattern!r}.", "Every frame needs a pose.")
    return read_pose(path, options.choice("pose_direction", DIRECTIONS, DIRECTIONS[0]))


def _region(photo: Photo, options: Options) -> Region | None:
    from midvision.core.errors import DataError
    from midvision.data.patterns import matching
    from midvision.data.shots import Region
    from midvision.data.truth import MaskRules, check_size

    box, near_far, pattern = options.numbers("region_box"), options.numbers("region_depth"), options.text("region")
    for name, numbers, count in (("region_box", box, 6), ("region_depth", near_far, 2)):
        half = count // 2
        if numbers is not None and (len(numbers) != count or any(a >= b for a, b in zip(numbers, numbers[half:]))):
            raise options.wrong(name, f"{count} numbers were expected, all lower limits before all upper limits.")
    if pattern is None and box is None and near_far is None:
        return None
    masks = matching(photo.root, pattern, photo.key) if pattern else []
    if pattern and not masks:
        raise DataError(f"{photo.path} has no file of region={pattern!r}.", "Every frame needs its region.")
    for path in masks:
        check_size(path, photo.size, photo.path)
    return Region(tuple(masks), MaskRules.of(options), box, near_far)


def _options() -> dict[str, str]:
    # The words of the pair options are here, not in data/pairing.py, which loads torch.
    own = {
        "image": "pattern of the photographs, for example *.color.* or */color/*.jpg",
        "pose": "pattern of the pose files: 4x4 (or 3x4) text, metres",
        "pose_direction": "what the poses map: world_from_camera (default) or camera_from_world",
        "pairs": "CSV with a pair of frame names per line (columns frame0, frame1), or none to sample; default: "
        "pairs.csv in the folder where it is there (scene pairs)",
        "pairs_per_bin": "sampled pairs per angle bin of 0 15 30 60 90 120 180 degrees (default 40)",
        "min_overlap": "least share of each view's surface that the other sees, for sampled pairs (default 0.1)",
        "min_angle": "least relative rotation of a sampled pair in degrees (default 0)",
        "region": "object tasks: pattern of masks of the object, one per frame",
        "region_box": "object tasks: x0 y0 z0 x1 y1 z1 in world metres around the object",
        "region_depth": "object tasks: nearest and farthest depth of the object in metres",
        "foreground": "mask numbers that are the object (default: all but 0 and void)",
        "void": "mask number to ignore, none, or auto (default): 255 unless a mask holds only 0 and 255",
    }
    return own | FRAME_OPTIONS | DEPTH_OPTIONS | NORMAL_OPTIONS | CAMERA_OPTIONS


DATA = DataCard(
    name="rgbd",
    version="1",
    title="Your RGB-D frames with intrinsics and poses",
    contents=("depth", "object-depth", "normals", "scene-pairs", "object-pairs"),
    licence="your own",
    how_to_get="--data rgbd:PATH",
    options=_options(),
    open=open_rgbd,
    pixel_centre=0.0,
    pose_direction="world_from_camera",
)

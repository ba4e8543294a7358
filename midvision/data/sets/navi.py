"""NAVI: photographs of 36 scanned objects, with depth, focal length and pose of every one.

Releases 1.0 and 1.5 differ in video scenes, which are left out, and write scene folders with `-` or `_`.
Poses map the object's frame to the camera's (x right, y down, z forward); the principal point is the
photograph's centre. Depth is a 16-bit disparity code. Photographs are turned by EXIF, depth is stored turned.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Made, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from midvision.core.items import Dataset, Item, Target
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy
    from midvision.data.navi_files import Scene
    from midvision.data.options import Options
    from midvision.data.photos import Framed
    from midvision.data.shots import Shot

FILES = ("navi_v1.5.tar.gz", "navi_v1.0.tar.gz")
EITHER = f"{FILES[1]} or {FILES[0]}"
WILD = "wild_set/annotations.json"
SCENE_FILE = re.compile(r"^([^/]+)/([^/]+)/annotations\.json$")
PAIR_LISTS = {"wild": "pairs-wild_set.txt", "multiview": "pairs-multiview.txt"}
EVERY = 4
PHOTO_BYTES, DEPTH_BYTES = 2_500_000, 300_000


def plan_navi(shelf: Shelf) -> Plan:
    """Photographs and depth of wild and multi-view scenes, made smaller; annotations as they are."""
    from midvision.data.navi_files import read_annotations

    place = _place(shelf)
    scenes = _scenes(place)
    work: list[Kept | Made] = []
    ids: dict[str, list[str]] = {"wild": [], "multiview": []}
    pictured = _pictured(scenes)
    for scene in scenes:
        if scene.kind not in ids:
            continue
        name = f"{scene.path}/annotations.json"
        shots = read_annotations(place.read_bytes(name), place.describe(name))
        ids[scene.kind] += [f"{scene.id}/{shot.stem}" for shot in shots]
        if shelf.only and not _is_wanted(scene, shelf.only, pictured):
            continue
        work.append(Kept(f"{scene.id}/annotations.json", place, name))
        for shot in shots:
            work += _pieces(shelf, place, scene, shot.file, shot.sides)
    lists = [(shelf.find(name), name) for name in PAIR_LISTS.values()]
    work += [Kept(name, found[0], name) for found, name in lists if found]
    splits = {name: tuple(sorted(found)) for name, found in ids.items()}
    for split, kind in (("train", "multiview"), ("test", "wild")):
        splits[split] = tuple(id for id in splits[kind] if id.split("/")[0] in pictured)
    videos = sum(scene.kind == "video" for scene in scenes)
    objects = len({scene.object for scene in scenes})
    facts = {"objects": objects, "objects in both": len(pictured), "video scenes left out": videos}
    return Plan(tuple(work), splits, (place, *(found[0] for found, _ in lists if found)), facts)


def _place(shelf: Shelf) -> Place:
    places = shelf.find(f"*/{WILD}")
    if places:
        return places[0]
    others = shelf.find("*/multiview*/annotations.json", "*/video*/annotations.json")
    if others:
        raise DataError(
            f"{others[0].describe()} has no OBJECT/wild_set: it is not all of NAVI.",
            f"{EITHER} holds wild sets, multi-view scenes and scans.",
            f"Get {EITHER}, and unpack all of it.",
        )
    raise shelf.missing(f"OBJECT/{WILD}", EITHER)


def _scenes(place: Place) -> list[Scene]:
    from midvision.data.navi_files import scene_of

    found: dict[str, Scene] = {}
    for name in place.names():
        match = SCENE_FILE.match(name)
        scene = scene_of(match[1], match[2]) if match else None
        if scene is None:
            continue
        if scene.id in found:
            raise DataError(
                f"{place.describe(scene.path)} and {place.describe(found[scene.id].path)} are one scene.",
                "Two releases seem to be unpacked into one folder.",
                "Unpack each into its own.",
            )
        found[scene.id] = scene
    return [found[id] for id in sorted(found)]


def _pictured(scenes: Sequence[Scene]) -> set[str]:
    """Objects with a wild set and multi-view scenes; the reference leaves the others out, and so do both protocols."""
    wild, multiview = ({s.object for s in scenes if s.kind == kind} for kind in ("wild", "multiview"))
    return wild & multiview


def _is_wanted(scene: Scene, only: Sequence[str], pictured: set[str]) -> bool:
    split = {"wild": "test", "multiview": "train"}[scene.kind]
    return split in only and scene.object in pictured


def _pieces(shelf: Shelf, place: Place, scene: Scene, file: str, sides: tuple[int, int]) -> list[Made]:
    from midvision.data.navi_files import small_codes, small_photo

    stem = file.rsplit(".", 1)[0]
    pieces = []
    for folder, name, make, size in (
        ("images", file, small_photo, PHOTO_BYTES),
        ("depth", f"{stem}.png", small_codes, DEPTH_BYTES),
    ):
        member = f"{scene.path}/{folder}/{name}"
        if not place.has(member):
            raise shelf.missing(f"{member} (listed in annotations.json)", EITHER)
        target = f"{scene.id}/{folder}/{stem}.png"
        arguments = (target, place.describe(member), sides)
        pieces.append(Made((target,), make, arguments, size, (place, member)))
    return pieces


def decode(copy: Copy, id: str) -> None:
    """Photograph and depth of one size, an object in it, and a camera."""
    from midvision.data.frames import read_photo
    from midvision.data.navi_files import camera_of, read_codes, shot_in

    size = read_photo(copy.path(_file(id, "images"))).shape[:2]
    path = copy.path(_file(id, "depth"))
    if not (read_codes(path, size) > 0).any():
        raise DataError(f"{path} shows no object.", "", "Fetch the official file again.")
    camera_of(shot_in(copy, id), size)


def _file(id: str, folder: str) -> str:
    scene, _, stem = id.rpartition("/")
    return f"{scene}/{folder}/{stem}.png"


def open_navi(request: Request) -> Dataset:
    """Multi-view scenes train, wild sets are scored; pairs are of wild sets unless `scenes=multiview`."""
    from midvision.data.copies import dataset_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.photos import spread

    copy = open_copy(DATA, request.data)
    options = Options(request.data)
    if request.content == "object-pairs":
        return _open_pairs(copy, request, options)
    ids: Sequence[str] = copy.ids(options.text(request.split) or request.split)
    if request.rules.selection == "reference":
        ids = ids[::EVERY]
    ids = spread(ids, request.limit, lambda id: id.split("/")[0])
    shots, frames = _framed(copy, ids, request, options)
    items = [_item(shots[id], frames[id], request, options) for id in ids]
    return dataset_of(DATA, copy, request, frames.values(), items, _truth(ids))


def _open_pairs(copy: Copy, request: Request, options: Options) -> Dataset:
    from midvision.core.items import PairItem
    from midvision.data.copies import dataset_of
    from midvision.data.pairing import angle_bin
    from midvision.data.photos import need_items, spread
    from midvision.data.shots import view_of

    pairs = _pairs(copy, request, options) if request.split == "test" else []
    need_items(pairs, request, "Pairs need no training; they are all in the test split.")
    kept = spread(pairs, request.limit, lambda pair: angle_bin(pair[2]), lambda pair: pair[0].split("/")[0])
    ids = list(dict.fromkeys(id for a, b, _ in kept for id in (a, b)))
    shots, frames = _framed(copy, ids, request, options)
    items = []
    for a, b, angle in kept:
        first, second = (view_of(shots[id], frames[id]) for id in (a, b))
        items.append(PairItem(f"{a}~{b}", shots[a].photo.group, first, second, tags={"angle_deg": angle}))
    return dataset_of(DATA, copy, request, frames.values(), items, _truth(ids))


def _pairs(copy: Copy, request: Request, options: Options) -> list[tuple[str, str, float]]:
    """Drawn, as the reference draws them, or listed by the publisher; in sorted order of their first image."""
    from midvision.data import navi_pairs
    from midvision.data.navi_files import shot_in

    scenes = options.choice("scenes", ("wild", "multiview"), "wild")
    ids = copy.ids("test" if scenes == "wild" else "train")
    shots = {id: shot_in(copy, id) for id in ids}
    poses = {id: shot.camera_from_object for id, shot in shots.items()}
    if options.choice("pairs", ("drawn", "official"), "drawn") == "official":
        name = PAIR_LISTS[scenes]
        if not copy.has(name):
            raise DataError(
                f"The prepared copy of navi has no {name}.",
                "It is part of the repository google/navi, not of the archive.",
                f"Prepare again with it: midvision data prepare navi --from ARCHIVE {name}",
            )
        return navi_pairs.listed(copy.path(name).read_text(encoding="utf-8"), name, ids, poses)
    if request.rules.selection == "reference":
        taken = set(ids[::EVERY])
        turns = {id: shot.wxyz for id, shot in shots.items()}
        return [pair for pair in navi_pairs.drawn_as_reference(ids, poses, turns) if pair[0] in taken]
    return navi_pairs.drawn(ids, poses)


def _framed(
    copy: Copy, ids: Sequence[str], request: Request, options: Options
) -> tuple[dict[str, Shot], dict[str, Framed]]:
    from midvision.data.photos import frame_size
    from midvision.data.shots import frame_of

    shots = {id: _shot(copy, id) for id in ids}
    size = frame_size([shot.photo.size for shot in shots.values()], request.rules, options)
    return shots, {id: frame_of(shot, size, request.rules) for id, shot in shots.items()}


def _shot(copy: Copy, id: str) -> Shot:
    from midvision.data.copies import photo_of
    from midvision.data.navi_files import camera_of, shot_in
    from midvision.data.shots import Region, Shot

    photo = photo_of(copy, _file(id, "images"), id, f"navi/{id.split('/')[0]}")
    known = shot_in(copy, id)
    depth = copy.path(_file(id, "depth"))
    read = partial(_depth, depth, photo.size)
    # Whatever has depth is the object.
    return Shot(photo, read, (depth,), camera_of(known, photo.size), known.camera_from_object, Region())


def _depth(path: Path, size: tuple[int, int]) -> np.ndarray:
    from midvision.data.navi_files import depth_from_codes, read_codes

    return depth_from_codes(read_codes(path, size))


def _item(shot: Shot, frame: Framed, request: Request, options: Options) -> Item:
    from midvision.core.items import DenseItem
    from midvision.data.shots import NORMAL_RADIUS, depth_item

    if request.content == "object-depth":
        return depth_item(shot, frame)
    radius = options.count("normals_radius", NORMAL_RADIUS)
    return DenseItem(shot.photo.id, shot.photo.group, frame.image_id, partial(_normal_target, shot, frame, radius))


def _normal_target(shot: Shot, frame: Framed, radius: int) -> Target:
    """Normals out of the crop's own pixels: stretched depth would be stairs."""
    import torch

    from midvision.core.items import Surface, Target
    from midvision.data.frames import frame_target, whole
    from midvision.data.shots import depth_of, derived_normals
    from midvision.geometry.camera import crop_K

    box, size = frame.framing().box, frame.size
    cut = depth_of(shot)[box.top : box.top + box.height, box.left : box.left + box.width]
    depth = torch.from_numpy(cut.copy())[None]
    surface = Surface(depth, depth > 0, crop_K(shot.camera, box.top, box.left))
    normals, known = derived_normals(surface, frame.rules, radius)
    area = whole((box.height, box.width))
    return Target(
        frame_target(normals.permute(1, 2, 0).numpy(), area, size), frame_target(known[0].numpy(), area, size)
    )


def _truth(ids: Sequence[str]) -> list[str]:
    scenes = dict.fromkeys(id.rpartition("/")[0] for id in ids)
    return [f"{scene}/annotations.json" for scene in scenes] + [_file(id, "depth") for id in ids]


DATA = DataCard(
    name="navi",
    version="1",
    title="NAVI, photographs of scanned objects",
    contents=("object-depth", "normals", "object-pairs"),
    licence="see the archive; CC BY 4.0 as the official page states, checked by you",
    how_to_get=f"midvision data prepare navi --from {FILES[0]}",
    options={
        "train": "list that trains: train (default), multiview",
        "test": "list that is scored: test (default), wild",
        "scenes": "which scenes make pairs: wild (default) or multiview",
        "pairs": "drawn (default), or official: the lists of the repository google/navi, prepared along",
        "normals_radius": "half width in photograph pixels of the window for normals (default 2)",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_navi,
    pixel_centre=0.5,
    pose_direction="camera_from_world",
    benchmark=Benchmark(
        page="https://github.com/google/navi",
        citation="Jampani, Maninis, Engelhardt et al.: NAVI: Category-Agnostic Image Collections with High-Quality 3D "
        "Shape and Pose Annotations, NeurIPS 2023",
        size="36 objects, 10,515 images outside of videos; 16 GB (1.0) or 30 GB (1.5); the copy takes about 30 GB",
        layout=(
            "navi_v1.5/OBJECT/wild_set/annotations.json, images/000.jpg, depth/000.png",
            "navi_v1.5/OBJECT/multiview-00-CAMERA/... or multiview_00_CAMERA/...",
        ),
        sources=(
            Source(FILES[0], "all scenes, with videos", "30 GB"),
            Source(FILES[1], "all scenes, instead of 1.5", "16 GB", needed=False),
            Source(PAIR_LISTS["wild"], "official pairs, of the repository google/navi", needed=False),
            Source(PAIR_LISTS["multiview"], "official pairs, of the repository google/navi", needed=False),
        ),
        decisions={
            "images": "both: multi-view scenes train, wild sets are scored, objects that have both; paper: every "
            "fourth of the sorted list (of 10,515, an undocumented cut of the reference); corrected: all",
            "frame": "both: 512x512 around the true object (an oracle crop); paper: within the middle square, "
            "without the object's last row and column, nearest neighbour; corrected: whole photograph, bilinear",
            "depth": "paper: rescaled to [0.01, 1] over the object; corrected: metres",
            "normals": "paper: principal point at the crop's corner, differences against 1000 km where depth is "
            "missing; corrected: true principal point, planes fitted to what is known",
            "pairs": "paper: seed 8 in sorted order, an image may be its own partner by rounding; corrected: never; "
            "both: 0 to 120 degrees in the same scene; pairs=official takes the publisher's lists",
        },
        counts={"multiview": 8217, "wild": 2298},
        plan=plan_navi,
        decode=decode,
        notes=(
            "Photographs and depth codes are made smaller (short side 1024, bicubic and nearest) and kept as PNG.",
            "Either release will do; both have the same counts outside of videos, as the publisher's README states "
            "them. --only test leaves the multi-view scenes out (enough for navi-pairs).",
        ),
        parts=("train", "test"),
    ),
)

"""NYU Depth v2: depth and normals of the 654 labelled test frames, trained on GeoNet's frames.

Test: the labelled `.mat` (raw depth, not the filled one) with the normals that FAIR's benchmark packs.
Training: GeoNet's `.mat` files, or the folders that the reference makes of them; without either, the
`corrected` protocol trains on the 795 labelled training frames. The frame is the middle 480x480 in both
protocols, which no depth paper uses: `window=eigen` scores the customary window of the whole frame.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Made, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    import numpy as np

    from midvision.core.items import Dataset, DenseItem, Target
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy
    from midvision.data.nyu_frames import Frame
    from midvision.data.options import Options
    from midvision.data.photos import Framed

FAIR = "nyuv2_surfacenormal_metadata.zip"
LISTS = {"labelled-train": "train_SN40.json", "test": "test_SN40.json"}
GEONET = ("data1.zip", "data2.zip")
# Two files of GeoNet's release that cannot be read, by their places in natural byte order.
UNREADABLE = (6919, 21181)
PER_PIECE = 16
SAMPLED = 8
FARTHEST_M = 10.0
EIGEN = (45, 471, 41, 601)


def plan_nyu(shelf: Shelf) -> Plan:
    """The labelled frames with normals, and whichever training frames were given."""
    from midvision.data.nyu_files import MAT, NORMALS, labelled_facts, read_split

    _no_h5(shelf)
    mat = shelf.need(MAT, MAT)
    count, scenes, types = labelled_facts(mat)
    fair = {name: shelf.need(name, FAIR) for name in (NORMALS, *LISTS.values())}
    lists = {split: read_split(fair[name], name) for split, name in LISTS.items()}
    for split, indices in lists.items():
        if wrong := [index for index in indices if not 0 <= index < count]:
            raise DataError(
                f"{fair[LISTS[split]].describe(LISTS[split])} names frame {wrong[0] + 1} of {count}.",
                f"Frames of {MAT} were expected.",
                "Get both official files.",
            )
    wanted = sorted({index for split, found in lists.items() for index in found if _asked(shelf, split)})
    work: list[Kept | Made] = [*_labelled(mat, fair[NORMALS], wanted), _table(scenes, types)]
    splits = {split: tuple(f"{index + 1:04d}" for index in indices) for split, indices in lists.items()}
    stems, trained, places, facts = _training(shelf)
    if stems:
        splits["train"] = stems
        splits["train-nineteen"] = tuple(stem for n, stem in enumerate(stems) if n % 20)
        splits["train-twentieth"] = stems[::20]
        work += trained if _asked(shelf, "train") else []
    used = {place.describe(): place for place in (mat, *fair.values(), *places)}
    return Plan(tuple(work), splits, tuple(used.values()), {"labelled frames": count, **facts})


def _asked(shelf: Shelf, split: str) -> bool:
    return not shelf.only or split in shelf.only


def _no_h5(shelf: Shelf) -> None:
    """Other packagings lack normals and the raw depth; say so instead of missing files."""
    if shelf.find("nyu_depth_v2_labeled.mat"):
        return
    for tree in shelf.trees:
        if any(name.endswith(".h5") for name in tree.names("")):
            raise DataError(
                f"{tree.describe('')} holds the fast-depth packaging of NYUv2 (or its copy on Hugging Face).",
                "It has neither normals nor the raw depth, which this benchmark scores.",
                "Get nyu_depth_v2_labeled.mat, or use it for depth: midvision data prepare nyu-fastdepth.",
            )


def _labelled(mat: Place, normals: Place, wanted: list[int]) -> list[Made]:
    from midvision.data.nyu_files import (
        SIGNS_FILE,
        depth_name,
        labelled_frames,
        labelled_normals,
        normal_name,
        picture_name,
    )

    if not wanted:
        return []
    pieces = []
    for start in range(0, len(wanted), PER_PIECE):
        some = tuple(wanted[start : start + PER_PIECE])
        names = tuple(name(index) for index in some for name in (picture_name, depth_name))
        pieces.append(Made(names, labelled_frames, (mat, some), 900_000 * len(some)))
    names = (SIGNS_FILE, *(normal_name(index) for index in wanted))
    # The archive's array lies on disk as a whole for a while.
    pieces.append(Made(names, labelled_normals, (normals, mat, tuple(wanted)), 3_700_000 * 3 * len(wanted)))
    return pieces


def _table(scenes: list[str], types: list[str]) -> Made:
    text = json.dumps({f"{n + 1:04d}": [scenes[n], types[n]] for n in range(len(scenes))})
    return Made(("labelled/scenes.json",), _as_it_is, ("labelled/scenes.json", text), len(text))


def _as_it_is(name: str, text: str) -> dict[str, bytes]:
    return {name: text.encode()}


def _training(shelf: Shelf) -> tuple[tuple[str, ...], list[Kept | Made], list[Place], dict[str, object]]:
    """Ids and pieces of the training frames: GeoNet's files, else the reference's folders, else none."""
    from midvision.data.nyu_files import MAT, geonet_picture

    found: dict[str, tuple[Place, str]] = {}
    for place in shelf.find("*.mat"):
        for name in place.names():
            if "/" not in name and name.endswith(".mat") and name != MAT:
                found.setdefault(name.removesuffix(".mat"), (place, name))
    if not found:
        return _repackaged(shelf)
    stems = _readable(sorted(found))
    work: list[Kept | Made] = []
    for stem in stems:
        place, name = found[stem]
        picture = f"train/{stem}.png"
        work += [Kept(f"train/{stem}.mat", place, name), Made((picture,), geonet_picture, (place, name, picture))]
    signs, agreement = _signs_of([found[stem] for stem in stems[:: max(1, len(stems) // SAMPLED)][:SAMPLED]])
    facts = {"training": "geonet", "training_signs": signs, "training_agreement": agreement}
    places = {place.describe(): place for place, _ in found.values()}
    return stems, work, list(places.values()), facts


def _readable(stems: list[str]) -> tuple[str, ...]:
    dropped = UNREADABLE if len(stems) > max(UNREADABLE) else ()
    return tuple(stem for place, stem in enumerate(stems) if place not in dropped)


def _signs_of(files: list[tuple[Place, str]]) -> tuple[tuple[int, ...], float]:
    from midvision.data.nyu_files import measured_signs, read_geonet

    pairs = [read_geonet(place.open(name), place.describe(name))[1:] for place, name in files]
    return measured_signs(pairs, "GeoNet's files")


def _repackaged(shelf: Shelf) -> tuple[tuple[str, ...], list[Kept | Made], list[Place], dict[str, object]]:
    from pathlib import Path

    from midvision.data.nyu_files import measured_signs
    from midvision.data.nyu_frames import REPACKAGED, window_of

    for place in shelf.find("normals"):
        stems = [name.removeprefix("normals/").removesuffix("_norm.npy") for name in place.names("normals")]
        stems = [stem for stem in stems if not stem.startswith("nyuv2_test_")]
        if not stems or place.local() is None:
            continue
        work: list[Kept | Made] = []
        for stem in stems:
            for folder, ending in REPACKAGED.items():
                member = f"{folder}/{stem}{ending}"
                if not place.has(member):
                    raise shelf.missing(member, "the reference's folders images/, depths/ and normals/")
                work.append(Kept(f"train/{member}", place, member))
        root, sample = Path(str(place.local())), stems[:: max(1, len(stems) // SAMPLED)][:SAMPLED]
        files = {folder: [root / folder / f"{stem}{REPACKAGED[folder]}" for stem in sample] for folder in REPACKAGED}
        both = zip(files["depths"], files["normals"], strict=True)
        pairs = [(window_of(depth, 2), window_of(normals, 3)) for depth, normals in both]
        signs, agreement = measured_signs(pairs, place.describe())
        facts = {"training": "repackaged", "training_signs": signs, "training_agreement": agreement}
        return tuple(sorted(stems)), work, [place], facts
    return (), [], [], {"training": "none"}


def decode(copy: Copy, id: str) -> None:
    """A frame's picture, depth and normals, all of 480x640 and in their units."""
    from midvision.data.frames import read_photo
    from midvision.data.nyu_files import SIZE
    from midvision.data.nyu_frames import Frame

    frame = Frame.of(copy, id)
    if read_photo(copy.path(frame.picture)).shape[:2] != SIZE:
        raise DataError(f"{copy.path(frame.picture)} is not 640x480.")
    if not (frame.depth_m() > 0).any():
        raise DataError(f"Frame {id} of NYUv2 has no measured depth.")
    frame.normals()


def open_nyu(request: Request) -> Dataset:
    """Depth or normals of one split, under the rules of the task or in the window of the depth papers."""
    from dataclasses import replace

    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.nyu_files import SIZE
    from midvision.data.nyu_frames import Frame
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, spread

    copy, options = open_copy(DATA, request.data), Options(request.data)
    split = used_list(copy, request, options)
    chosen = [Frame.of(copy, id) for id in copy.ids(split)]
    scenes = {frame.id: frame.scene for frame in chosen}
    chosen = spread(chosen, request.limit, lambda frame: scenes[frame.id])
    eigen = options.choice("window", ("centre", "eigen"), "centre") == "eigen"
    rules = request.rules.model_copy(update={"crop": "none", "image_size": SIZE}) if eigen else request.rules
    size = frame_size([SIZE], rules, options)
    items, frames, truth = [], [], []
    for frame in chosen:
        photo = photo_of(copy, frame.picture, frame.id, f"nyu/{scenes[frame.id]}")
        framed = Framed(photo, size, rules)
        items.append(_item(request, frame, framed, eigen))
        frames.append(framed)
        truth += frame.truth_files(request.content)
    made = dataset_of(DATA, copy, request, frames, items, truth, f"{split} {copy.manifest.facts.get('training_signs')}")
    fallback = request.split == "train" and split == "labelled-train"
    return replace(made, version=f"{made.version}+labelled-train") if fallback else made


def used_list(copy: Copy, request: Request, options: Options) -> str:
    """The list that is a split: a person's choice, else the training frames that the copy has."""
    chosen = options.text(request.split)
    if chosen or request.split == "test":
        return chosen or "test"
    if "train" in copy.manifest.splits or request.rules.selection == "official":
        return "train" if "train" in copy.manifest.splits else "labelled-train"
    raise DataError(
        "The prepared copy of nyu has no frames of GeoNet, on which the reference trains.",
        f"They are in {' and '.join(GEONET)}.",
        "Prepare nyu again with them, train on the labelled frames (option train=labelled-train), or use corrected.",
    )


def _item(request: Request, frame: Frame, framed: Framed, eigen: bool) -> DenseItem:
    from midvision.core.items import DenseItem

    target = normal_target if request.content == "normals" else depth_target
    return DenseItem(framed.photo.id, framed.photo.group, framed.image_id, partial(target, frame, framed, eigen))


def depth_target(frame: Frame, framed: Framed, eigen: bool) -> Target:
    """Raw depth in metres; what is missing or beyond 10 m is not valid."""
    from midvision.core.items import Target

    depth = framed.framing().target(_measured(frame, eigen))
    return Target(depth, depth > 0)


def normal_target(frame: Frame, framed: Framed, eigen: bool) -> Target:
    """Unit normals, zero where unknown; valid where the raw depth is, as the reference's loss has it."""
    from torch.nn.functional import normalize

    from midvision.core.items import Target

    framing = framed.framing()
    depth, normals = framing.target(_measured(frame, eigen)), framing.target(frame.normals())
    return Target(normalize(normals, dim=0), depth > 0)


def _measured(frame: Frame, eigen: bool) -> np.ndarray:
    import numpy as np

    depth = frame.depth_m()
    kept = depth <= FARTHEST_M
    if eigen:
        window = np.zeros_like(kept)
        window[EIGEN[0] : EIGEN[1], EIGEN[2] : EIGEN[3]] = True
        kept &= window
    measured: np.ndarray = np.where(kept, depth, np.float32(0))
    return measured


DATA = DataCard(
    name="nyu",
    version="1",
    title="NYU Depth v2, depth and normals of indoor scenes",
    contents=("depth", "normals"),
    licence="see the official page; research use. GeoNet's and FAIR's files: see theirs",
    how_to_get=f"midvision data prepare nyu --from nyu_depth_v2_labeled.mat {FAIR} {' '.join(GEONET)}",
    options={
        "train": "list that trains: train (all of GeoNet), labelled-train, train-nineteen (19 of 20), train-twentieth",
        "test": "list that is scored, such as labelled-train or train-twentieth",
        "window": "centre: the middle 480x480 (default); eigen: the whole frame, scored in rows 45-470, columns 41-600",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_nyu,
    benchmark=Benchmark(
        page="https://cs.nyu.edu/~fergus/datasets/nyu_depth_v2.html",
        citation="Silberman, Hoiem, Kohli, Fergus: Indoor Segmentation and Support Inference from RGBD Images, ECCV "
        "2012; test normals: Ladicky, Zeisl, Pollefeys, ECCV 2014, packed by Goyal et al., ICCV 2019; training "
        "frames: Qi et al.: GeoNet, CVPR 2018",
        size="1449 labelled frames (2.8 GB) with normals; training frames of GeoNet in two archives",
        layout=(
            "nyu_depth_v2_labeled.mat",
            "surfacenormal_metadata/{all_normals.pklz,train_SN40.json,test_SN40.json}",
            "nyu_geonet/SCENE_r-TIME-TICKS.mat, or images/*_image.png, depths/*_depth.npy, normals/*_norm.npy",
        ),
        sources=(
            Source("nyu_depth_v2_labeled.mat", "pictures and raw depth of the labelled frames", "2.8 GB"),
            Source(FAIR, "normals and lists of the labelled frames (FAIR's self-supervision benchmark)"),
            Source(GEONET[0], "first part of GeoNet's training frames", needed=False),
            Source(GEONET[1], "second part of GeoNet's training frames", needed=False),
        ),
        decisions={
            "training frames": "both: all of GeoNet, its two unreadable files left out; without them corrected trains "
            "on the 795 labelled ones (version +labelled-train), paper refuses",
            "depth": "both: rawDepths in metres, 0 is missing, beyond 10 m is not counted",
            "frame": "both: the middle 480x480 without resizing; not comparable to depth papers, which score "
            "in-painted depth in the window of window=eigen",
            "scored normals": "corrected: where raw depth and normal are known; paper: where the normal is not zero",
            "random crops, colours": "not repeated; features are computed once",
        },
        counts={"labelled-train": 795, "test": 654},
        plan=plan_nyu,
        decode=decode,
        notes=(
            "The signs of normals are measured against the depth, per source, and are in the copy's records.",
            "GeoNet's pictures are rounded after its means are added back; the reference cuts the fraction off.",
            "Making the copy needs h5py (pip install 'midvision[data]'), and for a while room for all normals.",
            "The fast-depth and Hugging Face packagings have no normals and filled depth: nyu-fastdepth.",
        ),
        parts=("train", "labelled-train", "test"),
    ),
)

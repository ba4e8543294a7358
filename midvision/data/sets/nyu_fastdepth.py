"""NYU Depth v2 as fast-depth packs it, and its copy on Hugging Face: filled depth, no normals.

One HDF5 file per frame: `rgb` uint8 [3, 480, 640] and `depth` [480, 640] in metres.
"""

from __future__ import annotations

from functools import partial
from typing import IO, TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Made, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    import numpy as np

    from midvision.core.items import Dataset, Target
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy
    from midvision.data.photos import Framed

FILE = "nyudepthv2.tar.gz"
FARTHEST_M = 10.0


def plan_fastdepth(shelf: Shelf) -> Plan:
    """Every frame of `train` and `val`, told from its folders or from the shard that holds it."""
    from midvision.data.archives import Place

    work: list[Made] = []
    splits: dict[str, list[str]] = {"train": [], "test": []}
    places = []
    for tree in shelf.trees:
        place = Place(tree, "")
        members = [name for name in place.names() if name.endswith(".h5")]
        if members and tree.sequential:
            raise DataError(
                f"{tree.path} is compressed, so its frames cannot be read one by one.",
                "",
                "Unpack it, and give its folder with --from.",
            )
        places += [place] if members else []
        for member in members:
            split, id = named(tree.path.name, member)
            if id in splits[split]:
                continue
            splits[split].append(id)
            if not shelf.only or split in shelf.only:
                names = (f"{id}.png", f"{id}.npz")
                work.append(Made(names, frame_files, (place, member, id), 1_000_000))
    if not places:
        raise shelf.missing("frame (*.h5)", f"{FILE}, or of data/train-*.tar and data/val-*.tar of Hugging Face")
    return Plan(tuple(work), {name: tuple(ids) for name, ids in splits.items() if ids}, tuple(places))


def named(tree: str, member: str) -> tuple[str, str]:
    """The split of a frame and its id, `train/SCENE/NUMBER` or `test/NUMBER`."""
    parts = member.removesuffix(".h5").split("/")
    for word, split in (("val", "test"), ("train", "train")):
        if word in parts:
            rest = [part for part in parts[parts.index(word) + 1 :] if part != "official"]
            return split, "/".join((split, *rest))
    for word, split in (("val", "test"), ("train", "train")):
        if tree.startswith(word):
            return split, "/".join((split, *(part for part in parts if part != "official")))
    raise DataError(
        f"Whether {member} of {tree} trains or is tested cannot be told.",
        "Folders train/ and val/, or shards train-*.tar and val-*.tar, were expected.",
        "Give the folder above them.",
    )


def frame_files(place: Place, member: str, id: str) -> dict[str, bytes]:
    """Picture and depth of one frame as PNG and `.npz`."""
    from midvision.data.nyu_files import packed, png_of

    picture, depth = read_frame(place.open(member), place.describe(member))
    return {f"{id}.png": png_of(picture), f"{id}.npz": packed(depth)}


def read_frame(stream: IO[bytes], what: str) -> tuple[np.ndarray, np.ndarray]:
    """uint8 `[480, 640, 3]`, float32 metres `[480, 640]`."""
    import io

    import numpy as np

    from midvision.data.matlab import open_hdf5
    from midvision.data.nyu_files import SIZE, check_metres

    with stream:
        content = io.BytesIO(stream.read())
    with open_hdf5(content, what, "A complete HDF5 file with rgb and depth was expected.") as file:
        rgb, depth = file["rgb"][()], file["depth"][()]
    if rgb.shape != (3, *SIZE) or rgb.dtype != np.uint8 or depth.shape != SIZE:
        raise DataError(
            f"{what} holds rgb of {rgb.dtype} {rgb.shape} and depth of shape {depth.shape}.",
            f"uint8 {(3, *SIZE)} and {SIZE} were expected.",
            "Fetch the official file again.",
        )
    return np.ascontiguousarray(rgb.transpose(1, 2, 0)), check_metres(depth, what)


def decode(copy: Copy, id: str) -> None:
    """A picture with depth of its size."""
    from midvision.data.frames import read_photo
    from midvision.data.truth import DepthRules, read_depth

    if read_photo(copy.path(f"{id}.png")).shape[:2] != read_depth(copy.path(f"{id}.npz"), DepthRules()).shape:
        raise DataError(f"{copy.path(f'{id}.npz')} has another size than its picture.")


def open_fastdepth(request: Request) -> Dataset:
    """Filled depth of one split; training frames are grouped by scene."""
    from midvision.core.items import DenseItem
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, spread

    copy, options = open_copy(DATA, request.data), Options(request.data)
    ids = spread(copy.ids(options.text(request.split) or request.split), request.limit, scene_of)
    photos = [photo_of(copy, f"{id}.png", id, f"nyu-fastdepth/{scene_of(id)}") for id in ids]
    size = frame_size([photo.size for photo in photos], request.rules, options)
    frames = [Framed(photo, size, request.rules) for photo in photos]
    items = [
        DenseItem(frame.photo.id, frame.photo.group, frame.image_id, partial(depth_target, copy, id, frame))
        for id, frame in zip(ids, frames, strict=True)
    ]
    return dataset_of(DATA, copy, request, frames, items, [f"{id}.npz" for id in ids])


def scene_of(id: str) -> str:
    """Training frames lie in a folder per scene; the scenes of test frames are not in this packaging."""
    return id.rsplit("/", 1)[0] if id.count("/") > 1 else id


def depth_target(copy: Copy, id: str, framed: Framed) -> Target:
    from midvision.core.items import Target
    from midvision.data.truth import DepthRules, read_depth

    depth = framed.framing().target(read_depth(copy.path(f"{id}.npz"), DepthRules(high_m=FARTHEST_M)))
    return Target(depth, depth > 0)


DATA = DataCard(
    name="nyu-fastdepth",
    version="1",
    title="NYU Depth v2 as fast-depth and Hugging Face pack it: filled depth, no normals",
    contents=("depth",),
    licence="see the official page of NYU Depth v2; research use",
    how_to_get="midvision data prepare nyu-fastdepth --from nyudepthv2 (unpacked), or the shards of Hugging Face",
    options={
        "train": "list that trains",
        "test": "list that is scored",
        "size": "frame size where the protocol leaves it open (see midvision list data folder)",
    },
    open=open_fastdepth,
    benchmark=Benchmark(
        page="https://huggingface.co/datasets/sayakpaul/nyu_depth_v2",
        citation="Wofk, Ma, Yang, Karaman, Sze: FastDepth, ICRA 2019; frames: Silberman et al., ECCV 2012",
        size="47,584 training frames and 654 test frames, 32 GB",
        layout=("nyudepthv2/train/SCENE/00001.h5", "nyudepthv2/val/official/00001.h5", "or data/{train,val}-*.tar"),
        sources=(
            Source(FILE, "everything; unpack it first", "32 GB"),
            Source("train-*.tar", "training shards of Hugging Face, instead", needed=False),
            Source("val-*.tar", "test shards of Hugging Face, instead", needed=False),
        ),
        decisions={
            "tasks": "depth alone: -t depth --data nyu-fastdepth:COPY, COPY being the prepared folder; no normals",
            "depth": "filled, not raw: not comparable to nyu-depth",
        },
        counts={"test": 654},
        plan=plan_fastdepth,
        decode=decode,
        notes=(
            "No normals: nyu-normals needs the labelled .mat and FAIR's archive (midvision data info nyu).",
            "Making the copy needs h5py (pip install 'midvision[data]').",
        ),
        parts=("train", "test"),
    ),
)

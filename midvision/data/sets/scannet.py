"""ScanNet: the 1500 test pairs of SuperGlue in LoFTR's packaging.

Depth is uint16 millimetres of 640x480, 0 where missing; poses are camera-to-world in metres; the
intrinsics of a scene belong to 640x480. Where its pixels have their centres is not documented: the
reference takes half integers, and so does this reader.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from midvision.core.items import Dataset, PairItem, Surface, View
    from midvision.core.specs import ImageRules
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy
    from midvision.data.photos import Framed

FILE = "scannet_test_1500.tar"
PAIRS, CAMERAS = "test.npz", "intrinsics.npz"
SIZE = (480, 640)
DEPTH_SCALE = 1000.0
MOST_TABLE_BYTES = 2**26
KINDS = {"color": "jpg", "depth": "png", "pose": "txt"}


def plan_scannet(shelf: Shelf) -> Plan:
    """All files of the listed pairs; the two tables lie beside the scenes, or are given on their own."""
    tables = [_table(shelf, PAIRS), _table(shelf, CAMERAS)]
    pairs = read_pairs(tables[0].read_bytes(PAIRS), tables[0].describe(PAIRS))
    known = set(read_arrays(tables[1].read_bytes(CAMERAS), tables[1].describe(CAMERAS)))
    scenes = shelf.find("scene*_*/color")
    if not scenes:
        raise shelf.missing("sceneNNNN_NN/color", FILE)
    work = {name: Kept(name, place, name) for name, place in zip((PAIRS, CAMERAS), tables, strict=True)}
    for scene, *frames in pairs:
        if scene not in known:
            raise DataError(
                f"{tables[1].describe(CAMERAS)} has no camera of {scene}.",
                f"Every scene of {PAIRS} has one.",
                "Get both files of the same version.",
            )
        for member in (name for frame in frames for name in frame_files(scene, frame)):
            if member not in work:
                work[member] = Kept(member, _holder(shelf, scenes, member), member)
    places = {place.describe(): place for place in (*tables, *scenes)}
    return Plan(tuple(work.values()), {"test": tuple(map(pair_id, pairs))}, tuple(places.values()))


def _table(shelf: Shelf, name: str) -> Place:
    """Where a table lies. One that was given by itself looks like an archive: a `.npz` is a zip."""
    from midvision.data.archives import Place
    from midvision.data.trees import Single

    for tree in shelf.trees:
        if tree.path.name == name and tree.path.is_file():
            return Place(Single(tree.path), "")
    return shelf.need(name, name)


def _holder(shelf: Shelf, places: list[Place], member: str) -> Place:
    for place in places:
        if place.has(member):
            return place
    raise shelf.missing(member, FILE)


def frame_files(scene: str, frame: str) -> list[str]:
    return [f"{scene}/{kind}/{frame}.{ending}" for kind, ending in KINDS.items()]


def pair_id(pair: tuple[str, str, str]) -> str:
    return f"{pair[0]}/{pair[1]}-{pair[2]}"


def read_arrays(content: bytes, what: str) -> dict[str, np.ndarray]:
    """Every array of a `.npz`; pickled objects in it are refused."""
    import io
    from zipfile import BadZipFile
    from zlib import error as PackingError

    import numpy as np

    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as table:
            if sum(member.file_size for member in table.zip.infolist()) > MOST_TABLE_BYTES:
                raise ValueError(f"it unpacks to more than {MOST_TABLE_BYTES:,} bytes")
            return {name: np.asarray(table[name]) for name in table.files}
    except (OSError, ValueError, EOFError, BadZipFile, PackingError, AttributeError, MemoryError) as error:
        raise DataError(
            f"{what} cannot be read ({error}).", "A complete .npz of numbers was expected.", "Fetch it again."
        ) from error


def read_pairs(content: bytes, what: str) -> list[tuple[str, str, str]]:
    """(scene, frame, frame) of every row of `name`: scene, sequence, frame, frame as integers."""
    import numpy as np

    names = read_arrays(content, what).get("name")
    if names is None or names.ndim != 2 or names.shape[1] != 4 or not np.issubdtype(names.dtype, np.integer):
        found = "no field `name`" if names is None else f"`name` of shape {names.shape} and type {names.dtype}"
        raise DataError(
            f"{what} has {found}.",
            "Whole numbers of shape (1500, 4) were expected: scene, sequence and two frames.",
            "Get test.npz of LoFTR's scannet_test_1500.",
        )
    return [(f"scene{scene:04d}_{run:02d}", str(a), str(b)) for scene, run, a, b in names.tolist()]


def camera_of(table: np.ndarray, what: str) -> Tensor:
    """`K [3, 3]` float64 for 640x480."""
    import torch

    from midvision.geometry.camera import check_K

    K = check_K(torch.from_numpy(table).double(), what)
    if not (0 < float(K[0, 2]) < SIZE[1] and 0 < float(K[1, 2]) < SIZE[0]):
        raise DataError(f"The principal point of {what} lies outside of 640x480.", "", "Get intrinsics.npz of LoFTR.")
    return K


def read_depth_m(copy: Copy, scene: str, frame: str) -> np.ndarray:
    """Metres `[480, 640]`, 0 where missing."""
    from midvision.data.frames import read_raw_image

    path = copy.path(f"{scene}/depth/{frame}.png")
    stored = read_raw_image(path)
    if stored.shape != SIZE or stored.dtype.kind not in "ui" or stored.dtype.itemsize < 2:
        raise DataError(
            f"{path} holds {stored.dtype} of shape {stored.shape}.",
            "16-bit millimetres of 640x480 were expected.",
            f"Get {FILE} of LoFTR.",
        )
    metres: np.ndarray = (stored.astype("float64") / DEPTH_SCALE).astype("float32")
    return metres


def decode(copy: Copy, id: str) -> None:
    """Both views of a pair: picture, depth that is not all missing, pose, camera."""
    from midvision.data.frames import read_photo
    from midvision.data.truth import read_pose

    scene, frames = id.split("/")
    camera_of(_cameras(copy)[scene], f"{copy.path(CAMERAS)}: {scene}")
    for frame in frames.split("-"):
        read_photo(copy.path(f"{scene}/color/{frame}.jpg"))
        read_pose(copy.path(f"{scene}/pose/{frame}.txt"), "world_from_camera")
        if not (read_depth_m(copy, scene, frame) > 0).any():
            raise DataError(f"{copy.path(f'{scene}/depth/{frame}.png')} has no measured pixel.")


def _cameras(copy: Copy) -> dict[str, np.ndarray]:
    return read_arrays(copy.path(CAMERAS).read_bytes(), str(copy.path(CAMERAS)))


def open_scannet(request: Request) -> Dataset:
    """The pairs with known geometry; all of them are tested, none trains."""
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.pairing import angle_bin
    from midvision.data.photos import Framed, frame_size, need_items, spread
    from midvision.data.truth import read_pose
    from midvision.geometry.pose import relative_angle_deg

    copy = open_copy(DATA, request.data)
    pairs = read_pairs(copy.path(PAIRS).read_bytes(), str(copy.path(PAIRS))) if request.split == "test" else []
    need_items(pairs, request, "The pairs need no training; all are in the test split.")
    tables = _cameras(copy)
    cameras = {scene: camera_of(tables[scene], f"{CAMERAS}: {scene}") for scene in {pair[0] for pair in pairs}}
    shots = dict.fromkeys((scene, frame) for scene, *both in pairs for frame in both)
    poses = {(s, f): read_pose(copy.path(f"{s}/pose/{f}.txt"), "world_from_camera") for s, f in shots}
    angles = {(s, a, b): relative_angle_deg(poses[s, a], poses[s, b]) for s, a, b in pairs}
    kept = spread(pairs, request.limit, lambda pair: angle_bin(angles[pair]), lambda pair: pair[0])
    used = dict.fromkeys((scene, frame) for scene, *both in kept for frame in both)
    photos = {(s, f): photo_of(copy, f"{s}/color/{f}.jpg", f"{s}/{f}", s) for s, f in used}
    size = frame_size([SIZE], request.rules, Options(request.data))
    frames = {key: Framed(photo, size, request.rules) for key, photo in photos.items()}
    views = {key: _view(copy, frame, *key, cameras[key[0]], poses[key], request.rules) for key, frame in frames.items()}
    items = [_item(pair, views, angles[pair]) for pair in kept]
    truth = [CAMERAS, *(name for s, f in used for name in frame_files(s, f)[1:])]
    return dataset_of(DATA, copy, request, frames.values(), items, truth, repr([item.id for item in items]))


def _view(copy: Copy, frame: Framed, scene: str, name: str, K: Tensor, pose: Tensor, rules: ImageRules) -> View:
    from midvision.core.items import View

    return View(frame.image_id, partial(_surface, copy, scene, name, K, frame.size, rules), pose)


def _surface(copy: Copy, scene: str, frame: str, K: Tensor, size: tuple[int, int], rules: ImageRules) -> Surface:
    """Depth has its own size, whatever that of the picture, so it is framed on its own."""
    from midvision.core.items import Surface
    from midvision.data.frames import Framing, choose_box

    framing = Framing(choose_box(rules, SIZE, None, scene), size)
    depth = framing.target(read_depth_m(copy, scene, frame))
    return Surface(depth, depth > 0, framing.K(K))


def _item(pair: tuple[str, str, str], views: dict[tuple[str, str], View], angle_deg: float) -> PairItem:
    from midvision.core.items import PairItem

    scene, a, b = pair
    return PairItem(f"scannet/{pair_id(pair)}", scene, views[scene, a], views[scene, b], None, {"angle_deg": angle_deg})


DATA = DataCard(
    name="scannet",
    version="1",
    title="ScanNet, 1500 test pairs of scenes",
    contents=("scene-pairs",),
    licence="ScanNet terms of use, to be signed on the official page; research use",
    how_to_get=f"midvision data prepare scannet --from {FILE} {PAIRS} {CAMERAS}",
    options={"size": "frame size where the protocol leaves it open"},
    open=open_scannet,
    pixel_centre=0.5,
    pose_direction="world_from_camera",
    benchmark=Benchmark(
        page="https://www.scan-net.org/",
        citation="Dai, Chang, Savva, Halber, Funkhouser, Niessner: ScanNet: Richly-annotated 3D Reconstructions of "
        "Indoor Scenes, CVPR 2017; pairs: Sarlin et al., SuperGlue, CVPR 2020; packing: Sun et al., LoFTR, CVPR 2021",
        size="1500 pairs of 100 scenes",
        layout=tuple(
            f"scannet_test_1500/{path}"
            for path in (*(f"sceneNNNN_NN/{kind}/FRAME.{ending}" for kind, ending in KINDS.items()), PAIRS, CAMERAS)
        ),
        sources=(
            Source(FILE, "pictures, depth and poses"),
            Source(PAIRS, "the list of pairs (assets/scannet_test_1500 of the LoFTR repository)"),
            Source(CAMERAS, "the camera of each scene (the same place)"),
        ),
        decisions={
            "pairs": "both: all 1500, no training (the reference's script stops after the first)",
            "frame": "both: 480x640, bilinear",
            "pixel errors": "corrected: pixels of 480x640, and quarter-size ones as *_quarter; paper: quarter-size",
            "points": "corrected: the middle of each 4x4 block, features read there; paper: its corner's depth taken "
            "for the block's centre",
            "colours": "corrected: the checkpoint's own statistics; paper: mean and deviation 0.5 for every encoder",
        },
        counts={"test": 1500},
        plan=plan_scannet,
        decode=decode,
        notes=(
            "Poses map camera to world, in metres; depth is in millimetres of 640x480, 0 where missing.",
            "The intrinsics are taken with pixel centres at half integers, as the reference does.",
        ),
    ),
)

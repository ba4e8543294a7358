"""The built-in suite as a data set: every kind of item from generated scenes, made on demand.

One stored frame serves depth, normals, masks, pairs and labels under one image id, so an encoder sees
it once. Scenes and objects never cross splits. Truth is stored at the frame's own size; a crop or
another size goes through `data/frames.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError, UsageError, nearest
from midvision.core.items import (
    Dataset,
    DenseItem,
    Image,
    Item,
    LabelItem,
    PairItem,
    Surface,
    Target,
    TripletItem,
    View,
)
from midvision.core.seeds import hashed_order
from midvision.core.settings import stable_hash
from midvision.core.specs import ImageRules
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    import numpy as np

    from midvision.data.frames import Framing
    from midvision.synth.store import FrameInfo, SceneInfo
    from midvision.synth.suite import PartName, Suite

VERSION = "1"
FOREGROUND = (0.05, 0.60)
LEAST_VALID = 0.98
LEAST_OBJECT = 0.08
DEPTH_RANGE_M = (0.2, 8.0)
TARGETS = ("family", "scene")


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored frame under the request's framing: where it lies, its image id and its digests."""

    path: Path
    scene: SceneInfo
    frame: FrameInfo
    group: str
    image: str
    framing: Framing

    def as_image(self) -> Image:
        return Image(self.image, partial(_load_rgb, self.path, self.frame.key, self.framing), self.digest)

    def digest(self) -> str:
        return stable_hash("synthetic-rgb", self.frame.rgb_digest, self.framing.recipe)


def open_synthetic(request: Request) -> Dataset:
    """One split of one content; makes missing scenes first."""
    from midvision.synth.suite import SUITE_VERSION, open_suite

    options = request.data.options
    suite = open_suite(request.data.preset, request.data.difficulty, read_axes(options.get("axes")))
    make = _CONTENTS[request.content]
    items, frames = make(suite, request)
    kept = _limited(items, request.limit)
    if not kept:
        raise DataError(
            f"Split {request.split!r} of the built-in suite has no item for {request.content}.",
            f"Preset {suite.preset.name!r} at difficulty {suite.difficulty!r} was asked for.",
            "Choose another preset or other axes.",
        )
    used = {name for item in kept for name in _images_of(item)}
    images = {frame.image: frame.as_image() for frame in frames if frame.image in used}
    truth = {frame.image: frame.frame.truth_digest for frame in frames if frame.image in used}
    words = [f"{item.id}:{_truth_of(item)}" for item in kept]
    words += [f"{name}:{image.digest()}:{truth[name]}" for name, image in images.items()]
    return Dataset(
        name="synthetic",
        version=SUITE_VERSION,
        content=request.content,
        split=request.split,
        images=images,
        items=kept,
        fingerprint=stable_hash("synthetic", SUITE_VERSION, request.content, request.split, *words),
        frame_size=request.rules.image_size or suite.preset.size,
        limited=len(kept) < len(items),
    )


def read_axes(value: Any) -> Mapping[str, int]:
    """Axes of difficulty from a mapping, or from text such as `texture=0,lighting=3`."""
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return dict(value)
    if not isinstance(value, str):
        raise UsageError(f"Option 'axes' got {value!r}.", "A mapping was expected, or text such as texture=0.")
    axes: dict[str, int] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        name, _, level = part.partition("=")
        if not level.strip().isdigit():
            raise UsageError(f"Option 'axes' got {part!r}.", "AXIS=LEVEL with a level 0 to 3 was expected.")
        axes[name.strip()] = int(level)
    return axes


def _stored(suite: Suite, request: Request, part: PartName) -> list[Stored]:
    """Every frame of one part and the request's split; made first where missing."""
    from midvision.synth.generate import ensure, scenes_of

    shards = ensure(suite, [(part, request.split)], request.progress, request.workers)[part, request.split]
    found: list[Stored] = []
    for shard, scene in scenes_of(shards):
        base = f"synthetic/{suite.preset.name}/{suite.difficulty}/{scene.split}/{scene.name}"
        for frame in scene.frames:
            crop = "object" in request.rules.crop and frame.focus > 0
            image = f"{base}/{frame.view:02d}{'#object' if crop else ''}"
            framing = _framing(shard.path, frame, suite.preset.size, request.rules, crop)
            found.append(Stored(shard.path, scene, frame, base, image, framing))
    return found


def _framing(path: Path, frame: FrameInfo, size: tuple[int, int], rules: ImageRules, crop: bool) -> Framing:
    import numpy as np

    from midvision.data.frames import Framing, choose_box

    mask = np.zeros(size, dtype=bool)
    if crop:
        # A rectangle has the bounds of the object, which are all that the crop looks at.
        top, bottom, left, right = next(known.bounds for known in frame.objects if known.id == frame.focus)
        mask[top : bottom + 1, left : right + 1] = True
    box = choose_box(rules, size, mask if crop else None, f"frame {frame.key} of {path.name}")
    return Framing(box, rules.image_size or size, rules.photo_resample)


def _load_rgb(path: Path, key: str, framing: Framing) -> Any:
    from midvision.synth.store import read_plane

    return framing.image(read_plane(path, key, "rgb"))


def _dense(frames: Sequence[Stored], target: Callable[[Stored], Target]) -> list[Item]:
    return [DenseItem(frame.image, frame.group, frame.image, partial(target, frame)) for frame in frames]


def _target(stored: Stored, values: np.ndarray, valid: np.ndarray) -> Target:
    import numpy as np

    from midvision.synth.store import read_plane

    edge = np.array(read_plane(stored.path, stored.frame.key, "edge"))
    frame = stored.framing.target
    return Target(frame(values.astype(np.float32)).float(), frame(valid).bool(), frame(edge).bool())


def _mask_target(stored: Stored) -> Target:
    from midvision.synth.store import read_plane
    from midvision.synth.world_parts import FIRST_OBJECT_ID

    ids = read_plane(stored.path, stored.frame.key, "ids")
    return _target(stored, ids >= FIRST_OBJECT_ID, ids > 0)


def _depth_target(stored: Stored, only_object: bool = False) -> Target:
    from midvision.synth.store import read_plane

    depth = read_plane(stored.path, stored.frame.key, "depth")
    valid = (depth >= DEPTH_RANGE_M[0]) & (depth <= DEPTH_RANGE_M[1])
    if only_object:
        valid &= read_plane(stored.path, stored.frame.key, "ids") == stored.frame.focus
    return _target(stored, depth, valid)


def _normals_target(stored: Stored) -> Target:
    from midvision.synth.store import read_plane

    normals = read_plane(stored.path, stored.frame.key, "normals")
    return _target(stored, normals, (normals != 0).any(-1))


Made = tuple[list[Item], list[Stored]]


def _segmentation(suite: Suite, request: Request) -> Made:
    frames = [frame for part in suite.preset.masks_from for frame in _stored(suite, request, part)]
    frames = [frame for frame in frames if FOREGROUND[0] <= frame.frame.foreground <= FOREGROUND[1]]
    return _dense(frames, _mask_target), frames


def _depth(suite: Suite, request: Request) -> Made:
    frames = [frame for frame in _stored(suite, request, "scene") if frame.frame.valid >= LEAST_VALID]
    return _dense(frames, _depth_target), frames


def _object_depth(suite: Suite, request: Request) -> Made:
    frames = _stored(suite, request, "object")
    frames = [frame for frame in frames if _object_share(frame, suite) >= LEAST_OBJECT]
    items = _dense(frames, partial(_depth_target, only_object=True))
    most = suite.preset.object_depth_items if request.split == "test" else None
    return _limited(items, most), frames


def _object_share(stored: Stored, suite: Suite) -> float:
    pixels = sum(known.pixels for known in stored.frame.objects if known.id == stored.frame.focus)
    return pixels / (suite.preset.size[0] * suite.preset.size[1])


def _normals(suite: Suite, request: Request) -> Made:
    frames = [*_stored(suite, request, "scene"), *_stored(suite, request, "object")]
    return _dense(frames, _normals_target), frames


def _surface(stored: Stored, only_object: bool) -> Surface:
    import numpy as np
    import torch

    from midvision.synth.store import read_plane

    depth = read_plane(stored.path, stored.frame.key, "depth")
    valid = depth > 0
    if only_object:
        valid &= read_plane(stored.path, stored.frame.key, "ids") == stored.frame.focus
    K = stored.framing.K(torch.tensor(stored.frame.K, dtype=torch.float64))
    frame = stored.framing.target
    return Surface(frame(np.where(valid, depth, np.float32(0))), frame(valid).bool(), K)


def _view(stored: Stored, only_object: bool) -> View:
    import torch

    camera_from_world = torch.tensor(stored.frame.camera_from_world, dtype=torch.float64)
    if only_object:
        pose = next(known.world_from_object for known in stored.frame.objects if known.id == stored.frame.focus)
        camera_from_world = camera_from_world @ torch.tensor(pose, dtype=torch.float64)
    return View(stored.image, partial(_surface, stored, only_object), camera_from_world)


def _pairs(suite: Suite, request: Request, part: PartName) -> Made:
    from midvision.synth.pairs import spread_pairs
    from midvision.synth.suite import OBJECT_BINS, SCENE_BINS

    frames = _stored(suite, request, part)
    by_view = {(frame.group, frame.frame.view): frame for frame in frames}
    listed = {frame.group: frame.scene.pairs for frame in frames}
    bins = len(OBJECT_BINS if part == "object" else SCENE_BINS) - 1
    items: list[Item] = []
    for group, pairs in spread_pairs(listed, suite.preset.pairs_per_bin, bins).items():
        for pair in pairs:
            a, b = by_view[group, pair.a], by_view[group, pair.b]
            tags = {"angle_deg": pair.angle_deg, "bin": float(pair.bin)}
            tags |= {"visible" if part == "object" else "overlap": pair.shared, "points": float(pair.shared_points)}
            view_a, view_b = (_view(stored, part == "object") for stored in (a, b))
            items.append(PairItem(f"{a.image}+{b.frame.view:02d}", group, view_a, view_b, tags=tags))
    return items, frames


def _triplets(suite: Suite, request: Request) -> Made:
    frames = _stored(suite, request, "triplet")
    by_view = {(frame.group, frame.frame.view): frame for frame in frames}
    items: list[Item] = []
    for group, scene in {frame.group: frame.scene for frame in frames}.items():
        for number, triplet in enumerate(scene.triplets):
            views = (triplet.reference, triplet.left, triplet.right)
            reference, left, right = (by_view[group, view].image for view in views)
            tags = {"kind": triplet.kind, "factor": triplet.factor, "nuisance": triplet.nuisance, "k": f"{triplet.k:g}"}
            items.append(
                TripletItem(f"{group}/t{number:02d}", group, reference, left, right, triplet.right_share, tags)
            )
    return items, frames


def _labels(suite: Suite, request: Request) -> Made:
    """Object family, or the scene's type; classes are those of the training split."""
    from dataclasses import replace

    target = request.data.options.get("target", "family")
    if target not in TARGETS:
        raise UsageError(f"Option 'target' got {target!r}.", nearest(str(target), TARGETS))
    part: PartName = "object" if target == "family" else "scene"
    name_of = _family if target == "family" else _scene_type
    classes = sorted({name_of(frame) for frame in _stored(suite, replace(request, split="train"), part)})
    frames = [frame for frame in _stored(suite, request, part) if name_of(frame) in classes]
    items: list[Item] = [
        LabelItem(frame.image, frame.group, frame.image, classes.index(name_of(frame)), name_of(frame))
        for frame in frames
    ]
    return items, frames


def _family(stored: Stored) -> str:
    return next(known.family for known in stored.frame.objects if known.id == stored.frame.focus)


def _scene_type(stored: Stored) -> str:
    return stored.scene.scene_type


def _images_of(item: Item) -> tuple[str, ...]:
    if isinstance(item, PairItem):
        return item.a.image, item.b.image
    if isinstance(item, TripletItem):
        return item.reference, item.left, item.right
    if isinstance(item, DenseItem | LabelItem):
        return (item.image,)
    raise TypeError(f"The built-in suite makes no {type(item).__name__}")


def _truth_of(item: Item) -> str:
    """The part of an item's truth that no image digest covers."""
    if isinstance(item, TripletItem):
        return f"{item.reference},{item.left},{item.right},{item.right_share}"
    return f"{item.label}" if isinstance(item, LabelItem) else ""


def _limited(items: list[Item], limit: int | None) -> list[Item]:
    """`limit` items in turns over kinds (bins, factors, classes), then groups; smaller limits are subsets."""
    if limit is None or limit >= len(items):
        return items
    by_id = {item.id: item for item in items}
    shuffled = [by_id[name] for name in hashed_order(by_id, "synthetic", "limit")]
    chosen = {item.id for item in _in_turns(shuffled, [_kind_of, lambda item: item.group])[:limit]}
    return [item for item in items if item.id in chosen]


def _kind_of(item: Item) -> Hashable:
    if isinstance(item, PairItem):
        return item.tags["bin"]
    if isinstance(item, TripletItem):
        return item.tags["kind"], item.tags["factor"]
    return item.label if isinstance(item, LabelItem) else None


def _in_turns(items: Sequence[Item], keys: Sequence[Callable[[Item], Hashable]]) -> list[Item]:
    """One item of each kind in turn, and inside a kind one of each group in turn."""
    if not keys:
        return list(items)
    buckets: dict[Hashable, list[Item]] = {}
    for item in items:
        buckets.setdefault(keys[0](item), []).append(item)
    queues = [_in_turns(bucket, keys[1:]) for bucket in buckets.values()]
    longest = max(map(len, queues), default=0)
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]


_CONTENTS: dict[str, Callable[[Suite, Request], Made]] = {
    "segmentation": _segmentation,
    "depth": _depth,
    "object-depth": _object_depth,
    "normals": _normals,
    "object-pairs": partial(_pairs, part="object"),
    "scene-pairs": partial(_pairs, part="scene"),
    "triplets": _triplets,
    "labels": _labels,
}

DATA = DataCard(
    name="synthetic",
    version=VERSION,
    title="Built-in synthetic suite",
    contents=(
        "segmentation",
        "depth",
        "object-depth",
        "normals",
        "object-pairs",
        "scene-pairs",
        "triplets",
        "labels",
    ),
    licence="MIT",
    how_to_get="Nothing to get: scenes are made on demand and kept in the data folder.",
    options={
        "axes": "difficulty axes that differ from the named difficulty, such as texture=0 (levels 0 to 3)",
        "target": "what labels name: family (of the object, default) or scene (its type)",
    },
    open=open_synthetic,
    pixel_centre=0.5,
    pose_direction="camera_from_world",
)

"""A person's own photographs with per-pixel truth: masks, depth or normals in a folder."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from midvision.data.card import DataCard, Request
from midvision.data.options import DEPTH_OPTIONS, FRAME_OPTIONS, NORMAL_OPTIONS

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from midvision.core.items import Dataset, DenseItem, Target
    from midvision.data.options import Options
    from midvision.data.photos import Framed, Photo
    from midvision.data.truth import DepthRules, MaskRules

IMAGES = (
    "*.color.*",
    "JPEGImages/*.*",
    "JPEGImages/*/*.*",
    "images/*.*",
    "image/*.*",
    "rgb/*.*",
    "color/*.*",
    "images/*/*.*",
    "*_image.*",
    "*_rgb.*",
    "*_color.*",
    "*.*",
)
MASKS = (
    "SegmentationObject/*.png",
    "Annotations/*/*.png",
    "masks/*.*",
    "masks/*/*.png",
    "mask/*.*",
    "*.mask.*",
    "*_mask.*",
)
DEPTHS = ("*.depth.*", "depth/*.*", "depths/*.*", "depth/*/*.*", "*_depth.*")
NORMALS = (
    "*.normals.*",
    "*.normal.*",
    "*.normal_derived.*",
    "normals/*.*",
    "normal/*.*",
    "normals/*/*.*",
    "*_normal.*",
)
KINDS = {"segmentation": "mask", "depth": "depth", "normals": "normals"}
CANDIDATES = {"mask": MASKS, "depth": DEPTHS, "normals": NORMALS}


@dataclass(frozen=True, slots=True)
class _Truth:
    """Where the truth of one photograph is and how to read it."""

    framed: Framed
    depth: Path | None
    masks: tuple[Path, ...]
    normals: Path | None
    depth_rules: DepthRules
    mask_rules: MaskRules
    axes: str


def open_folder(request: Request) -> Dataset:
    """One content of a folder; truth is read when an item asks for it, sizes are checked now."""
    from midvision.data.options import Options, root_of
    from midvision.data.photos import dataset, frame_size, grouped, split_photos, spread, tile

    options = Options(request.data)
    photos, patterns = list_folder(root_of(request.data), request.content, options)
    photos = _with_truth(photos, patterns, request)
    size = frame_size([(p.area.height, p.area.width) for p in tile(photos, options)], request.rules, options)
    chosen = split_photos(grouped(tile(photos, options), options, "image"), request, options)
    kept = spread(chosen, request.limit, lambda photo: photo.group)
    truths = [_truth(photo, size, patterns, request, options) for photo in kept]
    if request.content == "segmentation":
        _check_two_classes(truths, request)
    items = [_item(truth, request.content) for truth in truths]
    files = [path for truth in truths for path in (truth.depth, truth.normals, *truth.masks) if path is not None]
    return dataset(DATA, request, [truth.framed for truth in truths], items, files)


def list_folder(root: Path, content: str, options: Options) -> tuple[list[Photo], dict[str, str]]:
    """The photographs of a folder, and the pattern of each kind of truth that `content` needs."""
    from midvision.core.errors import UsageError
    from midvision.data.patterns import detect, detect_beside, find
    from midvision.data.photos import list_photos, split_roots

    roots = split_roots(root)
    first = next(iter(roots.values()))
    image = options.text("image") or detect(first, "image", IMAGES)
    needed = ("depth", "mask") if content == "object-depth" else (KINDS[content],)
    declared = {kind: options.text(kind) for kind in CANDIDATES}
    truth_like = [pattern or candidate for kind, pattern in declared.items() for candidate in CANDIDATES[kind]]
    skip = {found.path for r in roots.values() for pattern in truth_like for found in find(r, pattern)}
    photos = list_photos(roots, image, skip if options.text("image") is None else ())
    patterns: dict[str, str] = {}
    for kind in needed:
        keys = [photo.key for photo in photos if photo.root == first]
        pattern = declared[kind] or detect_beside(first, kind, CANDIDATES[kind], keys)
        if pattern is None:
            raise UsageError(
                f"No {kind} files were found in {root}.",
                f"Looked for: {', '.join(CANDIDATES[kind])}.",
                f"Declare where they are, for example {kind}={CANDIDATES[kind][0]!r}.",
            )
        patterns[kind] = pattern
    return photos, patterns


def _with_truth(photos: list[Photo], patterns: dict[str, str], request: Request) -> list[Photo]:
    """The photographs that have every kind of truth, each of the photograph's size."""
    from midvision.core.errors import DataError
    from midvision.data.patterns import matching
    from midvision.data.truth import check_size

    kept = []
    for photo in photos:
        found = {kind: matching(photo.root, pattern, photo.key) for kind, pattern in patterns.items()}
        if not all(found.values()):
            continue
        for paths in found.values():
            for path in paths:
                check_size(path, photo.size, photo.path)
        kept.append(photo)
    if not kept:
        declared = ", ".join(f"{kind}={pattern!r}" for kind, pattern in patterns.items())
        raise DataError(
            f"None of the {len(photos)} photographs of {request.data.path} has a file of {declared}.",
            f"The first, {photos[0].path.name}, would need {matching_hint(photos[0], patterns)}.",
            "Check the patterns.",
        )
    if len(kept) < len(photos):
        request.progress.say(f"{len(photos) - len(kept)} of {len(photos)} photographs have no truth and are left out.")
    return kept


def matching_hint(photo: Photo, patterns: dict[str, str]) -> str:
    """The file names that the patterns ask of a photograph."""
    names = []
    for pattern in patterns.values():
        for part in photo.key:
            pattern = pattern.replace("*", part, 1)
        names.append(pattern)
    return " and ".join(names)


def _truth(photo: Photo, size: tuple[int, int], patterns: dict[str, str], request: Request, options: Options) -> _Truth:
    from midvision.data.patterns import matching, one_of
    from midvision.data.photos import Framed
    from midvision.data.truth import AXES, DepthRules, MaskRules

    def one(kind: str) -> Path | None:
        return one_of(photo.root, patterns[kind], photo.key, kind) if kind in patterns else None

    masks = tuple(matching(photo.root, patterns["mask"], photo.key)) if "mask" in patterns else ()
    mask_rules = MaskRules.of(options)
    in_object = partial(object_pixels, masks, mask_rules) if masks else None
    return _Truth(
        framed=Framed(photo, size, request.rules, in_object),
        depth=one("depth"),
        masks=masks,
        normals=one("normals"),
        depth_rules=DepthRules.of(options),
        mask_rules=mask_rules,
        axes=options.choice("normals_axes", AXES, AXES[0]),
    )


def object_pixels(masks: tuple[Path, ...], rules: MaskRules) -> np.ndarray:
    """The true object in a photograph, bool `[H, W]`; void border pixels are not part of it."""
    from midvision.data.truth import read_mask

    foreground, void = read_mask(list(masks), rules)
    solid: np.ndarray = foreground & ~void
    return solid


def _item(truth: _Truth, content: str) -> DenseItem:
    from midvision.core.items import DenseItem

    load = {"segmentation": mask_target, "normals": normal_target}.get(content, depth_target)
    photo = truth.framed.photo
    return DenseItem(photo.id, photo.group, truth.framed.image_id, partial(load, truth))


def mask_target(truth: _Truth) -> Target:
    """Foreground 1, background 0. Void pixels hold 1 and are not valid.

    The reference counts void as foreground; a protocol that does so ignores `valid`.
    """
    from midvision.core.items import Target
    from midvision.data.truth import read_mask

    foreground, void = read_mask(list(truth.masks), truth.mask_rules)
    framing = truth.framed.framing()
    return Target(framing.target(foreground).float(), ~framing.target(void))


def depth_target(truth: _Truth) -> Target:
    """Metres, 0 and not valid where unknown; outside the object too, where masks were asked for."""
    from midvision.core.items import Target
    from midvision.data.truth import read_depth

    assert truth.depth is not None
    depth = read_depth(truth.depth, truth.depth_rules)
    if truth.masks:
        depth = depth * object_pixels(truth.masks, truth.mask_rules)
    framed: Tensor = truth.framed.framing().target(depth)
    return Target(framed, framed > 0)


def normal_target(truth: _Truth) -> Target:
    from midvision.core.items import Target
    from midvision.data.truth import read_normals

    assert truth.normals is not None
    normals, known = read_normals(truth.normals, truth.axes)
    framing = truth.framed.framing()
    return Target(framing.target(normals), framing.target(known))


def _check_two_classes(truths: list[_Truth], request: Request) -> None:
    """Foreground and background must both occur, or there is nothing to separate."""
    from midvision.core.errors import DataError
    from midvision.data.truth import read_mask

    seen: set[bool] = set()
    for truth in truths:
        foreground, void = read_mask(list(truth.masks), truth.mask_rules)
        seen |= set(foreground[~void].tolist()) if len(seen) < 2 else set()
        if len(seen) == 2:
            return
    only = "foreground" if seen == {True} else "background"
    raise DataError(
        f"Every mask of the {request.split} split of {request.data.path} is {only} only.",
        "Both foreground and background were expected.",
        "Check the masks, foreground= and void=.",
    )


def _options() -> dict[str, str]:
    own = {
        "image": "pattern of the photographs, for example images/*.jpg or *.color.*",
        "mask": "pattern of the masks, for example masks/*.png, or masks/*/*.png with one file per instance",
        "foreground": "mask numbers that are foreground (default: all but 0 and void)",
        "void": "mask number to ignore, none, or auto (default): 255 unless a mask holds only 0 and 255",
    }
    normals = {name: text for name, text in NORMAL_OPTIONS.items() if name != "normals_radius"}
    return own | FRAME_OPTIONS | DEPTH_OPTIONS | normals


DATA = DataCard(
    name="folder",
    version="1",
    title="Your photographs with masks, depth or normals in a folder",
    contents=("segmentation", "depth", "object-depth", "normals"),
    licence="your own",
    how_to_get="--data folder:PATH; train/ and test/ folders are used where both are there",
    options=_options(),
    open=open_folder,
)

"""What a data set is made of: images, and items that point at images by id.

Shapes: `H W` pixels of the data set's frame, `K` target channels. Images are RGB float32 in [0, 1].
Depth is camera z in metres, 0 where unknown. Cameras look along +z, x right, y down; the top-left
pixel has its centre at (0.5, 0.5). Normals are unit vectors in that camera frame, facing the viewer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

Content = Literal[
    "segmentation",
    "depth",
    "object-depth",
    "normals",
    "object-pairs",
    "scene-pairs",
    "triplets",
    "labels",
    "keypoint-pairs",
    "boundaries",
]


@dataclass(frozen=True, slots=True)
class Image:
    """One picture: `load()` gives `[3, H, W]`, `digest()` names its pixels (never its path).

    `load_bytes()`, where the picture is made of bytes, gives the same as uint8 `[H, W, 3]`: a quarter of the
    memory on the way from the process that reads it.
    """

    id: str
    load: Callable[[], Tensor]
    digest: Callable[[], str]
    load_bytes: Callable[[], Tensor] | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Truth of one image: `values [K, H, W]`, `valid [1, H, W]` bool.

    `edge [1, H, W]` marks pixels that mix two surfaces, where the data set knows them.
    """

    values: Tensor
    valid: Tensor
    edge: Tensor | None = None


@dataclass(frozen=True, slots=True)
class DenseItem:
    """One image with per-pixel truth; K = 1 for depth (metres) and masks (0/1), 3 for normals."""

    id: str
    group: str
    image: str
    target: Callable[[], Target]


@dataclass(frozen=True, slots=True)
class BoundaryItem(DenseItem):
    """A photograph with boundaries drawn by people: `target` is the share of them that drew a pixel.

    `annotations()` gives what each one drew, bool `[A, h, w]` at the photograph's own size, not the frame's.
    """

    annotations: Callable[[], np.ndarray]


@dataclass(frozen=True, slots=True)
class Surface:
    """Geometry seen by one view: `depth_m [1, H, W]`, `valid [1, H, W]` bool, `K [3, 3]` in frame pixels."""

    depth_m: Tensor
    valid: Tensor
    K: Tensor


@dataclass(frozen=True, slots=True)
class View:
    """One side of a pair. For object pairs, `world` is the object's own frame.

    `camera_from_world` is `[4, 4]` float64, metres.
    """

    image: str
    surface: Callable[[], Surface]
    camera_from_world: Tensor


@dataclass(frozen=True, slots=True)
class Homography:
    """Planar truth: `b_from_a [3, 3]` float64 on frame pixels (centres at half integers)."""

    b_from_a: Tensor


@dataclass(frozen=True, slots=True)
class PairItem:
    """Two views with known geometry; `group` is the object or scene.

    A planar pair carries `planar`; its views' surfaces then only say which pixels take part.
    `tags` are free labels for breakdowns, such as the measured overlap.
    """

    id: str
    group: str
    a: View
    b: View
    planar: Homography | None = None
    tags: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class KeypointPairItem:
    """Two images with the same named points: `xy_a`, `xy_b` `[P, 2]` frame pixels; `scale_px` is the PCK unit in b."""

    id: str
    group: str
    image_a: str
    image_b: str
    xy_a: Tensor
    xy_b: Tensor
    scale_px: float


@dataclass(frozen=True, slots=True)
class TripletItem:
    """Which of two images is more like the reference; `right_share` of the judges chose `right`.

    `tags` hold what a breakdown needs (kind, factor), as text.
    """

    id: str
    group: str
    reference: str
    left: str
    right: str
    right_share: float
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LabelItem:
    """One image with a class index; `label_name` is for people."""

    id: str
    group: str
    image: str
    label: int
    label_name: str


Item = DenseItem | PairItem | KeypointPairItem | TripletItem | LabelItem


@dataclass(frozen=True, slots=True)
class Dataset:
    """One split of one content of a data set.

    Every image and target has the size `frame_size` (H, W). `fingerprint` names the exact images
    and truth; two data sets with equal fingerprints give equal scores.
    """

    name: str
    version: str
    content: Content
    split: str
    images: Mapping[str, Image]
    items: Sequence[Item]
    fingerprint: str
    frame_size: tuple[int, int]
    limited: bool = False

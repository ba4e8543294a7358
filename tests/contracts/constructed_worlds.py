"""Small data sets with exact truth, made in memory: spheres in front of planes, no renderer, no files.

Features come from a table, so that a control is a table: the truth itself, noise, or the truth of
another image.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from midvision.core.features import FeaturePlan, Features, Grid, PlannedLayer
from midvision.core.items import (
    Content,
    Dataset,
    DenseItem,
    Image,
    Item,
    KeypointPairItem,
    LabelItem,
    PairItem,
    Surface,
    Target,
    TripletItem,
    View,
)
from midvision.core.seeds import torch_generator
from midvision.extraction.controls import item_images
from midvision.extraction.shuffle import other_images, permuted_cells
from midvision.metrics.depth import relative_depth

SIZE = 128
STRIDE = 8
CHANNELS = 48


@dataclass(frozen=True)
class Shot:
    """What one camera sees: camera-frame maps on the frame's pixels."""

    depth_m: Tensor
    normals: Tensor
    object: Tensor
    world_xyz: Tensor
    K: Tensor
    camera_from_world: Tensor


@dataclass(frozen=True)
class Ball:
    centre: tuple[float, float, float]
    radius_m: float


def pinhole(focal_px: float, size: int = SIZE) -> Tensor:
    return torch.tensor([[focal_px, 0, size / 2], [0, focal_px, size / 2], [0, 0, 1]], dtype=torch.float64)


def look(
    angle_deg: float, distance_m: float, height_m: float = 0.0, roll_deg: float = 0.0, pitch_deg: float = 0.0
) -> Tensor:
    """`camera_from_world` of a camera on a ring around the origin, looking at it; y points down."""
    a, r, p = (math.radians(angle) for angle in (angle_deg, roll_deg, pitch_deg))
    turn = torch.tensor([[math.cos(a), 0, math.sin(a)], [0, 1, 0], [-math.sin(a), 0, math.cos(a)]], dtype=torch.float64)
    roll = torch.tensor([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    pitch = torch.tensor(
        [[1, 0, 0], [0, math.cos(p), -math.sin(p)], [0, math.sin(p), math.cos(p)]], dtype=torch.float64
    )
    pose[:3, :3] = roll @ pitch @ turn
    pose[:3, 3] = torch.tensor([0, height_m, distance_m], dtype=torch.float64)
    return pose


def shoot(
    balls: Sequence[Ball], planes: Sequence[tuple[tuple[float, float, float], float]], K: Tensor, pose: Tensor
) -> Shot:
    """Exact first hits of pixel-centre rays with balls and planes `n . X = d`."""
    y, x = torch.meshgrid(torch.arange(SIZE).double() + 0.5, torch.arange(SIZE).double() + 0.5, indexing="ij")
    rays = torch.stack([x, y, torch.ones_like(x)], dim=-1) @ torch.linalg.inv(K).T
    R, t = pose[:3, :3], pose[:3, 3]
    origin, direction = -R.T @ t, rays @ R
    best = torch.full((SIZE, SIZE), math.inf, dtype=torch.float64)
    normal = torch.zeros(SIZE, SIZE, 3, dtype=torch.float64)
    inside = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    for ball in balls:
        centre = torch.tensor(ball.centre, dtype=torch.float64)
        a = (direction**2).sum(-1)
        b = direction @ (origin - centre)
        c = ((origin - centre) ** 2).sum() - ball.radius_m**2
        root = b * b - a * c
        s = torch.where(root > 0, (-b - root.clamp_min(0).sqrt()) / a, torch.full_like(b, math.inf))
        hit = (s > 0) & (s < best)
        best = torch.where(hit, s, best)
        normal = torch.where(hit[..., None], (origin + s[..., None] * direction - centre) / ball.radius_m, normal)
        inside = inside | hit
    for n, d in planes:
        axis = torch.tensor(n, dtype=torch.float64)
        s = (d - axis @ origin) / (direction @ axis)
        hit = (s > 0) & (s < best)
        best = torch.where(hit, s, best)
        normal = torch.where(hit[..., None], axis.expand_as(normal), normal)
        inside = inside & ~hit
    there = torch.isfinite(best)
    world = origin + torch.where(there, best, torch.zeros_like(best))[..., None] * direction
    facing = normal @ R.T
    facing = facing * -torch.sign((facing * rays).sum(-1, keepdim=True))
    return Shot(
        torch.where(there, best, torch.zeros_like(best)).float()[None],
        (facing * there[..., None]).permute(2, 0, 1).float(),
        inside[None],
        world.permute(2, 0, 1).float(),
        K,
        pose,
    )


WALLS = [
    (axis, side * far) for axis, far in (((1.0, 0, 0), 4.0), ((0, 1.0, 0), 1.5), ((0, 0, 1.0), 4.0)) for side in (-1, 1)
]


def room_shot(scene: str, view: int, wild: bool) -> Shot:
    """Three balls in a room, seen with a random roll, so that the layout alone tells little; wild views turn too."""
    draw = torch_generator("room", scene, view)
    layout = torch_generator("room", scene)
    balls = []
    for _ in range(3):
        u = torch.rand(4, generator=layout)
        balls.append(Ball((float(u[0] * 2 - 1), float(u[1] - 0.4), float(u[2] * 2 - 1)), 0.5 + 0.3 * float(u[3])))
    jitter = torch.rand(4, generator=draw)
    roll, pitch = 360 * float(jitter[2]), (30 * float(jitter[3]) - 15) * wild
    turn = 100 * float(jitter[0]) if wild else 8.0 * view + 4 * float(jitter[0])
    pose = look(turn, 2.0 + 1.5 * float(jitter[1]), 0.0, roll, pitch)
    return shoot(balls, WALLS, pinhole(120.0), pose)


def object_shot(angle_deg: float) -> Shot:
    return shoot([Ball((0, 0, 0), 0.1)], [], pinhole(200.0), look(angle_deg, 0.35, 0.02))


def picture_of(image: str) -> Tensor:
    return torch.rand(3, SIZE, SIZE, generator=torch_generator("picture", image))


def make_dataset(content: Content, split: str, items: Sequence[Item], images: Iterable[str]) -> Dataset:
    table = {name: Image(name, partial(picture_of, name), partial(str, name)) for name in images}
    return Dataset("constructed", "1", content, split, table, items, f"constructed-{content}-{split}", (SIZE, SIZE))


def dense_target(content: Content, shot: Shot) -> Target:
    everywhere = shot.depth_m > 0
    if content == "normals":
        return Target(shot.normals, everywhere, torch.zeros_like(everywhere))
    if content == "segmentation":
        return Target(shot.object.float(), torch.ones_like(everywhere))
    valid = shot.object if content == "object-depth" else everywhere
    return Target(torch.where(valid, shot.depth_m, torch.zeros_like(shot.depth_m)), valid)


def dense_dataset(content: Content, split: str, scenes: int, views: int = 2) -> Dataset:
    items = []
    for scene in range(scenes):
        for view in range(views):
            name = f"{split}/{scene}/{view}"
            target = dense_target(content, room_shot(f"{split}{scene}", view, True))
            items.append(DenseItem(name, f"{split}/{scene}", name, partial(_same, target)))
    return make_dataset(content, split, items, [item.image for item in items])


def _same(target: Target) -> Target:
    return target


def view_of(image: str, shot: Shot, only_object: bool) -> View:
    valid = (shot.depth_m > 0) & (shot.object if only_object else torch.ones_like(shot.object))
    return View(image, partial(Surface, shot.depth_m, valid, shot.K), shot.camera_from_world)


def pair_dataset(content: Content) -> tuple[Dataset, dict[str, Shot]]:
    shots: dict[str, Shot] = {}
    items = []
    only_object = content == "object-pairs"
    angles = (10, 45, 75, 100) if only_object else (0, 1, 2, 3)
    for group in range(3):
        for place in (0, *angles) if only_object else angles:
            name = f"{content}/{group}/{place}"
            shots[name] = object_shot(place + 20 * group) if only_object else room_shot(f"pair{group}", place, False)
        names = [name for name in shots if name.startswith(f"{content}/{group}/")]
        for other in names[1:]:
            views = [view_of(name, shots[name], only_object) for name in (names[0], other)]
            items.append(PairItem(f"{names[0]}+{other}", f"{content}/{group}", *views, tags={"overlap": 0.5}))
    return make_dataset(content, "test", items, list(shots)), shots


def triplet_dataset(count: int = 40) -> Dataset:
    items, images = [], []
    for index in range(count):
        names = [f"t/{index}/{role}" for role in ("reference", "left", "right")]
        images += names
        tags = {"kind": "dominance" if index % 2 else "subset", "factor": "shape"}
        items.append(TripletItem(f"t/{index}", f"g{index // 4}", *names, right_share=float(index % 3 == 0), tags=tags))
    return make_dataset("triplets", "test", items, images)


def label_dataset(split: str, count: int, classes: int = 4) -> Dataset:
    items = [
        LabelItem(f"{split}/{i}", f"{split}/g{i // 3}", f"{split}/{i}", i % classes, f"class {i % classes}")
        for i in range(count)
    ]
    return make_dataset("labels", split, items, [item.image for item in items])


def keypoint_dataset(pairs: int = 4, points: int = 5) -> Dataset:
    items, images = [], []
    for pair in range(pairs):
        draw = torch_generator("keypoints", pair)
        # On distinct cells and on the 4-pixel candidates' own positions.
        cells = torch.randperm((SIZE // STRIDE) ** 2, generator=draw)[: 2 * points].reshape(2, points)
        xy = torch.stack([cells % (SIZE // STRIDE), cells // (SIZE // STRIDE)], dim=-1).float() * STRIDE + STRIDE / 2
        a, b = f"k/{pair}/a", f"k/{pair}/b"
        images += [a, b]
        items.append(KeypointPairItem(f"k/{pair}", f"k/{pair}", a, b, xy[0], xy[1], 60.0))
    return make_dataset("keypoint-pairs", "test", items, images)


def plan_for(pooled: bool, channels: int = CHANNELS, stride: int = STRIDE, layers: int = 1) -> FeaturePlan:
    grid = Grid.uniform((SIZE // stride, SIZE // stride), (SIZE, SIZE))
    planned = tuple(PlannedLayer(index, channels, grid) for index in range(layers))
    stats = ((0.0,) * 3, (1.0,) * 3)
    return FeaturePlan(
        planned,
        not pooled,
        "native" if pooled else "none",
        channels,
        (SIZE, SIZE),
        (0, 0, 0, 0),
        *stats,
        False,
        "float32",
    )


def noise(image: str, pooled: bool) -> Features:
    draw = torch_generator("noise", image)
    if pooled:
        return Features((), torch.randn(1, CHANNELS, generator=draw))
    return Features((torch.randn(1, CHANNELS, SIZE // STRIDE, SIZE // STRIDE, generator=draw),), None)


def at_cells(values: Tensor) -> Tensor:
    """`[K, H, W]` read at the pixel below-right of every cell centre: `[K, h, w]`."""
    return values[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]


def dense_truth_features(item: DenseItem) -> Features:
    """Cell means of the truth (depth: its logarithm, and that of relative depth), and a little noise.

    Cells without truth carry the mean of the others.
    """
    target = item.target()
    values = target.values
    if len(values) == 1 and float(values.max()) > 1:
        values = torch.cat([values, relative_depth(values, target.valid)]).clamp_min(1e-3).log()
    values = torch.where(target.valid, values, torch.zeros_like(values))
    cells = torch.nn.functional.avg_pool2d(torch.cat([values, target.valid.float()]), STRIDE)
    means = cells[:-1] / cells[-1:].clamp_min(1e-6)
    there = cells[-1] > 0
    known = torch.where(there, means, means[:, there].mean(dim=1).nan_to_num()[:, None, None])
    filler = 1e-3 * torch.randn(CHANNELS - len(known), *known.shape[1:], generator=torch_generator("fill", item.id))
    return Features((torch.cat([known, filler])[None],), None)


def point_truth_features(shot: Shot, scale_m: float) -> Features:
    """Random Fourier features of the world position: close points have a high cosine."""
    xyz = at_cells(shot.world_xyz)
    direction = torch.randn(CHANNELS // 2, 3, generator=torch_generator("fourier")) / scale_m
    phase = torch.einsum("cd,dhw->chw", direction, xyz)
    return Features((torch.cat([phase.cos(), phase.sin()])[None],), None)


def triplet_truth_features(dataset: Dataset) -> dict[str, Features]:
    table = {}
    for item in dataset.items:
        assert isinstance(item, TripletItem)
        draw = torch_generator("triplet", item.id)
        base, step = torch.randn(1, CHANNELS, generator=draw), torch.randn(1, CHANNELS, generator=draw)
        near, far = (item.right, item.left) if item.right_share > 0.5 else (item.left, item.right)
        table |= {item.reference: base, near: base + 0.2 * step, far: base + 0.8 * step}
    return {name: Features((), vector) for name, vector in table.items()}


def label_truth_features(dataset: Dataset) -> dict[str, Features]:
    table = {}
    for item in dataset.items:
        assert isinstance(item, LabelItem)
        vector = torch.zeros(1, CHANNELS)
        vector[0, item.label] = 1.0
        table[item.image] = Features((), vector + 0.01 * noise(item.image, True).pooled)
    return table


def keypoint_truth_features(dataset: Dataset) -> dict[str, Features]:
    """Each named point's cell carries the same vector in both images; the rest is noise."""
    table = {}
    for item in dataset.items:
        assert isinstance(item, KeypointPairItem)
        names = torch.randn(len(item.xy_a), CHANNELS, generator=torch_generator("names", item.id)) * 3
        for image, xy in ((item.image_a, item.xy_a), (item.image_b, item.xy_b)):
            values = noise(image, False).maps[0].clone()
            column, row = (xy / STRIDE).long().unbind(1)
            values[0, :, row, column] = names.T
            table[image] = Features((values,), None)
    return table


def shuffled(dataset: Dataset, table: Mapping[str, Features]) -> dict[str, Features]:
    """Every image gets the features of another one, of another group where there is one, in another order of cells."""
    groups: dict[str, str] = {}
    partners: dict[str, set[str]] = {}
    for item in dataset.items:
        images = item_images(item)
        groups |= dict.fromkeys(images, item.group)
        for image in images:
            partners.setdefault(image, set()).update(set(images) - {image})
    found = {}
    for name, other in other_images(list(groups), groups, partners).items():
        maps = tuple(permuted_cells(values[0], name)[None] for values in table[other].maps)
        found[name] = Features(maps, table[other].pooled)
    return found


@dataclass
class Table:
    """A feature source out of a dictionary."""

    plan: FeaturePlan
    features: Mapping[str, Features]
    batch: int = 5

    def stream(self, ids: Iterable[str]) -> Iterator[tuple[list[str], Features]]:
        names = list(ids)
        for start in range(0, len(names), self.batch):
            part = names[start : start + self.batch]
            rows = [self.features[name] for name in part]
            maps = tuple(torch.cat(level) for level in zip(*(row.maps for row in rows)))
            pooled = (
                None if rows[0].pooled is None else torch.cat([row.pooled for row in rows if row.pooled is not None])
            )
            yield part, Features(maps, pooled)

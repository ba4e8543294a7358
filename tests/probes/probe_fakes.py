"""Small plans, sources and truths for probe tests; nothing here reads a file or a network."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from midvision.core.features import FeaturePlan, Features, Grid, PlannedLayer
from midvision.core.items import DenseItem, Target
from midvision.core.specs import FeatureRules, HeadRules, Protocol, TrainRules

CORRECTED = Protocol(name="corrected", version=1)
PAPER = Protocol(
    name="paper",
    version=1,
    features=FeatureRules(cell_centres="uniform"),
    head=HeadRules(linear_kernel=3, upsampling="nearest", residual_relu="in_place", batchnorm_at_test="batch"),
    train=TrainRules(learning_rates=(5e-4,), min_steps=0),
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plan_of(channels: tuple[int, ...], grids: tuple[Grid, ...], size: tuple[int, int]) -> FeaturePlan:
    layers = tuple(PlannedLayer(i, c, g) for i, (c, g) in enumerate(zip(channels, grids, strict=True)))
    zeros, ones = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return FeaturePlan(layers, True, "native", 8, size, (0, 0, 0, 0), zeros, ones, False, "float32")


def patch_plan(side: int = 112, channels: int = 12, levels: int = 4, patch: int = 16) -> FeaturePlan:
    grid = Grid.uniform((side // patch, side // patch), (float(side), float(side)))
    return plan_of((channels,) * levels, (grid,) * levels, (side, side))


def stage_plan(side: int = 112, channels: tuple[int, ...] = (8, 12, 16, 24)) -> FeaturePlan:
    """Grids of a ResNet: strides 4 to 32, first centres at half a pixel."""
    strides = [4 * 2**level for level in range(len(channels))]
    extent = (float(side), float(side))
    grids = tuple(Grid((-(-side // s), -(-side // s)), (float(s), float(s)), (0.5, 0.5), extent) for s in strides)
    return plan_of(channels, grids, (side, side))


def random_maps(plan: FeaturePlan, seed: int) -> tuple[Tensor, ...]:
    g = generator(seed)
    return tuple(torch.randn((layer.channels, *layer.grid.size), generator=g) + 0.3 for layer in plan.layers)


class FakeSource:
    """Random features per image id, served in batches of any size; counts what it served."""

    def __init__(self, plan: FeaturePlan, ids: Iterable[str], batch: int = 4) -> None:
        self.plan, self.batch = plan, batch
        self.maps = {name: random_maps(plan, 1000 + number) for number, name in enumerate(ids)}
        self.pooled = {name: maps[-1].mean((1, 2)) for name, maps in self.maps.items()}
        self.served: list[str] = []

    def stream(self, ids: Iterable[str]) -> Iterator[tuple[list[str], Features]]:
        names = list(ids)
        for start in range(0, len(names), self.batch):
            part = names[start : start + self.batch]
            self.served += part
            maps = tuple(torch.stack(level) for level in zip(*(self.maps[name] for name in part)))
            yield part, Features(maps, torch.stack([self.pooled[name] for name in part]))


def smooth(side: int, seed: int, channels: int = 1) -> Tensor:
    """A smooth random field `[channels, side, side]` of about unit range."""
    coarse = torch.randn((1, channels, 4, 4), generator=generator(seed))
    return torch.nn.functional.interpolate(coarse, size=(side, side), mode="bicubic")[0]


def target_of(kind: str, side: int, seed: int) -> Target:
    """Made-up truth of one image; a corner has none."""
    valid = torch.ones((1, side, side), dtype=torch.bool)
    valid[:, : side // 8, : side // 8] = False
    if kind == "depth":
        return Target((1.5 * torch.exp(0.5 * smooth(side, seed))).clamp(0.2, 9.0), valid)
    if kind == "normals":
        xy = smooth(side, seed, 2)
        facing = torch.cat((0.7 * xy, -torch.ones(1, side, side)))
        return Target(torch.nn.functional.normalize(facing, dim=0), valid)
    return Target((smooth(side, seed) > 0).float(), valid)


def items_of(kind: str, count: int, side: int = 112, groups: int = 6) -> list[DenseItem]:
    def item(number: int) -> DenseItem:
        return DenseItem(
            f"item{number}", f"group{number % groups}", f"image{number}", lambda: target_of(kind, side, number)
        )

    return [item(number) for number in range(count)]


def headline(kind: str) -> object:
    """The task's headline of one image, written out plainly."""

    def score(prediction: Tensor, target: Target) -> float:
        valid = target.valid[0]
        if kind == "depth":
            p, t = prediction[0][valid].clamp_min(1e-9), target.values[0][valid]
            return float((torch.maximum(p / t, t / p) < 1.25).double().mean())
        if kind == "normals":
            cosine = (prediction * target.values).sum(0)[valid].clamp(-1, 1)
            return float((torch.rad2deg(torch.arccos(cosine)) < 11.25).double().mean())
        p, t = prediction[0][valid] >= 0.5, target.values[0][valid] > 0.5
        union = (p | t).sum()
        return float((p & t).sum() / union) if union else float("nan")

    return score

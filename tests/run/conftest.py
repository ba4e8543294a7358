"""A small world in memory that serves every task, and an encoder that counts what it sees."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from midvision.core.features import EncoderInfo, FeaturePlan, Features, LayerInfo
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
from midvision.core.settings import stable_hash
from midvision.core.specs import DataSpec
from midvision.data import card as cards
from midvision.run.options import RunOptions

SIDE, COUNT = 64, 12
MEMORY = DataSpec(set="memory", path="memory")


def picture(name: str) -> Tensor:
    """A smooth random colour field whose red channel is the depth and whose blue one the mask."""
    generator = torch.Generator().manual_seed(int(stable_hash(name)[:8], 16))
    coarse = torch.rand((1, 3, 4, 4), generator=generator)
    return torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0]


def depth_m(name: str) -> Tensor:
    return 1.0 + 2.0 * picture(name)[:1]


def target(content: str, name: str) -> Target:
    valid = torch.ones((1, SIDE, SIDE), dtype=torch.bool)
    if content == "normals":
        slopes = picture(name)[1:] - 0.5
        normals = torch.cat([slopes, -torch.ones((1, SIDE, SIDE))])
        return Target(torch.nn.functional.normalize(normals, dim=0), valid)
    values = depth_m(name) if content == "depth" else (picture(name)[2:] > 0.5).float()
    return Target(values, valid)


def view(name: str, step_m: float) -> View:
    K = torch.tensor([[50.0, 0, SIDE / 2], [0, 50.0, SIDE / 2], [0, 0, 1]], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = step_m
    valid = torch.ones((1, SIDE, SIDE), dtype=torch.bool)
    return View(name, lambda: Surface(depth_m(name), valid, K), pose)


def items_for(content: str, names: Sequence[str], group: Callable[[int], str]) -> list[Item]:
    count = len(names)
    if content in ("segmentation", "depth", "normals"):
        return [DenseItem(f"{content}/{n}", group(i), n, lambda n=n: target(content, n)) for i, n in enumerate(names)]
    if content == "scene-pairs":
        return [
            PairItem(f"pair{i}", group(i), view(names[i], 0.0), view(names[(i + 1) % count], 0.05))
            for i in range(count)
        ]
    if content == "triplets":
        return [
            TripletItem(f"triplet{i}", group(i), names[i], names[(i + 1) % count], names[(i + 2) % count], float(i % 2))
            for i in range(count)
        ]
    return [LabelItem(f"label{i}", group(i), n, i % 2, "ab"[i % 2]) for i, n in enumerate(names)]


def open_memory(request: cards.Request) -> Dataset:
    names = [f"{request.split}/{number:02d}" for number in range(COUNT)]
    images = {n: Image(n, lambda n=n: picture(n), lambda n=n: stable_hash(n, "memory")) for n in names}
    items = items_for(request.content, names, lambda number: f"scene{number // 3}")
    fingerprint = stable_hash("memory", request.content, request.split)
    return Dataset("memory", "1", request.content, request.split, images, items, fingerprint, (SIDE, SIDE))


@pytest.fixture
def memory_set(monkeypatch: pytest.MonkeyPatch) -> DataSpec:
    """The data description that opens the world in memory."""
    contents = ("segmentation", "depth", "normals", "scene-pairs", "triplets", "labels")
    known = dict(cards.all_sets())
    known["memory"] = cards.DataCard("memory", "1", "in memory", contents, "", "", {}, open_memory)
    monkeypatch.setattr(cards, "all_sets", lambda: known)
    return MEMORY


class CountingEncoder:
    """Cell means of colour and position at stride 8, four times; counts every image it is shown."""

    def __init__(self, key: str = "counting") -> None:
        self.key = self.name = key
        self.seen: Counter[str] = Counter()
        layers = (LayerInfo(5, 8, 4.0),) * 4
        self.info = EncoderInfo(layers, "stages", 0, 5, False, 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 8, 0)

    def for_dataset(self, dataset: Dataset) -> CountingEncoder:
        return self

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        self.seen.update(ids)
        cells = torch.nn.functional.avg_pool2d(images, 8)
        height, width = cells.shape[-2:]
        y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
        rows = torch.cat([cells, torch.stack([x, y])[None].expand(len(images), -1, -1, -1)], dim=1)
        maps = tuple(rows.clone() for _ in plan.layers) if plan.maps else ()
        return Features(maps, rows.mean(dim=(2, 3)) if plan.pooled != "none" else None)


@pytest.fixture
def counting() -> CountingEncoder:
    return CountingEncoder()


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    return RunOptions(output=tmp_path / "results", cache_folder=tmp_path / "features", cache="cached")


@pytest.fixture
def live(options: RunOptions) -> RunOptions:
    return replace(options, cache="live")

"""A counting encoder, pictures and plans for the tests of the feature source and its cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from midvision.core.features import EncoderInfo, FeaturePlan, Features, Grid, LayerInfo, PlannedLayer
from midvision.core.items import Dataset, Image
from midvision.core.streams import FeatureSource
from midvision.extraction.cache import FeatureCache

INFO = EncoderInfo(
    layers=(LayerInfo(6, 8, 4.0), LayerInfo(8, 16, 8.0)),
    kind="stages",
    stem_layers=0,
    pooled_channels=8,
    has_class_token=False,
    register_tokens=0,
    pixel_mean=(0.0, 0.0, 0.0),
    pixel_std=(1.0, 1.0, 1.0),
    size_multiple=16,
    parameters=0,
)


class CountingEncoder:
    """Block means through a fixed mix of channels; notes every image that it sees."""

    info = INFO

    def __init__(self, key: str = "counting", scale: float = 1.0, log: Path | None = None) -> None:
        self.key, self.scale, self.log = key, scale, log
        self.seen: list[str] = []

    def for_dataset(self, dataset: Dataset) -> CountingEncoder:
        return self

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        self.seen += ids
        if self.log is not None:
            with open(self.log, "a") as stream:
                stream.writelines(f"{name}\n" for name in ids)
        assert tuple(images.shape[1:]) == (3, *plan.input_size)
        maps = []
        for layer in plan.layers if plan.maps else ():
            mix = torch.linspace(-1, 1, layer.channels * 3).reshape(layer.channels, 3) * self.scale
            cells = torch.nn.functional.avg_pool2d(images, int(layer.grid.stride[0]))
            maps.append((cells[:, None] * mix[None, :, :, None, None]).sum(2))
        pooled = images.mean((2, 3)).repeat(1, 3)[:, :8] if plan.pooled != "none" else None
        return Features(tuple(maps), pooled)


def pictures(count: int, size: int = 32, tag: str = "") -> dict[str, Image]:
    def load(number: int) -> Tensor:
        return torch.rand((3, size, size), generator=torch.Generator().manual_seed(number))

    return {
        f"im{number:03d}": Image(
            f"im{number:03d}", lambda number=number: load(number), lambda number=number: f"{tag}{size}px-{number}"
        )
        for number in range(count)
    }


def plan_for(size: int = 32, layers: tuple[int, ...] = (0, 1), pooled: str = "native", **fields: object) -> FeaturePlan:
    chosen = tuple(
        PlannedLayer(
            index,
            INFO.layers[index].channels,
            Grid.uniform((size // INFO.layers[index].stride,) * 2, (float(size), float(size))),
        )
        for index in layers
    )
    body: dict = {
        "layers": chosen,
        "maps": bool(layers),
        "pooled": pooled,
        "pooled_channels": 8 if pooled != "none" else 0,
        "input_size": (size, size),
        "padding": (0, 0, 0, 0),
        "pixel_mean": INFO.pixel_mean,
        "pixel_std": INFO.pixel_std,
        "final_norm": False,
        "dtype": "float16",
    }
    return FeaturePlan(**{**body, **fields})


def cache_in(folder: Path, limit: int = 1 << 30) -> FeatureCache:
    return FeatureCache(folder / "cache", limit)


def collect(source: FeatureSource, ids: Sequence[str]) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = {}
    order: list[str] = []
    for names, features in source.stream(ids):
        order += names
        for row, name in enumerate(names):
            values = [m[row] for m in features.maps] + ([] if features.pooled is None else [features.pooled[row]])
            assert all(value.dtype == torch.float32 for value in values)
            found[name] = values
    assert order == list(ids)
    return found


def equal(a: dict[str, list[Tensor]], b: dict[str, list[Tensor]]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(x, y) for name in a for x, y in zip(a[name], b[name], strict=True))


def shards(folder: Path) -> list[Path]:
    return sorted((folder / "cache").rglob("*.safetensors"))


def damage(path: Path, how: str) -> None:
    data = bytearray(path.read_bytes())
    if how == "cut":
        path.write_bytes(data[:-10])
    elif how == "cut in the header":
        path.write_bytes(data[:20])
    elif how == "empty":
        path.write_bytes(b"")
    else:
        data[{"flipped at the end": -1, "flipped in the middle": len(data) // 2, "flipped in the header": 40}[how]] ^= (
            16
        )
        path.write_bytes(data)

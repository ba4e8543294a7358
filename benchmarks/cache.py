"""Size and speed of the feature cache with ViT-S/16 shapes: `python benchmarks/cache.py [IMAGES]`.

Prints bytes per image on disk, and images per second written, read in order, and read in random order.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from midvision.core.features import EncoderInfo, FeaturePlan, Features, FeatureSpec, LayerInfo
from midvision.core.items import Dataset, Image
from midvision.core.seeds import hashed_order
from midvision.core.streams import FeatureSource
from midvision.encoders.plan import make_plan
from midvision.extraction.budget import bytes_needed
from midvision.extraction.cache import FeatureCache
from midvision.extraction.source import open_source

INFO = EncoderInfo(
    layers=(LayerInfo(384, 16, 8.0),) * 12,
    kind="transformer",
    stem_layers=0,
    pooled_channels=384,
    has_class_token=True,
    register_tokens=0,
    pixel_mean=(0.5, 0.5, 0.5),
    pixel_std=(0.5, 0.5, 0.5),
    size_multiple=16,
    parameters=0,
)


class Constant:
    """Gives ready-made features, so that only the cache is timed."""

    key = "benchmark"
    info = INFO

    def for_dataset(self, dataset: Dataset) -> Constant:
        return self

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        values = torch.randn(384, 14, 14)
        maps = tuple(values.expand(len(ids), -1, -1, -1) for _ in plan.layers) if plan.maps else ()
        return Features(maps, torch.randn(len(ids), 384) if plan.pooled != "none" else None)


def measure(name: str, spec: FeatureSpec, count: int) -> None:
    plan = make_plan(spec, INFO)
    blank = torch.zeros(3, 224, 224)
    images = {f"{n:06d}": Image(f"{n:06d}", lambda: blank, lambda n=n: f"{n:064x}") for n in range(count)}
    with tempfile.TemporaryDirectory() as folder:

        def source() -> FeatureSource:
            return open_source(Constant(), images, plan, cache=FeatureCache(Path(folder), 1 << 40))

        rates = [rate(source(), list(images)), rate(source(), list(images))]
        rates.append(rate(source(), hashed_order(images, "benchmark")))
        size = sum(path.stat().st_blocks * 512 for path in Path(folder).rglob("*.safetensors"))
    words = " ".join(
        f"{word} {value:7.0f}/s" for word, value in zip(("write+read", "read", "random"), rates, strict=True)
    )
    print(f"{name:28} {size / count / 1024:8.2f} KiB/image (arithmetic {bytes_needed(plan, 1) / 1024:.2f})  {words}")


def rate(source: FeatureSource, ids: Sequence[str]) -> float:
    started = time.perf_counter()
    seen = sum(len(names) for names, _ in stream(source, ids))
    return seen / (time.perf_counter() - started)


def stream(source: FeatureSource, ids: Sequence[str]) -> Iterator[tuple[list[str], Features]]:
    yield from source.stream(ids)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 512
    size = (224, 224)
    measure("one layer, float16", FeatureSpec(size, layers=(-1,), pooled="none"), count)
    measure("four layers, float16", FeatureSpec(size, pooled="none"), count)
    measure("one layer, float32", FeatureSpec(size, layers=(-1,), pooled="none", dtype="float32"), count)
    measure("pooled only, float16", FeatureSpec(size, maps=False, pooled="native"), count)


if __name__ == "__main__":
    main()

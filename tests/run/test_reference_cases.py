"""What the reference does to single encoders, through whole runs: `paper` repeats it, `corrected` never."""

from __future__ import annotations

import functools
from dataclasses import replace

import torch

import midvision as mv
from midvision.core.features import FeatureSpec
from midvision.core.specs import DataSpec
from midvision.encoders.encoder import Encoder
from midvision.encoders.plan import make_plan
from midvision.encoders.timm_backbone import TimmBackbone, build_network
from midvision.run.options import RunOptions

ARCH = "vit_tiny_patch16_224"
TASKS = ["depth", "scene-pairs", "triplets"]


@functools.cache
def network() -> TimmBackbone:
    return TimmBackbone(build_network(ARCH), ARCH)


def encoder(shift: int = 0, size: tuple[int, int] | None = None) -> Encoder:
    made = Encoder(network(), f"key {shift} {size}", f"case {shift} {size}")
    made.info = replace(made.info, reference_shift=shift, reference_size=size)
    return made


def test_one_block_early(memory_set: DataSpec, options: RunOptions) -> None:
    for protocol, blocks, last in (("paper", [1, 4, 7, 10], 10), ("corrected", [2, 5, 8, 11], None)):
        results = mv.evaluate(
            encoder(-1), ["depth", "triplets"], data=memory_set, protocol=protocol, probe="ridge", options=options
        )
        plans = {record.task: record.plan for record in results}
        assert [layer["index"] for layer in plans["depth"]["layers"]] == blocks
        assert plans["triplets"]["pooled_layer"] == last


def test_the_class_token_is_read_early_too() -> None:
    images = torch.rand(2, 3, 64, 64)
    early = encoder(-1)
    plan = make_plan(FeatureSpec((64, 64), maps=False, blocks="reference", dtype="float32"), early.info)
    found = early(images, plan).pooled
    usual = make_plan(FeatureSpec((64, 64), layers=(10,), pooled="none", dtype="float32"), early.info)
    with torch.no_grad():
        pixels = (images - torch.tensor(usual.pixel_mean).view(3, 1, 1)) / torch.tensor(usual.pixel_std).view(3, 1, 1)
        expected = network().read(pixels, [10], False).pooled
        late = network().read(pixels, [11], False).pooled
    assert found is not None and expected is not None and late is not None
    assert torch.allclose(found, expected, atol=1e-5) and not torch.allclose(found, late, atol=1e-2)


def test_a_forced_size(memory_set: DataSpec, options: RunOptions) -> None:
    for protocol, size in (("paper", [96, 112]), ("corrected", [64, 64])):
        results = mv.evaluate(
            encoder(size=(96, 112)), TASKS, data=memory_set, protocol=protocol, probe="ridge", options=options
        )
        assert len(results) == 3
        for record in results:
            assert record.features["image_size"] == size
            main = record.metrics[record.main_metric]
            assert 0 <= main.value < 1e3, (record.task, main)

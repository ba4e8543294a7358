"""Decisions about images, features, heads and training: the protocols differ on a constructed item."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decision_cases import (
    DEPTH,
    OBJECT_PAIRS,
    SEG,
    TASKS,
    both,
    decides,
    grid_plan,
    object_item,
)
from PIL import Image as Pillow
from torch import Tensor

from midvision.core.errors import UsageError
from midvision.core.features import EncoderInfo, FeatureSpec, Grid, LayerInfo
from midvision.core.items import DenseItem, Surface
from midvision.core.specs import DataSpec, ProbeSpec, Protocol
from midvision.data.card import Request, open_data
from midvision.data.frames import choose_box, frame_image, whole
from midvision.data.sets import voc
from midvision.data.shots import derived_normals
from midvision.encoders.encoder import normalise
from midvision.encoders.plan import make_plan
from midvision.geometry.camera import unproject
from midvision.probes.decoders.dpt import DPT
from midvision.probes.decoders.layers import Inputs
from midvision.probes.probe import DenseProbe, build_probe
from midvision.probes.problem import DenseProblem
from midvision.probes.schedule import plan_phases
from midvision.probes.train import run_stream
from midvision.tasks import rules

NETWORK = EncoderInfo((LayerInfo(8, 14, 7.0),), "transformer", 0, 8, True, 0, (0.1, 0.1, 0.1), (0.2, 0.2, 0.2), 14, 10)


def spec_of(protocol: Protocol, size: tuple[int, int]) -> FeatureSpec:
    return FeatureSpec(size, pixel_stats=protocol.features.pixel_stats, fit=protocol.features.fit)


@decides("features.fit")
def test_padding_against_resizing() -> None:
    plans = [make_plan(spec_of(protocol, (480, 480)), NETWORK) for protocol in both(DEPTH, "features.fit")]
    assert [plan.padding for plan in plans] == [(5, 5, 5, 5), (0, 0, 0, 0)]
    assert [plan.input_size for plan in plans] == [(480, 480), (476, 476)]
    assert [plan.layers[0].grid.size for plan in plans] == [(35, 35), (34, 34)]


@decides("features.pixel_stats")
@pytest.mark.parametrize(
    "name, paper", [("synth-depth", (0.5 - 0.485) / 0.229), ("synth-scene-pairs", 0.0), ("synth-triplets", 0.5)]
)
def test_colour_statistics(name: str, paper: float) -> None:
    grey = torch.full((1, 3, 14, 14), 0.5)
    found = [
        float(normalise(grey, make_plan(spec_of(protocol, (14, 14)), NETWORK))[0, 0, 0, 0])
        for protocol in both(TASKS[name], "features.pixel_stats")
    ]
    assert found == pytest.approx([paper, 2.0], abs=1e-6)


@decides("features.forced_input", "features.blocks")
def test_what_the_reference_does_to_single_encoders() -> None:
    blocks = replace(NETWORK, layers=NETWORK.layers * 12)
    early = replace(blocks, reference_shift=-1)
    forced = replace(blocks, reference_size=(224, 224))
    found = {}
    for field in ("forced_input", "blocks"):
        for protocol in both(DEPTH, f"features.{field}"):
            rules = protocol.features
            spec = replace(spec_of(protocol, (480, 640)), forced_input=rules.forced_input, blocks=rules.blocks)
            plans = [make_plan(spec, info) for info in (blocks, early, forced)]
            read = [([layer.index for layer in p.layers], p.pooled_layer, p.input_size) for p in plans]
            found[field if getattr(rules, field) == "reference" else "corrected"] = read
    usual = ([2, 5, 8, 11], None, (476, 644))
    assert found["corrected"] == [usual] * 3, "a corrected run reads every encoder alike"
    assert found["blocks"] == [usual, ([1, 4, 7, 10], 10, (476, 644)), usual]
    assert found["forced_input"] == [usual, usual, ([2, 5, 8, 11], None, (224, 224))]
    with pytest.raises(UsageError, match="no block before the first"):
        make_plan(FeatureSpec((224, 224), layers=(0,), blocks="reference"), early)


# Images


@decides("images.crop")
def test_the_middle_square() -> None:
    columns = torch.arange(64).repeat(48, 1).numpy()
    boxes = [choose_box(p.images, (48, 64), None, "x") for p in both(DEPTH, "images.crop")]
    assert [columns[:, box.left : box.left + box.width].min() for box in boxes] == [8, 0]
    assert [box.width for box in boxes] == [48, 64]


@decides("images.normals_centre", "images.normals_beside_missing")
def test_normals_out_of_depth_as_the_reference_takes_them() -> None:
    """A plane seen off-centre, half of it without depth: a shear, and arbitrary directions beside the gap."""
    K = torch.tensor([[50.0, 0, 10], [0, 50, 10], [0, 0, 1]], dtype=torch.float64)
    n = torch.nn.functional.normalize(torch.tensor([0.3, 0.1, -1.0], dtype=torch.float64), dim=0)
    depth = (-1.0 / torch.einsum("k,khw->hw", n, unproject(K, torch.ones(1, 20, 20, dtype=torch.float64))))[None]
    valid = torch.arange(20).expand(1, 20, 20) < 12
    surface = Surface(depth, valid, K)
    straight = derived_normals(surface, TASKS["navi-normals"].protocols["corrected"].images, 2)[0]
    assert torch.allclose(straight[:, 9, 5].double(), n, atol=1e-5)
    corner = both(TASKS["navi-normals"], "images.normals_centre")[0]
    sheared = n.clone()
    sheared[2] -= (n[0] + n[1]) * 10 / 50
    found = derived_normals(surface, corner.images, 2)[0][:, 9, 5].double()
    assert torch.allclose(found, torch.nn.functional.normalize(sheared, dim=0), atol=1e-5)
    far = both(TASKS["navi-normals"], "images.normals_beside_missing")[0]
    normals, known = derived_normals(surface, far.images, 2)
    assert torch.allclose(normals[:, 9, 5].double(), n, atol=1e-5)
    assert bool(known[0, 9, 11]) and float((normals[:, 9, 11].double() * n).sum()) < 0.9
    assert not known[0, 0].any() and not known[0, :, 12:].any()


@decides("images.crop_end")
def test_the_last_row_of_an_object() -> None:
    mask = np.zeros((40, 40), bool)
    mask[10:20, 5:25] = True
    boxes = [choose_box(p.images, (40, 40), mask, "x") for p in both(OBJECT_PAIRS, "images.crop_end")]
    assert [box.width for box in boxes] == [19, 20]
    assert [int(mask[:, box.left : box.left + box.width].sum()) for box in boxes] == [190, 200]


@decides("images.photo_resample")
@pytest.mark.parametrize(
    "name, filters",
    [
        ("synth-object-depth", (Pillow.Resampling.NEAREST, Pillow.Resampling.BILINEAR)),
        ("synth-object-pairs", (Pillow.Resampling.NEAREST, Pillow.Resampling.BILINEAR)),
        ("synth-seg", (Pillow.Resampling.LANCZOS, Pillow.Resampling.BILINEAR)),
        ("synth-triplets", (Pillow.Resampling.BICUBIC, Pillow.Resampling.BILINEAR)),
    ],
)
def test_how_photographs_are_resized(name: str, filters: tuple[Pillow.Resampling, ...]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    frames = [
        frame_image(photo, whole((64, 64)), (20, 20), protocol.images.photo_resample)
        for protocol in both(TASKS[name], "images.photo_resample")
    ]
    for frame, method in zip(frames, filters):
        expected = np.asarray(Pillow.fromarray(photo).resize((20, 20), method))
        np.testing.assert_array_equal((frame.permute(1, 2, 0) * 255).round().numpy().astype(np.uint8), expected)
    assert float((frames[0] - frames[1]).abs().mean()) > 0.01


@decides("images.image_size")
def test_size_of_the_frame(tmp_path: Path) -> None:
    for folder, shape in (("images", (60, 90, 3)), ("masks", (60, 90))):
        (tmp_path / folder).mkdir()
        for index in range(4):
            pixels = np.zeros(shape, np.uint8)
            pixels[20:40, 10 * index : 30 + 10 * index] = 255
            Pillow.fromarray(pixels).save(tmp_path / folder / f"{index}.png")
    task = TASKS["segmentation"]
    sizes = [
        open_data(
            Request("segmentation", "test", DataSpec(set="folder", path=str(tmp_path)), protocol.images)
        ).frame_size
        for protocol in both(task, "images.image_size")
    ]
    assert sizes[0] == (480, 480)
    assert sizes[1] != (480, 480)


# Probes

PATCHES = grid_plan((16, 16), (4, 4))


def four_maps(plan: Any = None, channels: int = 6, seed: int = 0) -> list[Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return [torch.randn(2, channels, 4, 4, generator=draw) for _ in range(4)]


def four_layers(sizes: tuple[int, ...] = (4, 4, 4, 4), channels: int = 6) -> Any:
    from dataclasses import replace

    from midvision.core.features import PlannedLayer

    grids = [Grid.uniform((size, size), (64.0, 64.0)) for size in sizes]
    layers = tuple(PlannedLayer(index, channels, grid) for index, grid in enumerate(grids))
    return replace(PATCHES, layers=layers, input_size=(64, 64))


def probe_of(protocol: Protocol, name: str = "dpt", kind: str = "mask", plan: Any = None) -> DenseProbe:
    draw = torch.Generator().manual_seed(0)
    spec = ProbeSpec(name=name, hidden=8)  # type: ignore[arg-type]
    return build_probe(DenseProblem(kind), protocol, spec, plan or four_layers(), draw)  # type: ignore[arg-type]


@decides("default_probe")
def test_the_probe_without_a_wish() -> None:
    counts = []
    for protocol in both(DEPTH, "default_probe"):
        spec = rules.chosen_probe(None, protocol).model_copy(update={"hidden": 8})
        probe = build_probe(DenseProblem("mask"), protocol, spec, four_layers(), torch.Generator().manual_seed(0))
        counts.append(sum(p.numel() for p in probe.decoder.parameters()))
    dpt = 4 * (6 * 8 + 8) + 7 * 2 * (9 * 64 + 8) + (9 * 64 + 8) + (9 * 8 + 1)
    assert counts == [dpt, 4 * 6 + 1]


@decides("head.linear_kernel")
def test_kernel_of_the_linear_head() -> None:
    counts = [
        sum(p.numel() for p in probe_of(protocol, "linear").decoder.parameters())
        for protocol in both(SEG, "head.linear_kernel")
    ]
    assert counts == [9 * 24 + 1, 24 + 1]


@decides("head.upsampling")
def test_upsampling_inside_dpt() -> None:
    equal = []
    for protocol in both(DEPTH, "head.upsampling"):
        decoder = probe_of(protocol, kind="depth").decoder
        assert isinstance(decoder, DPT)
        out = decoder(four_maps(), lambda x: x)
        equal.append(float((out[..., ::2] == out[..., 1::2]).double().mean()))
    assert equal[0] == 1.0
    assert equal[1] < 0.05


@decides("head.residual_relu")
def test_relu_before_the_identity() -> None:
    found = []
    stages = four_layers((16, 8, 4, 2))
    for protocol in both(DEPTH, "head.residual_relu"):
        draw = torch.Generator().manual_seed(0)
        decoder = DPT(Inputs.of(stages, "true"), 1, 4, protocol.head, draw)
        unit = decoder.fuse[0].after
        for parameter in unit.parameters():
            torch.nn.init.zeros_(parameter)
        with torch.no_grad():
            found.append(float(unit(torch.full((1, 4, 3, 3), -2.0)).mean()))
    assert found == [0.0, -2.0]


@decides("head.batchnorm_at_test")
def test_statistics_of_the_mask_head_at_test_time() -> None:
    means = []
    for protocol in both(SEG, "head.batchnorm_at_test"):
        probe = probe_of(protocol, "linear").eval()
        with torch.no_grad():
            for name, parameter in probe.decoder.named_parameters():
                if name.endswith("bias"):
                    parameter.fill_(8.0)
            means.append(float(probe.predict(four_maps(), (16, 16)).mean()))
    assert means[0] == pytest.approx(0.5, abs=0.05)
    assert means[1] > 0.95


# Training


def training_items(count: int) -> list[DenseItem]:
    return [DenseItem(f"i{i}", f"g{i // 4}", f"i{i}", object_item().target) for i in range(count)]


LINEAR = ProbeSpec(name="linear")


@decides("train.batch_images")
def test_images_per_step() -> None:
    steps = [
        plan_phases(training_items(64), p.train.model_copy(update={"min_steps": 0}), LINEAR, 0)[0].steps
        for p in both(DEPTH, "train.batch_images")
    ]
    assert steps == [20, 40]


@decides("train.min_steps")
def test_shortest_training() -> None:
    phases = [plan_phases(training_items(64), p.train, LINEAR, 0)[0] for p in both(DEPTH, "train.min_steps")]
    assert [phase.steps for phase in phases] == [40, 300]


@decides("train.learning_rates")
def test_choice_of_a_rate() -> None:
    phases = [plan_phases(training_items(120), p.train, LINEAR, 0)[0] for p in both(DEPTH, "train.learning_rates")]
    assert [phase.rates for phase in phases] == [(5e-4,), (1e-4, 5e-4, 2e-3)]
    assert [len(phase.held_out) for phase in phases] == [0, 12]


@decides("train.shuffle")
def test_order_of_training_images() -> None:
    from constructed_worlds import Table, noise, plan_for

    names = [f"i{index:02d}" for index in range(20)]
    orders = []
    for protocol in both(DEPTH, "train.shuffle"):
        listener = _Listener(names)
        table = {name: noise(name, False) for name in names}
        run_stream(Table(plan_for(False), table, 7), [listener], shuffle=protocol.train.shuffle)
        orders.append(listener.seen)
    assert orders[0] == names
    assert sorted(orders[1]) == names and orders[1] != names


class _Listener:
    epochs = 1

    def __init__(self, names: list[str]) -> None:
        self.names, self.seen = names, list[str]()

    def wants(self, epoch: int) -> list[str]:
        return self.names

    def feed(self, epoch: int, ids: Any, features: Any) -> None:
        self.seen += list(ids)

    def end_epoch(self, epoch: int) -> None:
        pass


@decides("images.selection")
def test_which_images_are_the_test_split() -> None:
    """VOC 2012: the official validation list, or a fifth of both lists drawn at random."""
    train, val = (tuple(f"{year}_{n:06d}" for n in range(50)) for year in (2008, 2009))
    drawn = dict(zip(("reference-train", "reference-test"), voc.reference_split((*train, *val)), strict=True))
    splits = {"train": train, "val": val, **drawn}
    tested = [
        splits[voc.USED["voc12"][TASKS["voc12-seg"].protocols[name].images.selection][1]]
        for name in ("paper", "corrected")
    ]
    assert tested[1] == val
    assert len(tested[0]) == 20 and set(tested[0]) & set(train) and set(tested[0]) & set(val)
    assert not set(tested[0]) & set(drawn["reference-train"])

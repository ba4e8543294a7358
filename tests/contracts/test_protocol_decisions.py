"""`paper` against `corrected`: every decision that differs gives different numbers on a constructed item.

A test is registered under the field it proves. `test_every_differing_field_has_a_test` walks the
protocols of all tasks, so a new difference without a test fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from decision_cases import TASKS, Side, both, grid_plan, judged, matched, row, target
from PIL import Image as Pillow
from torch import Tensor

from midvision.core.features import EncoderInfo, FeatureSpec, Grid, LayerInfo
from midvision.core.items import DenseItem, Target, TripletItem
from midvision.core.specs import DataSpec, ProbeSpec, Protocol
from midvision.data.card import Request, open_data
from midvision.data.frames import choose_box, frame_image, whole
from midvision.encoders.encoder import normalise
from midvision.encoders.plan import make_plan
from midvision.probes.decoders.dpt import DPT
from midvision.probes.decoders.layers import Inputs
from midvision.probes.losses import gradient_term
from midvision.probes.probe import DenseProbe, build_probe
from midvision.probes.problem import DenseProblem
from midvision.probes.schedule import plan_phases
from midvision.probes.train import run_stream
from midvision.tasks import depth, normals, rules, triplets
from midvision.tasks.task import Setting

PROVED: dict[str, Callable[..., None]] = {}
SEG, DEPTH, OBJECTS = TASKS["synth-seg"], TASKS["synth-depth"], TASKS["synth-object-depth"]
NORMALS, OBJECT_PAIRS, SCENE_PAIRS = TASKS["synth-normals"], TASKS["synth-object-pairs"], TASKS["synth-scene-pairs"]
RANGE = {"depth_range": [0.001, 10.0]}


def decides(*fields: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    def register(test: Callable[..., None]) -> Callable[..., None]:
        PROVED.update(dict.fromkeys(fields, test))
        return test

    return register


def flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in settings.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def test_every_differing_field_has_a_test() -> None:
    differing = set()
    for task in TASKS.values():
        paper, corrected = (dict(flat(task.protocols[name].model_dump())) for name in ("paper", "corrected"))
        assert set(paper) == set(corrected)
        differing |= {field for field in paper if paper[field] != corrected[field]} - {"name"}
    assert differing == set(PROVED)


# Scoring


@decides("scoring.void")
def test_void_pixels() -> None:
    case = (row(1, 1, 0, 0), target(row(1, 0, 0, 0), [1, 0, 1, 1]))
    paper, corrected = (judged(SEG, protocol, [case])["iou"] for protocol in both(SEG, "scoring.void"))
    assert corrected == 1.0
    void_only = (row(0, 1, 0, 0), case[1])
    paper_void, corrected_void = (judged(SEG, p, [void_only])["iou"] for p in both(SEG, "scoring.void"))
    assert (paper, paper_void, corrected_void) == (1.0, 0.5, 0.0)


@decides("scoring.pool")
def test_pooling_of_masks() -> None:
    big = (row(1, 1, 1, 0, 0, 0, 0, 0), target(row(1, 1, 1, 1, 1, 1, 0, 0)))
    small = (row(1, 0, 0, 0, 0, 0, 0, 0), target(row(1, 0, 0, 0, 0, 0, 0, 0)))
    paper, corrected = (judged(SEG, protocol, [big, small]) for protocol in both(SEG, "scoring.pool"))
    assert corrected["iou"] == pytest.approx((0.5 + 1) / 2)
    assert paper["iou"] == pytest.approx(4 / 7)
    assert corrected["iou_pooled"] == paper["iou_pooled"] == pytest.approx(4 / 7)


def test_batches_weigh_the_same_in_paper_masks() -> None:
    right = (row(1, 0), target(row(1, 0)))
    half = (row(1, 1), target(row(1, 0)))
    found = judged(SEG, both(SEG, "scoring.pool")[0], [right] * 16 + [half] * 4)
    assert found["iou"] == pytest.approx((1.0 + 0.5) / 2)
    assert found["iou_pooled"] == pytest.approx(20 / 24)


@decides("scoring.f_beta2")
def test_beta_of_the_f_measure() -> None:
    case = (row(1, 0, 0, 0), target(row(1, 1, 1, 1)))
    mixed = (row(1, 0, 0, 0), target(row(1, 1, 1, 0)))
    paper, corrected = (judged(SEG, protocol, [case, mixed])["f_beta"] for protocol in both(SEG, "scoring.f_beta2"))
    expected = [np.mean([(1 + b) * r / (b + r) for r in (1 / 4, 1 / 3)]) for b in (0.09, 0.3)]
    assert (paper, corrected) == pytest.approx(tuple(expected))
    assert paper - corrected > 0.05


@decides("scoring.epsilon")
def test_an_image_without_foreground() -> None:
    cases = [(row(0, 0), target(row(0, 0))), (row(1, 0), target(row(1, 0)))]
    paper, corrected = (judged(SEG, protocol, cases)["iou"] for protocol in both(SEG, "scoring.epsilon"))
    assert corrected == 1.0
    assert paper == pytest.approx(0.5, abs=1e-5)


@decides("scoring.aligned_clip")
def test_clipping_after_alignment() -> None:
    truth, prediction = row(0.1, 5, 5, 5), row(0, 1, 1, 3)
    slope, offset = np.polyfit(prediction.flatten(), truth.flatten(), 1)
    moved = slope * prediction.flatten().numpy() + offset
    assert moved.max() > 5.5
    limits = {"depth_range": [0.001, 5.5]}
    found = [judged(DEPTH, p, [(prediction, target(truth))], limits) for p in both(DEPTH, "scoring.aligned_clip")]
    error = [np.sqrt(np.mean((m - truth.flatten().numpy()) ** 2)) for m in (moved, moved.clip(0.001, 5.5))]
    assert [row["rmse_aligned"] for row in found] == pytest.approx(error, rel=1e-5)
    assert found[0]["rmse_aligned"] - found[1]["rmse_aligned"] > 0.05
    assert found[0]["rmse"] == found[1]["rmse"]


@decides("scoring.empty_image")
def test_an_image_without_valid_pixels() -> None:
    cases = [(row(1, 2), target(row(1, 2))), (row(1, 2), target(row(1, 2), [0, 0]))]
    paper, corrected = (judged(DEPTH, p, cases, RANGE)["delta1"] for p in both(DEPTH, "scoring.empty_image"))
    assert (paper, corrected) == (0.5, 1.0)
    up = torch.tensor([0.0, 0.0, -1.0]).reshape(3, 1, 1).expand(3, 1, 2)
    empty = [(up, Target(up, torch.ones(1, 1, 2).bool())), (up, Target(up * 0, torch.zeros(1, 1, 2).bool()))]
    paper, corrected = (judged(NORMALS, p, empty)["recall_11deg"] for p in both(NORMALS, "scoring.empty_image"))
    assert (paper, corrected) == (0.5, 1.0)


@decides("scoring.target")
def test_relative_depth_of_objects() -> None:
    case = (row(0.50, 0.55, 0.60), target(row(0.50, 0.55, 0.60)))
    found = [judged(OBJECTS, p, [case], {"depth_range": [0.4, 0.7]}) for p in both(OBJECTS, "scoring.target")]
    assert found[1]["delta1"] == 1.0 and found[1]["rmse"] == 0.0
    assert found[0]["delta1"] == pytest.approx(1 / 3)
    assert found[0]["rmse"] == pytest.approx(math.sqrt((0.49**2 + 0.045**2 + 0.4**2) / 3), rel=1e-4)


def object_item() -> DenseItem:
    truth = target(row(0.5, 2.0).expand(1, 16, 2).contiguous())
    truth = Target(truth.values, torch.ones(1, 16, 2, dtype=torch.bool))
    return DenseItem("i", "g", "i", lambda: truth)


@decides("scoring.range_m")
def test_range_of_object_depth() -> None:
    limits, scores = [], []
    for protocol in both(OBJECTS, "scoring.range_m"):
        scoring = depth.DepthScoring.model_validate(protocol.scoring)
        trained = [object_item()]
        seen = depth.training_range_m(trained) if scoring.range_m == "train" else scoring.range_m
        limits.append(seen)
        case = (row(0.5, 0.5), target(row(0.5, 2.0)))
        scores.append(judged(OBJECTS, protocol, [case], {"depth_range": list(seen)})["delta1"])
    assert limits[0] == (0.001, 1.0)
    assert limits[1] == pytest.approx((0.475, 2.1))
    assert scores == [1.0, 0.5]


@decides("scoring.gradient_axes")
def test_axes_of_the_gradient_term(monkeypatch: pytest.MonkeyPatch) -> None:
    problems: list[DenseProblem] = []
    monkeypatch.setattr(
        "midvision.probes.dense.dense_learner", lambda problem, *rest: problems.append(problem) or _Idle()
    )
    for protocol in both(DEPTH, "scoring.gradient_axes"):
        depth.learner(Setting(protocol, grid_plan((16, 16)), None, 0, "cpu"), _one_item_dataset())
    steps = torch.tensor([0.0, 1.0, 5.0, 2.0]).reshape(4, 1, 1, 1).expand(4, 1, 12, 12)
    everywhere = torch.ones(4, 1, 12, 12, dtype=torch.bool)
    paper, corrected = (float(gradient_term(steps, everywhere, problem.gradient_axes)) for problem in problems)
    assert corrected == 0.0
    assert paper > 1.0


class _Idle:
    epochs = 1


def _one_item_dataset() -> Any:
    from decision_cases import dataset_of

    return dataset_of(DEPTH, [object_item()], ["i"], (16, 2))


@decides("scoring.pixels")
def test_which_normals_are_scored() -> None:
    up = torch.tensor([0.0, 0.0, -1.0]).reshape(3, 1, 1)
    truth = torch.cat([up, up, up * 0], dim=2)
    prediction = torch.cat([up, -up, up], dim=2)
    case = (prediction, Target(truth, torch.tensor([[[True, False, True]]])))
    paper, corrected = (judged(NORMALS, p, [case])["recall_11deg"] for p in both(NORMALS, "scoring.pixels"))
    assert (paper, corrected) == (0.5, 1.0)


@decides("scoring.tie")
def test_ties_between_two_images() -> None:
    item = TripletItem("t", "g", "r", "a", "b", right_share=1.0)
    found = [
        triplets.columns_of(item, (0.5, 0.5), triplets.ChoiceScoring.model_validate(p.scoring))["accuracy"]
        for p in both(TASKS["synth-triplets"], "scoring.tie")
    ]
    assert found == [1.0, 0.5]


# Matching. Frames of 16 x 16 pixels: 4 x 4 blocks; the block's corner is pixel 0, its centre pixel 2.

EYE4 = torch.eye(4, dtype=torch.float64)


def camera(focal: float = 16.0, cx: float = 8.0, cy: float = 8.0) -> Tensor:
    return torch.tensor([[focal, 0, cx], [0, focal, cy], [0, 0, 1]], dtype=torch.float64)


def distinct(cells: int = 4) -> Tensor:
    """A feature map whose cells are all different directions."""
    return torch.eye(cells * cells).reshape(cells * cells, cells, cells)


@decides("scoring.block_sample")
def test_which_pixel_stands_for_a_block() -> None:
    flat = torch.ones(1, 16, 16)
    stepped = flat.clone()
    stepped[:, ::4, ::4] = 1.5
    sides = (Side("a", flat, camera(), distinct(), EYE4), Side("b", stepped, camera(), distinct(), EYE4))
    found = [matched(OBJECT_PAIRS, p, [sides])["recall_2cm"] for p in both(OBJECT_PAIRS, "scoring.block_sample")]
    assert found == [0.0, 1.0]
    far = flat.clone()
    far[:, ::4, ::4] = 0.0
    gone = (Side("a", flat, camera(), distinct(), EYE4), Side("b", far, camera(), distinct(), EYE4))
    corrected = both(SCENE_PAIRS, "scoring.block_sample")[1]
    assert matched(SCENE_PAIRS, corrected, [gone])["recall_5px"] == 1.0


def one_pixel(row_: int, column: int) -> Tensor:
    depth_m = torch.zeros(1, 16, 16)
    depth_m[0, row_, column] = 1.0
    return depth_m


@decides("scoring.ray_at")
def test_where_a_depth_is_unprojected() -> None:
    # Camera b magnifies 12 times around pixel centre 2.5, which is where both sampled pixels lie.
    zoom = 12.0
    shift = 2.5 - zoom * 2.5
    K_b = torch.tensor([[zoom, 0, shift], [0, zoom, shift], [0, 0, 1]], dtype=torch.float64) @ camera()
    sides = (Side("a", one_pixel(2, 2), camera(), distinct(), EYE4), Side("b", one_pixel(2, 2), K_b, distinct(), EYE4))
    found = [matched(SCENE_PAIRS, p, [sides])["recall_5px"] for p in both(SCENE_PAIRS, "scoring.ray_at")]
    assert found == [0.0, 1.0]


@decides("scoring.features_at")
def test_where_features_are_read() -> None:
    # One cell per pixel: pixel 2 of a block carries its own code, pixel 1 in b that of a block 8 pixels on.
    a, b = torch.zeros(16, 16, 16), torch.zeros(16, 16, 16)
    codes = torch.eye(16).reshape(16, 4, 4)
    elsewhere = codes.roll(-2, dims=2)
    for y in (1, 2):
        for x in (1, 2):
            a[:, y::4, x::4] = codes
            b[:, y::4, x::4] = codes if (y, x) == (2, 2) else 3 * elsewhere
    flat = torch.ones(1, 16, 16)
    sides = (Side("a", flat, camera(), a, EYE4), Side("b", flat, camera(), b, EYE4))
    for task, name in ((SCENE_PAIRS, "recall_5px"), (OBJECT_PAIRS, "recall_2cm")):
        changed, corrected = both(task, "scoring.features_at")
        bilinear = [p.model_copy(update={"scoring": {**p.scoring, "lookup": "bilinear"}}) for p in (changed, corrected)]
        assert [matched(task, p, [sides])[name] for p in bilinear] == [0.0, 1.0]


@decides("scoring.pixel_unit")
def test_unit_of_pixel_thresholds() -> None:
    shift = torch.eye(3, dtype=torch.float64)
    shift[0, 2] = 8.0
    flat = torch.ones(1, 16, 16)
    sides = (Side("a", flat, camera(), distinct(), EYE4), Side("b", flat, camera(), distinct(), EYE4))
    paper, corrected = (matched(SCENE_PAIRS, p, [sides], planar=shift) for p in both(SCENE_PAIRS, "scoring.pixel_unit"))
    assert (paper["recall_5px"], corrected["recall_5px"]) == (1.0, 0.0)
    assert corrected["recall_5px_quarter"] == paper["recall_5px_quarter"] == 1.0
    assert corrected["recall_10px"] == 1.0


@decides("scoring.self_pairs")
def test_a_pair_of_an_image_with_itself() -> None:
    flat = torch.ones(1, 16, 16)
    own = Side("a", flat, camera(), distinct(), EYE4)
    moved = EYE4.clone()
    moved[0, 3] = 5.0
    far = Side("b", flat, camera(), distinct(), moved)
    for task, name in ((OBJECT_PAIRS, "recall_2cm"), (SCENE_PAIRS, "recall_10px")):
        found = [matched(task, p, [(own, own), (own, far)])[name] for p in both(task, "scoring.self_pairs")]
        assert found == [0.5, 0.0]


# Features


@decides("features.cell_centres")
def test_where_the_cells_of_a_strided_network_lie() -> None:
    # Cells of stride 8 centred half a pixel from the corner; view b is the mirror image of view a, so
    # believing in equal cells moves every match by twice the 3.5 px between the two centres.
    def turn(x: Tensor) -> Tensor:
        angle = (x / 32 * math.pi).expand(4, 4)
        return torch.stack([angle.cos(), angle.sin()])

    grid = Grid((4, 4), (8.0, 8.0), (0.5, 0.5), (32.0, 32.0))
    centres = torch.arange(4.0) * 8 + 0.5
    middle = torch.zeros(1, 32, 32)
    middle[:, 14, 10:26] = 1.0
    mirror = torch.tensor([[-1.0, 0, 32], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
    sides = (
        Side("a", middle, camera(), turn(centres), EYE4),
        Side("b", middle, camera(), turn(32 - centres), EYE4),
    )
    found = [
        matched(SCENE_PAIRS, protocol, [sides], grid=grid, planar=mirror)["recall_5px"]
        for protocol in both(SCENE_PAIRS, "features.cell_centres")
    ]
    assert found == [0.25, 1.0]


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


# Images


@decides("images.crop")
def test_the_middle_square() -> None:
    columns = torch.arange(64).repeat(48, 1).numpy()
    boxes = [choose_box(p.images, (48, 64), None, "x") for p in both(DEPTH, "images.crop")]
    assert [columns[:, box.left : box.left + box.width].min() for box in boxes] == [8, 0]
    assert [box.width for box in boxes] == [48, 64]


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


def test_scoring_dictionaries_are_what_their_settings_classes_say() -> None:
    classes = {"segmentation": SEG, "depth": DEPTH, "normals": NORMALS}
    from midvision.tasks import segmentation

    for name, kind in (
        ("segmentation", segmentation.MaskScoring),
        ("depth", depth.DepthScoring),
        ("normals", normals.NormalScoring),
    ):
        for protocol in classes[name].protocols.values():
            assert kind.model_validate(protocol.scoring).model_dump(mode="json") == protocol.scoring
            with pytest.raises(ValueError):
                kind.model_validate({**protocol.scoring, "unknown": 1})

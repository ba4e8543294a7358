"""Costs: operations against formulas per layer, parameters against timm, memory and time by construction."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
import timm
import torch
from torch import Tensor, nn

import midvision as mv
from midvision.core.features import Features
from midvision.encoders import cost
from midvision.encoders.cost import Count, Stopwatch, Timed, count, measure, structure_key, whole_plan
from midvision.zoo.load import load_model

MIB = 2**20


def resnet_products(blocks: tuple[int, ...], size: int) -> int:
    """Multiplications of a bottleneck ResNet without classifier, one line per convolution as the paper draws them."""

    def convolution(side: int, kernel: int, inside: int, outside: int) -> int:
        return side * side * kernel * kernel * inside * outside

    side = size // 2
    total = convolution(side, 7, 3, 64)
    side, channels = side // 2, 64
    for stage, number in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(number):
            before, side = side, side // (2 if block == 0 and stage else 1)
            total += convolution(before, 1, channels, width)
            total += convolution(side, 3, width, width)
            total += convolution(side, 1, width, 4 * width)
            if block == 0:
                total += convolution(side, 1, channels, 4 * width)
            channels = 4 * width
    return total


def vit_products(width: int, depth: int, patch: int, size: tuple[int, int]) -> int:
    """Multiplications of a transformer on patches and a class token."""
    patches = (size[0] // patch) * (size[1] // patch)
    tokens = patches + 1
    attention = tokens * width * 3 * width + 2 * tokens * tokens * width + tokens * width * width
    block = attention + 2 * tokens * width * 4 * width
    return patches * 3 * patch * patch * width + depth * block


@pytest.fixture(scope="module")
def resnet() -> mv.Encoder:
    return load_model("random/resnet50")


@pytest.fixture(scope="module")
def vit() -> mv.Encoder:
    return load_model("random/vit_tiny_patch16_224")


def test_resnet50_at_224(resnet: mv.Encoder) -> None:
    found = count(resnet, (224, 224))
    products = resnet_products((3, 4, 6, 3), 224)
    assert found.gflops == 2 * products / 1e9
    # The published figure, 4.09 G multiply-adds, is with the classifier.
    assert round((products + 2048 * 1000) / 1e9, 2) == 4.09
    assert found.parameters == 25_557_032 - (2048 * 1000 + 1000)
    assert (found.tokens, found.prefix_tokens, found.size) == (49, 0, (224, 224))


@pytest.mark.parametrize("size", [(224, 224), (448, 224)])
def test_a_transformer_at_two_sizes(vit: mv.Encoder, size: tuple[int, int]) -> None:
    found = count(vit, size)
    assert found.gflops == 2 * vit_products(192, 12, 16, size) / 1e9
    assert (found.tokens, found.prefix_tokens) == (size[0] * size[1] // 256, 1)


@pytest.mark.parametrize("arch", ["resnet18", "vit_tiny_patch16_224", "convnext_atto"])
def test_parameters_are_those_of_timm(arch: str) -> None:
    network = timm.create_model(arch, num_classes=0)
    weights = [*network.parameters(), *network.buffers()]
    found = count(load_model(f"random/{arch}"), (64, 64) if "vit" not in arch else (224, 224))
    assert found.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert found.weights_mib == sum(tensor.nbytes for tensor in weights) / MIB


def test_counting_changes_no_feature_and_no_random_state(vit: mv.Encoder) -> None:
    plan = whole_plan(vit.info, (224, 224))
    images = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    before, state = vit(images, plan), torch.get_rng_state()
    count(vit, (224, 224))
    measure(vit, (224, 224), 1, least_s=0.0001)
    after = vit(images, plan)
    assert torch.equal(state, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip((*before.maps, before.pooled), (*after.maps, after.pooled)))


def test_a_control_is_no_network() -> None:
    found = count(load_model("control/pixels"), (224, 224))
    assert found == Count((224, 224), 0, None, 196, 0, 0.0, None)


def test_a_foreign_encoder_is_shown_no_image() -> None:
    class Foreign:
        key = "foreign"
        info = load_model("control/pixels").info

        def encode(self, *_: object) -> None:
            raise AssertionError("it may know the images of its data set only")

    assert count(Foreign(), (224, 224)).gflops is None  # type: ignore[arg-type]


class Chain(nn.Module):
    """Holds its input's copy, then frees it: 1 MiB, 3 MiB, then 2 MiB at once."""

    def forward(self, pixels: Tensor) -> Tensor:
        first = torch.zeros(MIB // 4)
        second = torch.ones(2 * MIB // 4)
        del first
        return pixels[:, :, ::16, ::16].contiguous() + second[0]


def test_peak_memory_is_what_is_alive_at_once() -> None:
    gc.collect()
    with cost._PeakMemory(torch.device("cpu")) as memory:
        first = torch.zeros(1000)
        second = first + 1.0
        view = second[:10]
        del first, second
        third = view.new_zeros(500)
        assert third.sum() == 0
    assert memory.most == 8000
    encoder = mv.wrap(Chain(), pixel_mean=(0, 0, 0), pixel_std=(1, 1, 1), size_multiple=16)
    found = count(encoder, (64, 64))
    image = 3 * 64 * 64 * 4 / MIB
    assert found.peak_mib == pytest.approx(3.0, abs=4 * image)
    assert found.gflops is None


def test_memory_grows_with_the_image(resnet: mv.Encoder) -> None:
    small, large = (count(resnet, (size, size)) for size in (64, 128))
    assert small.peak_mib is not None and large.peak_mib is not None
    weights = small.weights_mib
    assert (large.peak_mib - weights) == pytest.approx(4 * (small.peak_mib - weights), rel=0.02)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Seconds that each look at the clock adds."""
    ticks = [0.0]

    def now() -> float:
        ticks[0] += 0.5
        return ticks[0]

    monkeypatch.setattr(cost.time, "perf_counter", now)
    yield ticks


def test_the_first_batch_does_not_count(vit: mv.Encoder, clock: list[float]) -> None:
    watch = Stopwatch()
    timed = Timed(vit, watch).for_dataset(None)  # type: ignore[arg-type]
    plan = whole_plan(vit.info, (224, 224))
    assert timed.key == vit.key and timed.name == vit.name
    for number in (3, 3, 1):
        images = torch.zeros(number, 3, 224, 224)
        told = watch.speed()
        timed.encode([str(row) for row in range(number)], images, plan)
    assert told is not None and (told.images, told.images_per_s) == (3, 6.0)
    found = watch.speed()
    assert found is not None
    assert (found.images, found.batch_size, found.images_per_s) == (4, 3, 4.0)


def test_speed_is_measured_for_as_long_as_asked(vit: mv.Encoder, clock: list[float]) -> None:
    found = measure(vit, (224, 224), 2, least_s=1.2)
    assert (found.images, found.batch_size, found.images_per_s) == (6, 2, 4.0)


def test_one_architecture_has_one_cost(vit: mv.Encoder) -> None:
    twin = load_model("random/vit_tiny_patch16_224")
    with torch.no_grad():
        next(twin.backbone.parameters()).add_(1.0)
    assert structure_key(twin) == structure_key(vit)
    assert structure_key(vit.at_precision("bf16")) != structure_key(vit)
    assert structure_key(load_model("random/vit_small_patch16_224")) != structure_key(vit)
    own, other = (mv.wrap(nn.Conv2d(3, 4, 16, 16)) for _ in range(2))
    assert structure_key(own) == own.key != structure_key(other)


class Event:
    """Stands for an accelerator's: no accelerator was there when this was written."""

    waits = 0

    def record(self, stream: object) -> None:
        self.stream = stream

    def synchronize(self) -> None:
        Event.waits += 1

    def elapsed_time(self, other: Event) -> float:
        return 250.0


def test_an_accelerator_is_waited_for_once_at_the_end(vit: mv.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "_event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: f"stream of {device}")
    watch, nothing = Stopwatch(), Features((), None)
    for _ in range(3):
        watch.time(lambda: nothing, 4, torch.device("cuda", 1))
    assert Event.waits == 0
    speed = watch.speed()
    assert speed is not None and (speed.images, speed.images_per_s, Event.waits) == (8, 16.0, 2)
    assert watch.speed() == speed and Event.waits == 2


def test_an_accelerator_s_allocator_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def answer(name: str, value: int = 0) -> None:
        monkeypatch.setattr(torch.cuda, name, lambda device: asked.append(name) or value)

    answer("synchronize")
    answer("reset_peak_memory_stats")
    answer("memory_allocated", 1000)
    answer("max_memory_allocated", 5000)
    with cost._PeakMemory(torch.device("cuda", 0)) as memory:
        assert asked == ["synchronize", "reset_peak_memory_stats", "memory_allocated"]
    assert memory.most == 4000

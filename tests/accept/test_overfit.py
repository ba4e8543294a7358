"""Trained heads can fit what they are shown: each dense task, for a transformer and a residual network.

Three small scenes (a sphere before a tilted wall, made here from closed formulas), features of
seeded random networks, a constant rate. The long version is an acceptance proof; a short one with
fewer images, steps and channels runs in the suite.
"""

from __future__ import annotations

from functools import cache

import pytest
import timm
import torch
from torch import Tensor

from midvision.core.features import FeaturePlan, Features, Grid, PlannedLayer
from midvision.core.items import DenseItem, Target
from midvision.core.specs import ProbeSpec, Protocol
from midvision.probes.dense import dense_learner
from midvision.probes.problem import DenseProblem
from midvision.probes.train import run_stream

SIDE = 112
CORRECTED = Protocol(name="corrected", version=1)
NETWORKS = {"vit": "vit_small_patch16_224", "resnet": "resnet50"}
KINDS = ("depth", "normals", "mask")
RATES = {"dpt": 1e-3, "multiscale": 3e-3}
HIDDEN = {"dpt": 64, "multiscale": 128}
STEPS = {("vit", "dpt"): 250, ("resnet", "dpt"): 250, ("vit", "multiscale"): 400, ("resnet", "multiscale"): 1400}


@cache
def scene(number: int) -> dict[str, Tensor]:
    """Image and truth of a textured sphere before a tilted wall; camera looks along +z, focal length = side."""
    generator = torch.Generator().manual_seed(number)
    y, x = torch.meshgrid(torch.arange(SIDE) + 0.5, torch.arange(SIDE) + 0.5, indexing="ij")
    rays = torch.stack(((x - SIDE / 2) / SIDE, (y - SIDE / 2) / SIDE, torch.ones_like(x)))
    tilt = torch.randn(3, generator=generator) * 0.25 + torch.tensor([0.0, 0.0, -1.0])
    wall = torch.nn.functional.normalize(tilt, dim=0)
    depth_wall = (4.0 * wall[2]) / (wall[:, None, None] * rays).sum(0)
    centre = torch.tensor([0.0, 0.0, 2.5]) + 0.3 * torch.randn(3, generator=generator)
    radius = 0.6
    length = rays.square().sum(0)
    along = (rays * centre[:, None, None]).sum(0)
    inside = along.square() - length * (centre.square().sum() - radius**2)
    mask = inside > 0
    depth = torch.where(mask, (along - inside.clamp_min(0).sqrt()) / length, depth_wall)
    ball = (rays * depth - centre[:, None, None]) / radius
    normals = torch.where(mask, torch.nn.functional.normalize(ball, dim=0), wall[:, None, None].expand(3, SIDE, SIDE))
    light = torch.nn.functional.normalize(torch.tensor([0.5, -0.6, -0.6]), dim=0)
    shade = 0.35 + 0.65 * (normals * light[:, None, None]).sum(0).clamp_min(0)
    tint = torch.rand((3, 2), generator=generator) * 0.6 + 0.3
    colour = torch.where(mask, tint[:, :1, None], tint[:, 1:, None])
    image = (colour * shade + 0.08 * torch.randn((3, SIDE, SIDE), generator=generator)).clamp(0, 1)
    return {"image": image, "depth": depth[None], "normals": normals, "mask": mask[None].float()}


@cache
def features(network: str, count: int) -> tuple[FeaturePlan, Features]:
    """The plan and the maps of `count` scenes, from a network with seeded random weights."""
    vit = network == "vit"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        options = {"img_size": SIDE} if vit else {}
        model = timm.create_model(NETWORKS[network], pretrained=False, **options).eval()
    images = torch.stack([scene(number)["image"] for number in range(count)])
    wanted = [2, 5, 8, 11] if vit else [1, 2, 3, 4]
    with torch.no_grad():
        maps = model.forward_intermediates((images - 0.45) / 0.225, indices=wanted, intermediates_only=True)
    layers = []
    for index, each in zip(wanted, maps, strict=True):
        size, extent = (int(each.shape[-2]), int(each.shape[-1])), (float(SIDE), float(SIDE))
        stride = float(4 * 2 ** (index - 1))
        grid = Grid.uniform(size, extent) if vit else Grid(size, (stride, stride), (0.5, 0.5), extent)
        layers.append(PlannedLayer(index, int(each.shape[1]), grid))
    stats = (0.45,) * 3, (0.225,) * 3
    plan = FeaturePlan(tuple(layers), True, "none", 0, (SIDE, SIDE), (0, 0, 0, 0), *stats, False, "float32")
    return plan, Features(tuple(maps), None)


class Served:
    """The scenes' features as a stream."""

    def __init__(self, plan: FeaturePlan, held: Features) -> None:
        self.plan, self.held = plan, held

    def stream(self, ids):  # type: ignore[no-untyped-def]
        names = list(ids)
        yield names, self.held.select([int(name) for name in names])


def recall(kind: str, predicted: Tensor, truth: Tensor) -> float:
    """delta1, recall at 11.25 degrees, or foreground IoU of one image; every pixel counts."""
    if kind == "depth":
        return float((torch.maximum(predicted / truth, truth / predicted) < 1.25).double().mean())
    if kind == "normals":
        cosine = (predicted * truth).sum(0).clamp(-1, 1)
        return float((torch.rad2deg(torch.arccos(cosine)) < 11.25).double().mean())
    found, wanted = predicted >= 0.5, truth > 0.5
    return float((found & wanted).sum() / (found | wanted).sum())


def fitted(network: str, head: str, kind: str, count: int, steps: int, hidden: int) -> list[float]:
    """Score of every training image after `steps` at a constant rate."""
    plan, held = features(network, count)
    valid = torch.ones((1, SIDE, SIDE), dtype=torch.bool)
    items = [
        DenseItem(str(n), str(n), str(n), lambda n=n: Target(scene(n)[kind], valid))  # type: ignore[misc]
        for n in range(count)
    ]
    rate = RATES[head] * (2 if hidden < 32 else 1)
    spec = ProbeSpec(name=head, hidden=hidden, steps=steps, constant_rate=rate)
    learner = dense_learner(DenseProblem(kind), CORRECTED, spec, plan, items, lambda p, t: 0.0, 0, "cpu")
    run_stream(Served(plan, held), [learner], shuffle=True)
    predicted = learner.readout.predict(held, (SIDE, SIDE))
    return [recall(kind, predicted[n], scene(n)[kind]) for n in range(count)]


@pytest.mark.accept
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("head", ["dpt", "multiscale"])
@pytest.mark.parametrize("network", ["vit", "resnet"])
def test_three_images_are_fitted(network: str, head: str, kind: str) -> None:
    scores = fitted(network, head, kind, count=3, steps=STEPS[network, head], hidden=HIDDEN[head])
    print(f"{network} {head} {kind}: {[round(score, 4) for score in scores]}")
    assert min(scores) > 0.95


@pytest.mark.slow
@pytest.mark.parametrize(
    ("network", "head", "kind", "steps", "hidden"),
    [
        ("vit", "dpt", "normals", 150, 16),
        ("resnet", "dpt", "mask", 150, 16),
        ("vit", "multiscale", "mask", 150, 64),
        ("resnet", "multiscale", "depth", 200, 64),
    ],
)
def test_two_images_are_nearly_fitted(network: str, head: str, kind: str, steps: int, hidden: int) -> None:
    assert min(fitted(network, head, kind, count=2, steps=steps, hidden=hidden)) > 0.9

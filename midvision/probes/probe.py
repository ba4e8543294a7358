"""A probe: decoder plus task top, from raw feature maps to a prediction at any size."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from midvision.core.errors import UsageError
from midvision.core.features import FeaturePlan
from midvision.core.specs import ProbeSpec, Protocol
from midvision.geometry.lookup import upsample
from midvision.probes.decoders.dpt import DPT
from midvision.probes.decoders.layers import Inputs
from midvision.probes.decoders.linear import Linear
from midvision.probes.decoders.multiscale import Multiscale
from midvision.probes.links import build_link
from midvision.probes.losses import angular_loss, depth_loss, mask_loss
from midvision.probes.problem import DenseProblem


class DenseProbe(nn.Module):
    """Maps -> `[B, K or 4, H, W]` at the size asked for; training sees the concentration channel too."""

    def __init__(self, problem: DenseProblem, decoder: nn.Module, link: nn.Module) -> None:
        super().__init__()
        self.problem, self.decoder, self.link = problem, decoder, link

    def forward(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        return upsample(self.decoder(maps, self.link), size, self.problem.prediction_resample)

    def loss(self, maps: Sequence[Tensor], truth: Tensor, mask: Tensor) -> Tensor:
        """The problem's training loss; `truth [B, K, H, W]`, `mask [B, 1, H, W]` bool."""
        predicted = self(maps, (int(truth.shape[-2]), int(truth.shape[-1])))
        if self.problem.kind == "depth":
            return depth_loss(predicted, truth, mask, self.problem.gradient_axes)
        if self.problem.kind == "normals":
            return angular_loss(predicted, truth, mask)
        return mask_loss(predicted, truth, mask)

    def predict(self, maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
        """What a scorer sees: metres, unit normals, or probabilities, `[B, K, H, W]`."""
        with torch.no_grad():
            return finished(self.problem, self(maps, size))


def finished(problem: DenseProblem, predicted: Tensor) -> Tensor:
    """Resized outputs made legal: unit normals without concentration, probabilities within 0 and 1."""
    if problem.kind == "normals":
        return functional.normalize(predicted[:, :3], dim=1, eps=1e-6)
    return predicted.clamp(0, 1) if problem.kind == "mask" else predicted


def build_probe(
    problem: DenseProblem, protocol: Protocol, spec: ProbeSpec, plan: FeaturePlan, generator: torch.Generator
) -> DenseProbe:
    """The probe that `spec` names, initialised from `generator` alone."""
    head, inputs = protocol.head, Inputs.of(plan, protocol.features.cell_centres)
    outputs = problem.raw_channels
    if spec.name == "linear":
        decoder: nn.Module = Linear(inputs, outputs, head.linear_kernel, generator)
    elif spec.name == "multiscale":
        if not Multiscale.fits(inputs, head.linear_kernel):
            raise UsageError(
                f"The last map of {inputs.grids[-1].size} cells is too small for this protocol's multiscale probe.",
                "Its 3x3 convolutions have no padding and need at least 6 cells.",
                "Take a larger --image-size, another probe, or the corrected protocol.",
            )
        decoder = Multiscale(inputs, outputs, spec.hidden, head.linear_kernel, head.upsampling, generator)
    elif spec.name == "dpt":
        decoder = DPT(inputs, outputs, spec.hidden, head, generator)
    else:
        raise ValueError(f"{spec.name} is not a trained probe")
    return DenseProbe(problem, decoder, build_link(problem, head))

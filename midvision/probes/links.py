"""Task tops: raw decoder channels -> metric depth, normals, mask probability."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from midvision.core.specs import HeadRules
from midvision.probes.problem import DenseProblem


class BinDepth(nn.Module):
    """Depth as the mean of evenly spaced centres, both limits included, weighted by `relu(x) + 0.1`.

    `[B, bins, H, W]` -> `[B, 1, H, W]` metres.
    """

    centres_m: Tensor

    def __init__(self, bins: int, range_m: tuple[float, float]) -> None:
        super().__init__()
        self.register_buffer("centres_m", torch.linspace(range_m[0], range_m[1], bins))

    def forward(self, x: Tensor) -> Tensor:
        positive = functional.relu(x)
        weighted = torch.einsum("bkhw,k->bhw", positive, self.centres_m) + 0.1 * self.centres_m.sum()
        return (weighted / (positive.sum(1) + 0.1 * self.centres_m.numel()))[:, None]


class SigmoidDepth(nn.Module):
    """`min + sigmoid(x) (max - min)`, metres."""

    def __init__(self, range_m: tuple[float, float]) -> None:
        super().__init__()
        self.low_m, self.high_m = range_m

    def forward(self, x: Tensor) -> Tensor:
        return self.low_m + torch.sigmoid(x) * (self.high_m - self.low_m)


class Normals(nn.Module):
    """Raw direction (and raw concentration); the length is settled after resizing."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class MaskProbability(nn.Module):
    """Batch normalisation of the logit, then a sigmoid.

    `at_test="batch"` keeps using the batch's own statistics at test time, as the reference does.
    """

    def __init__(self, at_test: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.at_test = at_test

    def forward(self, x: Tensor) -> Tensor:
        if self.training or self.at_test == "running":
            return torch.sigmoid(self.norm(x))
        return torch.sigmoid(
            functional.batch_norm(x, None, None, self.norm.weight, self.norm.bias, training=True, eps=self.norm.eps)
        )


def build_link(problem: DenseProblem, head: HeadRules) -> nn.Module:
    """The top that `problem` asks for."""
    if problem.kind == "normals":
        return Normals()
    if problem.kind == "mask":
        return MaskProbability(head.batchnorm_at_test)
    if problem.depth_top == "bins":
        return BinDepth(problem.bins, problem.depth_range_m)
    return SigmoidDepth(problem.depth_range_m)

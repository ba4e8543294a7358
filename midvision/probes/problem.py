"""What a dense probe must learn: the task's side of the agreement between tasks and probes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DenseKind = Literal["depth", "normals", "mask"]
LossMask = Literal["valid", "all", "interior"]


@dataclass(frozen=True, slots=True)
class DenseProblem:
    """Kind of truth and every decision about outputs and loss that a task's protocol takes.

    `depth_range_m`: limits of the depth top; truth beyond the upper limit is left out of the loss.
    `bins`: outputs of the `bins` depth top. `uncertainty`: a fourth normals channel for the
    concentration. `gradient_axes`: `batch` repeats the reference's axis mistake in the depth
    loss. `prediction_resample`: how predictions reach the size of the truth. `loss_mask`: `valid`
    pixels, `all` pixels, or valid pixels away from edges (`interior`).
    """

    kind: DenseKind
    depth_range_m: tuple[float, float] = (0.001, 10.0)
    depth_top: Literal["bins", "sigmoid"] = "bins"
    bins: int = 256
    uncertainty: bool = True
    gradient_axes: Literal["spatial", "batch"] = "spatial"
    prediction_resample: Literal["bilinear", "bicubic"] = "bilinear"
    loss_mask: LossMask = "valid"

    @property
    def channels(self) -> int:
        """Channels K of the truth and of a prediction: 3 for normals, else 1."""
        return 3 if self.kind == "normals" else 1

    @property
    def raw_channels(self) -> int:
        """Outputs of the decoder, before the task top."""
        if self.kind == "depth":
            return self.bins if self.depth_top == "bins" else 1
        if self.kind == "normals":
            return 4 if self.uncertainty else 3
        return 1

"""Encoders that know nothing of scenes: raw pixels, a classical descriptor, position, colour, noise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from midvision.core.errors import EncoderError, UsageError, nearest
from midvision.core.features import EncoderInfo, FeaturePlan, Features, LayerInfo
from midvision.core.items import Dataset
from midvision.core.seeds import numpy_generator
from midvision.core.settings import stable_hash

STRIDE = 16
_COLOUR_BINS = 8
_NOISE_CHANNELS = 256

Maps = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Control:
    """One control: what it is, its map's channels and first centre, and its functions.

    `maps` turns `[B, 3, H, W]` in [0, 1] into `[B, C, H/16, W/16]`; `pooled` into `[B, P]`, or is
    None where the mean over cells is meant. `version` rises when numbers change.
    """

    title: str
    channels: int
    first_centre_px: float
    pooled_channels: int
    maps: Maps
    pooled: Maps | None = None
    version: int = 1


class ControlEncoder:
    """A control as an encoder: no weights, one layer of stride 16, plain [0, 1] pixels."""

    def __init__(self, name: str) -> None:
        if name not in CONTROLS:
            raise UsageError(f"There is no control {name!r}.", nearest(name, CONTROLS), "See: midvision list models")
        self._control = CONTROLS[name]
        self.name = f"control/{name}"
        self.key = control_key(name)
        self.info = EncoderInfo(
            layers=(LayerInfo(self._control.channels, STRIDE, self._control.first_centre_px),),
            kind="transformer",
            stem_layers=0,
            pooled_channels=self._control.pooled_channels,
            has_class_token=False,
            register_tokens=0,
            pixel_mean=(0.0, 0.0, 0.0),
            pixel_std=(1.0, 1.0, 1.0),
            size_multiple=STRIDE,
            parameters=0,
        )

    def __repr__(self) -> str:
        return f"ControlEncoder({self.name!r})"

    def __call__(self, images: Tensor, plan: FeaturePlan) -> Features:
        return self.encode([f"number {row}" for row in range(len(images))], images, plan)

    def for_dataset(self, dataset: Dataset) -> ControlEncoder:
        return self

    def to(self, device: str | torch.device) -> ControlEncoder:
        """Controls compute where the images are."""
        return self

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        """See `Encoder.encode`. Padding repeats the wrapper's rule: zeros around the image."""
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, *plan.input_size) or len(ids) != len(images):
            raise EncoderError(
                f"{self.name} was given images of shape {tuple(images.shape)} for {len(ids)} ids.",
                f"The plan expects [{len(ids)}, 3, {plan.input_size[0]}, {plan.input_size[1]}].",
            )
        top, left, bottom, right = plan.padding
        with torch.no_grad():
            pixels = F.pad(images.to(torch.float32), (left, right, top, bottom))
            maps = self._control.maps(pixels)
            return Features((maps,) * len(plan.layers) if plan.maps else (), self._pooled(images, maps, plan))

    def _pooled(self, images: Tensor, maps: Tensor, plan: FeaturePlan) -> Tensor | None:
        if plan.pooled == "none":
            return None
        if plan.pooled == "mean" or self._control.pooled is None:
            return maps.mean(dim=(2, 3))
        return self._control.pooled(images)


def control_key(name: str) -> str:
    """Names the function computed by a control."""
    return stable_hash("control", name, str(CONTROLS[name].version))


def _pixel_maps(images: Tensor) -> Tensor:
    """Every cell's own 16 x 16 RGB pixels, centred on grey, as 768 channels."""
    return F.pixel_unshuffle(images - 0.5, STRIDE)


def _position_maps(images: Tensor) -> Tensor:
    """(x, y, 1) of each cell's centre, x and y from -1 to 1 over the image.

    The constant makes directions differ between places on one ray, so cosine finds equal places.
    """
    height, width = images.shape[2] // STRIDE, images.shape[3] // STRIDE
    y = (torch.arange(height, device=images.device) + 0.5) / height * 2 - 1
    x = (torch.arange(width, device=images.device) + 0.5) / width * 2 - 1
    maps = torch.stack(
        [x.expand(height, width), y[:, None].expand(height, width), torch.ones_like(x.expand(height, width))]
    )
    return maps.expand(len(images), -1, -1, -1).contiguous()


def _colour_maps(images: Tensor) -> Tensor:
    """Mean RGB of each cell."""
    return F.avg_pool2d(images, STRIDE)


def _colour_histogram(images: Tensor) -> Tensor:
    """Square roots of joint RGB histogram shares (so that cosine is the Bhattacharyya measure)."""
    level = (images.clamp(0, 1) * _COLOUR_BINS).long().clamp_max(_COLOUR_BINS - 1)
    place = ((level[:, 0] * _COLOUR_BINS + level[:, 1]) * _COLOUR_BINS + level[:, 2]).flatten(1)
    counts = torch.zeros(len(images), _COLOUR_BINS**3, device=images.device)
    counts.scatter_add_(1, place, torch.ones_like(place, dtype=counts.dtype))
    return (counts / place.shape[1]).sqrt()


def _descriptor_maps(images: Tensor) -> Tensor:
    from midvision.encoders.controls_classical import classical_maps

    return classical_maps(images)


def _noise_maps(images: Tensor) -> Tensor:
    """Gaussian features drawn from each image's own pixels: the same picture always gets the same noise."""
    shape = (_NOISE_CHANNELS, images.shape[2] // STRIDE, images.shape[3] // STRIDE)
    return _noise(images, "maps", shape)


def _noise_pooled(images: Tensor) -> Tensor:
    return _noise(images, "pooled", (_NOISE_CHANNELS,))


def _noise(images: Tensor, purpose: str, shape: tuple[int, ...]) -> Tensor:
    # Eight-bit pixels: the last bit of a float may differ between devices.
    levels = (images.clamp(0, 1) * 255).round().to(torch.uint8).cpu()
    drawn = []
    for picture in levels:
        digest = hashlib.sha256(picture.contiguous().numpy().tobytes()).hexdigest()
        values = numpy_generator("control/noise", purpose, digest).standard_normal(shape, dtype=np.float32)
        drawn.append(torch.from_numpy(values))
    return torch.stack(drawn).to(images.device)


CONTROLS: dict[str, Control] = {
    "pixels": Control("raw pixels of each 16 x 16 patch", 768, 8.0, 768, _pixel_maps),
    "descriptor": Control(
        "classical dense descriptor (gradients, colour, figure and ground)", 186, 8.0, 186, _descriptor_maps, version=2
    ),
    "position": Control("image coordinates only", 3, 8.0, 3, _position_maps),
    "colour": Control("mean colour only", 3, 8.0, _COLOUR_BINS**3, _colour_maps, _colour_histogram),
    "noise": Control(
        "Gaussian noise tied to the image", _NOISE_CHANNELS, 8.0, _NOISE_CHANNELS, _noise_maps, _noise_pooled
    ),
}

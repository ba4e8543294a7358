"""The frozen wrapper around every network: normalise, run, check. The only place that freezes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from midvision.core.errors import EncoderError, UsageError
from midvision.core.features import EncoderInfo, FeaturePlan, Features
from midvision.core.settings import stable_hash

if TYPE_CHECKING:
    from midvision.core.items import Dataset

Precision = Literal["fp32", "bf16", "fp16"]
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a backbone read: `maps` `[B, C, h, w]` as asked, and its own global vector `[B, C]` if it has one."""

    maps: tuple[Tensor, ...]
    pooled: Tensor | None


class Backbone(Protocol):
    """A network that can be read at its layers. Also an `nn.Module`; `Encoder` freezes it.

    `read` gets normalised, padded pixels `[B, 3, H, W]`. Maps are raw layer outputs before any final
    norm, unless `final_norm`; `pooled` is the class token after the deepest of `layers`, or None where
    the mean over cells is the network's own way.
    """

    info: EncoderInfo

    def read(self, pixels: Tensor, layers: Sequence[int], final_norm: bool) -> Reading: ...


class Encoder:
    """A frozen network that turns images into features and nothing else.

    Always in evaluation mode, without gradients. `key` names the function computed. Pooled features
    are those of the network's last layer, whichever maps are planned: the class token where there is
    one (`native`), else the mean over cells. `origin` says where the weights come from, for the record.
    """

    def __init__(
        self,
        backbone: Backbone,
        key: str,
        name: str,
        precision: Precision = "fp32",
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        if not isinstance(backbone, nn.Module):
            raise UsageError(f"{name} is no torch module.", "A backbone must be an nn.Module with info and read().")
        self.backbone = backbone
        self.info = backbone.info
        self.name = name
        self.precision: Precision = precision
        self.origin = dict(origin or {})
        self._base_key = key
        self.key = key if precision == "fp32" else stable_hash(key, precision)
        backbone.eval()
        backbone.requires_grad_(False)

    def __call__(self, images: Tensor, plan: FeaturePlan) -> Features:
        """Features of `images [B, 3, H, W]` in [0, 1], already of `plan.input_size`."""
        return self.encode([f"number {row}" for row in range(len(images))], images, plan)

    def __repr__(self) -> str:
        return f"Encoder({self.name!r}, {len(self.info.layers)} layers, key={self.key})"

    @property
    def device(self) -> torch.device:
        for tensor in (*self._module.parameters(), *self._module.buffers()):
            return tensor.device
        return torch.device("cpu")

    @property
    def _module(self) -> nn.Module:
        assert isinstance(self.backbone, nn.Module)
        return self.backbone

    def to(self, device: str | torch.device) -> Encoder:
        """This encoder, its weights moved."""
        self._module.to(device)
        return self

    def at_precision(self, precision: Precision) -> Encoder:
        """The same network under automatic mixed precision; another function, so another key."""
        return Encoder(self.backbone, self._base_key, self.name, precision, self.origin)

    def train(self, mode: bool = True) -> Encoder:
        """Encoders are frozen: asking for training mode is an error."""
        if mode:
            raise UsageError(
                f"Encoder {self.name} is frozen.", "It stays in evaluation mode.", "Train a copy of the network."
            )
        return self

    def eval(self) -> Encoder:
        return self

    def for_dataset(self, dataset: Dataset) -> Encoder:
        """A network looks at nothing but pixels, so it is the same for every data set."""
        return self

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        """Features of `images [B, 3, H, W]`; `ids` only name the images in errors."""
        self._check_images(ids, images, plan)
        wanted = [layer.index for layer in plan.layers] if plan.maps else []
        last = len(self.info.layers) - 1 if plan.pooled_layer is None else plan.pooled_layer
        extra = [] if plan.pooled == "none" or last in wanted else [last]
        with self._frozen(), torch.no_grad(), self._autocast():
            pixels = normalise(images.to(self.device, torch.float32), plan)
            reading = self.backbone.read(pixels, [*wanted, *extra], plan.final_norm)
        if len(reading.maps) != len(wanted) + len(extra):
            raise EncoderError(
                f"{self.name} gave {len(reading.maps)} maps.", f"{len(wanted) + len(extra)} were asked for."
            )
        maps = tuple(m.float() for m in reading.maps)
        for layer, values in zip(plan.layers, maps[: len(wanted)]):
            self._check_map(ids, values, layer.index, (len(ids), layer.channels, *layer.grid.size))
        pooled = self._pool(ids, reading, maps, plan)
        return Features(maps[: len(wanted)], pooled)

    def _pool(self, ids: Sequence[str], reading: Reading, maps: tuple[Tensor, ...], plan: FeaturePlan) -> Tensor | None:
        if plan.pooled == "none":
            return None
        own = reading.pooled if plan.pooled == "native" else None
        pooled = maps[-1].mean(dim=(2, 3)) if own is None else own.float()
        self._check_map(ids, pooled, "pooled", (len(ids), plan.pooled_channels))
        return pooled

    def _check_images(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> None:
        if images.ndim != 4 or tuple(images.shape[1:]) != (3, *plan.input_size) or len(ids) != len(images):
            raise EncoderError(
                f"{self.name} was given images of shape {tuple(images.shape)} for {len(ids)} ids.",
                f"The plan expects [{len(ids)}, 3, {plan.input_size[0]}, {plan.input_size[1]}].",
                "Resize the images to plan.input_size first.",
            )
        if not images.is_floating_point():
            raise EncoderError(f"{self.name} was given {images.dtype} images.", "Floats in [0, 1] are expected.")

    def _check_map(self, ids: Sequence[str], values: Tensor, layer: int | str, shape: tuple[int, ...]) -> None:
        """Shape as planned and finite, or an error that names the layer and the image."""
        where = "the pooled features" if layer == "pooled" else f"layer {layer}"
        if tuple(values.shape) != shape:
            raise EncoderError(
                f"{self.name} returned {where} of shape {list(values.shape)}.",
                f"{list(shape)} was expected from what it declares.",
                "Check its channels, stride and token counts.",
            )
        finite = torch.isfinite(values).flatten(1).all(dim=1)
        if not bool(finite.all()):
            row = int((~finite).nonzero()[0])
            raise EncoderError(
                f"{self.name} returned NaN or infinite values in {where} for image {ids[row]} (row {row}).",
                "Every feature must be finite.",
                "Check the weights and the pixel statistics; with reduced precision try fp32.",
            )

    @contextmanager
    def _frozen(self) -> Iterator[None]:
        """Evaluation mode is checked before every use: someone may hold the network itself."""
        for label, module in self._module.named_modules():
            if module.training:
                raise EncoderError(
                    f"Part {label or 'root'} of {self.name} was switched to training mode.",
                    "An encoder is frozen.",
                    "Train a copy, and call eval() on this one.",
                )
        yield

    def _autocast(self) -> torch.autocast | nullcontext[None]:
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=_AUTOCAST[self.precision])


def normalise(images: Tensor, plan: FeaturePlan) -> Tensor:
    """`[0, 1]` pixels by the plan's statistics, then the plan's padding: zeros in normalised space."""
    mean = images.new_tensor(plan.pixel_mean).view(1, 3, 1, 1)
    std = images.new_tensor(plan.pixel_std).view(1, 3, 1, 1)
    pixels = (images - mean) / std
    top, left, bottom, right = plan.padding
    return F.pad(pixels, (left, right, top, bottom)) if any(plan.padding) else pixels

"""Any timm network, read through `forward_intermediates`."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from itertools import pairwise
from math import prod
from typing import Any

import timm
import torch
from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.mobilenetv3 import MobileNetV3
from timm.models.regnet import RegNet
from timm.models.resnet import ResNet
from timm.models.swin_transformer import SwinTransformer
from timm.models.swin_transformer_v2 import SwinTransformerV2
from torch import Tensor, nn

from midvision.core.errors import EncoderError
from midvision.core.features import EncoderInfo, LayerInfo
from midvision.core.seeds import torch_generator
from midvision.encoders.centres import measured_first_centres, rerandomise
from midvision.encoders.encoder import Reading
from midvision.encoders.positions import EXTRA_CELLS, rebuilt_for_size, use_positions
from midvision.encoders.seeded import Unfilled, seeded

Statistics = tuple[tuple[float, float, float], tuple[float, float, float]]

# Wishes a family may not know; the first that its constructor accepts is taken.
_FLEXIBLE: tuple[dict[str, Any], ...] = ({"dynamic_img_size": True}, {"strict_img_size": False}, {})


def build_network(
    arch: str,
    *,
    pretrained: bool = False,
    purpose: Sequence[str | int] = ("random weights",),
    options: Mapping[str, Any] | None = None,
    filled: bool = True,
) -> nn.Module:
    """A timm network without classifier that takes as many image sizes as its family allows.

    Random weights depend on `arch` and `purpose` alone. Residual branches start active: timm's zero
    start would make a random ResNet a pile of identities that sees 11 pixels at every depth.
    `options` change the architecture and are never given up. Without `filled` the parameters hold
    nothing and must all be replaced.
    """
    given = dict(options or {})
    extra = {} if pretrained else {"zero_init_last": False}
    with seeded(*purpose, arch), nullcontext() if filled else Unfilled():
        for wishes in ({**extra, **flexible} for flexible in _FLEXIBLE):
            try:
                return _create(arch, pretrained, {**wishes, **given})
            except TypeError as error:
                if "unexpected keyword" not in str(error):
                    raise
        for wishes in _FLEXIBLE:
            try:
                return _create(arch, pretrained, {**wishes, **given})
            except TypeError as error:
                if "unexpected keyword" not in str(error) or not wishes:
                    raise
    raise AssertionError("unreachable")


def _create(arch: str, pretrained: bool, wishes: dict[str, Any]) -> nn.Module:
    network = timm.create_model(arch, pretrained=pretrained, num_classes=0, **wishes)
    assert isinstance(network, nn.Module)
    return network.eval()


class TimmBackbone(nn.Module):
    """A timm network as a backbone; `info` is found by one small forward pass.

    Layer numbers: blocks for one-resolution networks, stages for hierarchical ones, where stage 0 of
    a ResNet is its stem after pooling. Prefix tokens (class, registers, distillation) never enter maps.
    `options` are those the network was built with. `positions`: a rule of `EXTRA_CELLS` for other sizes; else timm's.
    """

    info: EncoderInfo

    def __init__(
        self,
        network: nn.Module,
        arch: str,
        statistics: Statistics | None = None,
        *,
        options: Mapping[str, Any] | None = None,
        positions: str = "",
    ) -> None:
        super().__init__()
        if not hasattr(network, "forward_intermediates"):
            raise EncoderError(
                f"timm's {arch} cannot be read at its layers.",
                "Its class has no forward_intermediates.",
                "Choose another network, or wrap it yourself with midvision.wrap.",
            )
        self.network: Any = network
        self.arch = arch
        self.options = dict(options or {})
        if positions in EXTRA_CELLS:
            use_positions(network, positions)
        forward: Any = network.forward_intermediates
        # timm's Eva fails if it is asked for prefix tokens that it does not have.
        self._takes_prefix = "return_prefix_tokens" in inspect.signature(forward).parameters and bool(
            getattr(network, "num_prefix_tokens", 1)
        )
        self._flexible = isinstance(network, ResNet | ConvNeXt) or bool(getattr(network, "dynamic_img_size", False))
        self._resized: dict[tuple[int, int], nn.Module] = {}
        self._native_sizes: set[tuple[int, int]] = set()
        self.info = self._look(statistics or self._pixel_statistics())

    def read(self, pixels: Tensor, layers: Sequence[int], final_norm: bool) -> Reading:
        size = (int(pixels.shape[2]), int(pixels.shape[3]))
        network = self._for_size(size, pixels)
        order = sorted(set(layers))
        found = self._run(network, pixels, order, final_norm)
        maps = dict(zip(order, (m for m, _ in found)))
        class_token = found[-1][1] if found and self.info.has_class_token else None
        return Reading(tuple(maps[index] for index in layers), class_token)

    def _run(
        self, network: nn.Module, pixels: Tensor, layers: list[int], final_norm: bool
    ) -> list[tuple[Tensor, Tensor | None]]:
        """Map and class token of each layer, shallow to deep."""
        wishes = {"return_prefix_tokens": True} if self._takes_prefix else {}
        forward: Any = network.forward_intermediates
        found = forward(pixels, indices=layers, norm=final_norm, stop_early=True, intermediates_only=True, **wishes)
        pairs = [entry if isinstance(entry, tuple) else (entry, None) for entry in found]
        if isinstance(network, ResNet) and layers[0] == 0:
            pairs[0] = (network.maxpool(pairs[0][0]), None)
        return [(values, None if prefix is None else prefix[:, 0]) for values, prefix in pairs]

    def _for_size(self, size: tuple[int, int], pixels: Tensor) -> nn.Module:
        """The network itself where it takes this size, else a copy with resized position tables."""
        own: nn.Module = self.network
        if self._flexible or size in self._native_sizes:
            return own
        if size not in self._resized:
            try:
                with torch.no_grad():
                    self._run(self.network, pixels[:1].detach(), [len(self.network.feature_info) - 1], False)
                self._native_sizes.add(size)
                return own
            except (AssertionError, RuntimeError, ValueError) as refusal:
                if isinstance(refusal, torch.cuda.OutOfMemoryError):
                    raise
                self._resized = {size: self._resize(size, pixels[:1].detach(), refusal)}
        return self._resized[size].to(pixels.device)

    def _resize(self, size: tuple[int, int], pixels: Tensor, refusal: Exception) -> nn.Module:
        try:
            if hasattr(self.network, "set_input_size"):
                other: Any = copy.deepcopy(self.network)
                other.set_input_size(img_size=size)
            else:
                other = rebuilt_for_size(self.network, build_sized(self.arch, size, self.options), size)
            resized: nn.Module = other.eval().requires_grad_(False)
            with torch.no_grad():
                self._run(resized.to(pixels.device), pixels, [len(self.network.feature_info) - 1], False)
            return resized
        except (AssertionError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, torch.cuda.OutOfMemoryError):
                raise
            native = tuple(getattr(self.network, "default_cfg", {}).get("input_size", (3, 224, 224))[1:])
            raise EncoderError(
                f"timm's {self.arch} cannot take images of {size[0]} x {size[1]} ({refusal}; {error}).",
                f"It was made for {native[0]} x {native[1]}.",
                f"Ask for that size: --image-size {native[0]}.",
            ) from error

    def _look(self, statistics: Statistics) -> EncoderInfo:
        """Channels, strides and tokens from the network's own declarations, checked by a small forward pass."""
        declared = [(int(entry["num_chs"]), int(entry["reduction"])) for entry in self.network.feature_info]
        multiple = max(reduction for _, reduction in declared)
        size = self._probe_size(multiple)
        pixels = torch.zeros(1, 3, *size)
        network = self._for_size(size, pixels)
        with torch.no_grad():
            found = self._run(network, pixels, list(range(len(declared))), False)
        strides = [self._stride(values, size) for values, _ in found]
        centres = self._first_centres(strides)
        blocks = len({reduction for _, reduction in declared}) == 1
        class_token = getattr(self.network, "cls_token", None) is not None and found[-1][1] is not None
        prefix = int(getattr(self.network, "num_prefix_tokens", 0) or 0) if self._takes_prefix else 0
        return EncoderInfo(
            layers=tuple(LayerInfo(int(m.shape[1]), s, c) for (m, _), s, c in zip(found, strides, centres)),
            kind="transformer" if blocks else "stages",
            stem_layers=int(not blocks and len(declared) == 5),
            pooled_channels=int(found[-1][0].shape[1]),
            has_class_token=class_token,
            register_tokens=prefix - int(class_token),
            pixel_mean=statistics[0],
            pixel_std=statistics[1],
            size_multiple=multiple,
            parameters=sum(p.numel() for p in self.network.parameters()),
        )

    def _probe_size(self, multiple: int) -> tuple[int, int]:
        """Small where the family is known to take any size, else the size the network was made for."""
        if self._flexible:
            return (4 * multiple, 4 * multiple)
        _, height, width = self.network.default_cfg.get("input_size", (3, 224, 224))
        return (max(1, height // multiple) * multiple, max(1, width // multiple) * multiple)

    def _stride(self, values: Tensor, size: tuple[int, int]) -> int:
        ratio = size[0] / values.shape[2]
        if ratio != int(ratio) or size[1] != ratio * values.shape[3]:
            raise EncoderError(
                f"timm's {self.arch} turns {size} pixels into {tuple(values.shape[2:])} cells.",
                "A whole stride is needed to say where a cell lies.",
                "Choose another network.",
            )
        return int(ratio)

    def _first_centres(self, strides: list[int]) -> list[float]:
        """By construction for the common families; measured on a random twin, once, for the others."""
        if _is_patchify(self.network):
            return [stride / 2 for stride in strides]
        if _is_evenly_padded(self.network):
            return [0.5] * len(strides)
        if len(set(strides)) == 1:
            return self._measured(strides[:1]) * len(strides)
        found = self._measured(strides)
        # Attention in windows pulls measured centres about; what lies before a shallower one is such a mistake.
        astray = any(deeper < shallower for shallower, deeper in pairwise(found))
        return [0.5] * len(strides) if astray and _steps_evenly(self.network) else found

    def _measured(self, strides: list[int]) -> list[float]:
        """First centres of random twins, so that no weights can move them."""
        twin = build_network(self.arch, purpose=("centre twin",), options=self.options)
        config: Any = twin.default_cfg
        deepest = max(strides)
        side = deepest * max(2, min(320, int(config.get("input_size", (3, 224, 224))[1])) // deepest)
        every = list(range(len(strides)))
        generator = torch_generator("centre twin", self.arch)

        def read(pixels: Tensor) -> list[Tensor]:
            rerandomise(twin, generator)
            return [values for values, _ in self._run(twin, pixels, every, False)]

        return measured_first_centres(read, (side, side), strides)

    def _pixel_statistics(self) -> Statistics:
        config: dict[str, Any] = getattr(self.network, "pretrained_cfg", None) or getattr(
            self.network, "default_cfg", {}
        )
        mean = tuple(float(value) for value in config.get("mean", (0.485, 0.456, 0.406)))
        std = tuple(float(value) for value in config.get("std", (0.229, 0.224, 0.225)))
        return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])


def build_sized(arch: str, size: tuple[int, int], options: Mapping[str, Any]) -> nn.Module:
    """The same architecture made for another image size; its weights are to be replaced."""
    with seeded("resized twin", arch):
        network = timm.create_model(arch, pretrained=False, num_classes=0, img_size=size, **options)
    assert isinstance(network, nn.Module)
    return network


def _is_patchify(network: nn.Module) -> bool:
    """Cells are disjoint patches: one convolution with kernel = stride, then steps of the same sort."""
    if isinstance(network, SwinTransformer | SwinTransformerV2):
        return True
    if isinstance(network, ConvNeXt):
        stem = next((m for m in network.stem.modules() if isinstance(m, nn.Conv2d)), None)
        return stem is not None and stem.kernel_size == stem.stride
    embed = getattr(network, "patch_embed", getattr(network, "stem", None))
    projection = getattr(embed, "proj", None)
    declared: Any = network.feature_info
    one_scale = len({entry["reduction"] for entry in declared}) == 1 and not hasattr(embed, "backbone")
    return one_scale and isinstance(projection, nn.Conv2d) and projection.kernel_size == projection.stride


def _is_evenly_padded(network: nn.Module) -> bool:
    """Families that step down by nothing but odd, evenly padded kernels: the cell stays on the first pixel's centre."""
    return isinstance(network, ResNet | EfficientNet | MobileNetV3 | RegNet) and _steps_evenly(network)


def _steps_evenly(network: nn.Module) -> bool:
    """Whether every kernel that steps down is odd and evenly padded, and together they reach the deepest map."""
    steps = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d) and _pair(m.stride) != (1, 1)]
    declared: Any = network.feature_info
    return (
        not any(isinstance(m, nn.AvgPool2d) for m in network.modules())
        and prod(_pair(m.stride)[0] for m in steps) >= max(int(entry["reduction"]) for entry in declared)
        and all(_pair(m.padding) == tuple(k // 2 for k in _pair(m.kernel_size)) for m in steps)
        and all(k % 2 for m in steps for k in _pair(m.kernel_size))
    )


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))

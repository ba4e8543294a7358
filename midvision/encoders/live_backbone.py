"""A network that goes on being trained, read where it stands: no copy, nothing frozen, nothing moved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypedDict, Unpack

import torch
from torch import Tensor, nn

from midvision.core.errors import UsageError
from midvision.core.features import EncoderInfo
from midvision.encoders.encoder import Encoder
from midvision.encoders.module_backbone import ModuleBackbone, Triple
from midvision.encoders.plan import PIXEL_STATS

COVERS = ("DistributedDataParallel", "DataParallel")


class Reading(TypedDict, total=False):
    """How a network is read: the options of `mv.wrap`, with the same meaning."""

    layers: Sequence[str] | None
    patch_size: int | None
    class_token: bool
    register_tokens: int
    pixel_mean: Triple | None
    pixel_std: Triple | None
    preprocess: Callable[[Tensor], Tensor] | None
    size_multiple: int | None
    first_centre_px: float | Sequence[float] | None
    probe_size: tuple[int, int] | None


class LiveBackbone(ModuleBackbone):
    """See `live_encoder`. `around_pass` makes a context for every forward pass; it may raise to stop."""

    around_pass: Callable[[], AbstractContextManager[None]]

    def eval(self) -> LiveBackbone:
        """The network's modes belong to its training; `undisturbed` sets and restores them."""
        return self

    def requires_grad_(self, requires_grad: bool = True) -> LiveBackbone:
        """So do its flags."""
        return self

    def to(self, *_: Any, **__: Any) -> LiveBackbone:
        """And its devices."""
        return self

    def _run(self, pixels: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """Pixels go where the network is, and in its type; maps come back where the pixels were."""
        kinds = [weights for weights in self.module.parameters() if weights.is_floating_point()]
        moved = pixels.to(kinds[0].device, kinds[0].dtype) if kinds else pixels
        with self.around_pass():
            maps, pooled = super()._run(moved)
        return [values.to(pixels.device).float() for values in maps], pooled


def live_encoder(
    network: nn.Module,
    key: str,
    name: str,
    *,
    info: EncoderInfo | None = None,
    around_pass: Callable[[], AbstractContextManager[None]] = nullcontext,
    **reading: Unpack[Reading],
) -> Encoder:
    """An encoder that reads `network` itself; use it inside `undisturbed(network)` only.

    `info` is what an earlier call found out; without it the network is probed, as `mv.wrap` does.
    """
    preprocess, mean, std = reading.get("preprocess"), reading.get("pixel_mean"), reading.get("pixel_std")
    if preprocess is not None and (mean is not None or std is not None):
        raise UsageError("Both preprocess and pixel statistics are given.", "One of them is needed.")
    usual_mean, usual_std = PIXEL_STATS["none" if preprocess is not None else "imagenet"]
    backbone = LiveBackbone(
        network,
        layers=tuple(reading.get("layers") or ()),
        patch_size=reading.get("patch_size"),
        prefix=(reading.get("class_token", False), reading.get("register_tokens", 0)),
        statistics=(mean or usual_mean, std or usual_std),
        preprocess=preprocess,
        label=type(network).__name__,
    )
    backbone.around_pass = around_pass
    backbone.training = False
    if info is None:
        with torch.enable_grad():
            backbone.probe(reading.get("probe_size"), reading.get("size_multiple"), reading.get("first_centre_px"))
    else:
        backbone.info = info
    return Encoder(backbone, key, name)


def bare(network: nn.Module) -> nn.Module:
    """The network under data parallelism and compilation: looking at it must not talk to other processes."""
    while True:
        name = "module" if type(network).__name__ in COVERS else "_orig_mod"
        inner = getattr(network, name, None)
        if not isinstance(inner, nn.Module):
            return network
        network = inner

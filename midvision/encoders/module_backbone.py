"""A person's own `nn.Module` as an encoder: declared where only its owner knows, probed for the rest."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from midvision.core.errors import EncoderError, UsageError, nearest
from midvision.core.features import EncoderInfo, LayerInfo
from midvision.core.seeds import torch_generator
from midvision.core.settings import stable_hash
from midvision.encoders.centres import measured_first_centres
from midvision.encoders.encoder import Encoder, Reading
from midvision.encoders.plan import PIXEL_STATS
from midvision.encoders.weights import code_digest, source_of, tensors_digest

Triple = tuple[float, float, float]


def wrap(
    module: nn.Module,
    *,
    layers: Sequence[str] | None = None,
    patch_size: int | None = None,
    class_token: bool = False,
    register_tokens: int = 0,
    pixel_mean: Triple | None = None,
    pixel_std: Triple | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    size_multiple: int | None = None,
    first_centre_px: float | Sequence[float] | None = None,
    probe_size: tuple[int, int] | None = None,
    name: str | None = None,
) -> Encoder:
    """A frozen snapshot of `module` as an encoder. The module itself is not touched.

    The module gets pixels `[B, 3, H, W]` and returns maps `[B, C, h, w]`, or tokens `[B, N, C]` with
    `class_token` (first) and `register_tokens` (after it) in front and patches of `patch_size`
    pixels; or a list or dict of these, shallow to deep. A dict may also hold `pooled` `[B, C]`.

    `layers` names submodules whose outputs are read instead. `pixel_mean` and `pixel_std` normalise
    [0, 1] pixels (default: ImageNet's); a `preprocess` function gets [0, 1] pixels instead of that.
    `first_centre_px` is where the first cell is centred (default: half a patch for tokens, else
    measured); `size_multiple` what image sides must divide by (default: the largest stride).
    """
    if preprocess is not None and (pixel_mean is not None or pixel_std is not None):
        raise UsageError("Both preprocess and pixel statistics are given.", "One of them is needed.")
    mean, std = PIXEL_STATS["none" if preprocess is not None else "imagenet"]
    backbone = ModuleBackbone(
        _snapshot(module),
        layers=tuple(layers or ()),
        patch_size=patch_size,
        prefix=(class_token, register_tokens),
        statistics=(pixel_mean or mean, pixel_std or std),
        preprocess=preprocess,
        label=name or type(module).__name__,
    )
    backbone.probe(probe_size, size_multiple, first_centre_px)
    options = (tuple(layers or ()), patch_size, class_token, register_tokens, backbone.info)
    preparation = "" if preprocess is None else source_of(preprocess)
    weights = tensors_digest(module.state_dict())
    key = stable_hash("module", weights, code_digest(module), repr(options), preparation)
    # Two networks of one class must not share a name: results and cache folders go by it.
    return Encoder(backbone, key, name or f"{type(module).__name__}-{key[:8]}")


class ModuleBackbone(nn.Module):
    """See `wrap`. `info` is set by `probe`."""

    info: EncoderInfo

    def __init__(
        self,
        module: nn.Module,
        *,
        layers: tuple[str, ...],
        patch_size: int | None,
        prefix: tuple[bool, int],
        statistics: tuple[Triple, Triple],
        preprocess: Callable[[Tensor], Tensor] | None,
        label: str,
    ) -> None:
        super().__init__()
        self.module = module
        self.label = label
        self._patch_size = patch_size
        self._prefix = prefix
        self._statistics = statistics
        self._preprocess = preprocess
        self._parts = [self._part(layer) for layer in layers]

    def read(self, pixels: Tensor, layers: Sequence[int], final_norm: bool) -> Reading:
        """A person's module says itself what it returns, so `final_norm` changes nothing."""
        maps, pooled = self._run(pixels)
        if maps and max(layers, default=0) >= len(maps):
            raise EncoderError(
                f"{self.label} returned {len(maps)} maps.", f"It returned {len(self.info.layers)} when it was wrapped."
            )
        return Reading(tuple(maps[index] for index in layers), pooled)

    def probe(
        self, size: tuple[int, int] | None, size_multiple: int | None, first_centre_px: float | Sequence[float] | None
    ) -> None:
        """Run once on random pixels and set `info` from what comes out."""
        multiple = size_multiple or self._patch_size or 32
        size = size or (max(1, 224 // multiple) * multiple,) * 2
        pixels = torch.rand(2, 3, *size, generator=torch_generator("wrap probe"))
        with torch.no_grad():
            maps, pooled = self._run(pixels)
            again, _ = self._run(pixels)
            alone, _ = self._run(pixels[:1])
        if not maps:
            raise EncoderError(f"{self.label} returned no map.", "At least one [B, C, h, w] is needed.")
        self._check_repeatable(maps, again, alone)
        strides = [self._stride(values, size) for values in maps]
        tokens = self._patch_size is not None and not any(self._raw_ndim4)
        deepest = maps[-1].shape[1]
        self.info = EncoderInfo(
            layers=tuple(
                LayerInfo(int(values.shape[1]), stride, centre)
                for values, stride, centre in zip(maps, strides, self._centres(first_centre_px, strides, size, tokens))
            ),
            kind="transformer" if len(set(strides)) == 1 else "stages",
            stem_layers=0,
            pooled_channels=int(deepest if pooled is None else pooled.shape[1]),
            has_class_token=self._prefix[0],
            register_tokens=self._prefix[1],
            pixel_mean=self._statistics[0],
            pixel_std=self._statistics[1],
            size_multiple=size_multiple or max(strides),
            parameters=sum(p.numel() for p in self.module.parameters()),
        )

    def _run(self, pixels: Tensor) -> tuple[list[Tensor], Tensor | None]:
        """All maps and the pooled vector of one forward pass."""
        size = (int(pixels.shape[2]), int(pixels.shape[3]))
        if self._preprocess is not None:
            pixels = self._preprocess(pixels)
        seen: dict[int, Any] = {}
        hooks = [
            part.register_forward_hook(lambda _module, _inputs, output, row=row: seen.__setitem__(row, output))
            for row, part in enumerate(self._parts)
        ]
        try:
            output = self.module(pixels)
        finally:
            for hook in hooks:
                hook.remove()
        if self._parts:
            if missing := [row for row in range(len(self._parts)) if row not in seen]:
                raise EncoderError(f"Layer number {missing[0]} of {self.label} did not run.", "Each must run once.")
            output = [_first(seen[row]) for row in range(len(self._parts))]
        entries, pooled = _entries(output)
        self._raw_ndim4 = [isinstance(entry, Tensor) and entry.ndim == 4 for entry in entries]
        read = [self._as_map(entry, row, size, len(pixels)) for row, entry in enumerate(entries)]
        last = read[-1][1] if read else None
        return [values for values, _ in read], last if pooled is None else pooled

    def _as_map(self, value: Any, row: int, size: tuple[int, int], batch: int) -> tuple[Tensor, Tensor | None]:
        """Map `[B, C, h, w]` and class token of one output."""
        if not isinstance(value, Tensor):
            raise EncoderError(
                f"Output {row} of {self.label} is a {type(value).__name__}.", "A tensor [B, C, h, w] is expected."
            )
        if value.ndim == 4 and len(value) == batch:
            return value, None
        if value.ndim != 3 or len(value) != batch:
            raise EncoderError(
                f"Output {row} of {self.label} has shape {list(value.shape)} for a batch of {batch}.",
                f"A map [{batch}, C, h, w] or tokens [{batch}, N, C] are expected.",
                "Return the map before pooling, or name submodules to read with layers=[...].",
            )
        return self._tokens_as_map(value, row, size)

    def _tokens_as_map(self, value: Tensor, row: int, size: tuple[int, int]) -> tuple[Tensor, Tensor | None]:
        if self._patch_size is None:
            raise EncoderError(
                f"Output {row} of {self.label} is a row of {value.shape[1]} tokens.",
                "Where they lie is not known.",
                "Give patch_size, and class_token or register_tokens if there are any.",
            )
        grid = (size[0] // self._patch_size, size[1] // self._patch_size)
        extra = int(self._prefix[0]) + self._prefix[1]
        if value.shape[1] != grid[0] * grid[1] + extra:
            raise EncoderError(
                f"Output {row} of {self.label} has {value.shape[1]} tokens for {size[0]} x {size[1]} pixels.",
                f"{grid[0]} x {grid[1]} patches of {self._patch_size} pixels and {extra} other tokens are declared.",
                "Correct patch_size, class_token or register_tokens.",
            )
        patches = value[:, extra:].transpose(1, 2).reshape(len(value), value.shape[2], *grid)
        return patches, value[:, 0] if self._prefix[0] else None

    def _check_repeatable(self, maps: list[Tensor], again: list[Tensor], alone: list[Tensor]) -> None:
        for row, (first, second, single) in enumerate(zip(maps, again, alone)):
            if not torch.equal(first, second):
                raise EncoderError(
                    f"{self.label} gave two different answers to the same images (output {row}).",
                    "A frozen encoder must be repeatable.",
                    "Remove what is random in its forward pass.",
                )
            if not torch.allclose(first[:1], single, rtol=1e-2, atol=1e-2 * float(first.abs().max())):
                raise EncoderError(
                    f"{self.label} answers differently when an image comes alone (output {row}).",
                    "Features may not depend on the rest of the batch.",
                    "Replace statistics over the batch by stored ones.",
                )

    def _stride(self, values: Tensor, size: tuple[int, int]) -> int:
        height, width = values.shape[2:]
        stride = size[0] // max(1, int(height))
        if stride < 1 or stride * height != size[0] or stride * width != size[1]:
            raise EncoderError(
                f"{self.label} turned {size[0]} x {size[1]} pixels into {height} x {width} cells.",
                "Both sides must shrink by the same whole number.",
                "Give probe_size or size_multiple so that they do.",
            )
        return stride

    def _centres(
        self, given: float | Sequence[float] | None, strides: list[int], size: tuple[int, int], tokens: bool
    ) -> list[float]:
        if given is not None:
            listed = [float(given)] * len(strides) if isinstance(given, int | float) else [float(c) for c in given]
            if len(listed) != len(strides):
                raise UsageError(f"{len(listed)} first centres are given.", f"{len(strides)} layers were found.")
            return listed
        if tokens:
            return [stride / 2 for stride in strides]
        try:
            return measured_first_centres(lambda pixels: self._run(pixels)[0], size, strides)
        except RuntimeError as error:
            raise EncoderError(
                f"Where the cells of {self.label} lie cannot be measured: no gradient reaches its input ({error}).",
                "The centre of the first cell must be known.",
                "Give first_centre_px (half a stride for disjoint patches, 0.5 for padded odd kernels).",
            ) from error

    def _part(self, name: str) -> nn.Module:
        parts: dict[str, nn.Module] = dict(self.module.named_modules())
        if name not in parts:
            raise UsageError(f"{self.label} has no submodule {name!r}.", nearest(name, [p for p in parts if p]))
        return parts[name]


def _snapshot(module: nn.Module) -> nn.Module:
    """A copy, so that training or moving the original cannot change a frozen encoder."""
    if not isinstance(module, nn.Module):
        raise UsageError(f"A {type(module).__name__} cannot be wrapped.", "A torch.nn.Module is expected.")
    try:
        copied: nn.Module = copy.deepcopy(module)
        return copied.cpu().eval().requires_grad_(False)
    except (RuntimeError, TypeError) as error:
        raise EncoderError(
            f"{type(module).__name__} cannot be copied ({error}).",
            "A frozen snapshot of it is needed.",
            "Build it anew and load its state_dict, then wrap that.",
        ) from error


def _first(output: Any) -> Any:
    """Blocks of many libraries return a tuple whose first entry is the hidden state."""
    return output[0] if isinstance(output, tuple | list) and output else output


def _entries(output: Any) -> tuple[list[Any], Tensor | None]:
    if isinstance(output, Mapping):
        pooled = output.get("pooled")
        return [value for name, value in output.items() if name != "pooled"], pooled
    return (list(output) if isinstance(output, list | tuple) else [output]), None

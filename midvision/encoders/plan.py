"""From what is asked and what a network is to what will happen: a pure function."""

from __future__ import annotations

from collections.abc import Sequence

from midvision.core.errors import UsageError
from midvision.core.features import (
    EncoderInfo,
    FeaturePlan,
    FeatureSpec,
    Fit,
    Grid,
    LayerInfo,
    LayerWish,
    PixelStats,
    PlannedLayer,
)

PIXEL_STATS: dict[PixelStats, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "half": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}


def make_plan(spec: FeatureSpec, info: EncoderInfo) -> FeaturePlan:
    """Resolve layers, sizes, statistics and grids. Raises `UsageError` on layers that do not exist."""
    forced = info.reference_size if spec.forced_input == "reference" else None
    shift = info.reference_shift if spec.blocks == "reference" else 0
    input_size, padding = resolve_size(forced or spec.image_size, info.size_multiple, spec.fit)
    mean, std = pixel_statistics(spec.pixel_stats, info)
    chosen = _shifted(resolve_layers(spec.layers, info), shift)
    return FeaturePlan(
        layers=tuple(_planned(index, info.layers[index], input_size, padding) for index in chosen),
        maps=spec.maps,
        pooled=spec.pooled,
        pooled_channels=_pooled_channels(spec, info),
        input_size=input_size,
        padding=padding,
        pixel_mean=mean,
        pixel_std=std,
        final_norm=spec.final_norm,
        dtype=spec.dtype,
        pooled_layer=len(info.layers) - 1 + shift if shift else None,
    )


def default_layers(info: EncoderInfo) -> tuple[int, ...]:
    """The field's four layers: quarters of a transformer's blocks, or the last four stages.

    For L blocks these are `L//4 - 1, L//2 - 1, 3*(L//4) - 1, L - 1` (protocol of Probe3D and its
    successors; not `3*L//4 - 1`). Networks with fewer than four layers give all of them.
    """
    count = len(info.layers)
    if info.kind == "stages":
        return tuple(range(max(count - 4, min(info.stem_layers, count - 1)), count))
    if count < 4:
        return tuple(range(count))
    return (count // 4 - 1, count // 2 - 1, 3 * (count // 4) - 1, count - 1)


def resolve_layers(wishes: Sequence[LayerWish] | None, info: EncoderInfo) -> tuple[int, ...]:
    """Indices in `info.layers`, shallow to deep, each once."""
    if wishes is None:
        return default_layers(info)
    if not wishes:
        raise UsageError("No layer is asked for.", "At least one is needed.", "Leave layers out for the usual four.")
    return tuple(sorted({_resolve_layer(wish, info) for wish in wishes}))


def _resolve_layer(wish: LayerWish, info: EncoderInfo) -> int:
    count = len(info.layers)
    if isinstance(wish, bool):
        raise UsageError(f"A layer cannot be {wish}.", "A number is expected.")
    if isinstance(wish, float):
        if not 0.0 < wish <= 1.0:
            raise UsageError(
                f"Layer {wish} is no relative depth.", "A float must lie in (0, 1]; block numbers are ints."
            )
        # Relative depth counts blocks or stages; a stem in front of them is reached only by its number.
        deep = count - info.stem_layers
        return info.stem_layers + max(1, int(wish * deep + 0.5)) - 1
    if not -count <= wish < count:
        word = "block" if info.kind == "transformer" else "stage"
        raise UsageError(
            f"There is no {word} {wish}.",
            f"This encoder has {count}: {-count} to {count - 1}.",
            "Choose a number in that range, or a float in (0, 1] for a relative depth.",
        )
    return wish % count


def _shifted(layers: tuple[int, ...], shift: int) -> tuple[int, ...]:
    """Layers as the reference reads them: it takes block i - 1 of MAE where it names block i."""
    if shift and layers[0] + shift < 0:
        raise UsageError(
            f"The reference reads block {layers[0]} of this encoder {-shift} early.",
            "There is no block before the first.",
            "Choose a deeper one, or the protocol `corrected`.",
        )
    return tuple(layer + shift for layer in layers)


def resolve_size(asked: tuple[int, int], multiple: int, fit: Fit) -> tuple[tuple[int, int], tuple[int, int, int, int]]:
    """Size after resizing, and the padding (top, left, bottom, right) put around it.

    `resize` goes to the nearest multiple (half way up, at least one). `pad` is what Probe3D does:
    the smaller half of the missing pixels above and left; where only one side already divides, that
    side is given a whole extra multiple.
    """
    if min(asked) < 1:
        raise UsageError(f"An image of {asked[0]} x {asked[1]} pixels cannot be.", "Both sides must be positive.")
    if fit == "resize":
        height, width = (max(1, (2 * side + multiple) // (2 * multiple)) * multiple for side in asked)
        return (height, width), (0, 0, 0, 0)
    rest = [side % multiple for side in asked]
    missing = [multiple - r for r in rest] if any(rest) else [0, 0]
    top, left = missing[0] // 2, missing[1] // 2
    return asked, (top, left, missing[0] - top, missing[1] - left)


def layer_grid(layer: LayerInfo, input_size: tuple[int, int], padding: tuple[int, int, int, int]) -> Grid:
    """Where a layer's cells lie on the image before padding, in pixels of the encoder's input."""
    top, left, bottom, right = padding
    padded = (input_size[0] + top + bottom, input_size[1] + left + right)
    stride = float(layer.stride)
    return Grid(
        size=(-(-padded[0] // layer.stride), -(-padded[1] // layer.stride)),
        stride=(stride, stride),
        first_centre=(layer.first_centre_px - top, layer.first_centre_px - left),
        extent=(float(input_size[0]), float(input_size[1])),
    )


def pixel_statistics(
    wish: PixelStats, info: EncoderInfo
) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation applied to [0, 1] pixels.

    An encoder that takes plain [0, 1] pixels (a control, a module with its own preprocessing) keeps
    them whatever is asked: statistics would be applied twice.
    """
    if wish == "checkpoint" or (info.pixel_mean, info.pixel_std) == PIXEL_STATS["none"]:
        return info.pixel_mean, info.pixel_std
    return PIXEL_STATS[wish]


def _planned(index: int, layer: LayerInfo, size: tuple[int, int], padding: tuple[int, int, int, int]) -> PlannedLayer:
    return PlannedLayer(index, layer.channels, layer_grid(layer, size, padding))


def _pooled_channels(spec: FeatureSpec, info: EncoderInfo) -> int:
    """Pooled features are read after the last layer, whichever maps are planned; see `encoder.py`."""
    if spec.pooled == "none":
        return 0
    return info.pooled_channels if spec.pooled == "native" else info.layers[-1].channels

"""Features of a batch of images in one call, for people."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from midvision.core.errors import UsageError
from midvision.core.features import Features, FeatureSpec, Fit, ImageEncoder, LayerWish, PixelStats, Pooled
from midvision.encoders.plan import make_plan


def features(
    encoder: ImageEncoder,
    images: Tensor,
    layers: Sequence[LayerWish] | LayerWish | None = None,
    pooled: Pooled = "native",
    *,
    final_norm: bool = False,
    pixel_stats: PixelStats = "checkpoint",
    fit: Fit = "resize",
) -> Features:
    """Maps `[B, C, h, w]`, shallow to deep and before any final norm, and pooled `[B, C]`, as float32.

    `images` `[B, 3, H, W]` are RGB in [0, 1]; they are resized to the nearest size the encoder takes.
    `layers`: None for the usual four, else block or stage numbers (negative from the end) or relative
    depths in (0, 1].
    """
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise UsageError(
            f"Images of shape {list(images.shape)} and type {images.dtype} were given.",
            "Floats [B, 3, H, W] in [0, 1] are expected.",
            "Use images.float() / 255, and images[None] for a single image.",
        )
    if len(images) and (float(images.min()) < -1e-4 or float(images.max()) > 1 + 1e-4):
        raise UsageError(
            f"Pixels lie between {float(images.min()):.3g} and {float(images.max()):.3g}.",
            "The range [0, 1] is expected: the encoder normalises by itself.",
            "Divide by 255, or undo your own normalisation.",
        )
    wishes = (layers,) if isinstance(layers, int | float) else None if layers is None else tuple(layers)
    spec = FeatureSpec(
        image_size=(int(images.shape[2]), int(images.shape[3])),
        layers=wishes,
        pooled=pooled,
        pixel_stats=pixel_stats,
        fit=fit,
        final_norm=final_norm,
        dtype="float32",
    )
    plan = make_plan(spec, encoder.info)
    if tuple(images.shape[2:]) != plan.input_size:
        from midvision.data.frames import resize_for_encoder

        images = resize_for_encoder(images, plan.input_size)
    return encoder.encode([f"number {row}" for row in range(len(images))], images, plan)

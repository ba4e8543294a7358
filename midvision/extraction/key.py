"""What names a feature: the encoder, how its input is made, the image's pixels, and the part of the network."""

from __future__ import annotations

import json
from dataclasses import dataclass

from midvision.core.features import FeaturePlan
from midvision.core.settings import stable_hash

BASE = ("input_size", "padding", "pixel_mean", "pixel_std", "final_norm", "dtype")


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor per image: the map of a layer `(C, h, w)`, or the pooled vector `(C,)`."""

    name: str
    shape: tuple[int, ...]


def plan_base(plan: FeaturePlan) -> dict[str, object]:
    """The fields of a plan that change values, whichever layers are read."""
    body = plan.as_dict()
    return {name: body[name] for name in BASE}


def plan_key(plan: FeaturePlan) -> str:
    return stable_hash(json.dumps(plan_base(plan), sort_keys=True))


def parts(plan: FeaturePlan) -> tuple[Part, ...]:
    """The tensors that a plan reads, in the order of `Features.maps`, then the pooled vector."""
    maps = [Part(f"layer{layer.index:03d}", (layer.channels, *layer.grid.size)) for layer in plan.layers]
    after = "" if plan.pooled_layer is None else f"-layer{plan.pooled_layer:03d}"
    pooled = [] if plan.pooled == "none" else [Part(f"pooled-{plan.pooled}{after}", (plan.pooled_channels,))]
    return tuple((maps if plan.maps else []) + pooled)

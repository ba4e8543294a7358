"""What can be said of an item before anything is measured: how much is invalid, ranges, orientation, overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from midvision.core.items import Content, PairItem, Target

if TYPE_CHECKING:
    from torch import Tensor

TRUE_MATCHES = 24
SAMPLED_POINTS = 40 * TRUE_MATCHES
LEAST_FACING = 0.9
SAME_DEPTH = 0.03

Facts = dict[str, float]


def dense_facts(content: Content, target: Target) -> Facts:
    """Shares of an image's pixels, and the range of what is known of it."""
    known = target.valid[0]
    facts = {"invalid": 1.0 - float(known.float().mean())}
    if not bool(known.any()):
        return facts
    values = target.values[:, known].float()
    if content in ("depth", "object-depth"):
        facts |= {"nearest": float(values.min()), "median": float(values.median()), "farthest": float(values.max())}
    elif content == "normals":
        facts["facing"] = float((values[2] < 0).float().mean())
        facts["upwards"] = float((values[1] < -0.8).float().mean())
    elif content == "segmentation":
        facts["foreground"] = float((values[0] > 0.5).float().mean())
    return facts


def dense_words(facts: Mapping[str, float], unit: str) -> str:
    """The same for people; normals that turn away from the camera are a warning."""
    words = [f"{facts['invalid']:.0%} of the pixels are invalid"]
    if "median" in facts:
        words.append(f"depth {facts['nearest']:.2f} to {facts['farthest']:.2f} {unit}, median {facts['median']:.2f}")
    if "facing" in facts:
        words.append(f"{facts['facing']:.0%} of the normals face the camera, {facts['upwards']:.0%} point up")
        if facts["facing"] < LEAST_FACING:
            words.append("WARNING: are their signs or axes other ones (x right, y down, z forward)?")
    if "foreground" in facts:
        words.append(f"{facts['foreground']:.0%} of the valid ones are foreground")
    return ", ".join(words)


def overlap(item: PairItem) -> tuple[float, np.ndarray, np.ndarray]:
    """Share of the known points of view a that view b sees, and some of those points in both: `[M, 2]` pixels each.

    Hidden points are not seen. Without a known point the share is 0.
    """
    import torch

    surface = item.a.surface()
    rows, columns = (axis.flatten() for axis in torch.nonzero(surface.valid[0], as_tuple=True))
    if len(rows) == 0:
        return 0.0, np.zeros((0, 2)), np.zeros((0, 2))
    chosen = torch.linspace(0, len(rows) - 1, min(SAMPLED_POINTS, len(rows))).long()
    xy_a = torch.stack((columns[chosen] + 0.5, rows[chosen] + 0.5), dim=1).double()
    xy_b, seen = _seen_in_b(item, xy_a, surface.depth_m[0, rows[chosen], columns[chosen]].double())
    kept = torch.nonzero(seen).flatten()
    spread = kept[torch.linspace(0, max(len(kept) - 1, 0), min(TRUE_MATCHES, len(kept))).long()]
    return float(seen.double().mean()), xy_a[spread].numpy(), xy_b[spread].numpy()


def _seen_in_b(item: PairItem, xy_a: Tensor, depth_m: Tensor) -> tuple[Tensor, Tensor]:
    """Where view b has the points, and whether it shows them; places behind its camera are NaN and not seen."""
    import torch

    from midvision.geometry.camera import apply_homography, project, rays
    from midvision.geometry.pose import apply, invert

    b, depth_b = item.b.surface(), None
    if item.planar is not None:
        xy_b = apply_homography(item.planar.b_from_a.double(), xy_a)
    else:
        in_a = rays(item.a.surface().K.double(), xy_a) * depth_m[:, None]
        in_b = apply(item.b.camera_from_world.double(), apply(invert(item.a.camera_from_world.double()), in_a))
        xy_b, depth_b = project(b.K.double(), in_b), in_b[:, 2]
    height, width = b.depth_m.shape[-2:]
    seen = (xy_b[:, 0] >= 0) & (xy_b[:, 0] < width) & (xy_b[:, 1] >= 0) & (xy_b[:, 1] < height)
    column, row = torch.where(seen[:, None], xy_b, torch.zeros_like(xy_b)).long().unbind(1)
    seen &= b.valid[0, row, column]
    if depth_b is not None:
        seen &= (b.depth_m[0, row, column].double() - depth_b).abs() < SAME_DEPTH * depth_b.clamp(min=1e-6)
    return xy_b, seen

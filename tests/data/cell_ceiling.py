"""What the truth, averaged over cells and read between them, scores by itself: the most that an oracle's cells tell."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, interpolate, normalize

from midvision.core.items import Dataset, DenseItem

CELL = 16


def ceiling(dataset: Dataset, kind: str) -> float:
    """Mean over items of delta-1 (`depth`) or of the share within 11.25 degrees (`normals`), on valid pixels."""
    scores = []
    for item in dataset.items:
        assert isinstance(item, DenseItem)
        target = item.target()
        truth, valid = target.values.double()[None], target.valid.bool()[None]
        valid = valid & torch.isfinite(truth).all(1, keepdim=True)
        if kind == "depth":
            valid = valid & (truth > 0)
        known = torch.where(valid, truth, torch.ones_like(truth))
        known = known.log() if kind == "depth" else known
        share = avg_pool2d(valid.double(), CELL)
        mean = avg_pool2d(known * valid, CELL) / share.clamp_min(1e-9)
        read = interpolate(mean, size=truth.shape[-2:], mode="bilinear", align_corners=False)
        if kind == "depth":
            ratio = torch.maximum(read.exp() / truth, truth / read.exp())
            right = ratio < 1.25
        else:
            cosine = (normalize(read, dim=1) * normalize(truth, dim=1)).sum(1, keepdim=True)
            right = cosine > torch.cos(torch.deg2rad(torch.tensor(11.25, dtype=torch.float64)))
        scores.append(float(right[valid].double().mean()))
    return sum(scores) / len(scores)

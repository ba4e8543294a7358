"""Pooled features made from the truth: directions that order every triplet rightly, and class codes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from midvision.core.items import LabelItem, TripletItem
from midvision.core.seeds import torch_generator

MARGIN = 0.1
STEP = 0.2
MOST_STEPS = 2000


def triplet_vectors(items: Iterable[TripletItem], channels: int) -> dict[str, Tensor]:
    """Image -> unit vector `[channels]`, such that the judges' choice has the larger cosine by `MARGIN`.

    Images may be shared by many triplets: all vectors move together until every triplet holds, by
    perceptron steps on the sphere. Even votes ask for nothing. Contradicting triplets stay wrong.
    """
    decided = list(items)
    names = sorted({name for item in decided for name in (item.reference, item.left, item.right)})
    row = {name: number for number, name in enumerate(names)}
    ordered = [_order(item) for item in decided if item.right_share != 0.5]
    vectors = torch.randn((len(names), channels), generator=torch_generator("oracle", "triplets"), dtype=torch.float64)
    vectors = torch.nn.functional.normalize(vectors, dim=1)
    if ordered:
        roles = torch.tensor([[row[name] for name in triplet] for triplet in ordered]).T
        vectors = _settle(vectors, roles)
    return {name: vectors[number].float() for name, number in row.items()}


def _order(item: TripletItem) -> tuple[str, str, str]:
    """Reference, chosen, rejected."""
    chosen, rejected = (item.right, item.left) if item.right_share > 0.5 else (item.left, item.right)
    return item.reference, chosen, rejected


def _settle(vectors: Tensor, roles: Tensor) -> Tensor:
    for _ in range(MOST_STEPS):
        reference, chosen, rejected = (vectors[rows] for rows in roles)
        wrong = ((reference * (chosen - rejected)).sum(1) < MARGIN).nonzero()[:, 0]
        if not len(wrong):
            break
        pull, count = torch.zeros_like(vectors), torch.zeros(len(vectors), dtype=vectors.dtype)
        moves = (chosen - rejected, reference, -reference)
        for rows, move in zip(roles, moves, strict=True):
            pull.index_add_(0, rows[wrong], move[wrong])
            count.index_add_(0, rows[wrong], torch.ones(len(wrong), dtype=vectors.dtype))
        vectors = torch.nn.functional.normalize(vectors + STEP * pull / count.clamp_min(1)[:, None], dim=1)
    return vectors


def label_vectors(items: Sequence[LabelItem], channels: int) -> dict[str, Tensor]:
    """Image -> class code `[channels]`: one-hot while the classes fit, else a random direction per class."""
    classes = 1 + max((item.label for item in items), default=0)
    if classes <= channels:
        codes = torch.eye(channels)[:classes]
    else:
        codes = torch.randn((classes, channels), generator=torch_generator("oracle", "labels"))
        codes = torch.nn.functional.normalize(codes, dim=1)
    return {item.image: codes[item.label] for item in items}

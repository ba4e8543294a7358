"""Answers without a fit: votes of the nearest training images, and class means of a few images per class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from midvision.core.items import LabelItem
from midvision.core.seeds import hashed_order
from midvision.probes.label_bank import Bank


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The training vectors, their classes `[N]`, and how many of the nearest vote at which temperature."""

    bank: Bank
    labels: Tensor
    n_classes: int
    count: int
    temperature: float

    def votes(self, pooled: Tensor) -> Tensor:
        """Share of the votes for each class, `[B, n_classes]`: the nearest by cosine vote exp(cosine / temperature).

        That is the weighted nearest-neighbour classifier of Wu et al. (2018), which DINO's evaluation uses.
        """
        query = functional.normalize(pooled.float(), dim=1)
        near, index = self._nearest(query)
        weight = ((near - near[:, :1]) / self.temperature).exp()
        votes = torch.zeros((len(query), self.n_classes), dtype=weight.dtype, device=query.device)
        votes.scatter_add_(1, self.labels.to(query.device)[index], weight)
        return votes / weight.sum(1, keepdim=True)

    def _nearest(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Cosines and rows `[B, k]` of the nearest training vectors, nearest first, chunk after chunk."""
        near = query.new_empty((len(query), 0))
        index = torch.empty((len(query), 0), dtype=torch.long, device=query.device)
        for part, rows in self.bank.chunks(torch.float32):
            cosine = query @ functional.normalize(rows.to(query.device), dim=1).T
            best, place = cosine.topk(min(self.count, cosine.shape[1]), dim=1)
            near, index = torch.cat((near, best), 1), torch.cat((index, place + part.start), 1)
            near, order = near.topk(min(self.count, near.shape[1]), dim=1)
            index = index.gather(1, order)
        return near, index


@dataclass(frozen=True, slots=True)
class ClassMeans:
    """Class means of a few training images per class, for several draws.

    `origin [D, C]` is the mean of a draw's vectors, `means [D, n_classes, C]` those of the vectors after that is
    taken off and their length set to 1. The nearest mean answers (the nearest-centroid classifier).
    `absent [n_classes]` marks classes without training images, which are never the answer.
    """

    origin: Tensor
    means: Tensor
    absent: Tensor

    def scores(self, pooled: Tensor) -> Tensor:
        """Minus half the squared distance to each mean, up to what all share, `[D, B, n_classes]`."""
        means = self.means.to(pooled.device)
        query = functional.normalize(pooled.float() - self.origin.to(pooled.device)[:, None], dim=2)
        scores = query @ means.transpose(1, 2) - 0.5 * means.square().sum(2)[:, None]
        return scores.masked_fill(self.absent.to(pooled.device), -torch.inf)


def draw_means(
    bank: Bank, items: Sequence[LabelItem], n_classes: int, shots: Sequence[int], draws: int, seed: int
) -> dict[int, ClassMeans]:
    """The class means for every number of shots that each class has images for.

    A draw takes the first images of a class in a hashed order, so the draw of one shot is part of that of five.
    """
    rows: list[list[int]] = [[] for _ in range(n_classes)]
    for row, item in enumerate(items):
        rows[item.label].append(row)
    rows = [of_class for of_class in rows if of_class]
    present = torch.tensor([items[of_class[0]].label for of_class in rows])
    usable = [count for count in shots if count <= min(len(of_class) for of_class in rows)]
    if not usable:
        return {}
    by_draw = [[_ordered(of_class, items, seed, draw)[: max(usable)] for of_class in rows] for draw in range(draws)]
    return {count: _means(bank, by_draw, count, present, n_classes) for count in usable}


def _ordered(rows: list[int], items: Sequence[LabelItem], seed: int, draw: int) -> list[int]:
    by_id = {items[row].id: row for row in rows}
    return [by_id[id] for id in hashed_order(by_id, "label shots", seed, draw)]


def _means(
    bank: Bank, by_draw: Sequence[Sequence[Sequence[int]]], count: int, present: Tensor, n_classes: int
) -> ClassMeans:
    origins, means = [], []
    for classes in by_draw:
        vectors = bank.rows([row for of_class in classes for row in of_class[:count]])
        origin = vectors.mean(0)
        unit = functional.normalize(vectors - origin, dim=1)
        table = torch.zeros((n_classes, vectors.shape[1]), dtype=torch.float64)
        table[present] = unit.reshape(len(classes), count, -1).mean(1)
        origins.append(origin)
        means.append(table)
    absent = torch.ones(n_classes, dtype=torch.bool).scatter_(0, present, False)
    return ClassMeans(torch.stack(origins).float(), torch.stack(means).float(), absent)

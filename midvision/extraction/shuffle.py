"""Whose truth an image gets when truth must not help: another image's, and its cells in another order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from midvision.core.seeds import hashed_order, torch_generator

ROUNDS = 3
SELF, OWN_GROUP = 1000, 10
"""Costs of a source: the image itself, one of its own group; a partner's source in the same group costs 1."""


def other_images(
    pool: Sequence[str], groups: Mapping[str, object], partners: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """Image -> another image of the pool, each given once, in an order drawn per image.

    Of another group where there is one, and the two views of a pair (`partners`) from different
    groups where there are enough: what they still share would otherwise be matched.
    """
    source = dict(zip(hashed_order(pool, "shuffle", "to"), hashed_order(pool, "shuffle", "from"), strict=True))
    near = {image: [other for other in partners.get(image, ()) if other in source] for image in pool}

    def cost(image: str) -> int:
        group = groups[source[image]]
        met = sum(groups[source[other]] == group for other in near[image])
        return SELF * (source[image] == image) + OWN_GROUP * (group == groups[image]) + met

    def swap(a: str, b: str) -> None:
        source[a], source[b] = source[b], source[a]

    for round_number in range(ROUNDS):
        wrong = [image for image in pool if cost(image)]
        others = hashed_order(pool, "shuffle", "swap", round_number)
        for image in wrong:
            for other in others:
                before = cost(image) + cost(other)
                if not cost(image):
                    break
                swap(image, other)
                if cost(image) + cost(other) >= before:
                    swap(image, other)
    return source


def permuted_cells(values: Tensor, name: str) -> Tensor:
    """`[C, h, w]` with its cells in an order of this image's own."""
    generator = torch_generator("shuffle", "cells", name)
    order = torch.randperm(values.shape[1] * values.shape[2], generator=generator)
    return values.flatten(1)[:, order].reshape(values.shape)

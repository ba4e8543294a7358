"""The one place that draws seeds: a number for every (run seed, purpose)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch


def seed_for(*purpose: str | int) -> int:
    """A 63-bit seed from the words of its purpose."""
    text = "\x1f".join(str(word) for word in purpose)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little") >> 1


def torch_generator(*purpose: str | int) -> torch.Generator:
    import torch

    return torch.Generator().manual_seed(seed_for(*purpose))


def reference_generator(seed: int) -> torch.Generator:
    """A generator seeded plainly, to repeat a draw of the reference."""
    import torch

    return torch.Generator().manual_seed(seed)


def numpy_generator(*purpose: str | int) -> np.random.Generator:
    """Counter-based (Philox), so streams of different purposes never meet."""
    import numpy as np

    return np.random.Generator(np.random.Philox(key=seed_for(*purpose)))


def hashed_order(ids: Iterable[str], *purpose: str | int) -> list[str]:
    """A shuffle whose restriction to a subset is the shuffle of that subset.

    Each id gets its own random key, so what else is in the list cannot move it.
    """
    return sorted(ids, key=lambda name: (seed_for(*purpose, name), name))

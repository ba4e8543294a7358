"""Building a network with random weights that neither depend on nor change any global random state."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from midvision.core.seeds import seed_for


@contextmanager
def seeded(*purpose: str | int) -> Iterator[None]:
    """Inside, the global processor generators stand at the seed of `purpose`; afterwards as before.

    Libraries initialise from global generators, so these are borrowed. Accelerator generators are
    left alone: networks are built on the processor.
    """
    seed = seed_for(*purpose)
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    torch_state = torch.default_generator.get_state()
    try:
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.default_generator.manual_seed(seed)
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
        torch.default_generator.set_state(torch_state)

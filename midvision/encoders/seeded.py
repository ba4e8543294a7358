"""Building a network: with random weights that neither depend on nor change any global random state, or with none."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.overrides import TorchFunctionMode

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


class Unfilled(TorchFunctionMode):
    """Inside, parameters are created but not filled, which takes longer than reading weights from a file.

    Only for networks all of whose parameters are replaced afterwards. Buffers get their values as ever.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = dict(kwargs or {})
        target = args[0] if args else named.get("tensor")
        if isinstance(target, nn.Parameter) and _fills(getattr(func, "__name__", "")):
            return target
        return func(*args, **named)


def _fills(name: str) -> bool:
    """Whether a function of this name changes its first argument's values in place."""
    return name.endswith("_") and not name.endswith("__") and name != "requires_grad_"

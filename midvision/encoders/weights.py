"""What a module computes, as a digest: its tensors and the source of its own classes."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn


def tensors_digest(state: Mapping[str, Any]) -> str:
    """SHA-256 over names, types, shapes and bytes of all tensors, whatever their order or device."""
    digest = hashlib.sha256()
    for name in sorted(state):
        value = state[name]
        if isinstance(value, Tensor):
            flat = value.detach().cpu().contiguous()
            digest.update(f"{name}\x1f{flat.dtype}\x1f{tuple(flat.shape)}\x1f".encode())
            digest.update(flat.reshape(-1).view(torch.uint8).numpy().tobytes() if flat.numel() else b"")
    return digest.hexdigest()


def code_digest(module: nn.Module) -> str:
    """SHA-256 over the source of every class in the module that is not torch's own."""
    classes = {type(part) for part in module.modules() if not type(part).__module__.startswith("torch.")}
    digest = hashlib.sha256()
    for owner in sorted(classes, key=lambda c: (c.__module__, c.__qualname__)):
        digest.update(source_of(owner).encode())
    return digest.hexdigest()


def source_of(thing: type | Callable[..., Any]) -> str:
    """Source text, or the qualified name where there is none (built in a console, compiled)."""
    name = f"{getattr(thing, '__module__', '')}.{getattr(thing, '__qualname__', type(thing).__qualname__)}"
    try:
        return f"{name}\n{inspect.getsource(thing)}"
    except (OSError, TypeError):
        return name

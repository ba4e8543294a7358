"""What a frozen vision encoder knows about the structure of a scene.

The front door is lazy: `import midvision` loads no torch.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_DOORS = {
    "evaluate": "midvision.run.front",
    "load_model": "midvision.zoo.load",
    "list_models": "midvision.zoo.load",
    "features": "midvision.encoders.ask",
    "wrap": "midvision.encoders.module_backbone",
    "open_data": "midvision.run.open",
    "load_results": "midvision.results.query",
    "Evaluator": "midvision.run.evaluator",
    "list_tasks": "midvision.run.open",
}

__all__ = ["__version__", *sorted(_DOORS)]


def __getattr__(name: str) -> Any:
    if name not in _DOORS:
        raise AttributeError(f"module 'midvision' has no attribute {name!r}")
    return getattr(importlib.import_module(_DOORS[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_DOORS})

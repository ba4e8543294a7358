"""What a publisher's network gives, and how it is read: through hooks, on the way through its own forward."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
SWAV = ((0.485, 0.456, 0.406), (0.228, 0.224, 0.225))
# (layer, whether the final norm was applied, values)
Found = list[tuple[int, bool, Tensor]]


@dataclass
class Reference:
    """`network` is filled; `content` then makes the file; `run` takes normalised pixels.

    `preprocess` is the publisher's own way from images in [0, 1] to such pixels, where its network brings one.
    """

    network: nn.Module
    content: Callable[[], Any]
    run: Callable[[Tensor], Found]
    called: str
    statistics: tuple[tuple[float, ...], tuple[float, ...]] = IMAGENET
    preprocess: Callable[[Tensor], Tensor] | None = None
    keep: tuple[str, ...] = ()
    also: list[nn.Module] = field(default_factory=list)


def prefixed(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in module.state_dict().items()}


def hooked(parts: Sequence[nn.Module], run: Callable[[], Any]) -> tuple[list[Tensor], Any]:
    """What the parts gave on the way, and the result."""
    kept: list[Tensor] = []
    # A copy: some code adds to a block's output in place.
    hooks = [part.register_forward_hook(lambda _m, _i, output: kept.append(output.clone())) for part in parts]
    result = run()
    for hook in hooks:
        hook.remove()
    return kept, result


def stages(network: Any, pixels: Tensor, run: Callable[[Tensor], Any] | None = None) -> Found:
    """The four stages of a ResNet, met on the way through its own forward."""
    parts = [network.layer1, network.layer2, network.layer3, network.layer4]
    kept, _ = hooked(parts, lambda: (run or network)(pixels))
    return [(layer, False, values) for layer, values in enumerate(kept, 1)]


def blocks(network: Any, pixels: Tensor, last: Callable[[Tensor], Any], parts: Any = None) -> Found:
    """Every block as it left it, and what `last` returns (normed)."""
    parts = network.blocks if parts is None else parts
    kept, result = hooked(list(parts), lambda: last(pixels))
    found = [(layer, False, values) for layer, values in enumerate(kept)]
    return [*found, (len(kept) - 1, True, result)]

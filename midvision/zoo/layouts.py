"""How publishers lay out their checkpoints: pure functions from a file's content to named tensors.

A layout is recognised by what a file holds, never by its name. Reading one drops the parts behind the
features that its publisher is known to write (heads, queues, decoders) and renames the rest to timm's
names; whether the result fits a network is decided by `zoo/fit.py`, strictly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from midvision.core.errors import DataError, UsageError, nearest

State = dict[str, Tensor]
# Every set of weights that a content holds in one layout, by the word that chooses it; empty where it is none.
Read = Callable[[Mapping[str, Any]], dict[str, State]]


@dataclass(frozen=True, slots=True)
class Layout:
    """`choices` are the sets of weights that `read` may find, the default first; one set has the name ''."""

    name: str
    title: str
    read: Read
    choices: tuple[str, ...] = ("",)


def all_layouts() -> dict[str, Layout]:
    """Every layout by name."""
    from midvision.zoo import layouts_more, layouts_resnet, layouts_vit

    known = (*layouts_resnet.LAYOUTS, *layouts_vit.LAYOUTS, *layouts_more.LAYOUTS)
    return {layout.name: layout for layout in (BARE, *known)}


def read_layout(name: str, content: Any, choice: str, what: str) -> State:
    """The tensors that `choice` (default: the layout's first) means, under the network's names.

    A file that holds only the bare network is taken too: that is what a person saves who extracts it.
    Raises `DataError` where the content is laid out otherwise or lacks the choice.
    """
    known = all_layouts()
    if name not in known:
        raise UsageError(f"There is no layout {name!r}.", nearest(name, known))
    layout = known[name]
    sets = layout.read(content) if isinstance(content, Mapping) else {}
    if not sets and choice in ("", layout.choices[0]):
        sets = only(layout.choices[0], _read_bare(content).get("", {})) if _is_bare(content) else {}
    wanted = choice or layout.choices[0]
    if wanted in sets:
        return sets[wanted]
    if sets:
        held = ", ".join(sorted(repr(word) for word in sets))
        raise DataError(
            f"{what} holds no {wanted} weights, only {held}.",
            f"{layout.title} is expected with {wanted} weights.",
            f"An id that offers them takes ?weights={next(iter(sets))}; else use file:PATH?arch=NAME&prefix=PART.",
        )
    raise _laid_out_otherwise(layout, content, what)


def recognise(content: Any) -> dict[str, dict[str, State]]:
    """Every layout that could be this content's, with the sets of weights it would give."""
    if not isinstance(content, Mapping):
        return {}
    found = {name: layout.read(content) for name, layout in all_layouts().items()}
    return {name: sets for name, sets in found.items() if sets}


def tensors(table: Any) -> State:
    """The tensors that a dict holds directly; arrays become tensors, everything else is left out."""
    if not isinstance(table, Mapping):
        return {}
    found = {str(name): _as_tensor(value) for name, value in table.items()}
    return {name: value for name, value in found.items() if value is not None}


def inside(content: Any, *path: str) -> Any:
    """What lies at a path of nested dicts, or None."""
    for name in path:
        content = content.get(name) if isinstance(content, Mapping) else None
    return content


def below(state: State, prefix: str, drop: tuple[str, ...] = ()) -> State:
    """The entries under a prefix, without it; names that then start with one of `drop` are left out."""
    cut = len(prefix)
    names = (name for name in state if name.startswith(prefix) and not (drop and name[cut:].startswith(drop)))
    return {name[cut:]: state[name] for name in names}


def only(name: str, state: State) -> dict[str, State]:
    """A single set, or none where nothing was found."""
    return {name: state} if state else {}


def _as_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) and value.dtype.kind in "fiub" else None


def _read_bare(content: Mapping[str, Any]) -> dict[str, State]:
    return only("", below(tensors(content), "", ("fc.", "head.")))


def _is_bare(content: Any) -> bool:
    """Whether the first convolution of a network lies at the top."""
    return isinstance(content, Mapping) and bool({"conv1.weight", "patch_embed.proj.weight"} & set(content))


BARE = Layout("bare", "The bare network, perhaps with its classifier", _read_bare)


def _laid_out_otherwise(layout: Layout, content: Any, what: str) -> DataError:
    names = [str(name) for name in content] if isinstance(content, Mapping) else []
    held = f"a dict of {', '.join(names[:4])}{' ...' if len(names) > 4 else ''}" if names else type(content).__name__
    others = [name for name in recognise(content) if name not in ("bare", layout.name)]
    like = f" It looks like layout {' or '.join(others)}." if others else ""
    return DataError(
        f"{what} is laid out otherwise: it holds {held}.{like}",
        f"{layout.title} is expected.",
        "Check that the file belongs to this model; a stray one is run with file:PATH?arch=NAME.",
    )

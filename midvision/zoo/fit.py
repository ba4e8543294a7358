"""Finding, inside whatever a checkpoint holds, the tensors that a network needs: pure functions on dicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.zoo.layouts import State, below, tensors

# Parts of a supervised network behind its features; networks are built without them.
_CLASSIFIERS = ("fc.", "head.", "heads.", "head_dist.", "classifier.", "last_linear.")
_COUNTERS = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class Candidate:
    """One place in a checkpoint where the network's tensors may lie: a table and a prefix of its names."""

    where: str
    prefix: str
    table: Mapping[str, Tensor]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]

    @property
    def label(self) -> str:
        return f"{self.where}:{self.prefix}" if self.where else self.prefix


def fit_state(
    content: Any,
    wanted: Mapping[str, Tensor],
    what: str,
    choose: str = "",
    renamed: Callable[[State], State] | None = None,
) -> State:
    """A state dict with exactly the names and shapes of `wanted`, or a `DataError`.

    Nested dicts and name prefixes (`module.`, `backbone.` ...) are searched; every wanted name must be
    there and nothing may be left over beside a classifier. Where several places fit (student and
    teacher), `choose` must occur in the label of one only. Batch counters may be absent. Where nothing
    fits as it is, every place is tried again as `renamed` reads it.
    """
    tables = list(_tables(content))
    found, whole = _search(tables, wanted, choose)
    if not whole and renamed is not None:
        again = [(where, state) for where, table in tables if (state := renamed(table))]
        _, whole = _search(again, wanted, choose)
    if len(whole) != 1:
        raise _no_single_fit(what, found, whole, choose)
    best = whole[0]
    # A network may have a part of its own under a classifier's name (ConvNeXt: `head.norm`).
    state = below(dict(best.table), best.prefix)
    return match(
        {name: v for name, v in state.items() if name in wanted or not name.startswith(_CLASSIFIERS)}, wanted, what
    )


def _search(
    tables: list[tuple[str, State]], wanted: Mapping[str, Tensor], choose: str
) -> tuple[list[Candidate], list[Candidate]]:
    """The places that hold some of what is wanted, and those of them that hold exactly that."""
    found = [candidate for table in tables for candidate in _candidates(*table, wanted)]
    if choose:
        found = [candidate for candidate in found if choose in candidate.label]
    return found, [candidate for candidate in found if not candidate.missing and not candidate.unexpected]


def match(state: State, wanted: Mapping[str, Tensor], what: str) -> State:
    """`state` with exactly the names and shapes of `wanted`, or a `DataError` naming what differs.

    Batch counters may be absent. Weights that are not finite, or a first convolution of zeros, are refused.
    """
    missing = tuple(name for name in wanted if name not in state and not name.endswith(_COUNTERS))
    unexpected = tuple(name for name in state if name not in wanted)
    if missing or unexpected:
        raise _does_not_fit(what, missing, unexpected)
    for name, tensor in state.items():
        if tuple(tensor.shape) != tuple(wanted[name].shape):
            raise DataError(
                f"{name} in {what} has shape {list(tensor.shape)}.",
                f"The network expects {list(wanted[name].shape)}.",
                "Choose the architecture that this checkpoint belongs to.",
            )
        if tensor.is_floating_point() and not _finite(tensor):
            raise DataError(f"{name} in {what} holds NaN or infinite values.", "Finite weights are expected.")
    first = next((name for name, value in wanted.items() if value.ndim >= 4), None)
    if first is not None and not bool(state[first].any()):
        raise DataError(
            f"{first} in {what} is all zeros.",
            "A trained network's first convolution is not.",
            "The file was not written by a finished training; fetch it again.",
        )
    return {**wanted, **state}


def _finite(tensor: Tensor) -> bool:
    """A finite sum proves it at a fraction of the cost; only a sum that overflows needs the exact look."""
    return bool(tensor.sum().isfinite()) or bool(torch.isfinite(tensor).all())


def _tables(content: Any, where: str = "") -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Every dict, at any depth, that holds tensors directly; arrays become tensors."""
    if not isinstance(content, Mapping):
        return
    if table := tensors(content):
        yield where, table
    for name, value in content.items():
        yield from _tables(value, f"{where}.{name}" if where else str(name))


def _candidates(where: str, table: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> Iterator[Candidate]:
    """One per prefix under which the wanted names occur, as far as any does."""
    needed = [name for name in wanted if not name.endswith(_COUNTERS)]
    anchor = max(needed, key=lambda name: (name.count("."), len(name)), default="")
    prefixes = {name[: -len(anchor)] for name in table if name.endswith(anchor)} if anchor else set()
    for prefix in sorted(p for p in prefixes if not p or p.endswith(".")):
        missing = tuple(name for name in needed if prefix + name not in table)
        rest = (name[len(prefix) :] for name in table if name.startswith(prefix))
        unexpected = tuple(
            name
            for name in rest
            if name not in wanted and not name.endswith(_COUNTERS) and not name.startswith(_CLASSIFIERS)
        )
        yield Candidate(where, prefix, table, missing, unexpected)


def _no_single_fit(what: str, found: list[Candidate], whole: list[Candidate], choose: str) -> DataError:
    if whole:
        labels = ", ".join(repr(candidate.label) for candidate in whole)
        return DataError(
            f"{len(whole)} sets of weights in {what} fit the network: {labels}.",
            "One must be chosen.",
            "Add &prefix=PART with a part of the right one's name.",
        )
    if not found:
        return DataError(
            f"{what} holds no weights of this network" + (f" under {choose!r}." if choose else "."),
            "Names like those of the network are expected, under any common prefix.",
            "Choose the architecture that this checkpoint belongs to.",
        )
    best = min(found, key=lambda candidate: len(candidate.missing) + len(candidate.unexpected))
    return _does_not_fit(what, best.missing, best.unexpected)


def _does_not_fit(what: str, missing: tuple[str, ...], unexpected: tuple[str, ...]) -> DataError:
    parts = [
        f"{len(names)} {word} ({', '.join(names[:3])}{' ...' if len(names) > 3 else ''})"
        for word, names in (("missing", missing), ("left over", unexpected))
        if names
    ]
    return DataError(
        f"{what} does not fit the network: {'; '.join(parts)}.",
        "Every tensor must be used, none may be missing.",
        "Choose the architecture that this checkpoint belongs to.",
    )

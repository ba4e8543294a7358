"""Work on several items at once, for work that leaves Python's lock: decoding, resizing, torch and NumPy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def in_threads(work: Callable[[A], B], many: Sequence[A]) -> list[B]:
    """`[work(one) for one in many]`, on as many threads as torch may use; the first error in that order is raised."""
    import torch

    threads = min(torch.get_num_threads(), len(many))
    if threads < 2:
        return [work(one) for one in many]
    with ThreadPoolExecutor(threads, thread_name_prefix="items") as pool:
        return list(pool.map(work, many))

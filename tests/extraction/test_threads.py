"""Threads that read: the order asked, the first error, and an end when nobody listens any more."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from midvision.core.errors import DataError
from midvision.core.items import Image
from midvision.core.threads import in_threads
from midvision.extraction.extract import AHEAD, read_batches


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_items_in_threads_keep_their_order_and_meet_each_other(two_threads: None) -> None:
    both = threading.Barrier(2, timeout=30)

    def square(number: int) -> int:
        both.wait()  # passes only if two are at work at once
        return number * number

    assert in_threads(square, range(6)) == [0, 1, 4, 9, 16, 25]
    assert in_threads(lambda number: -number, []) == []


def test_the_first_error_in_order_is_raised(two_threads: None) -> None:
    def fails(number: int) -> int:
        if number % 2:
            raise DataError(f"number {number}")
        return number

    with pytest.raises(DataError, match="number 1"):
        in_threads(fails, [0, 1, 2, 3])


def test_reading_stays_a_few_batches_ahead_and_ends_with_its_listener() -> None:
    read: list[int] = []

    def image(number: int) -> Image:
        def load() -> torch.Tensor:
            read.append(number)
            return torch.full((3, 4, 4), float(number))

        return Image(f"im{number}", load, lambda: f"im{number}")

    images = [image(number) for number in range(60)]
    batches = read_batches(images, 2, 2)
    first = next(batches)
    assert isinstance(first, torch.Tensor) and first[:, 0, 0, 0].tolist() == [0.0, 1.0]
    batches.close()  # type: ignore[attr-defined]
    assert len(read) <= 2 * (2 * AHEAD + 1)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read")]
    whole = torch.cat([batch for batch in read_batches(images, 7, 2) if isinstance(batch, torch.Tensor)])
    assert whole[:, 0, 0, 0].tolist() == list(range(60))

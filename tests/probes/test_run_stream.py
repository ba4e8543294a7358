"""The one loop: who sees what, in which order, by reference."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from probe_fakes import FakeSource, patch_plan

from midvision.core.features import Features
from midvision.core.progress import Progress
from midvision.core.seeds import hashed_order
from midvision.probes.train import run_stream

IDS = [f"i{number}" for number in range(11)]


class Listener:
    """Notes everything it is fed."""

    def __init__(self, wants: list[list[str]]) -> None:
        self.epochs, self._wants = len(wants), wants
        self.seen: list[list[str]] = [[] for _ in wants]
        self.ended: list[int] = []
        self.values: dict[str, torch.Tensor] = {}
        self.storages: set[int] = set()

    def wants(self, epoch: int) -> Sequence[str]:
        return self._wants[epoch]

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        assert len(ids) == features.maps[0].shape[0] == (0 if features.pooled is None else features.pooled.shape[0])
        self.seen[epoch] += ids
        self.values.update({name: features.maps[0][row] for row, name in enumerate(ids)})
        self.storages.add(features.maps[0].untyped_storage().data_ptr())

    def end_epoch(self, epoch: int) -> None:
        self.ended.append(epoch)


@pytest.mark.parametrize("batch", [1, 3, 32])
def test_everyone_gets_its_own_images_once_per_epoch(batch: int) -> None:
    source = FakeSource(patch_plan(), IDS, batch)
    all_twice, few, later = Listener([IDS, IDS]), Listener([IDS[2:9:3]]), Listener([[], IDS[:4], IDS[9:]])
    run_stream(source, [all_twice, few, later], shuffle=True)
    for epoch in range(2):
        assert all_twice.seen[epoch] == hashed_order(IDS, "order", epoch)
    assert few.seen == [hashed_order(IDS[2:9:3], "order", 0)]
    assert later.seen == [[], hashed_order(IDS[:4], "order", 1), hashed_order(IDS[9:], "order", 2)]
    assert (all_twice.ended, few.ended, later.ended) == ([0, 1], [0], [0, 1, 2])
    assert len(source.served) == 11 + 11 + 2
    for name, value in all_twice.values.items():
        assert torch.equal(value, source.maps[name][0])


def test_without_shuffling_the_data_set_order_stays() -> None:
    source = FakeSource(patch_plan(), IDS)
    listener = Listener([IDS[::-1]])
    run_stream(source, [listener], shuffle=False)
    assert listener.seen == [IDS[::-1]] == [source.served]


def test_consumers_share_the_same_memory() -> None:
    source = FakeSource(patch_plan(), IDS, 4)
    whole, part = Listener([IDS]), Listener([IDS[:7]])
    run_stream(source, [whole, part], shuffle=False)
    assert part.storages <= whole.storages


def test_progress_counts_images() -> None:
    said: list[tuple[str, int | None]] = []

    class Bars(Progress):
        def bar(self, label: str, total: int | None):  # type: ignore[no-untyped-def]
            said.append((label, total))
            return super().bar(label, total)

    run_stream(FakeSource(patch_plan(), IDS), [Listener([IDS, IDS[:2]])], shuffle=True, progress=Bars(), purpose="Test")
    assert said == [("Test, epoch 1", 11), ("Test, epoch 2", 2)]
    run_stream(FakeSource(patch_plan(), IDS), [], shuffle=True)

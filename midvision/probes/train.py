"""The group's one loop: every feature batch is read once and handed to everyone who wants it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from midvision.core.features import Features
from midvision.core.progress import SILENT, Progress
from midvision.core.seeds import hashed_order
from midvision.core.streams import Consumer, FeatureSource
from midvision.probes.closed_form import share_design


def run_stream(
    source: FeatureSource,
    consumers: Sequence[Consumer],
    *,
    shuffle: bool,
    progress: Progress = SILENT,
    purpose: str = "Training",
) -> None:
    """Feed all `consumers` from one stream, epoch by epoch, until each has had its epochs.

    With `shuffle` an epoch's order comes from the ids and the epoch alone, so what else is in the
    group cannot move it; otherwise ids keep the order in which consumers name them.
    """
    active = share_design(consumers)
    for epoch in range(max((consumer.epochs for consumer in active), default=0)):
        wants = [(consumer, set(consumer.wants(epoch))) for consumer in active if epoch < consumer.epochs]
        order = _order([consumer for consumer, _ in wants], epoch, shuffle)
        with progress.bar(f"{purpose}, epoch {epoch + 1}", len(order)) as advance:
            for ids, features in source.stream(order) if order else ():
                for consumer, wanted in wants:
                    for start, stop in _runs(ids, wanted):
                        consumer.feed(epoch, ids[start:stop], _part(features, start, stop, len(ids)))
                advance(len(ids))
        for consumer, _ in wants:
            consumer.end_epoch(epoch)


def _order(consumers: Sequence[Consumer], epoch: int, shuffle: bool) -> list[str]:
    union = dict.fromkeys(image for consumer in consumers for image in consumer.wants(epoch))
    return hashed_order(union, "order", epoch) if shuffle else list(union)


def _runs(ids: Sequence[str], wanted: set[str]) -> Iterator[tuple[int, int]]:
    """Stretches of a batch that a consumer wants; stretches, because those are views, not copies."""
    start: int | None = None
    for index, name in enumerate(ids):
        if name in wanted and start is None:
            start = index
        elif name not in wanted and start is not None:
            yield start, index
            start = None
    if start is not None:
        yield start, len(ids)


def _part(features: Features, start: int, stop: int, rows: int) -> Features:
    if (start, stop) == (0, rows):
        return features
    pooled = None if features.pooled is None else features.pooled[start:stop]
    return Features(tuple(m[start:stop] for m in features.maps), pooled)

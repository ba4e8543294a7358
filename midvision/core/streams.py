"""One stream of features, many consumers: the contract between sources, probes and tasks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.features import FeaturePlan, Features
    from midvision.core.scores import Scores


class FeatureSource(Protocol):
    """Features by image id; cached or live, same promise: equal values, whatever the batch size."""

    plan: FeaturePlan

    def stream(self, ids: Iterable[str]) -> Iterator[tuple[list[str], Features]]:
        """Each id once, in the order given, in batches; float32 on the run's device."""
        ...


class Consumer(Protocol):
    """Something fed by a stream. It buffers what it needs, so batch borders cannot matter to it."""

    @property
    def epochs(self) -> int: ...

    def wants(self, epoch: int) -> Collection[str]:
        """Image ids this consumer must see in this epoch; empty when it is done."""
        ...

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None: ...

    def end_epoch(self, epoch: int) -> None: ...


class Learner(Consumer, Protocol):
    """A probe being fitted. After its last epoch `readout` is ready."""

    @property
    def readout(self) -> Any: ...

    def record(self) -> Mapping[str, Any]:
        """Plain values for the result: rate or penalty chosen, candidates with scores, steps, parameters."""
        ...

    def state(self) -> Mapping[str, Tensor]:
        """The fitted probe's tensors."""
        ...


class Scorer(Consumer, Protocol):
    """Scores items from features; one epoch."""

    def scores(self) -> Scores: ...

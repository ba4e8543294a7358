"""From a task's problem to a learner: the one entry of tasks into the probes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from midvision.core.errors import DataError
from midvision.core.items import DenseItem, Target

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.features import FeaturePlan, Features
    from midvision.core.specs import ProbeSpec
    from midvision.core.specs import Protocol as Rules
    from midvision.probes.problem import DenseProblem

Score = Callable[["Tensor", Target], float]
"""Prediction `[K, H, W]` and truth -> headline of one image, higher is better, NaN if undefined."""


class DenseReadout(Protocol):
    """A fitted dense probe.

    `batch_images` is None, or the number of images whose statistics the head uses together at
    test time (`paper` masks): then `predict` must get batches of exactly that many images, in
    data set order (the last may be smaller).
    """

    @property
    def batch_images(self) -> int | None: ...

    def predict(self, features: Features, size: tuple[int, int]) -> Tensor:
        """`[B, K, H, W]`: depth in metres, unit normals, or the probability of the mask."""
        ...


class DenseLearner(Protocol):
    """A learner (see `core.streams`) whose readout predicts maps."""

    epochs: int

    def wants(self, epoch: int) -> Sequence[str]: ...

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None: ...

    def end_epoch(self, epoch: int) -> None: ...

    @property
    def readout(self) -> DenseReadout: ...

    @property
    def constant(self) -> Tensor:
        """The best constant prediction `[K]`, from training truth alone."""
        ...

    def record(self) -> Mapping[str, Any]: ...

    def state(self) -> Mapping[str, Tensor]: ...


def dense_learner(
    problem: DenseProblem,
    protocol: Rules,
    probe: ProbeSpec,
    plan: FeaturePlan,
    items: Sequence[DenseItem],
    score: Score,
    seed: int,
    device: str,
) -> DenseLearner:
    """The learner that fits `probe` to the training `items`; `score` chooses rates and constants."""
    from midvision.probes.closed_form import RidgeLearner
    from midvision.probes.trained import TrainedLearner

    if not items:
        raise DataError("The training split has no items.", "A probe needs at least one.", "Check the data set.")
    images = [item.image for item in items]
    if len(set(images)) != len(images):
        twice = sorted(name for name in set(images) if images.count(name) > 1)[0]
        raise DataError(f"Image {twice!r} has two training targets.", "One per image is expected.")
    if probe.name == "ridge":
        return RidgeLearner(problem, protocol, plan, items, score, device)
    return TrainedLearner(problem, protocol, probe, plan, items, score, seed, device)

"""One unit inside the shared stream: it sees only its own layers, and its failure stays its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from midvision.core.features import FeaturePlan, Features
from midvision.core.scores import Scores
from midvision.core.streams import Consumer, Learner, Scorer
from midvision.tasks.task import Setting

if TYPE_CHECKING:
    from midvision.run.plan import Unit


class Guarded:
    """A consumer that hands its unit the layers of the unit's plan and keeps the first error."""

    def __init__(self, unit: Unit, plan: FeaturePlan, joint: FeaturePlan, device: str) -> None:
        self.unit, self.plan = unit, plan
        self.setting = Setting(unit.protocol, plan, unit.probe, unit.spec.seed, device)
        where = [layer.index for layer in joint.layers]
        self.rows = [where.index(layer.index) for layer in plan.layers] if plan.maps else []
        self.error: Exception | None = None
        self.learner: Learner | None = None
        self.scorer: Scorer | None = None

    def learn(self) -> Guarded:
        """Make the unit's learner."""
        task, train = self.unit.task, self.unit.train
        assert task.learner is not None and train is not None
        try:
            self.learner = task.learner(self.setting, train)
        except Exception as error:
            self.error = error
        return self

    def score(self, trained: Guarded | None) -> Guarded:
        """Make the unit's scorer, with what its learner learned."""
        if trained is not None and trained.error is not None:
            self.error = trained.error
            return self
        self.learner = trained.learner if trained else None
        try:
            self.scorer = self.unit.task.scorer(self.setting, self.unit.test, self.learner)
        except Exception as error:
            self.error = error
        return self

    @property
    def consumer(self) -> Consumer | None:
        return self.scorer or self.learner

    @property
    def epochs(self) -> int:
        return 0 if self.error or self.consumer is None else self.consumer.epochs

    def wants(self, epoch: int) -> Collection[str]:
        if self.error or self.consumer is None or epoch >= self.consumer.epochs:
            return ()
        return self.consumer.wants(epoch)

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        maps = tuple(features.maps[row] for row in self.rows)
        pooled = features.pooled if self.plan.pooled != "none" else None
        self._try("feed", epoch, ids, Features(maps, pooled))

    def end_epoch(self, epoch: int) -> None:
        self._try("end_epoch", epoch)

    def _try(self, step: str, *arguments: Any) -> None:
        if self.error or self.consumer is None:
            return
        try:
            getattr(self.consumer, step)(*arguments)
        except Exception as error:
            self.error = error

    def result(self) -> Scores | None:
        if self.error or self.scorer is None:
            return None
        try:
            return self.scorer.scores()
        except Exception as error:
            self.error = error
            return None

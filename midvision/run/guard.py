"""Units inside the shared stream: each sees only its own layers, and its failure stays its own."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from midvision.core.features import FeaturePlan, Features
from midvision.core.scores import Scores
from midvision.core.streams import Consumer, Learner, Scorer
from midvision.probes.closed_form import share_design
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

    def own(self, features: Features) -> Features:
        """The layers of this unit's plan."""
        maps = tuple(features.maps[row] for row in self.rows)
        return Features(maps, features.pooled if self.plan.pooled != "none" else None)

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        self._try("feed", epoch, ids, self.own(features))

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


class Joined:
    """Learners of several units that share one computation, fed once; its failure is theirs all."""

    def __init__(self, consumer: Consumer, members: Sequence[Guarded]) -> None:
        self.consumer, self.members = consumer, members

    @property
    def epochs(self) -> int:
        return 0 if self.members[0].error else self.consumer.epochs

    def wants(self, epoch: int) -> Collection[str]:
        return () if self.members[0].error or epoch >= self.consumer.epochs else self.consumer.wants(epoch)

    def feed(self, epoch: int, ids: Sequence[str], features: Features) -> None:
        self._try("feed", epoch, ids, self.members[0].own(features))

    def end_epoch(self, epoch: int) -> None:
        self._try("end_epoch", epoch)

    def _try(self, step: str, *arguments: Any) -> None:
        if self.members[0].error:
            return
        try:
            getattr(self.consumer, step)(*arguments)
        except Exception as error:
            for member in self.members:
                member.error = error


def join(learners: Sequence[Guarded]) -> list[Consumer]:
    """The learners as the stream should feed them: those that can share their sums together, others alone."""
    owner = {id(core(entry.learner)): entry for entry in learners if entry.learner is not None}
    consumers: list[Consumer] = []
    for shared in share_design([core(entry.learner) for entry in learners if entry.learner is not None]):
        members = [owner[id(member)] for member in getattr(shared, "members", (shared,))]
        consumers.append(Joined(shared, members) if len(members) > 1 else members[0])
    return consumers


def core(learner: Any) -> Any:
    """The learner inside a task's wrapping."""
    while hasattr(learner, "inner"):
        learner = learner.inner
    return learner

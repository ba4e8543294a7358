"""What a task is, and what it may see of a run. Importing this loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from midvision.core.features import FeaturePlan, LayerWish, Pooled
from midvision.core.items import Content, Dataset
from midvision.core.scores import Metric
from midvision.core.specs import ProbeSpec, Protocol
from midvision.core.streams import Learner, Scorer


@dataclass(frozen=True, slots=True)
class Setting:
    """One run as its task sees it: no encoder inside.

    `plan` lists just the layers of this run, in the order of `Features.maps`.
    """

    protocol: Protocol
    plan: FeaturePlan
    probe: ProbeSpec | None
    seed: int
    device: str


@dataclass(frozen=True, slots=True)
class ControlBounds:
    """What the controls must reach on the headline with the built-in suite, for the task to mean anything.

    The oracle scores at least `oracle_at_least`; noise at most `noise_above_floor` above the floor,
    which is the constant predictor of a trained task and chance of a matching or choosing one.
    The shuffled oracle knows no more than noise; place alone and colour alone reach at most
    `shortcut_above_floor` above the floor.
    """

    oracle_at_least: float
    noise_above_floor: float
    shortcut_above_floor: float = 0.15


@dataclass(frozen=True, slots=True)
class Task:
    """A question to an encoder. One behaviour may serve several tasks that differ in data only.

    `learner` is None where nothing is trained; `scorer` gets the fitted learner, or None.
    `metrics[0]` is the headline. `data_set` names the card that serves the task when the person
    gives no data; None means `--data` is required. `layers` None asks for the field's four.
    """

    name: str
    title: str
    question: str
    level: Literal["mid", "high"]
    content: Content
    data_set: str | None
    layers: tuple[LayerWish, ...] | None
    maps: bool
    pooled: Pooled
    metrics: tuple[Metric, ...]
    protocols: Mapping[str, Protocol]
    learner: Callable[[Setting, Dataset], Learner] | None
    scorer: Callable[[Setting, Dataset, Any], Scorer]
    bounds: ControlBounds | None = None


@cache
def all_tasks() -> dict[str, Task]:
    """Every task by name."""
    import midvision.tasks as package
    from midvision.core.catalog import discover

    return discover(package, "TASKS")

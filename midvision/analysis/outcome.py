"""What the analysis of a study holds: plain numbers with their intervals, and the words where there are too few.

Every interval is of 95 per cent. `Bounded.note` is empty, or says why there is no interval; then `low` and
`high` are NaN (null in JSON) and nothing may be concluded. All objects become JSON by `as_dict` of the whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from midvision.analysis.facts import ModelFacts
from midvision.results.record import plain

TOO_FEW = "too few to tell"
PairWord = Literal["ordered", "tied", "reversed"]
FindingWord = Literal["holds", "does not hold", "undecided"]
Assignment = Literal["main", "other"]


@dataclass(frozen=True, slots=True)
class Bounded:
    """A number with its interval. `n` counts what it rests on: clusters, models, or pairs of them."""

    value: float
    low: float
    high: float
    n: int
    note: str = ""

    @property
    def told(self) -> bool:
        """Whether there is an interval."""
        return self.low == self.low and self.high == self.high


@dataclass(frozen=True, slots=True)
class Standing:
    """One entry of a ranking. The true rank lies between `rank` and `worst_rank` (1 is best).

    `name` is unique in its ranking: the model, with its layers where those were chosen by hand. `value` is on
    all items, the mean over probe seeds. References (`ceiling`, `floor`) have rank 0.
    """

    name: str
    model: str
    role: str
    value: Bounded
    rank: int
    worst_rank: int
    seeds: tuple[int, ...]
    run_hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairVerdict:
    """Two neighbours of an order: does the order hold for these items?

    `first` was expected to be better. `difference` is the gain of `first` over `second` on the headline, so
    positive is better whichever way the metric goes. `adjusted_p` is Holm's over all pairs of the ranking.
    *ordered*: first is reliably better; *reversed*: second is; *tied*: they cannot be told apart.
    """

    first: str
    second: str
    difference: Bounded
    p: float
    adjusted_p: float
    verdict: PairWord


@dataclass(frozen=True, slots=True)
class MetricSensitivity:
    """Another metric of the same task: does it rank the models as the headline does?

    `largest_move` is the largest change of any model's place, `moved` that model.
    """

    metric: str
    spearman: float
    kendall: float
    n: int
    best: str
    largest_move: int
    moved: str


@dataclass(frozen=True, slots=True)
class TaskGroup:
    """One ranking: results that differ in the model, its layers and the seed only.

    `id` is what other parts of the analysis point to. `pairs` are the neighbours of this ranking, best first.
    `clusters` counts scenes or objects. `reason` says for people what the results share.
    """

    id: str
    task: str
    title: str
    level: str
    protocol: str
    protocol_version: int
    probe: str
    dataset: str
    metric: str
    unit: str
    higher_is_better: bool
    clusters: int
    reason: str
    standings: tuple[Standing, ...]
    pairs: tuple[PairVerdict, ...]
    sensitivity: tuple[MetricSensitivity, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike two rankings order the models that both hold; values are turned so that higher is better."""

    a: str
    b: str
    spearman: Bounded
    pearson: Bounded


@dataclass(frozen=True, slots=True)
class Point:
    """One model in a scatter: `x` high-level value (per cent), `y` mid-level headline."""

    model: str
    architecture: str
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Line:
    """Least squares `y = intercept + slope * x`; `band` rows are (x, fit, low, high) of the mean's 95 % band."""

    slope: Bounded
    intercept: Bounded
    band: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """Mid level against one high-level set, across self-supervised models.

    `scope` is `pooled`, an architecture, or `given architecture` (both sides centred within architectures).
    `r_squared` comes from `pearson`; its interval is cut at zero. `line` is None where there are too few points
    or the scope is `given architecture`.
    """

    group: str
    set: str
    scope: str
    pearson: Bounded
    spearman: Bounded
    r_squared: Bounded
    line: Line | None
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class AgainstHigh:
    """Neighbours of the order that a high-level set gives, judged by one mid-level task."""

    group: str
    set: str
    pairs: tuple[PairVerdict, ...]


@dataclass(frozen=True, slots=True)
class ParadigmMean:
    """Mean headline of a paradigm's models in one ranking."""

    paradigm: str
    models: tuple[str, ...]
    mean: float


@dataclass(frozen=True, slots=True)
class ParadigmEffect:
    """Do paradigms differ? Permutation of paradigms among models of one architecture.

    `share` is the part of the variance between models (within architectures) that paradigms explain. `assignment`
    `other` moves iBOT, DINO, PIRL and their like to where the cards say they also could stand. `adjusted_p` is
    Holm's over the rankings of one assignment.
    """

    group: str
    assignment: Assignment
    share: float
    p: float
    adjusted_p: float
    n: int
    note: str
    means: tuple[ParadigmMean, ...]


@dataclass(frozen=True, slots=True)
class ModelShare:
    """One self-supervised model as a share of the supervised one of its architecture, on the same items.

    `corrected` takes chance (or the best constant answer) off both sides first.
    """

    model: str
    yardstick: str
    share: Bounded
    corrected: Bounded


@dataclass(frozen=True, slots=True)
class SupervisedShare:
    """Self-supervision as a share of supervision in one ranking, or on one high-level set (`group` is empty).

    `share` is the mean over models, its interval over models. `floor` says what was taken off in `corrected`.
    """

    group: str
    set: str
    floor: str
    share: Bounded
    corrected: Bounded
    models: tuple[ModelShare, ...]


@dataclass(frozen=True, slots=True)
class VarianceSplit:
    """Where the spread of scores comes from, as variances on the headline's scale.

    `models`: true differences between models; `items`: the choice of test scenes; `seeds`: probe seeds; `probes`:
    probes that favour some models (interaction); NaN where only one seed or probe was run, which `note` says.
    """

    task: str
    protocol: str
    groups: tuple[str, ...]
    models: float
    items: float
    seeds: float
    probes: float
    n_models: int
    n_seeds: int
    n_probes: int
    note: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One claim of the paper, judged by this study. `source` says where the claim stands."""

    id: str
    sentence: str
    source: str
    verdict: FindingWord
    reason: str
    numbers: Mapping[str, Bounded]
    models: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StudyAnalysis:
    """Everything that a study's results say. `notes` are what was left out, and why."""

    models: tuple[ModelFacts, ...]
    groups: tuple[TaskGroup, ...]
    agreement: tuple[Agreement, ...]
    relations: tuple[Relation, ...]
    against_high: tuple[AgainstHigh, ...]
    paradigms: tuple[ParadigmEffect, ...]
    shares: tuple[SupervisedShare, ...]
    variance: tuple[VarianceSplit, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]

    def group(self, id: str) -> TaskGroup:
        return next(group for group in self.groups if group.id == id)

    def as_dict(self) -> dict[str, Any]:
        """Strict JSON values: numbers that are not finite become null."""
        body: dict[str, Any] = plain(asdict(self))
        return body

"""Two encoders on the same items: paired differences, and a refusal where results may not be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from midvision.analysis.headline import headline_metric
from midvision.analysis.ranks import ALPHA, holm_adjusted
from midvision.analysis.resample import Difference, paired_difference
from midvision.core.errors import ComparisonError
from midvision.report.numbers import metric_title, number
from midvision.results.query import comparable
from midvision.results.record import ResultRecord


@dataclass(frozen=True, slots=True)
class Compared:
    """One task's headline for two encoders, and their paired difference a - b.

    `adjusted_p` is Holm's over all comparisons made at once; `difference.better` goes by it.
    """

    task: str
    a: ResultRecord
    b: ResultRecord
    difference: Difference
    adjusted_p: float

    def as_dict(self) -> dict[str, Any]:
        return {
            "task": self.task,
            "a": {"model": self.a.model_id, "run_hash": self.a.run_hash, "value": self.a.main.value},
            "b": {"model": self.b.model_id, "run_hash": self.b.run_hash, "value": self.b.main.value},
            **asdict(self.difference),
            "adjusted_p_value": self.adjusted_p,
        }

    def words(self) -> list[str]:
        """Cells for people: values, difference, interval, and which is better if that can be said."""
        found, unit = self.difference, self.a.main.unit
        verdict = {"a": f"{self.a.model_id} is better", "b": f"{self.b.model_id} is better", "": "cannot be told apart"}
        values = (self.a.main.value, self.b.main.value)
        decimals = 1 if unit in ("deg", "px") else 3
        span = f"[{found.ci_low:+.{decimals}f}, {found.ci_high:+.{decimals}f}]"
        return [
            f"{self.task} ({comparable(self.a).protocol}{', ' + self.a.probe_name if self.a.probe_name else ''})",
            metric_title(found.metric),
            *(number(value, unit) for value in values),
            f"{found.value:+.{decimals}f}",
            span,
            f"{self.adjusted_p:.2g}",
            verdict[found.better],
        ]


def compare_all(a: Sequence[ResultRecord], b: Sequence[ResultRecord]) -> list[Compared]:
    """Every pair of comparable records, in order of task; `ComparisonError` where there is none.

    Several seeds are paired by seed. Several comparisons share one chance of error: Holm's correction.
    """
    found = [
        (left, right, _difference(left, right))
        for left in a
        for right in b
        if comparable(left) == comparable(right) and left.seed == right.seed and left.run_hash != right.run_hash
    ]
    if not found:
        raise ComparisonError(
            f"No result of {a[0].model_id} can be compared with one of {b[0].model_id}.",
            f"Task, protocol, probe, data and seed must agree. {_why(a, b)}",
            "Run both with the same options, or choose with --task, --protocol and --probe.",
        )
    chances = holm_adjusted(
        [1.0 if difference.p_value != difference.p_value else difference.p_value for *_, difference in found]
    )
    judged = [
        Compared(left.task, left, right, replace(difference, better=difference.better if p <= ALPHA else ""), p)
        for (left, right, difference), p in zip(found, chances, strict=True)
    ]
    return sorted(judged, key=lambda one: (one.task, str(one.a.protocol["name"]), one.a.seed))


def _difference(a: ResultRecord, b: ResultRecord) -> Difference:
    left, right = a.scores(), b.scores()
    metric = headline_metric(a, left)
    if metric is None:
        raise ComparisonError(
            f"The items of {a.task} do not hold {a.main_metric}.", "Per-item scores of this version are needed."
        )
    return paired_difference(left, right, metric)


def _why(a: Sequence[ResultRecord], b: Sequence[ResultRecord]) -> str:
    """What is there, so that a person sees the difference."""
    left, right = (sorted({comparable(record).reason for record in side})[:3] for side in (a, b))
    return f"There are {'; '.join(left)} against {'; '.join(right)}."

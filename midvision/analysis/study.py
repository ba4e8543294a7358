"""What the results of a study say: rankings, agreement, mid against high level, paradigms, findings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from midvision.analysis.claims import STAND_INS
from midvision.analysis.entries import tables
from midvision.analysis.facts import ModelFacts, facts_of_models
from midvision.analysis.findings import judge
from midvision.analysis.groups import task_group
from midvision.analysis.outcome import StudyAnalysis
from midvision.analysis.paradigms import paradigm_effects
from midvision.analysis.relations import against_high, agreement, high_values, relations
from midvision.analysis.shares import supervised_shares
from midvision.analysis.variance import variance_splits
from midvision.results.high_level import HighScore
from midvision.results.query import Results

__all__ = ["StudyAnalysis", "analyse"]


def analyse(
    results: Results,
    high: Sequence[HighScore] = (),
    facts: Mapping[str, ModelFacts] | None = None,
    seed: int = 0,
) -> StudyAnalysis:
    """The whole analysis, from stored per-item scores. Limited runs take no part.

    `high` are published or own high-level scores; the study's own tasks of high level are used as well. `facts` by
    model id replace what the cards say.
    """
    models = _models(results, facts or {})
    found, notes = tables(results, models, seed)
    if any(one.stand_in for one in models.values()):
        notes.insert(0, STAND_INS)
    reference = high_values(found, high)
    shares, links = supervised_shares(found, reference), relations(found, reference)
    return StudyAnalysis(
        models=tuple(models.values()),
        groups=tuple(task_group(table) for table in found),
        agreement=agreement([table for table in found if table.level == "mid"]),
        relations=links,
        against_high=against_high(found, reference),
        paradigms=paradigm_effects(found, seed),
        shares=shares,
        variance=variance_splits(found),
        findings=judge(found, shares, links),
        notes=tuple(notes),
    )


def _models(results: Results, facts: Mapping[str, ModelFacts]) -> dict[str, ModelFacts]:
    found = facts_of_models({record.model_id: record.model for record in results})
    return {id: facts.get(id, own) for id, own in found.items()}

"""Ranks and floors of records, from their per-item scores."""

from __future__ import annotations

from collections.abc import Sequence

from midvision.analysis.headline import headline_metric
from midvision.analysis.ranks import Rank, shared_ranks
from midvision.analysis.resample import against_baseline
from midvision.core.errors import ComparisonError
from midvision.core.scores import Scores
from midvision.results.record import ResultRecord

FLOORS = (("constant", "not better than a constant"), ("chance", "not better than chance"))


def standings(records: Sequence[ResultRecord], scores: Sequence[Scores | None]) -> dict[str, Rank]:
    """Rank by run hash; empty where a record has lost its per-item scores or the items differ."""
    known = {record.run_hash: found for record, found in zip(records, scores, strict=True) if found is not None}
    if not records or len(known) < len(records):
        return {}
    metric = headline_metric(records[0], known[records[0].run_hash])
    if metric is None:
        return {}
    try:
        return {rank.name: rank for rank in shared_ranks(known, metric)}
    except ComparisonError:
        return {}


def verdict(record: ResultRecord, scores: Scores | None) -> str:
    """Which floor the record does not reliably clear, as words; empty where it clears them or has none.

    Paired over the same items where their scores are there; else the interval against the floor's value.
    """
    metric = headline_metric(record, scores) if scores else None
    for name, words in FLOORS:
        floor = record.baselines.get(name, {}).get(record.main_metric)
        if scores is not None and metric is not None:
            difference = against_baseline(scores, metric, name)
            if difference is not None:
                if difference.better != "a":
                    return words
                continue
        if floor is None and name == "chance" and record.main.chance is not None:
            level = record.main.chance
        elif floor is not None:
            level = floor.value
        else:
            continue
        better = record.main.ci_low > level if record.main.higher_is_better else record.main.ci_high < level
        if not better:
            return words
    return ""

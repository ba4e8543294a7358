"""What a reader must know before comparing: gaps, mixed settings, mixed machines, stand-ins, failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from midvision.report.rows import Ranking, set_apart
from midvision.report.study.sweeps import varied
from midvision.report.subjects import subject_of
from midvision.results.record import ResultRecord

LISTED = 5


def warnings_of(
    records: Sequence[ResultRecord], rankings: Sequence[Ranking], failures: Sequence[Any], notes: Sequence[str]
) -> list[str]:
    """Whole sentences, the weightiest first."""
    found = [*_stand_ins(records), *_missing(rankings), *_apart(records, failures), *_mixed(rankings)]
    return [*found, *_machines(rankings), *_few_groups(rankings), *notes]


def _stand_ins(records: Sequence[ResultRecord]) -> list[str]:
    models = {record.model_id for record in records if subject_of(record).stand_in}
    if not models:
        return []
    return [
        f"{len(models)} encoders are stand-ins: the networks of listed models with random weights. Their numbers say "
        "what an untrained network reaches, and nothing of the models whose names they carry."
    ]


def _missing(rankings: Sequence[Ranking]) -> list[str]:
    """Encoders that lack a result where others have one, by protocol."""
    found = []
    for protocol in dict.fromkeys(ranking.key.protocol for ranking in rankings):
        ours = [ranking for ranking in rankings if ranking.key.protocol == protocol]
        models = {row.record.model_id for ranking in ours for row in ranking.rows if row.role == "model"}
        gaps = []
        for ranking in ours:
            there = {row.record.model_id for row in ranking.rows}
            lost = sorted(models - there)
            if lost:
                gaps.append(f"{ranking.key.task} lacks {_list(lost)}")
        if gaps:
            found.append(f"Not every encoder has a result everywhere ({protocol}): {'; '.join(gaps)}.")
    return found


def _apart(records: Sequence[ResultRecord], failures: Sequence[Any]) -> list[str]:
    limited = sum(1 for record in records if set_apart(record))
    found = []
    if limited:
        found.append(f"Set apart from all rankings, as limited or not a number: {limited}.")
    if failures:
        found.append(f"Failed or unreadable: {len(failures)}, with their reasons at the end of this page.")
    return found


def _mixed(rankings: Sequence[Ranking]) -> list[str]:
    """Tasks with several rankings, which no table here puts into one."""
    found = []
    for task in dict.fromkeys(ranking.key.task for ranking in rankings):
        ours = [ranking for ranking in rankings if ranking.key.task == task]
        if len(ours) > 1:
            ways = _list(sorted({_way(ranking) for ranking in ours}))
            found.append(f"{task} was measured in {len(ours)} ways that may not be compared: {ways}.")
    return found


def _way(ranking: Ranking) -> str:
    key = ranking.key
    varies = " (part of a curve)" if varied(ranking.first) else ""
    return f"{key.protocol} v{key.protocol_version}{f', {key.probe} probe' if key.probe else ''}{varies}"


def _machines(rankings: Sequence[Ranking]) -> list[str]:
    """Results of one ranking that come from other versions or numbers of another kind."""
    found = []
    for name, words in (("torch", "versions of torch"), ("midvision", "versions of midvision")):
        mixed = [
            ranking.key.task
            for ranking in rankings
            if len({str(row.record.versions.get(name)) for row in ranking.rows}) > 1
        ]
        if mixed:
            found.append(f"Different {words} made the results of {_list(list(dict.fromkeys(mixed)))}.")
    precisions = {str(row.record.run.get("precision", "fp32")) for ranking in rankings for row in ranking.rows}
    if len(precisions) > 1:
        found.append(f"Encoders were run in different precisions: {', '.join(sorted(precisions))}.")
    return found


def _few_groups(rankings: Sequence[Ranking]) -> list[str]:
    """Rankings that rest on so few scenes that little can be told apart."""
    few = [ranking for ranking in rankings if 0 < ranking.first.main.groups < 20]
    if not few:
        return []
    words = _list([f"{ranking.key.task} ({ranking.first.main.groups})" for ranking in few])
    return [f"Fewer than 20 scenes or objects stand behind {words}: intervals are wide and few ranks are certain."]


def _list(words: Sequence[str]) -> str:
    more = f" and {len(words) - LISTED} more" if len(words) > LISTED else ""
    return ", ".join(words[:LISTED]) + more

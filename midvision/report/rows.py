"""Result records as rows of rankings: who may stand beside whom, which rank, what the floors are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from midvision.core.errors import DataError
from midvision.core.scores import Estimate, Scores
from midvision.report.figures import Role
from midvision.report.standing import standings, verdict
from midvision.results.query import Comparable, Results
from midvision.results.record import ResultRecord

CEILINGS = ("control/oracle",)
FLOORS = ("control/shuffled-oracle", "control/noise")
CONTENTS: tuple[str, ...] = (
    "segmentation",
    "boundaries",
    "depth",
    "object-depth",
    "normals",
    "object-pairs",
    "scene-pairs",
    "keypoint-pairs",
    "triplets",
    "labels",
)
BASELINES: Mapping[str, str] = {"constant": "best constant", "chance": "chance"}


def role_of(model_id: str) -> Role:
    """What an encoder stands for in a table: a reference, a baseline, or an encoder to judge."""
    if model_id in CEILINGS:
        return "ceiling"
    if model_id in FLOORS:
        return "floor"
    return "control" if model_id.startswith(("control/", "random/")) else "model"


@dataclass(frozen=True)
class Row:
    """One record in its ranking. `rank` is shared by records that cannot be told apart; references have none.

    `verdict` is empty, or says which floor the record does not clear. `scores` are the per-item scores and
    samples, or None where the files beside the record are gone or damaged.
    """

    record: ResultRecord
    role: Role
    rank: int | None
    worst_rank: int | None
    verdict: str
    scores: Scores | None

    @property
    def anchor(self) -> str:
        return f"r-{self.record.run_hash}"

    @property
    def main(self) -> Estimate:
        return self.record.main

    @property
    def variant(self) -> str:
        """What sets this record apart from others of the same encoder in the same ranking."""
        wish = self.record.run.get("layers")
        layers = f"layers {', '.join(map(str, wish))}" if wish else ""
        return ", ".join(filter(None, (layers, f"seed {self.record.seed}" if self.record.seed else "")))


def scores_of(record: ResultRecord) -> Scores | None:
    if record.folder is None:
        return None
    try:
        return record.scores()
    except DataError:
        return None


@dataclass(frozen=True)
class Ranking:
    """One comparability group: rows best first, references in their place by value."""

    key: Comparable
    rows: tuple[Row, ...]
    floors: Mapping[str, Estimate]

    @property
    def first(self) -> ResultRecord:
        return self.rows[0].record

    @property
    def anchor(self) -> str:
        return f"g-{self.first.task}-{self.first.protocol['name']}-{self.key.settings[:6]}{self.key.fingerprint[:6]}"

    @property
    def ceiling(self) -> Estimate | None:
        return next((row.main for row in self.rows if row.role == "ceiling"), None)


def set_apart(record: ResultRecord) -> str:
    """Why a record takes part in no ranking, or nothing."""
    if record.dataset.get("limited") or record.run.get("limit"):
        return f"limited to {record.dataset.get('n_items', '?')} items: not comparable with full runs"
    if not math.isfinite(record.main.value):
        return f"{record.main_metric} is not a number"
    return ""


def rankings(records: Iterable[ResultRecord]) -> list[Ranking]:
    """Every comparability group with its ranks; records that are set apart are left out."""
    groups = Results([record for record in records if not set_apart(record)]).comparable_groups()
    found = [_ranking(key, list(group)) for key, group in groups.items()]
    return sorted(found, key=lambda ranking: _order(ranking.first))


def _order(record: ResultRecord) -> tuple[int, str, bool, str, str]:
    """The order of the six tasks, then the default protocol before others."""
    content = str(record.dataset.get("content", ""))
    place = CONTENTS.index(content) if content in CONTENTS else len(CONTENTS)
    protocol = str(record.protocol["name"])
    return place, record.task, protocol != "corrected", protocol, record.probe_name


def _ranking(key: Comparable, records: Sequence[ResultRecord]) -> Ranking:
    better = -1.0 if records[0].main.higher_is_better else 1.0
    ordered = sorted(records, key=lambda record: (better * record.main.value, record.model_id, record.seed))
    scores = {record.run_hash: scores_of(record) for record in ordered}
    judged = [record for record in ordered if role_of(record.model_id) in ("model", "control")]
    places = standings(judged, [scores[record.run_hash] for record in judged])
    rows = []
    for record in ordered:
        role, own, place = role_of(record.model_id), scores[record.run_hash], places.get(record.run_hash)
        words = verdict(record, own) if role != "ceiling" else ""
        rank, worst = (place.rank, place.worst_rank) if place else (None, None)
        rows.append(Row(record, role, rank, worst, words, own))
    return Ranking(key, tuple(rows), floors_of(ordered))


def floors_of(records: Sequence[ResultRecord]) -> dict[str, Estimate]:
    """Chance and the best constant prediction on the headline; equal for every record of a group."""
    found: dict[str, Estimate] = {}
    for name, title in BASELINES.items():
        for record in records:
            estimate = record.baselines.get(name, {}).get(record.main_metric)
            if estimate is not None and math.isfinite(estimate.value):
                found[title] = estimate
                break
    chance = records[0].main.chance
    if BASELINES["chance"] not in found and chance is not None:
        main = records[0].main
        found[BASELINES["chance"]] = Estimate(
            chance, chance, chance, main.n, main.groups, main.unit, main.higher_is_better, main.low, main.high, chance
        )
    return found

"""What a claim is, and how the tasks of a study vote on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from midvision.analysis.clusters import Contrast, weighted
from midvision.analysis.entries import Entry, Table
from midvision.analysis.groups import bounded
from midvision.analysis.outcome import Bounded, Finding, FindingWord, Relation, SupervisedShare
from midvision.analysis.ranks import ALPHA, holm_adjusted
from midvision.analysis.relations import plain

MISSION = "arXiv 2411.17474, as told in public summaries"
HOLDS: FindingWord = "holds"
FAILS: FindingWord = "does not hold"
OPEN: FindingWord = "undecided"
STAND_INS = "These encoders have random weights and stand in for published ones: nothing here is about those."


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a claim may look at: one ranking per mid-level task, shares, and relations to the high level."""

    tables: tuple[Table, ...]
    shares: tuple[SupervisedShare, ...]
    relations: tuple[Relation, ...]

    @property
    def stand_ins(self) -> bool:
        return any(entry.facts.stand_in for table in self.tables for entry in table.entries)

    def of_contents(self, *contents: str) -> list[Table]:
        return [table for table in self.tables if table.content in contents]


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict, why, and the numbers it rests on; `missing` are cards that were needed and are not there."""

    verdict: FindingWord
    reason: str
    numbers: Mapping[str, Bounded] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Claim:
    """One statement of the paper. `evaluate` never raises for missing models: it answers `undecided`.

    Of stand-ins nothing is concluded; the numbers are shown all the same.
    """

    id: str
    sentence: str
    evaluate: Callable[[Evidence], Answer]
    source: str = MISSION

    def judged(self, evidence: Evidence) -> Finding:
        found = self.evaluate(evidence)
        if evidence.stand_ins:
            found = replace(found, verdict=OPEN, reason=STAND_INS)
        return Finding(
            self.id,
            self.sentence,
            self.source,
            found.verdict,
            found.reason,
            found.numbers,
            found.models,
            found.missing,
        )


def by_card(table: Table) -> dict[str, Entry]:
    """Entries of a ranking by the card that their model has."""
    return {entry.facts.card: entry for entry in plain(table) if entry.facts.card}


def lacking(tables: Sequence[Table], cards: Sequence[str]) -> tuple[str, ...]:
    """Cards that no ranking, or not every one of them, holds."""
    return tuple(card for card in cards if any(card not in by_card(table) for table in tables))


def absent(what: str, missing: Sequence[str] = ()) -> Answer:
    """Undecided, because something is not there."""
    words = f"{what}: {', '.join(missing)}" if missing else what
    return Answer(OPEN, f"Not in this study: {words}.", missing=tuple(missing))


def mean_gain(table: Table, first: Sequence[str], second: Sequence[str]) -> Contrast:
    """Mean headline of some entries minus that of others, paired over the items; positive is better."""
    weights = [table.sign / len(first)] * len(first) + [-table.sign / len(second)] * len(second)
    return table.contrast([*first, *second], weighted(*weights))


Votes = Mapping[str, tuple[Contrast, Table]]


def vote(gains: Votes, subject: str, models: Sequence[str]) -> Answer:
    """Holds where most tasks gain reliably, does not hold where most lose reliably; Holm over the tasks."""
    words = signs({name: found for name, (found, _) in gains.items()})
    up, down, count = list(words.values()).count(1), list(words.values()).count(-1), len(words)
    verdict = HOLDS if 2 * up > count else FAILS if 2 * down > count else OPEN
    reason = f"{subject}: reliably so on {up} of {count} rankings, reliably the other way on {down}."
    numbers = {name: bounded(found, table) for name, (found, table) in gains.items()}
    return Answer(verdict, reason, numbers, tuple(models))


def signs(gains: Mapping[str, Contrast]) -> dict[str, int]:
    """1 or -1 where a gain is told from zero after Holm's correction, else 0."""
    adjusted = holm_adjusted([1.0 if found.p_value != found.p_value else found.p_value for found in gains.values()])
    return {
        name: (1 if found.value > 0 else -1) if p <= ALPHA else 0
        for (name, found), p in zip(gains.items(), adjusted, strict=True)
    }


def leads(table: Table, ours: Sequence[str]) -> int:
    """1: one of ours is reliably better than every other self-supervised model; -1: another is, than all of ours."""
    others = [entry.name for entry in plain(table) if entry.facts.self_supervised and entry.name not in ours]
    if not others:
        return 0
    if any(all(_better(table, name, other) for other in others) for name in ours):
        return 1
    return -1 if any(all(_better(table, other, name) for name in ours) for other in others) else 0


def _better(table: Table, first: str, second: str) -> bool:
    gain, p_value = table.gain(first, second)
    return p_value <= ALPHA and gain.value > 0


def within(value: Bounded, low: float, high: float) -> FindingWord:
    """Whether an interval lies in a range, outside it, or across its ends."""
    if not value.told:
        return OPEN
    if low <= value.low and value.high <= high:
        return HOLDS
    return FAILS if value.high < low or value.low > high else OPEN

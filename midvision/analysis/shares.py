"""Self-supervision as a share of supervision: the same architecture, the same items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from midvision.analysis.clusters import LEVEL, quotient, quotient_above, weighted
from midvision.analysis.entries import Entry, Table
from midvision.analysis.facts import IMAGENET, UNKNOWN, ModelFacts
from midvision.analysis.groups import bounded
from midvision.analysis.outcome import TOO_FEW, Bounded, ModelShare, SupervisedShare
from midvision.analysis.ranks import DRAWS
from midvision.analysis.relations import HighValues, plain
from midvision.analysis.resample import baseline_metrics, joint_ratios
from midvision.core.scores import Metric, Scores

FEWEST = 3
COMPARED = ("supervised_resnet50", "deit_vitb16")
NO_FLOOR = "no floor is known"
AT_FLOOR = "the supervised model is not told from the floor"
NAN = float("nan")


def supervised_shares(tables: Sequence[Table], high: HighValues) -> tuple[SupervisedShare, ...]:
    """Each mid-level ranking, then each high-level set, where a supervised model of an architecture took part."""
    found = [_task_share(table) for table in tables if table.level == "mid"]
    facts = {entry.facts.model: entry.facts for table in tables for entry in plain(table)}
    found += [_set_share(name, values, facts) for name, values in high.items()]
    return tuple(share for share in found if share is not None)


def yardsticks(models: Sequence[ModelFacts]) -> dict[str, ModelFacts]:
    """The supervised model of each architecture; of several the comparison's, else one trained on ImageNet-1K alone."""
    found: dict[str, ModelFacts] = {}
    for facts in sorted(models, key=lambda one: (one.card not in COMPARED, one.training_data != IMAGENET, one.model)):
        if facts.supervised and facts.architecture != UNKNOWN:
            found.setdefault(facts.architecture, facts)
    return found


def _task_share(table: Table) -> SupervisedShare | None:
    entries = plain(table)
    yardstick_of = yardsticks([entry.facts for entry in entries])
    by_model = {entry.facts.model: entry for entry in entries}
    floor, side = _floor(table)
    shares = []
    for entry in entries:
        yardstick = yardstick_of.get(entry.facts.architecture)
        if entry.facts.self_supervised and yardstick is not None:
            shares.append(_share(table, entry, by_model[yardstick.model], side))
    if not shares:
        return None
    return SupervisedShare(
        table.id,
        "",
        floor,
        mean_over_models([share.share.value for share in shares]),
        mean_over_models([share.corrected.value for share in shares]),
        tuple(shares),
    )


def _floor(table: Table) -> tuple[str, Metric | None]:
    """What is taken off, in words, and how it is read from an entry's items; a stated chance has no column."""
    scores = table.entries[0].scores
    for name, words in (("constant", "best constant answer"), ("chance", "chance")):
        moved = baseline_metrics(scores, [table.metric], name)
        if moved:
            return words, moved[0]
    return ("", None) if table.metric.chance is None else (f"chance, {table.metric.chance:g}", None)


def _share(table: Table, entry: Entry, yardstick: Entry, floor: Metric | None) -> ModelShare:
    """Model over yardstick; where lower is better, yardstick over model, so that less is worse either way."""
    names = [entry.name, yardstick.name] if table.metric.higher_is_better else [yardstick.name, entry.name]
    plain_share = table.contrast(names, quotient)
    corrected = _corrected(table, entry.scores, yardstick.scores, floor)
    return ModelShare(entry.facts.model, yardstick.facts.model, bounded(plain_share, table), corrected)


def _corrected(table: Table, model: Scores, yardstick: Scores, floor: Metric | None) -> Bounded:
    metric = table.metric
    if floor is None and metric.chance is None:
        return Bounded(NAN, NAN, NAN, table.first.main.groups, NO_FLOOR)
    if floor is None:
        columns = {**yardstick.columns, "floor": np.full(len(yardstick.ids), float(metric.chance or 0.0))}
        side = Scores(yardstick.ids, yardstick.groups, columns), replace(metric, column="floor", over=None)
    else:
        side = yardstick, floor
    joint = joint_ratios([(model, metric), (yardstick, metric), side], table.seed, DRAWS)
    above = joint.contrast((1, 2), weighted(1.0, -1.0))
    if not table.sign * (above.low if metric.higher_is_better else above.high) > 0:
        return Bounded(joint.contrast((0, 1, 2), quotient_above).value, NAN, NAN, joint.clusters, AT_FLOOR)
    return bounded(joint.contrast((0, 1, 2), quotient_above), table)


def _set_share(name: str, values: Mapping[str, float], facts: Mapping[str, ModelFacts]) -> SupervisedShare | None:
    known = [facts[model] for model in values if model in facts]
    yardstick_of = yardsticks(known)
    shares = []
    for one in known:
        yardstick = yardstick_of.get(one.architecture)
        if one.self_supervised and yardstick is not None and values[yardstick.model] > 0:
            share = Bounded(values[one.model] / values[yardstick.model], NAN, NAN, 0, "one number, without items")
            shares.append(ModelShare(one.model, yardstick.model, share, Bounded(NAN, NAN, NAN, 0, NO_FLOOR)))
    if not shares:
        return None
    mean = mean_over_models([share.share.value for share in shares])
    return SupervisedShare("", name, "", mean, Bounded(NAN, NAN, NAN, len(shares), NO_FLOOR), tuple(shares))


def mean_over_models(values: Sequence[float]) -> Bounded:
    """Mean with the t interval over models; the words with fewer than three."""
    from scipy.special import stdtrit

    known = np.array([value for value in values if np.isfinite(value)])
    if not len(known):
        return Bounded(NAN, NAN, NAN, 0, TOO_FEW)
    mean = float(known.mean())
    if len(known) < FEWEST:
        return Bounded(mean, NAN, NAN, len(known), TOO_FEW)
    reach = float(stdtrit(len(known) - 1, 0.5 + LEVEL / 2) * known.std(ddof=1) / np.sqrt(len(known)))
    return Bounded(mean, mean - reach, mean + reach, len(known))

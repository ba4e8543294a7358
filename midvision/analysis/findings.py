"""The paper's claims as statements that a study's numbers confirm, refute, or leave open.

One declaration per claim. Thresholds that the paper's words leave open ("about", "weak") are constants here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from midvision.analysis.claims import (
    FAILS,
    HOLDS,
    OPEN,
    Answer,
    Claim,
    Evidence,
    absent,
    by_card,
    lacking,
    leads,
    mean_gain,
    vote,
    within,
)
from midvision.analysis.clusters import Contrast
from midvision.analysis.entries import Table
from midvision.analysis.groups import bounded
from midvision.analysis.outcome import TOO_FEW, Bounded, Finding, FindingWord, Relation, SupervisedShare
from midvision.analysis.ranks import ALPHA
from midvision.analysis.relations import POOLED, plain
from midvision.analysis.shares import mean_over_models

SEGMENTATION, CORRESPONDENCE = ("segmentation",), ("object-pairs", "scene-pairs", "keypoint-pairs")
GEOMETRY = ("depth", "object-depth", "normals", *CORRESPONDENCE)
SPATIAL = (*SEGMENTATION, *GEOMETRY)
PUBLISHED_ORDER = ("ibot_vitb16", "dino_vitb16", "mocov3_vitb16", "mae_vitb16")
LEADERS = ("ibot_vitb16", "dino_vitb16")
DINOS = ("dino_vitb16", "dino_resnet50")
FROZEN_MASKED, JOINT_VIT = ("mae_vitb16", "maskfeat_vitb16"), ("dino_vitb16", "mocov3_vitb16")
PRETEXT = ("jigsaw_resnet50", "rotnet_resnet50")
CONTRASTIVE = (
    "simclr_resnet50",
    "mocov2_resnet50",
    "mocov3_resnet50",
    "byol_resnet50",
    "simsiam_resnet50",
    "barlowtwins_resnet50",
)
MARGIN = 0.05
"""On par: at most this share of the contrastive mean below it."""
WEAK = 0.5
"""A weak link: the high level explains less than this share of the variance across models."""
ABOUT_MID, ABOUT_HIGH = (0.80, 0.95), (0.60, 0.80)
"""About 85 to 90 per cent, and about 70 per cent."""


def judge(
    tables: Sequence[Table], shares: Sequence[SupervisedShare], relations: Sequence[Relation]
) -> tuple[Finding, ...]:
    """Every claim, on one ranking per mid-level task."""
    chosen = one_per_task(tables)
    ids = {table.id for table in chosen}
    kept = tuple(share for share in shares if share.group in ids or share.set)
    evidence = Evidence(tuple(chosen), kept, tuple(one for one in relations if one.group in ids))
    return tuple(claim.judged(evidence) for claim in CLAIMS)


def one_per_task(tables: Sequence[Table]) -> list[Table]:
    """Of several rankings of a task the one with most models; of equal ones `corrected`, then the first by name."""
    found: dict[str, Table] = {}
    order = sorted(tables, key=lambda one: (-len(plain(one)), one.key.protocol != "corrected", one.id))
    for table in order:
        if table.level == "mid":
            found.setdefault(table.key.task, table)
    return sorted(found.values(), key=lambda one: one.id)


def _published_order(evidence: Evidence) -> Answer:
    tables = evidence.of_contents(*SEGMENTATION)
    if not tables:
        return absent("object segmentation")
    missing = lacking(tables, PUBLISHED_ORDER)
    if missing:
        return absent("models", missing)
    numbers, words = {}, []
    for table in tables:
        entries = by_card(table)
        for first, second in pairwise(PUBLISHED_ORDER):
            gain, p_value = table.gain(entries[first].name, entries[second].name)
            numbers[f"{table.id}: {first} over {second}"] = bounded(gain, table)
            words.append(0 if p_value > ALPHA else 1 if gain.value > 0 else -1)
    verdict = HOLDS if all(word == 1 for word in words) else FAILS if -1 in words else OPEN
    reason = f"{words.count(1)} of {len(words)} steps are in this order, {words.count(-1)} are turned round."
    return Answer(verdict, reason, numbers, PUBLISHED_ORDER)


def _lead(cards: Sequence[str], contents: Sequence[str], every: bool) -> Callable[[Evidence], Answer]:
    """Some models lead on most (or on all) rankings of these contents."""

    def evaluate(evidence: Evidence) -> Answer:
        tables = evidence.of_contents(*contents) if contents else list(evidence.tables)
        if not tables:
            return absent("tasks of this kind")
        present = [card for card in cards if all(card in by_card(table) for table in tables)]
        if not present:
            return absent("models", lacking(tables, cards))
        words, numbers = [], {}
        for table in tables:
            ours = [by_card(table)[card].name for card in present]
            words.append(leads(table, ours))
            numbers.update(_margin(table, ours))
        up, down = words.count(1), words.count(-1)
        needed = len(words) if every else len(words) // 2 + 1
        verdict = HOLDS if up >= needed else FAILS if down >= (1 if every else needed) else OPEN
        others = {e.name for table in tables for e in plain(table) if e.facts.self_supervised} - set(present)
        if not others:
            return absent("other self-supervised models")
        reason = (
            f"They lead on {up} of {len(words)} rankings; on {down} another model is reliably better than they are."
        )
        return Answer(verdict, reason, numbers, tuple(present), lacking(tables, cards))

    return evaluate


def _margin(table: Table, ours: Sequence[str]) -> dict[str, Bounded]:
    """The best of ours over the best other, as a number beside the verdict."""
    self_supervised = [entry.name for entry in plain(table) if entry.facts.self_supervised]
    best = next((name for name in self_supervised if name in ours), None)
    other = next((name for name in self_supervised if name not in ours), None)
    if best is None or other is None:
        return {}
    return {f"{table.id}: {best} over {other}": bounded(table.gain(best, other)[0], table)}


def _masked_is_weak(evidence: Evidence) -> Answer:
    missing = lacking(evidence.tables, (*FROZEN_MASKED, *JOINT_VIT))
    if not evidence.tables or missing:
        return absent("models", missing) if missing else absent("mid-level tasks")
    gains = {}
    for table in evidence.tables:
        names = by_card(table)
        sides = [names[card].name for card in JOINT_VIT], [names[card].name for card in FROZEN_MASKED]
        gains[table.id] = (mean_gain(table, *sides), table)
    return vote(gains, "Joint embedding over masked modelling, both ViT-B/16", (*JOINT_VIT, *FROZEN_MASKED))


def _pretext_on_par(evidence: Evidence) -> Answer:
    tables = evidence.of_contents(*GEOMETRY)
    if not tables:
        return absent("geometric tasks")
    present = [card for card in PRETEXT if all(card in by_card(table) for table in tables)]
    others = [card for card in CONTRASTIVE if all(card in by_card(table) for table in tables)]
    if not present or len(others) < 2:
        return absent("models", lacking(tables, (*PRETEXT, *CONTRASTIVE)))
    numbers, words = {}, []
    for table in tables:
        names = by_card(table)
        base = [names[card].name for card in others]
        allowed = MARGIN * abs(sum(names[card].mean_of(table.metric.name) for card in others) / len(others))
        gains = {card: mean_gain(table, [names[card].name], base) for card in present}
        words.append(max(_on_par(gain, allowed) for gain in gains.values()))
        for card, gain in gains.items():
            numbers[f"{table.id}: {card} over the contrastive mean"] = bounded(gain, table)
    verdict: FindingWord = HOLDS if 1 in words else FAILS if set(words) == {-1} else OPEN
    reason = (
        f"On par or better on {words.count(1)} of {len(words)} geometric rankings, clearly worse on {words.count(-1)}."
    )
    return Answer(verdict, reason, numbers, (*present, *others), lacking(tables, (*PRETEXT, *CONTRASTIVE)))


def _on_par(gain: Contrast, allowed: float) -> int:
    """1: not worse by more than allowed; -1: worse by more; 0: cannot be told."""
    return 1 if gain.low >= -allowed else -1 if gain.high < -allowed else 0


def _dense_gains(evidence: Evidence) -> Answer:
    tables = evidence.of_contents(*SPATIAL)
    pair = ("densecl_resnet50", "mocov2_resnet50")
    missing = lacking(tables, pair)
    if not tables or missing:
        return absent("models", missing) if missing else absent("spatial tasks")
    gains = {}
    for table in tables:
        names = by_card(table)
        gains[table.id] = (mean_gain(table, [names[pair[0]].name], [names[pair[1]].name]), table)
    return vote(gains, "DenseCL over MoCo v2, its image-level base", pair)


def _mid_shares(evidence: Evidence) -> dict[str, list[float]]:
    """Shares of every model, over the tasks."""
    found: dict[str, list[float]] = {}
    for share in evidence.shares:
        for one in share.models if share.group else ():
            found.setdefault(one.model, []).append(one.share.value)
    return found


def _high_share(evidence: Evidence) -> SupervisedShare | None:
    """The high-level set with most models."""
    sets = [share for share in evidence.shares if share.set]
    return max(sets, key=lambda share: (len(share.models), share.set), default=None)


def _share_of_mid(evidence: Evidence) -> Answer:
    found = _mid_shares(evidence)
    if not found:
        return absent("a supervised model beside self-supervised ones of its architecture")
    mean = mean_over_models([sum(values) / len(values) for values in found.values()])
    return _about(mean, ABOUT_MID, tuple(found))


def _share_of_high(evidence: Evidence) -> Answer:
    share = _high_share(evidence)
    if share is None:
        return absent("a high-level set with a supervised model")
    return _about(share.share, ABOUT_HIGH, tuple(one.model for one in share.models))


def _about(mean: Bounded, about: tuple[float, float], models: tuple[str, ...]) -> Answer:
    verdict = within(mean, *about)
    reason = f"Mean share over models against the range {about[0]:.0%} to {about[1]:.0%}."
    return Answer(verdict, reason if mean.told else f"{TOO_FEW}: {mean.n} models.", {"share": mean}, models)


def _gap_is_smaller(evidence: Evidence) -> Answer:
    mid, high = _mid_shares(evidence), _high_share(evidence)
    if not mid or high is None:
        return absent("supervised models on mid-level tasks and on a high-level set")
    both = {one.model: one.share.value for one in high.models if one.model in mid}
    gain = mean_over_models([sum(mid[model]) / len(mid[model]) - value for model, value in both.items()])
    numbers = {"mid share minus high share": gain}
    if not gain.told:
        return Answer(OPEN, f"{TOO_FEW}: {gain.n} models have both shares.", numbers, tuple(both))
    verdict = HOLDS if gain.low > 0 else FAILS if gain.high < 0 else OPEN
    return Answer(verdict, f"Model by model, over {gain.n} models, against {high.set}.", numbers, tuple(both))


def _weak_link(evidence: Evidence) -> Answer:
    pooled = [one for one in evidence.relations if one.scope == POOLED]
    if not pooled:
        return absent("high-level scores of these models")
    sets = {one.set: sum(other.pearson.n for other in pooled if other.set == one.set) for one in pooled}
    chosen = [one for one in pooled if one.set == max(sets, key=lambda name: (sets[name], name))]
    words = [within(one.r_squared, 0.0, WEAK) for one in chosen]
    numbers = {f"{one.group}: R2 with {one.set}": one.r_squared for one in chosen}
    models = tuple(dict.fromkeys(point.model for one in chosen for point in one.points))
    if not any(one.r_squared.told for one in chosen):
        return Answer(OPEN, f"{TOO_FEW}: {max(one.pearson.n for one in chosen)} models.", numbers, models)
    weak, strong = words.count(HOLDS), words.count(FAILS)
    verdict = HOLDS if 2 * weak > len(words) else FAILS if 2 * strong > len(words) else OPEN
    reason = f"R2 is surely below {WEAK:g} on {weak} of {len(words)} rankings, surely above on {strong}."
    return Answer(verdict, reason, numbers, models)


CLAIMS = (
    Claim(
        "segmentation-order",
        "With ViT-B/16, object segmentation orders iBOT, DINO, MoCo v3, MAE, best first.",
        _published_order,
    ),
    Claim(
        "ibot-dino-lead",
        "iBOT and DINO lead: on most mid-level tasks one of them is better than every other model.",
        _lead(LEADERS, (), every=False),
    ),
    Claim("masked-weak-frozen", "Masked modelling (MAE, MaskFeat) is weak when frozen.", _masked_is_weak),
    Claim(
        "dino-correspondence",
        "DINO is best at correspondence.",
        _lead(DINOS, CORRESPONDENCE, every=True),
    ),
    Claim(
        "pretext-geometry",
        "Jigsaw or RotNet is on par with contrastive models on some geometric task.",
        _pretext_on_par,
    ),
    Claim("densecl-spatial", "DenseCL gains where spatial precision counts.", _dense_gains),
    Claim(
        "share-mid",
        "Self-supervision reaches about 85 to 90 per cent of supervision at the mid level.",
        _share_of_mid,
    ),
    Claim(
        "share-high",
        "Self-supervision reaches about 70 per cent of supervision at the high level.",
        _share_of_high,
    ),
    Claim(
        "smaller-gap-mid",
        "Self-supervision is closer to supervision at the mid level than at the high level.",
        _gap_is_smaller,
    ),
    Claim("weak-link", "Mid-level ability follows only weakly from high-level ability.", _weak_link),
)

"""What the analysis says, as the index shows it: findings, mid against high level, paradigms, agreement, shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from midvision.analysis.outcome import Bounded, StudyAnalysis
from midvision.report.study.figures_of import Shown, of_bounded, of_number, p_words, pointer


@dataclass(frozen=True, slots=True)
class FindingView:
    sentence: str
    source: str
    verdict: str
    reason: str
    numbers: tuple[tuple[str, Shown], ...]
    models: tuple[tuple[str, str], ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ParadigmView:
    """Paradigms by setting; the last rows say what they explain under either assignment."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown | None, ...], tuple[str, ...]], ...]
    effects: tuple[tuple[str, str, tuple[Shown | None, ...]], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AgreementView:
    titles: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Shown | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class VarianceView:
    """Standard deviations on the headline's scale, and what was too little to tell."""

    title: str
    parts: tuple[Shown, ...]
    counts: str
    note: str


@dataclass(frozen=True, slots=True)
class ShareView:
    title: str
    share: Shown
    corrected: Shown
    floor: str
    models: int


def finding_views(analysis: StudyAnalysis, links: Mapping[str, tuple[str, str]]) -> list[FindingView]:
    """`links` are title and page by model id."""
    found = []
    titles = group_titles(analysis)
    for place, finding in enumerate(analysis.findings):
        numbers = tuple(
            (_evidence_title(name, titles), of_bounded(number, pointer("findings", place, "numbers", name), decimals=3))
            for name, number in finding.numbers.items()
        )
        models = tuple(links.get(model, (model, "")) for model in finding.models)
        found.append(
            FindingView(
                finding.sentence, finding.source, finding.verdict, finding.reason, numbers, models, finding.missing
            )
        )
    return found


def _evidence_title(name: str, titles: Mapping[str, str]) -> str:
    """A number's name with the short title of the ranking that it begins with."""
    group, colon, rest = name.partition(":")
    return titles.get(group, group) + colon + rest


def group_titles(analysis: StudyAnalysis) -> dict[str, str]:
    """A short name per ranking: its task, with protocol and probe where two share it."""
    found = {}
    for group in analysis.groups:
        alike = [other for other in analysis.groups if other.task == group.task]
        words = [group.task]
        if len({other.protocol for other in alike}) > 1:
            words.append(group.protocol)
        if len({other.probe for other in alike}) > 1 and group.probe:
            words.append(group.probe)
        found[group.id] = " · ".join(words)
    return found


def paradigm_view(analysis: StudyAnalysis) -> ParadigmView | None:
    """Means by paradigm and setting under the usual assignment; what paradigms explain under both."""
    effects = list(enumerate(analysis.paradigms))
    groups = list(dict.fromkeys(effect.group for _, effect in effects))
    if not groups:
        return None
    titles = group_titles(analysis)
    units = {group.id: group.unit for group in analysis.groups}
    main = {effect.group: (place, effect) for place, effect in effects if effect.assignment == "main"}
    names = list(dict.fromkeys(mean.paradigm for _, effect in main.values() for mean in effect.means))
    rows = []
    for name in names:
        cells: list[Shown | None] = []
        models: dict[str, None] = {}
        for id in groups:
            place, effect = main.get(id, (0, None))
            number, mean = next(
                ((n, one) for n, one in enumerate(effect.means if effect else ()) if one.paradigm == name), (0, None)
            )
            if mean is None:
                cells.append(None)
                continue
            models.update(dict.fromkeys(mean.models))
            bare = Bounded(mean.mean, float("nan"), float("nan"), len(mean.models))
            cells.append(of_bounded(bare, pointer("paradigms", place, "means", number, "mean"), units.get(id, "share")))
        rows.append((name, tuple(cells), tuple(models)))
    lines: list[tuple[str, str, tuple[Shown | None, ...]]] = []
    for assignment, words in (("main", "as listed"), ("other", "border cases the other way")):
        ours = {effect.group: (place, effect) for place, effect in effects if effect.assignment == assignment}
        if not ours:
            continue
        for title, name in (("explained share of variance", "share"), ("adjusted p", "adjusted_p")):
            numbers: list[Shown | None] = []
            for id in groups:
                if id not in ours:
                    numbers.append(None)
                    continue
                place, effect = ours[id]
                path = pointer("paradigms", place, name)
                value = float(getattr(effect, name))
                numbers.append(of_number(value, path) if name == "share" else p_words(value, path))
            lines.append((title, words, tuple(numbers)))
    notes = tuple(dict.fromkeys(effect.note for _, effect in effects if effect.note))
    return ParadigmView(tuple(titles.get(id, id) for id in groups), tuple(rows), tuple(lines), notes)


def agreement_view(analysis: StudyAnalysis) -> AgreementView | None:
    """Spearman between every two rankings as a square."""
    ids = [group.id for group in analysis.groups]
    pairs = {}
    for place, one in enumerate(analysis.agreement):
        shown = of_bounded(one.spearman, pointer("agreement", place, "spearman"))
        pairs[one.a, one.b] = pairs[one.b, one.a] = (shown, one.spearman.value)
    used = [id for id in ids if any(id in pair for pair in pairs)]
    if not used:
        return None
    titles = group_titles(analysis)
    rows = tuple((titles[a], tuple(_tinted(pairs.get((a, b))) for b in used)) for a in used)
    return AgreementView(tuple(titles[id] for id in used), rows)


def _tinted(found: tuple[Shown, float] | None) -> Shown | None:
    from dataclasses import replace

    if found is None:
        return None
    shown, value = found
    return replace(shown, tint=round(26 * max(value, 0.0), 1) if value == value else 0.0)


def share_views(analysis: StudyAnalysis) -> list[ShareView]:
    """Self-supervision as a share of supervision, per setting and per high-level set."""
    titles = group_titles(analysis)
    return [
        ShareView(
            titles.get(share.group, share.set or share.group),
            of_bounded(share.share, pointer("shares", place, "share"), percent=True),
            of_bounded(share.corrected, pointer("shares", place, "corrected"), percent=True),
            share.floor,
            len(share.models),
        )
        for place, share in enumerate(analysis.shares)
    ]


def variance_views(analysis: StudyAnalysis) -> list[VarianceView]:
    """Variances between models, and those that items, probe seeds and probes bring, per task."""
    return [
        VarianceView(
            split.task,
            tuple(
                of_number(getattr(split, name), pointer("variance", place, name), decimals=5)
                for name in ("models", "items", "seeds", "probes")
            ),
            f"{split.n_models} encoders, {split.n_seeds} seeds, {split.n_probes} probes",
            split.note,
        )
        for place, split in enumerate(analysis.variance)
    ]

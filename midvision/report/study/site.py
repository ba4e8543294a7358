"""A study's report as one folder that works offline: an overview, a page per task, a page per encoder."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from midvision.analysis.outcome import StudyAnalysis
from midvision.core.places import write_atomic, write_text
from midvision.report.figures import size_plot
from midvision.report.groups import apart_entries
from midvision.report.numbers import metric_title
from midvision.report.page import TITLE, nav_of, package_version, template_of, text_of
from midvision.report.pictures import Picture
from midvision.report.rows import Ranking, rankings
from midvision.report.study.against import against_views
from midvision.report.study.board import Board, boards, judged_by
from midvision.report.study.curves import CurveView, sweep_view
from midvision.report.study.models_view import ModelPage, model_pages
from midvision.report.study.names import page_name
from midvision.report.study.sections import (
    agreement_view,
    finding_views,
    paradigm_view,
    share_views,
    variance_views,
)
from midvision.report.study.sweeps import Sweep, plain_records, sweeps
from midvision.report.study.tasks_view import TaskPage, task_pages
from midvision.report.study.warnings import warnings_of
from midvision.report.subjects import subject_of
from midvision.report.tables import to_csv
from midvision.results.query import Results
from midvision.results.record import ResultRecord

FEWEST_COSTS = 2
COSTS: tuple[tuple[str, str, float], ...] = (
    ("parameters", "parameters (millions)", 1e6),
    ("gflops", "GFLOPs per image", 1.0),
    ("images_per_s", "images per second", 1.0),
)


@dataclass(slots=True)
class PictureFolder:
    """Pictures as files, named by their content, so that one that many tasks show is stored once."""

    folder: Path
    known: set[str] = field(default_factory=set)

    def store(self, picture: Picture) -> Picture:
        data = base64.b64decode(picture.uri.partition(",")[2])
        name = f"pictures/{hashlib.sha256(data).hexdigest()[:20]}.webp"
        if name not in self.known:
            self.known.add(name)
            write_atomic(self.folder / name, lambda draft: draft.write_bytes(data))
        return Picture(name, picture.width, picture.height, picture.label)


def write_study_report(
    records: Iterable[ResultRecord],
    analysis: StudyAnalysis,
    folder: Path,
    *,
    failures: Iterable[Any] = (),
    title: str = TITLE,
    source: str = "",
) -> Path:
    """Write the whole folder and return its `index.html`. Pages of an earlier report in it are replaced."""
    every, lost = list(records), list(failures)
    plain = plain_records(every)
    ordered = judged_by(rankings(plain), analysis)
    swept = sweeps(every)
    pages = {ranking.key.task: f"tasks/{page_name(ranking.key.task)}" for ranking in ordered}
    pages.update({record.task: pages.get(record.task, f"tasks/{page_name(record.task)}") for record in every})
    navs = [nav_of(ranking, ordered) for ranking in ordered]
    tasks = task_pages(ordered, navs, swept, analysis, PictureFolder(folder).store, pages)
    models = model_pages(every, ordered, swept, pages)
    site = {
        "title": title,
        "version": package_version(),
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "source": source or "results on this machine",
        "tasks": tasks,
        "models": sorted(
            ({"title": page.subject.title, "file": page.file} for page in models), key=lambda one: one["title"].lower()
        ),
    }
    index = _index(every, ordered, navs, swept, analysis, lost, pages)
    _write(folder, site, index, tasks, models)
    write_text(folder / "midvision.csv", to_csv(Results(every)))
    write_text(folder / "study.json", json.dumps(analysis.as_dict(), indent=1, ensure_ascii=False, allow_nan=False))
    return folder / "index.html"


def _write(
    folder: Path, site: dict[str, Any], index: dict[str, Any], tasks: Sequence[TaskPage], models: Sequence[ModelPage]
) -> None:
    write_text(folder / "assets" / "report.css", text_of("page.css") + text_of("study/study.css"))
    write_text(folder / "assets" / "report.js", text_of("page.js") + text_of("study/study.js"))
    front = template_of("study/index.html.jinja").render(site=site, index=index, root="", here="index")
    write_text(folder / "index.html", front)
    for_task, for_model = template_of("study/task.html.jinja"), template_of("study/model.html.jinja")
    for task in tasks:
        write_text(folder / task.file, for_task.render(site=site, page=task, root="../", here=task.task))
    for model in models:
        write_text(folder / model.file, for_model.render(site=site, page=model, root="../", here=model.subject.id))


def _index(
    records: Sequence[ResultRecord],
    ordered: Sequence[Ranking],
    navs: Sequence[str],
    swept: Sequence[Sweep],
    analysis: StudyAnalysis,
    failures: Sequence[Any],
    pages: dict[str, str],
) -> dict[str, Any]:
    made = boards(ordered, pages, [_column_title(ranking, ordered) for ranking in ordered])
    links = {record.model_id: (subject_of(record).title, f"models/{page_name(record.model_id)}") for record in records}
    return {
        "subtitle": _subtitle(ordered),
        "facts": _facts(records, ordered, analysis),
        "boards": made,
        "warnings": warnings_of(records, ordered, failures, analysis.notes),
        "findings": finding_views(analysis, links),
        "against": against_views(analysis),
        "paradigms": paradigm_view(analysis),
        "shares": share_views(analysis),
        "agreement": agreement_view(analysis),
        "variance": variance_views(analysis),
        "curves": _curves(swept),
        "costs": [plot for board in made[:1] for plot in _costs(board, ordered)],
        "apart": apart_entries(records, failures),
    }


def _column_title(ranking: Ranking, ordered: Sequence[Ranking]) -> str:
    """The task's id, with the probe or the data where one protocol has it several times."""
    alike = [
        other for other in ordered if (other.key.task, other.key.protocol) == (ranking.key.task, ranking.key.protocol)
    ]
    words = [ranking.key.task]
    if len({other.key.probe for other in alike}) > 1:
        words.append(ranking.key.probe)
    if len({(other.key.probe, other.key.fingerprint) for other in alike}) > len({other.key.probe for other in alike}):
        words.append(ranking.key.fingerprint[:6])
    return " ".join(filter(None, words))


def _subtitle(ordered: Sequence[Ranking]) -> str:
    names = sorted({f"{ranking.key.protocol} v{ranking.key.protocol_version}" for ranking in ordered})
    words = f" Protocol: {', '.join(names)}." if names else ""
    return (
        "Frozen encoders, read by small probes or by plain matching: where does an object end, how far away is a "
        f"surface, which way does it face, which point is which?{words}"
    )


def _facts(
    records: Sequence[ResultRecord], ordered: Sequence[Ranking], analysis: StudyAnalysis
) -> list[tuple[int, str]]:
    facts = [
        (len(records), "records"),
        (len({record.model_id for record in records}), "encoders and controls"),
        (len({ranking.key.task for ranking in ordered}), "settings"),
    ]
    for verdict, words in (("holds", "claims hold"), ("does not hold", "do not"), ("undecided", "undecided")):
        count = sum(finding.verdict == verdict for finding in analysis.findings)
        if count:
            facts.append((count, words))
    return facts


def _curves(swept: Sequence[Sweep]) -> list[tuple[str, list[CurveView]]]:
    found: dict[str, list[CurveView]] = {}
    for sweep in swept:
        found.setdefault(sweep.kind.title, []).append(sweep_view(sweep))
    return list(found.items())


def _costs(board: Board, ordered: Sequence[Ranking]) -> list[tuple[str, Any]]:
    """Mean rank against each cost in which encoders differ."""
    from markupsafe import Markup

    by_model = {row.record.model_id: row.record for ranking in ordered for row in ranking.rows if row.record.cost}
    found = []
    for name, title, scale in COSTS:
        points = []
        for entrant in board.entrants:
            record = by_model.get(entrant.model)
            cost = float(record.cost.get(name) or 0) / scale if record else 0.0
            rank = float(entrant.mean_rank_exact)
            if cost > 0 and math.isfinite(rank) and entrant.role in ("model", "control"):
                points.append((entrant.model, entrant.role, cost, rank))
        if len({cost for _, _, cost, _ in points}) >= FEWEST_COSTS:
            worst = max(rank for *_, rank in points)
            svg = size_plot(points, metric_title("mean rank"), (worst + 0.5, 0.5), title)
            found.append((title, Markup(svg)))
    return found

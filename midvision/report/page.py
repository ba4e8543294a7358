"""Records to one page that opens offline: everything inside, everything escaped, nothing mixed that may not be."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from midvision.core.places import write_text
from midvision.report.groups import Apart, apart_entries, group_view, title_and_question
from midvision.report.matrix import matrices, size_plots
from midvision.report.numbers import interval, number
from midvision.report.provenance import sections
from midvision.report.rows import Ranking, rankings, set_apart
from midvision.report.tables import to_csv
from midvision.results.query import Results
from midvision.results.record import ResultRecord

TITLE = "What these encoders know of a scene"


def write_report(
    records: Iterable[ResultRecord], path: Path, *, failures: Iterable[Any] = (), title: str = TITLE, source: str = ""
) -> Path:
    """Write the page for these records; `failures` are shown apart with their reasons."""
    write_text(path, report_html(list(records), list(failures), title=title, source=source))
    return path


def report_html(
    records: Sequence[ResultRecord], failures: Sequence[Any] = (), *, title: str = TITLE, source: str = ""
) -> str:
    """The page as text. Every value passes through the template's escaping."""
    ordered = rankings(records)
    groups = [group_view(ranking, nav_of(ranking, ordered)) for ranking in ordered]
    apart = apart_entries(records, failures)
    page = {
        "title": title,
        "subtitle": _subtitle(ordered),
        "facts": _facts(records, ordered, apart),
        "version": package_version(),
        "made_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "source": source or "results on this machine",
        "interval": "95 %",
        "groups": groups,
        "matrices": matrices(ordered, groups),
        "size_plots": size_plots(ordered),
        "csv": _data_address(to_csv(Results(records))),
        "apart": apart,
        "records": _records(records),
    }
    template, css = page_parts("page.html.jinja")
    return str(template.render(page=page, css=css, js=_markup(text_of("page.js"))))


def nav_of(ranking: Ranking, ordered: Sequence[Ranking]) -> str:
    """A short name that tells this group from all others on the page."""
    record = ranking.first
    title = title_and_question(record)[0]
    alike = [other.first for other in ordered if title_and_question(other.first)[0] == title]
    ways: tuple[Callable[[ResultRecord], str], ...] = (
        lambda one: one.task,
        lambda one: str(one.protocol["name"]),
        lambda one: one.probe_name,
        lambda one: str(one.dataset["name"]),
    )
    parts = [title, *(way(record) for way in ways if len({way(one) for one in alike}) > 1)]
    own = [tuple(way(one) for way in ways) for one in alike]
    if own.count(tuple(way(record) for way in ways)) > 1:
        parts.append(f"data {ranking.key.fingerprint[:6]}")
    return " · ".join(part for part in parts if part)


def _subtitle(ordered: Sequence[Ranking]) -> str:
    if not ordered:
        return "Frozen encoders, read by small probes."
    names = sorted({f"{ranking.first.protocol['name']} v{ranking.first.protocol['version']}" for ranking in ordered})
    return (
        "Frozen encoders, read by small probes or by plain matching: where does an object end, how far away is a "
        f"surface, which way does it face, which point is which? Protocol: {', '.join(names)}."
    )


def _facts(
    records: Sequence[ResultRecord], ordered: Sequence[Ranking], apart: Sequence[Apart]
) -> list[tuple[int, str]]:
    shown = [row.record for ranking in ordered for row in ranking.rows]
    facts = [
        (len(shown), "record" if len(shown) == 1 else "records"),
        (len({record.model_id for record in records}), "encoders and controls"),
        (len({record.task for record in records}), "tasks"),
    ]
    return [*facts, (len(apart), "set apart")] if apart else facts


def _records(records: Sequence[ResultRecord]) -> list[dict[str, Any]]:
    return [
        {
            "anchor": f"r-{record.run_hash}",
            "label": record.model_id,
            "task": record.task + (" · set apart" if set_apart(record) else ""),
            "headline": f"{record.main_metric} {number(record.main.value, record.main.unit)} {interval(record.main)}",
            "run_hash": record.run_hash,
            "command": record.command,
            "sections": sections(record),
        }
        for record in records
    ]


def _data_address(csv: str) -> str:
    return "data:text/csv;charset=utf-8;base64," + base64.b64encode(csv.encode("utf-8")).decode("ascii")


def package_version() -> str:
    try:
        return metadata.version("midvision")
    except metadata.PackageNotFoundError:
        return "from source"


def page_parts(name: str) -> tuple[Any, Any]:
    """A template with escaping switched on, and the style sheet."""
    return template_of(name), _markup(text_of("page.css"))


def template_of(name: str) -> Any:
    """A template of this room, which may build on others, with escaping switched on."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    loader = FunctionLoader(text_of)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, loader=loader)
    environment.filters["breaks"] = _breaks
    return environment.get_template(name)


def text_of(name: str) -> str:
    """A template, style sheet or script of this room."""
    return resources.files("midvision.report").joinpath(name).read_text(encoding="utf-8")


def _markup(text: str) -> Any:
    """Our own style sheet and script go in as they are; nothing else ever does."""
    from markupsafe import Markup

    return Markup(text)


def _breaks(text: str) -> Any:
    """An id that may break after its separators, and only there."""
    from markupsafe import Markup, escape

    marked = str(escape(text))
    for mark in "/_:":
        marked = marked.replace(mark, f"{mark}<wbr>")
    return Markup(marked)

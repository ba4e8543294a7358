"""A paper's tables as files: CSV with all digits, JSON, Markdown, and LaTeX with booktabs."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from midvision.core.places import write_text
from midvision.report.paper.table import Entry, Heading, Line, PaperTable, digits, shown, unit_title
from midvision.report.tables import LATEX_ESCAPES
from midvision.results.record import plain

MARK = "published"
PUBLISHED = "Columns marked † are published by the models' authors, not measured here"


def write_tables(tables: Sequence[PaperTable], folder: Path, format: str) -> list[Path]:
    """One file per table in `folder`."""
    from midvision.report.paper.draw import DRAWN, draw_table

    paths = []
    for table in tables:
        if format in DRAWN:
            path = folder / f"{table.name}.{format}"
            draw_table(table, path)
        else:
            suffix, text_of = TEXTS[format]
            path = folder / f"{table.name}.{suffix}"
            write_text(path, text_of(table))
        paths.append(path)
    return paths


def table_csv(table: PaperTable) -> str:
    """All digits. Per column its value, interval, whether it is bold, and where it comes from."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [
        _csv_name(heading) + ending
        for heading in table.headings
        for ending in ("", " low", " high", " best", " source")
    ]
    writer.writerow(["model", "name", "part", *names])
    for line in table.lines:
        cells: list[object] = [line.model, line.label, line.part]
        for heading in table.headings:
            entry = line.entries.get(heading.name)
            cells += ["", "", "", "", ""] if entry is None else _csv_cells(entry)
        writer.writerow(cells)
    return text.getvalue()


def _csv_name(heading: Heading) -> str:
    return f"{heading.name} ({MARK})" if heading.origin == "published" else heading.name


def _csv_cells(entry: Entry) -> list[object]:
    numbers = [repr(value) if math.isfinite(value) else "" for value in (entry.value, entry.low, entry.high)]
    return [*numbers, "yes" if entry.best else "", entry.source]


def table_json(table: PaperTable) -> str:
    """The table as it is held, with null for what is not a number."""
    body: dict[str, Any] = {
        "name": table.name,
        "title": table.title,
        "columns": [{name: getattr(heading, name) for name in Heading.__slots__} for heading in table.headings],
        "rows": [
            {
                "model": line.model,
                "name": line.label,
                "part": line.part,
                "entries": {
                    name: {key: getattr(entry, key) for key in Entry.__slots__} for name, entry in line.entries.items()
                },
            }
            for line in table.lines
        ],
        "notes": list(notes_of(table)),
    }
    return json.dumps(plain(body), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def table_markdown(table: PaperTable) -> str:
    """Pipes; bold as in print."""
    heads = ["model", *(_head(heading) for heading in table.headings)]
    rows = []
    for line in table.lines:
        cells = [_plain_pipes(line.label)]
        for heading in table.headings:
            entry = line.entries.get(heading.name)
            words = shown(entry, heading)
            cells.append(f"**{words}**" if entry is not None and entry.best else words)
        rows.append("| " + " | ".join(cells) + " |")
    rule = "| --- |" + " ---: |" * len(table.headings)
    head = "| " + " | ".join(map(_plain_pipes, heads)) + " |"
    notes = [f"*{_plain_pipes(note)}*" for note in notes_of(table)]
    return "\n".join([f"### {_plain_pipes(table.title)}", "", head, rule, *rows, "", "  \n".join(notes), ""])


def _plain_pipes(text: str) -> str:
    """One line that Markdown shows as it stands."""
    words = " ".join(text.split())
    for mark in "\\`*_{}[]<>|":
        words = words.replace(mark, f"\\{mark}")
    return words


def _head(heading: Heading) -> str:
    unit = unit_title(heading.unit)
    dagger = " †" if heading.origin == "published" else ""
    part = f"{heading.group}: " if heading.group else ""
    arrow = "↑" if heading.higher_is_better else "↓"
    return f"{part}{heading.title}{f' ({unit})' if unit else ''} {arrow}{dagger}"


def table_latex(table: PaperTable) -> str:
    """A booktabs table: spanning heads, rules between parts, best and tied in bold, intervals as a second line."""
    heads = table.headings
    groups = [(name, len(list(members))) for name, members in groupby(heads, key=lambda heading: heading.group)]
    lines = [
        r"% needs \usepackage{booktabs,graphicx}",
        r"\begin{table}",
        r"\centering",
        r"\small",
        rf"\caption{{{latex(table.title)}}}",
        rf"\label{{tab:{_label(table.name)}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{l{'r' * len(heads)}}}",
        r"\toprule",
    ]
    if any(name for name, _ in groups):
        lines += list(_spans(groups))
    lines.append(" & ".join(["Model", *map(_latex_head, heads)]) + r" \\")
    for place, (_, members) in enumerate(groupby(table.lines, key=lambda line: line.part)):
        lines.append(r"\addlinespace" if place else r"\midrule")
        lines += [_latex_row(line, heads) for line in members]
    lines += [r"\bottomrule", r"\end{tabular}}"]
    lines += [rf"\par\smallskip\footnotesize {' '.join(map(latex, notes_of(table)))}", r"\end{table}", ""]
    return "\n".join(lines)


def _spans(groups: Sequence[tuple[str, int]]) -> Iterator[str]:
    """The spanning heads and the short rules under them."""
    cells, rules, column = [""], [], 2
    for name, count in groups:
        cells.append(rf"\multicolumn{{{count}}}{{c}}{{{latex(name)}}}")
        if name:
            rules.append(rf"\cmidrule(lr){{{column}-{column + count - 1}}}")
        column += count
    yield " & ".join(cells) + r" \\"
    yield " ".join(rules)


def _latex_head(heading: Heading) -> str:
    arrow = r"$\uparrow$" if heading.higher_is_better else r"$\downarrow$"
    dagger = r"$^\dagger$" if heading.origin == "published" else ""
    unit = unit_title(heading.unit)
    return f"{latex(heading.title)}{f' ({latex(unit)})' if unit else ''}{dagger} {arrow}"


def _latex_row(line: Line, heads: Sequence[Heading]) -> str:
    cells = [latex(line.label)]
    for heading in heads:
        entry = line.entries.get(heading.name)
        words = latex(shown(entry, heading))
        if entry is not None and entry.best:
            words = rf"\textbf{{{words}}}"
        if entry is not None and entry.known and math.isfinite(entry.low) and math.isfinite(entry.high):
            ends = ", ".join(digits(value, heading.unit) for value in (entry.low, entry.high))
            words += rf" {{\scriptsize[{ends}]}}"
        cells.append(words)
    return " & ".join(cells) + r" \\"


def latex(text: str) -> str:
    """Plain words for LaTeX: its own marks escaped, dashes and arrows in its spelling, the rest as it is."""
    words = " ".join("".join(char for char in text if char.isprintable() or char.isspace()).split())
    return words.translate(LATEX_ESCAPES).replace("–", "--").replace("†", r"$^\dagger$")


def _label(name: str) -> str:
    return "".join(char if char.isascii() and (char.isalnum() or char in "-:") else "-" for char in name)


def notes_of(table: PaperTable) -> tuple[str, ...]:
    """The table's notes, and where published numbers stand."""
    pages = sorted(
        {
            line.entries[heading.name].source
            for heading in table.headings
            if heading.origin == "published"
            for line in table.lines
            if heading.name in line.entries
        }
    )
    return (*table.notes, f"{PUBLISHED}: {'; '.join(pages)}.") if pages else table.notes


TEXTS: Mapping[str, tuple[str, Callable[[PaperTable], str]]] = {
    "csv": ("csv", table_csv),
    "json": ("json", table_json),
    "markdown": ("md", table_markdown),
    "latex": ("tex", table_latex),
}

"""Results as text for other programs and for papers: CSV, JSON, LaTeX, Markdown."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence

from midvision.report.numbers import interval, metric_title, number
from midvision.report.rows import Ranking, rankings
from midvision.results.query import Results

LATEX_ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "&": r"\&",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "_": r"\_",
        "{": r"\{",
        "}": r"\}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
    }
)


def to_csv(results: Results) -> str:
    """One row per record and metric, in plain columns; empty where a number is not finite."""
    rows = results.table()
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names or ["model", "task"], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {name: "" if isinstance(value, float) and value != value else value for name, value in row.items()}
        )
    return text.getvalue()


def to_json(results: Results) -> str:
    """All records as they are stored, and all failures."""
    document = {
        "results": [record.as_dict() for record in results.records],
        "failures": [failure.as_dict() for failure in results.failures],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_markdown(results: Results) -> str:
    """One table per comparability group, best first."""

    def table(ranking: Ranking) -> str:
        head, rows = _body(ranking)
        lines = [f"### {ranking.key.reason}", "", _pipes(head), _pipes(["---"] * len(head))]
        return "\n".join([*lines, *(_pipes([_one_line(cell).replace("|", r"\|") for cell in row]) for row in rows)])

    return "\n\n".join(table(ranking) for ranking in rankings(results.records)) + "\n"


def to_latex(results: Results) -> str:
    """One booktabs table per comparability group, best first."""

    def table(ranking: Ranking) -> str:
        head, rows = _body(ranking)
        reason = ranking.key.reason.translate(LATEX_ESCAPES)
        lines = [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{reason}}}",
            rf"\begin{{tabular}}{{rl{'r' * (len(head) - 2)}}}",
            r"\toprule",
            _ampersands(head),
            r"\midrule",
            *(_ampersands(row) for row in rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        return "\n".join(lines)

    return "\n\n".join(table(ranking) for ranking in rankings(results.records)) + "\n"


WRITERS: Mapping[str, Callable[[Results], str]] = {
    "csv": to_csv,
    "json": to_json,
    "latex": to_latex,
    "markdown": to_markdown,
}


def _body(ranking: Ranking) -> tuple[list[str], list[list[str]]]:
    from midvision.report.groups import shown_metrics

    names = shown_metrics(ranking)
    rows = []
    for row in ranking.rows:
        cells = []
        for name in names:
            estimate = row.record.metrics.get(name)
            cells.append(
                "–" if estimate is None else f"{number(estimate.value, estimate.unit)} {interval(estimate)}".strip()
            )
        who = row.record.model_id + (f" ({row.variant})" if row.variant else "")
        rows.append([str(row.rank or "–"), who, *cells])
    return ["rank", "encoder", *(metric_title(name) for name in names)], rows


def _pipes(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _ampersands(cells: Sequence[str]) -> str:
    return " & ".join(_one_line(cell).translate(LATEX_ESCAPES) for cell in cells) + r" \\"


def _one_line(text: str) -> str:
    return " ".join(text.split())

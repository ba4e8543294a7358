"""`midvision report|compare|export`: what to do with a results folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from midvision.cli import options as o
from midvision.cli.terminal import put_json, put_table, say
from midvision.core.errors import UsageError

if TYPE_CHECKING:
    from midvision.analysis.outcome import StudyAnalysis
    from midvision.results.query import Results
    from midvision.results.record import ResultRecord

TaskFilter = Annotated[str | None, typer.Option("--task", "-t", help="Only tasks matching this glob.")]
ProtocolFilter = Annotated[str | None, typer.Option("--protocol", help="Only this protocol.")]
ProbeFilter = Annotated[str | None, typer.Option("--probe", help="Only this probe.")]


def report(
    results: o.Results,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="A page, or a folder of pages where the name has no .html.")
    ] = Path("report.html"),
    model: Annotated[str | None, typer.Option("--model", "-m", help="Only models matching this glob.")] = None,
    task: TaskFilter = None,
    title: Annotated[str | None, typer.Option(help="Title of the page.")] = None,
    high_level: o.HighLevel = None,
    open: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
    json: o.Json = False,
) -> None:
    """One self-contained HTML page of a results folder, or a folder of pages per task and model; it opens offline."""
    from midvision.results.query import load_results

    found = load_results(results).where(model=model, task=task)
    page = pages(found, output, title, str(results), high_level)
    if json:
        put_json({"page": str(page.resolve()), "records": len(found), "failures": len(found.failures)})
    else:
        written = page.parent.rglob("*") if page != output else [page]
        size = sum(path.stat().st_size for path in written if path.is_file())
        say(f"Report: {page.resolve()} ({len(found)} records, {size / 2**20:.1f} MiB)")
    if open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def pages(found: Results, output: Path, title: str | None, source: str, high_level: Path | None = None) -> Path:
    """Write one page, or the study's folder; returns the page to open. Only the folder reads `high_level`."""
    from midvision.report.page import TITLE, write_report

    lost = [*found.failures, *found.unreadable]
    if output.suffix.lower() in (".html", ".htm"):
        if high_level is not None:
            raise UsageError("--high-level goes with a folder of pages.", f"{output} is one page.", "Try: -o report")
        return write_report(found.records, output, failures=lost, title=title or TITLE, source=source)
    from midvision.report.study.site import write_study_report

    analysis = analysis_of(found, high_level)
    return write_study_report(found.records, analysis, output, failures=lost, title=title or TITLE, source=source)


def export(
    results: o.Results,
    format: Annotated[o.Format, typer.Option("--format", help="svg and pdf draw tables.")] = o.Format.csv,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, stdout without it; a folder for --table.")
    ] = None,
    task: TaskFilter = None,
    table: Annotated[
        o.Tables | None,
        typer.Option("--table", help="paper: all metrics per setting and architecture, and shares of supervised."),
    ] = None,
    architecture: Annotated[
        o.Architecture | None, typer.Option("--architecture", help="Only this one's tables; with --table.")
    ] = None,
    high_level: o.HighLevel = None,
) -> None:
    """All results as CSV, JSON, LaTeX or Markdown; or a paper's tables, one file each."""
    from midvision.core.places import write_text
    from midvision.report.tables import WRITERS
    from midvision.results.query import load_results

    found = load_results(results).where(task=task)
    if table is not None:
        return paper(found, format, output, architecture, high_level)
    if format.value not in WRITERS or architecture is not None or high_level is not None:
        flag = "--architecture" if architecture is not None else "--high-level"
        wish = f"--format {format.value}" if format.value not in WRITERS else flag
        raise UsageError(f"{wish} goes with --table.", "", f"Add --table paper, or choose {', '.join(WRITERS)}.")
    text = WRITERS[format.value](found)
    if output is None:
        print(text, end="")
    else:
        write_text(output, text)
        say(f"Wrote {output}")
    return None


def paper(
    found: Results,
    format: o.Format,
    output: Path | None,
    architecture: o.Architecture | None,
    high_level: Path | None = None,
) -> None:
    """A paper's tables into a folder."""
    from midvision.report.paper.build import paper_tables
    from midvision.report.paper.write import write_tables

    tables = paper_tables(found, architecture.value if architecture else None, analysis_of(found, high_level))
    if not tables:
        raise UsageError(
            "These results give no table.", "Comparable results of an encoder were expected.", "See: midvision report"
        )
    paths = write_tables(tables, output or Path("tables"), format.value)
    for path in paths:
        say(f"Wrote {path}")


def compare(
    a: Annotated[str, typer.Argument(help="Model id, or the start of a run hash.")],
    b: Annotated[str, typer.Argument(help="The model to compare it with.")],
    task: TaskFilter = None,
    results: Annotated[
        Path | None, typer.Option("--results", help="Results folder [default: MIDVISION_OUTPUT].")
    ] = None,
    protocol: ProtocolFilter = None,
    probe: ProbeFilter = None,
    json: o.Json = False,
) -> None:
    """Paired difference A - B with its interval, over the same items; refuses what is not comparable.

    Verdicts allow for the number of comparisons shown (Holm's correction).
    """
    from midvision.core.places import output_dir
    from midvision.report.difference import compare_all
    from midvision.results.query import load_results

    found = load_results(results or output_dir()).where(task=task, protocol=protocol, probe=probe)
    differences = compare_all(of_model(found, a), of_model(found, b))
    if json:
        return put_json([difference.as_dict() for difference in differences])
    rows = [difference.words() for difference in differences]
    return put_table(["task", "metric", a, b, "A - B", "95 % interval", "adjusted p", "verdict"], rows, numbers=2)


def analysis_of(found: Results, high_level: Path | None = None) -> StudyAnalysis:
    """The whole analysis, with the accuracies that publishers print of these very weights and a person's own."""
    from midvision.analysis.study import analyse
    from midvision.results.high_level import high_scores

    return analyse(found, high_scores(high_level))


def of_model(results: Results, name: str) -> list[ResultRecord]:
    """Records of a model by id, or the record whose run hash starts so."""
    from midvision.core.errors import nearest

    named = [record for record in results if record.model_id == name]
    if not named:
        named = [record for record in results if len(name) >= 4 and record.run_hash.startswith(name)]
    if not named:
        raise UsageError(f"There is no result of {name!r}.", nearest(name, results.models()))
    return named

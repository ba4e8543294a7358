"""`midvision models fetch`: published weights onto this machine, ahead of a run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, put_table, say
from midvision.core.errors import DataError, MidvisionError, UsageError

if TYPE_CHECKING:
    from midvision.zoo.obtain import Stock

SOME_FAILED = 1
MEBIBYTE = 2**20

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Model ids.", show_default=False)]


def fetch(
    ids: Ids = None,
    all_: Annotated[bool, typer.Option("--all", help="Every model of the zoo that has weights.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be fetched, then stop.")] = False,
    cache_dir: o.CacheDir = None,
    offline: o.Offline = False,
    quiet: o.Quiet = False,
    no_progress: o.NoProgress = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Fetch published weights: resumed, checked, and kept where runs look for them."""
    if cache_dir is not None:
        os.environ["MIDVISION_CACHE"] = str(cache_dir)
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    if quiet or no_progress or os.environ.get("CI"):
        os.environ["HF_HUB_DISABLE_PROGRESS_BARS"] = "1"
    stocks, failures = _wanted(ids or [], all_)
    if not dry_run:
        from midvision.zoo.obtain import obtain

        progress = make_progress(quiet=quiet, bars=not no_progress)
        for number, stock in enumerate(stocks):
            try:
                stocks[number] = obtain(stock, progress)
            except DataError as error:
                failures.append((stock.id, error))
    failed = {name for name, _ in failures}
    found = [stock for stock in stocks if stock.id not in failed]
    if len(failures) == 1 and not found:
        raise failures[0][1]
    if json:
        put_json({"files": [stock.as_dict() for stock in found], "failures": [_plain(*one) for one in failures]})
    else:
        _show(found, failures, quiet=quiet)
    if failures:
        raise typer.Exit(SOME_FAILED if found else DataError.exit_code)


def _wanted(ids: list[str], all_: bool) -> tuple[list[Stock], list[tuple[str, MidvisionError]]]:
    """What to fetch; an unknown id stops everything before the first byte."""
    from midvision.cli.work import model_ids
    from midvision.zoo.obtain import fetchable_ids, stock

    if all_ and ids:
        raise UsageError("--all and ids were both given.", "One of the two is needed.")
    if not all_ and not ids:
        raise UsageError("No model was named.", "Ids, or --all, are needed.", "See: midvision list models")
    stocks: list[Stock] = []
    failures: list[tuple[str, MidvisionError]] = []
    for name in fetchable_ids() if all_ else model_ids(ids):
        try:
            stocks.append(stock(name))
        except DataError as error:
            failures.append((name, error))
    return stocks, failures


def _show(found: list[Stock], failures: list[tuple[str, MidvisionError]], *, quiet: bool) -> None:
    rows = [
        [s.id, s.state, _size(s), s.sha256[:8], s.source if s.state == "to fetch" else str(s.path or "")] for s in found
    ]
    if rows:
        put_table(["model", "state", "MiB", "SHA-256", "file"], rows)
    for name, error in failures:
        say(f"{name}: {error}")
    if failures:
        say(f"{len(failures)} of {len(failures) + len(found)} could not be had.", quiet=quiet)


def _size(stock: Stock) -> str:
    size = stock.as_dict()["bytes"]
    return "" if size is None else f"{size / MEBIBYTE:.1f}"


def _plain(name: str, error: MidvisionError) -> dict[str, Any]:
    return {"id": name, "wrong": error.wrong, "expected": error.expected, "do": error.do}

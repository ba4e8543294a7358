"""`midvision models fetch|inspect|cost`: weights' files, stray checkpoints, and what an encoder costs."""

from __future__ import annotations

import typer

from midvision.cli import models_cost, models_fetch, models_inspect


def build() -> typer.Typer:
    """The group of model commands."""
    group = typer.Typer(
        help="Fetch weights, tell what a checkpoint is, count what an encoder costs.", no_args_is_help=True
    )
    group.command("fetch")(models_fetch.fetch)
    group.command("inspect")(models_inspect.inspect)
    group.command("cost")(models_cost.cost)
    return group

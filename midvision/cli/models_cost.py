"""`midvision models cost`: parameters, operations, tokens, speed and memory of encoders on this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, put_table, say
from midvision.core.errors import MidvisionError, UsageError

if TYPE_CHECKING:
    from midvision.core.features import ImageEncoder
    from midvision.run.cost import CostCard

SOME_FAILED = 1
# These are built from a name alone, and what they cost does not depend on the values of their weights.
_BY_NAME = ("card", "timm", "torchvision", "random", "hf-hub", "transformers")

Ids = Annotated[list[str] | None, typer.Argument(metavar="ID...", help="Model ids.", show_default=False)]


def cost(
    ids: Ids = None,
    size: Annotated[str, typer.Option("--size", help="H or HxW in pixels.")] = "224",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per pass, for the speed.")] = 8,
    seconds: Annotated[float, typer.Option(min=0.0, help="Measure at least so long; 0 leaves the speed out.")] = 1.0,
    device: o.Device = None,
    cache_dir: o.CacheDir = None,
    no_progress: o.NoProgress = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Count and time encoders at an image size. Needs no published weights: values of weights cost nothing."""
    from midvision.cli.work import model_ids, size_pair

    if cache_dir is not None:
        os.environ["MIDVISION_CACHE"] = str(cache_dir)
    if not ids:
        raise UsageError("No model was named.", "Ids are needed.", "See: midvision list models")
    pixels = size_pair(size, "--size") or (224, 224)
    names = model_ids(ids)
    found: list[tuple[str, CostCard]] = []
    failures: list[tuple[str, MidvisionError]] = []
    with make_progress(bars=not no_progress).bar("models", len(names)) as advance:
        for name in names:
            try:
                found.append((name, _card(name, pixels, batch_size, seconds, device or "auto")))
            except MidvisionError as error:
                if len(names) == 1:
                    raise
                failures.append((name, error))
            advance(1)
    if json:
        errors = [{"id": name, "wrong": e.wrong, "expected": e.expected, "do": e.do} for name, e in failures]
        put_json({"costs": [{"id": name, **card.as_dict()} for name, card in found], "failures": errors})
    elif found:
        put_table(["model", *_HEAD], [[name, *_row(card.as_dict())] for name, card in found], numbers=1)
    for name, problem in failures:
        say(f"{name}: {problem}")
    if failures:
        raise typer.Exit(SOME_FAILED if found else max(error.exit_code for _, error in failures))


def _card(name: str, size: tuple[int, int], batch_size: int, seconds: float, device: str) -> CostCard:
    from midvision.core.places import cache_dir
    from midvision.encoders.cost import measure
    from midvision.run.cost import cost_card
    from midvision.run.options import RunOptions

    encoder = _opened(name, RunOptions(device=device).torch_device())
    speed = measure(encoder, size, batch_size, seconds) if seconds > 0 else None
    return cost_card(encoder, size, cache_dir() / "costs", speed, "timed")


def _opened(name: str, device: str) -> ImageEncoder:
    from midvision.run.models import ORACLES
    from midvision.zoo.ids import parse_id
    from midvision.zoo.load import load_model

    if name in ORACLES:
        raise UsageError(f"{name} is made from the truth of a data set.", "It has no cost of its own.")
    return load_model(name, random_init=parse_id(name).kind in _BY_NAME, device=device)


_HEAD = ["M params", "GFLOPs", "tokens", "images/s", "batch", "peak MiB", "size"]


def _row(card: dict[str, Any]) -> list[str]:
    prefix = f"+{card['prefix_tokens']}" if card["prefix_tokens"] else ""
    return [
        f"{card['parameters'] / 1e6:.2f}",
        _number(card["gflops"], 2),
        f"{card['tokens']}{prefix}",
        _number(card["images_per_s"], 1),
        str(card["batch_size"] or ""),
        _number(card["peak_mib"], 0),
        "×".join(map(str, card["size"])),
    ]


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"

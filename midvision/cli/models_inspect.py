"""`midvision models inspect`: what a stray checkpoint is, and how to run it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from midvision.cli import options as o
from midvision.cli.terminal import put_json

if TYPE_CHECKING:
    from midvision.zoo.stray import Found, Report

MOST_LIKELY = 6
MEBIBYTE = 2**20


def inspect(
    file: Annotated[Path, typer.Argument(help="A checkpoint: .pth, .pt, .bin, .safetensors ...")],
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Tell what a checkpoint is: container, layout, network, likely method, pixel statistics, the id to run it with."""
    from midvision.zoo.stray import inspect_file

    report = inspect_file(file)
    if json:
        return put_json(report.as_dict())
    return print("\n".join(_lines(report)))


def _lines(report: Report) -> list[str]:
    found = [
        f"{report.path}: {report.container}, {report.bytes / MEBIBYTE:.1f} MiB, SHA-256 {report.sha256[:16]}...",
        f"{report.tensors} tensors, {report.parameters / 1e6:.1f} M numbers; top: {', '.join(report.top[:6])}",
    ]
    if report.beside:
        found.append(f"Beside the network: {', '.join(report.beside)}.")
    if not report.networks:
        found.append("No network that is known here was found in it.")
    for number, network in enumerate(report.networks, 1):
        found += ["", *_network_lines(network, number, len(report.networks))]
    return found


def _network_lines(found: Found, number: int, count: int) -> list[str]:
    name = f"Network {number}" if count > 1 else "Network"
    facts = ", ".join(f"{word.replace('_', ' ')} {_word(value)}" for word, value in found.network.facts.items())
    held = f"layout {' or '.join(found.layouts)}" if found.layouts else f"under {found.where}"
    lines = [
        f"{name}: {found.network.title}, {found.parameters / 1e6:.1f} M parameters ({held}"
        + (f", {found.weights} weights)" if found.weights else ")"),
        f"  {facts}",
        f"  {_fitting(found)}",
    ]
    if found.problem and not found.architecture:
        lines.append(f"  {found.problem}")
    if found.likely:
        shown = [f"{likely.id} ({likely.because})" for likely in found.likely[:MOST_LIKELY]]
        more = len(found.likely) - MOST_LIKELY
        lines.append(f"  likely: {', '.join(shown)}" + (f" and {more} more" if more > 0 else ""))
    lines.append(f"  pixels: {found.pixels} ({found.pixel_source})")
    lines.append(f"  run it: {found.command}" if found.command else "  It cannot be run by an id of its own.")
    if len(found.likely) > 1 and found.id is not None and found.likely[0].because == found.likely[1].because:
        lines.append("  If you know which of the likely ones it is, run that id with --weights FILE: it knows more.")
    return lines


def _fitting(found: Found) -> str:
    if found.architecture:
        return f"timm: {found.architecture} fits exactly"
    return f"the network of {found.likely[0].id} fits exactly" if found.likely else "timm: no architecture fits exactly"


def _word(value: object) -> str:
    if value is None:
        return "unknown"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)

"""`midvision cache info|verify|prune`: the features on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import make_progress, put_json, put_table, say

if TYPE_CHECKING:
    from midvision.extraction.cache import FeatureCache

MEBIBYTE = 2**20
CHECK_FAILED = 4


def build() -> typer.Typer:
    """The group of cache commands."""
    group = typer.Typer(help="The features kept on disk.", no_args_is_help=True)
    for name, command in (("info", info), ("verify", verify), ("prune", prune)):
        group.command(name)(command)
    return group


def info(cache_dir: o.CacheDir = None, json: o.Json = False) -> None:
    """What the cache holds, by encoder and input size."""
    from datetime import datetime

    cache = opened(cache_dir)
    entries = cache.info()
    records: list[dict[str, Any]] = [
        {
            "encoder": entry.encoder,
            "input_size": entry.plan.get("input_size"),
            "images": entry.images,
            "shards": entry.shards,
            "bytes": entry.bytes,
            "used_at": datetime.fromtimestamp(entry.used_at).isoformat(timespec="seconds"),
            "folder": str(entry.folder),
        }
        for entry in entries
    ]
    total = sum(entry.bytes for entry in entries)
    if json:
        return put_json({"folder": str(cache.folder), "bytes": total, "entries": records})
    rows = [
        [
            r["encoder"][:60],
            _size(r["input_size"]),
            str(r["images"]),
            str(r["shards"]),
            mebibytes(r["bytes"]),
            r["used_at"],
        ]
        for r in records
    ]
    put_table(["encoder", "input", "images", "shards", "MiB"], rows, numbers=2)
    return say(f"{mebibytes(total)} MiB in {cache.folder}")


def verify(cache_dir: o.CacheDir = None, quiet: o.Quiet = False, json: o.Json = False) -> None:
    """Read every shard against its checksum; damaged ones are removed and will be computed again."""
    damaged = opened(cache_dir).verify(make_progress(quiet=quiet))
    if json:
        put_json({"damaged": [str(path) for path in damaged]})
    for path in damaged:
        say(f"Damaged: {path}")
    if damaged:
        raise typer.Exit(CHECK_FAILED)
    say("Every shard is sound.", quiet=quiet)


def prune(
    keep: Annotated[
        float, typer.Option("--keep-gib", min=0.0, help="Keep the most recently used up to this size.")
    ] = 0.0,
    unused_days: Annotated[float, typer.Option(min=0.0, help="Touch only what was not used for so many days.")] = 0.0,
    cache_dir: o.CacheDir = None,
    json: o.Json = False,
) -> None:
    """Delete cached features, the least recently used first; without options all of them."""
    removed = opened(cache_dir).prune(limit_bytes=int(keep * 2**30), unused_days=unused_days)
    if json:
        return put_json({"removed_bytes": removed})
    return say(f"Removed {mebibytes(removed)} MiB.")


def opened(cache_dir: Path | None) -> FeatureCache:
    from midvision.core.places import cache_dir as default
    from midvision.extraction.cache import FeatureCache
    from midvision.run.options import RunOptions

    return FeatureCache((cache_dir or default()) / "features", RunOptions().cache_limit_bytes)


def mebibytes(count: int) -> str:
    return f"{count / MEBIBYTE:.1f}"


def _size(size: object) -> str:
    return "×".join(map(str, size)) if isinstance(size, list | tuple) else ""

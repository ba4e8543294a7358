"""Walks every family through the contract, records what was found, and writes docs/families.md from the record.

    python tests/accept/walk_families.py [--again] [NAME ...]

Families already recorded with these versions of the libraries are not walked again unless asked.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from families import FAMILIES
from family_walk import BATCH, BLOB_SLOPE, DEEP, SHALLOW, Family, Walked, bounds_broken, walk
from filelock import FileLock

from midvision.core.errors import EncoderError

RECORD = Path(__file__).parent / "families.json"
PAGE = Path(__file__).parents[2] / "docs/families.md"
Record = dict[str, dict[str, Any]]

_HEAD = """# Families of networks that were walked

`random/ARCH` (timm) and `transformers:ORG/NAME` read any network that hands out maps with whole strides.
This page lists the families that were walked with random weights, one small member each, and what was
found. It is written from `tests/accept/families.json` by

    python tests/accept/walk_families.py

and `make accept-families` walks them again and fails where anything differs. Nothing is listed that did
not run; other members of a family mostly behave alike, which is not tested. Strides and centres are in
pixels of the encoder's input, layers shallow to deep; one number stands for all layers. A first centre of
half a stride means disjoint patches, 0.5 a padded odd kernel, and more is one-sided padding or pooling.

The walk asks of each: declared shapes at each size listed, features that vary, pooled features of the
declared width, the same answer twice, each image the same in a batch as alone (within {batch:g} of the largest
value), cells whose gradient centroid lies at the declared centre (first planned layer within {shallow:g} cell,
last within {deep:g}, where the image's border cuts the view), and blobs found where they are (slope 1 +-
{slope:g}).
"""


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("timm", "transformers", "torch")}


def found(family: Family) -> dict[str, Any]:
    """What the walk of one family gives: facts and measurements, or the error of the encoder."""
    try:
        walked = walk(family)
        broken = bounds_broken(walked)
        assert not broken, (broken, facts(walked))
        return {"works": True, **facts(walked)}
    except EncoderError as error:
        return {"works": False, "error": str(error)}


def facts(walked: Walked) -> dict[str, Any]:
    return {
        "kind": walked.kind,
        "layers": walked.layers,
        "strides": list(walked.strides),
        "centres": list(walked.centres),
        "tokens": walked.tokens,
        "sizes": [list(size) for size in walked.sizes],
        "other_size": walked.other_size,
        "measured": {
            "shallow": round(walked.shallow_error, 3),
            "deep": round(walked.deep_error, 3),
            "slope": round(walked.slope, 3),
            "batch": float(f"{walked.batch_error:.1e}"),
            "seconds": round(walked.seconds, 1),
        },
    }


def page(record: Record) -> str:
    works = {name: entry for name, entry in record.items() if entry["works"]}
    broken = {name: entry for name, entry in record.items() if not entry["works"]}
    used = sorted({json.dumps(entry["versions"]) for entry in record.values()})
    lines = [_HEAD.format(batch=BATCH, shallow=SHALLOW, deep=DEEP, slope=BLOB_SLOPE)]
    lines += [f"Walked with {', '.join(f'{k} {v}' for k, v in json.loads(one).items())}." for one in used]
    lines += ["", f"## Families that work ({len(works)})", ""]
    lines += [
        "| family | layers | stride | first centre | own tokens | sizes walked |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row(name, works[name]) for name in sorted(works)]
    lines += ["", f"## Families that cannot work ({len(broken)})", "", "| family | the error |", "| --- | --- |"]
    lines += [f"| {name} | {_cell(broken[name]['error'])} |" for name in sorted(broken)]
    sizes = {name: entry["other_size"] for name, entry in works.items() if entry["other_size"]}
    lines += ["", "## Families that refuse the second size", "", "| family | the error |", "| --- | --- |"]
    lines += [f"| {name} | {_cell(sizes[name])} |" for name in sorted(sizes)]
    return "\n".join(lines) + "\n"


def _row(name: str, entry: dict[str, Any]) -> str:
    kind = "blocks" if entry["kind"] == "transformer" else "stages"
    sizes = ", ".join(f"{height} x {width}" for height, width in entry["sizes"])
    cells = (
        f"{entry['layers']} {kind}",
        _few(entry["strides"]),
        _few(entry["centres"]),
        entry["tokens"] or "none",
        sizes,
    )
    return f"| {name} | {' | '.join(cells)} |"


def _few(values: list[float]) -> str:
    return ", ".join(f"{value:g}" for value in (values[:1] if len(set(values)) == 1 else values))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def read_record() -> Record:
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}


def main(arguments: list[str]) -> None:
    again = "--again" in arguments
    names = [name for name in arguments if name != "--again"] or list(FAMILIES)
    for name in names:
        old = read_record().get(name)
        if old is not None and old["versions"] == versions() and not again:
            continue
        try:
            entry = {**found(FAMILIES[name]), "versions": versions()}
        except Exception as error:
            # A family that breaks in another way is a defect of the encoders: told, and not recorded.
            print(f"{name}: DEFECT {type(error).__name__}: {' '.join(str(error).split())[:300]}", flush=True)
            continue
        with FileLock(f"{RECORD}.lock"):
            record = {**read_record(), name: entry}
            RECORD.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps({k: v for k, v in entry.items() if k != "versions"})[:420], flush=True)
        gc.collect()
    PAGE.write_text(page(read_record()), encoding="utf-8")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    main(sys.argv[1:])

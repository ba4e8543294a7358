"""Writes docs/families.md from the record of the walk, without walking: python tests/accept/family_page.py"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from family_bounds import BATCH, BLOB_SLOPE, DEEP, SHALLOW

RECORD = Path(__file__).parent / "families.json"
PAGE = Path(__file__).parents[2] / "docs/families.md"
Record = dict[str, dict[str, Any]]

_HEAD = """# Families of networks that were walked

`random/ARCH` (timm) and `transformers:ORG/NAME` read any network that hands out maps with whole strides.
This page lists the families that were walked with random weights, one small member each, and what was
found. It is written from `tests/accept/families.json` by

    python tests/accept/walk_families.py      # needs hours

and `make accept-families` walks them again and fails where anything differs. Nothing is listed that did
not run; other members of a family mostly behave alike, which is not tested. Strides and centres are in
pixels of the encoder's input, layers shallow to deep; one number stands for all layers. A first centre of
half a stride means disjoint patches, 0.5 a padded odd kernel, and more is one-sided padding or pooling.
Own tokens are those that stand for no patch: the class token, and how many others (registers, distillation,
detection, further class tokens); none of them enters a map.

The walk asks of each: declared shapes at each size listed, features that vary, pooled features of the
declared width, the same answer twice, each image the same in a batch as alone (within {batch:g} of the largest
value), cells whose gradient centroid lies at the declared centre (first planned layer within {shallow:g} cell,
last within {deep:g}, where the image's border cuts the view), and blobs found where they are (slope 1 +-
{slope:g}).
"""


def page(record: Record) -> str:
    works = {name: entry for name, entry in record.items() if entry["works"]}
    broken = {name: entry for name, entry in record.items() if "error" in entry}
    off = {name: entry for name, entry in record.items() if entry.get("out_of_bounds")}
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
    lines += ["", f"## Families that run but are out of bounds ({len(off)})", ""]
    lines += ["Open: do not trust where their cells lie.", "", "| family | declared centres | out of bounds |"]
    lines += ["| --- " * 3 + "|"]
    lines += [
        f"| {name} | {_few(off[name]['centres'])} | {'; '.join(off[name]['out_of_bounds'])} |" for name in sorted(off)
    ]
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


if __name__ == "__main__":
    PAGE.write_text(page(read_record()), encoding="utf-8")

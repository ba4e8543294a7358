"""Walks every family through the contract, records what was found, and writes docs/families.md from the record.

    python tests/accept/walk_families.py [--again] [NAME ...]

Families already recorded with these versions of the libraries are not walked again unless asked.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from families import FAMILIES
from family_page import PAGE, RECORD, page, read_record
from family_walk import Family, Walked, bounds_broken, walk
from filelock import FileLock

from midvision.core.errors import EncoderError


def versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in ("timm", "transformers", "torch")}


def found(family: Family) -> dict[str, Any]:
    """What the walk of one family gives: facts and measurements, or the error of the encoder."""
    try:
        walked = walk(family)
        broken = bounds_broken(walked)
        return {"works": not broken, "out_of_bounds": broken, **facts(walked)}
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
        with FileLock(Path(tempfile.gettempdir()) / "midvision-families.lock"):
            record = {**read_record(), name: entry}
            RECORD.write_text(json.dumps(dict(sorted(record.items())), indent=1) + "\n", encoding="utf-8")
        print(name, json.dumps({k: v for k, v in entry.items() if k != "versions"})[:420], flush=True)
        gc.collect()
    PAGE.write_text(page(read_record()), encoding="utf-8")


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    main(sys.argv[1:])

"""`--dry-run`: which units there would be, which are stored, and what earlier runs of the same kind took."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.cli.work import planned

if TYPE_CHECKING:
    from midvision.cli.config import RunConfig
    from midvision.core.specs import RunSpec
    from midvision.results.query import Results
    from midvision.results.record import ResultRecord


def preview(config: RunConfig) -> dict[str, Any]:
    """Units and totals; opens no data and builds no network, so image counts come from stored records only."""
    stored = stored_results(config.output)
    units = [_unit(spec, stored, config) for _, spec in planned(config)]
    todo = [unit for unit in units if unit["state"] != "stored"]
    times = [unit["seconds_last_time"] for unit in todo]
    known = [seconds for seconds in times if seconds is not None]
    return {
        "units": units,
        "totals": {
            "units": len(units),
            "stored": len(units) - len(todo),
            "to_do": len(todo),
            "estimated_s": round(sum(known) / len(known) * len(todo)) if known else None,
            "output": str(config.output),
            "free_disk_gib": round(shutil.disk_usage(_existing(config.output)).free / 2**30, 1),
            "cache_limit_gib": config.cache_limit_gib,
        },
    }


def stored_results(output: Path) -> Results:
    from midvision.results.query import Results, load_results

    return load_results(output) if output.is_dir() else Results([])


def _unit(spec: RunSpec, stored: Results, config: RunConfig) -> dict[str, Any]:
    from midvision.run.plan import resolve_probe, resolve_protocol
    from midvision.tasks.task import all_tasks

    task = all_tasks()[spec.task]
    protocol = resolve_protocol(spec, task)
    probe = resolve_probe(spec, task, protocol)
    settled = spec.model_copy(update={"probe": probe}).model_dump(mode="json")
    same = [record for record in stored if record.run == settled and record.protocol["version"] == protocol.version]
    again = config.overwrite == "always" or not config.resume
    return {
        "model": spec.model,
        "task": spec.task,
        "protocol": f"{protocol.name}@{protocol.version}",
        "probe": probe.name if probe else None,
        "seed": spec.seed,
        "state": "stored" if same and not again else "to do" if prepared(spec) else "data not prepared",
        "images": _images(same or [record for record in stored if record.task == spec.task]),
        "seconds_last_time": _seconds(same or [record for record in stored if record.task == spec.task]),
    }


def prepared(spec: RunSpec) -> bool:
    """Whether a benchmark's copy is there; other data needs none."""
    from midvision.core.errors import DataError
    from midvision.data.card import all_sets
    from midvision.data.manifest import open_copy

    card = all_sets().get(spec.data.set)
    if card is None or card.benchmark is None:
        return True
    try:
        open_copy(card, spec.data)
    except DataError:
        return False
    return True


def _images(records: Sequence[ResultRecord]) -> int | None:
    """Images of the test and, where a probe is fitted, of the training split."""
    for record in records:
        parts = [record.dataset, record.dataset.get("train") or {}]
        return sum(int(part.get("n_images", part.get("n_items", 0))) for part in parts)
    return None


def _seconds(records: Sequence[ResultRecord]) -> float | None:
    for record in records:
        spent = [
            float(value) for name, value in record.timing.items() if name.endswith("_s") and name != "images_per_s"
        ]
        return round(sum(spent), 1) if spent else None
    return None


def _existing(path: Path) -> Path:
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path

"""`midvision doctor`: versions, devices, folders, free disk, settings of the environment and where they come from."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import typer

from midvision.cli import options as o
from midvision.cli.terminal import put_json, put_table, say
from midvision.core import places

PACKAGES = (
    "midvision torch torchvision timm numpy scipy pillow safetensors scikit-image trimesh embreex numba manifold3d "
    "shapely altair vl-convert-python typer pydantic"
).split()
EXTRAS = {"transformers": "transformers", "data": "h5py"}
VARIABLES = (
    "MIDVISION_DATA MIDVISION_CACHE MIDVISION_OUTPUT HF_HOME HF_HUB_CACHE HF_HUB_OFFLINE TORCH_HOME "
    "CUDA_VISIBLE_DEVICES NO_COLOR CI"
).split()
CHECK_FAILED = 4


def doctor(json: o.Json = False) -> None:
    """Versions, devices, folders, free disk, and the environment."""
    found = examine()
    if json:
        put_json(found)
    else:
        put_table(["package", "version"], [[name, value or "missing"] for name, value in found["packages"].items()])
        extras = found["extras"].items()
        put_table(
            ["extra", "state"], [[name, value or f'missing: pip install "midvision[{name}]"'] for name, value in extras]
        )
        put_table(["device", "name"], [[entry["device"], entry["name"]] for entry in found["devices"]])
        rows = [[e["name"], e["path"], e["source"], f"{e['free_gib']:.1f} GiB", e["state"]] for e in found["folders"]]
        put_table(["folder", "path", "from", "free", "state"], rows)
        put_table(["variable", "value"], [[name, value] for name, value in found["environment"].items()])
    for problem in found["problems"]:
        say(f"Problem: {problem}")
    if found["problems"]:
        raise typer.Exit(CHECK_FAILED)


def examine() -> dict[str, Any]:
    """Everything that `doctor` tells, as plain values; `problems` is empty on a sound installation."""
    packages = {name: _version(name) for name in PACKAGES}
    folders = [
        _folder("data", places.data_dir(), "MIDVISION_DATA"),
        _folder("cache", places.cache_dir(), "MIDVISION_CACHE"),
        _folder("output", places.output_dir(), "MIDVISION_OUTPUT"),
    ]
    problems = [f"{name} is not installed." for name, value in packages.items() if value is None]
    problems += [
        f"The {entry['name']} folder {entry['path']} cannot be written." for entry in folders if not entry["writable"]
    ]
    return {
        "python": sys.version.split()[0],
        "packages": {"python": sys.version.split()[0], **packages},
        "extras": {extra: _version(name) for extra, name in EXTRAS.items()},
        "devices": _devices() if packages["torch"] else [],
        "folders": folders,
        "environment": {name: os.environ.get(name, "not set") for name in VARIABLES},
        "problems": problems,
    }


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> list[dict[str, str]]:
    import platform

    import torch

    found = [
        {"device": "cpu", "name": f"{platform.machine()}, {os.cpu_count()} cores, {torch.get_num_threads()} threads"}
    ]
    for number in range(torch.cuda.device_count()):
        found.append({"device": f"cuda:{number}", "name": torch.cuda.get_device_name(number)})
    return found


def _folder(name: str, path: Path, variable: str) -> dict[str, Any]:
    """A folder with its source; free space is that of the nearest existing parent."""
    there = path.absolute()
    while not there.exists():
        there = there.parent
    writable = there.is_dir() and os.access(there, os.W_OK)
    return {
        "name": name,
        "path": str(path),
        "source": variable if os.environ.get(variable) else "default",
        "free_gib": shutil.disk_usage(there).free / 2**30,
        "writable": writable,
        "state": ("exists" if path.exists() else "will be made") if writable else "not writable",
    }

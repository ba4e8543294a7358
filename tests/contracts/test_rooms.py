"""Imports go one way, files stay small, third-party libraries stay behind their doors, importing does nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOMS = (
    "core geometry metrics synth data encoders zoo extraction probes tasks pretrain results analysis report run cli"
).split()
PACKAGE = Path(__file__).parents[2] / "midvision"
MODULES = sorted(PACKAGE.rglob("*.py"))

DOORS = {
    "scipy": ("metrics/matches", "metrics/boundaries", "synth/", "analysis/", "probes/closed_form", "data/"),
    "skimage": ("encoders/controls",),
    "timm": ("encoders/",),
    "transformers": ("encoders/",),
    "embreex": ("synth/",),
    "trimesh": ("synth/",),
    "numba": ("synth/",),
    "manifold3d": ("synth/",),
    "shapely": ("synth/",),
    "PIL": ("data/", "report/", "synth/render_sensor", "synth/store"),
    "h5py": ("data/",),
    "sqlite3": ("results/",),
    "altair": ("report/",),
    "vl_convert": ("report/",),
    "typer": ("cli/",),
    "rich": ("cli/",),
    "ray": ("run/cluster",),
    "pooch": ("zoo/fetch", "data/fetch"),
    "huggingface_hub": ("zoo/fetch", "data/fetch"),
    "requests": ("zoo/fetch", "data/fetch"),
}


def imports_of(path: Path) -> list[tuple[str, int]]:
    """Every imported module's full name with its line."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            found.append((node.module or "", node.lineno))
    return found


def room_of(path: Path) -> str | None:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else None


def test_every_folder_is_a_known_room() -> None:
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders <= set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_doors_open_one_way(path: Path) -> None:
    room = room_of(path)
    if room is None:
        return
    for name, line in imports_of(path):
        parts = name.split(".")
        if parts[0] != "midvision":
            continue
        assert len(parts) > 1 or path.name == "__main__.py", f"{path}:{line} imports the front door"
        if len(parts) > 1 and parts[1] in ROOMS:
            assert ROOMS.index(parts[1]) <= ROOMS.index(room), f"{path}:{line}: {room} may not import {parts[1]}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_libraries_stay_behind_their_doors(path: Path) -> None:
    place = path.relative_to(PACKAGE).as_posix()
    for name, line in imports_of(path):
        allowed = DOORS.get(name.split(".")[0])
        if allowed is not None:
            assert place.startswith(allowed), f"{place}:{line} imports {name}; only {', '.join(allowed)} may"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_are_short_and_well_named(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").count("\n")
    assert lines <= 400, f"{path} has {lines} lines"
    assert path.stem not in {"utils", "helpers", "misc", "base", "manager"}


def run_isolated(code: str) -> str:
    environment = {**os.environ, "MIDVISION_CACHE": os.devnull}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_light_imports_load_no_heavy_library() -> None:
    """What `--help` and `list` need may not cost a torch import."""
    code = (
        "import sys, midvision, midvision.cli.main\n"
        "from midvision.tasks.task import all_tasks\n"
        "from midvision.data.card import all_sets\n"
        "assert len(all_tasks()) >= 16, sorted(all_tasks())\n"
        "assert len(all_sets()) >= 8, sorted(all_sets())\n"
        "print(sorted(set(sys.modules) & {'torch', 'timm', 'scipy', 'numba', 'trimesh', 'altair', 'transformers'}))"
    )
    assert run_isolated(code).strip() == "[]"


def test_importing_every_module_touches_no_file_and_no_random_state(tmp_path: Path) -> None:
    names = [".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts) for path in MODULES]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    code = (
        "import importlib, os, sys, random\n"
        "import numpy, torch\n"
        f"os.chdir({str(tmp_path)!r})\n"
        "before = (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())\n"
        f"[importlib.import_module(name) for name in {names!r}]\n"
        "after = (random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist())\n"
        "assert before == after\n"
        "print(os.listdir('.'))"
    )
    assert run_isolated(code).strip() == "[]"

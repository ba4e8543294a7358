"""Meshes built once and kept on disk: vertices, crease normals, stable poses, symmetry.

A mesh key holds the family and the shape code it was built from, so any key can be built anywhere;
the bank is a fixed list of codes per family.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from midvision.core.places import cache_dir, write_atomic
from midvision.core.progress import SILENT, Progress
from midvision.core.seeds import numpy_generator
from midvision.synth.mesh_facts import corner_normals, hull_points, stable_rotations, symmetry_deviation
from midvision.synth.shapes import BY_NAME, FAMILIES, HELD_OUT_FAMILIES, SEEN_FAMILIES, build_surface

__all__ = [
    "FAMILIES",
    "HELD_OUT_FAMILIES",
    "SEEN_FAMILIES",
    "Bank",
    "Mesh",
    "bank_keys",
    "code_of",
    "get_mesh",
    "mesh_bank",
    "mesh_key",
]

BANK_VERSION = "1"
PER_FAMILY = 24
SYMMETRIC_BELOW = 0.02
_STEPS = 255


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A closed solid of unit radius in its own frame.

    vertices float64 `[V, 3]`, faces int32 `[F, 3]`, corner_normals float32 `[F, 3, 3]`; hull float64
    `[H, 3]`; rest_rotations `[P, 3, 3]` turn it so that it stands stably on a level plane, with
    rest_weights `[P]` summing to 1; symmetry is the smallest deviation of a turned copy in radii.
    """

    key: str
    vertices: np.ndarray
    faces: np.ndarray
    corner_normals: np.ndarray
    hull: np.ndarray
    rest_rotations: np.ndarray
    rest_weights: np.ndarray
    symmetry: float

    @property
    def symmetric(self) -> bool:
        return self.symmetry < SYMMETRIC_BELOW


def mesh_key(family: str, code: Iterable[float]) -> str:
    """The key of a family and a code; numbers are rounded to 1/255."""
    steps = [round(min(max(value, 0.0), 1.0) * _STEPS) for value in code]
    if len(steps) != BY_NAME[family].numbers:
        raise ValueError(f"{family} takes {BY_NAME[family].numbers} numbers, not {len(steps)}")
    return f"{family}-{bytes(steps).hex()}"


def code_of(key: str) -> tuple[float, ...]:
    """The shape code in a key."""
    return tuple(step / _STEPS for step in bytes.fromhex(key.rpartition("-")[2]))


def family_of(key: str) -> str:
    return key.rpartition("-")[0]


@lru_cache(maxsize=len(FAMILIES))
def bank_keys(family: str) -> tuple[str, ...]:
    """The fixed shapes of a family, the same in every installation."""
    numbers = BY_NAME[family].numbers
    codes = (numpy_generator("mesh bank", BANK_VERSION, family, i).random(numbers) for i in range(PER_FAMILY))
    return tuple(mesh_key(family, code) for code in codes)


def build_mesh(key: str) -> Mesh:
    """Build a mesh from its key; nothing is cached."""
    family = BY_NAME[family_of(key)]
    vertices, faces = build_surface(family.name, np.array(code_of(key)))
    hull = hull_points(vertices)
    rotations, weights = stable_rotations(vertices, faces)
    normals = corner_normals(vertices, faces, family.crease_deg)
    return Mesh(key, vertices, faces, normals, hull, rotations, weights, symmetry_deviation(vertices, faces))


@dataclass(frozen=True, slots=True)
class Bank:
    """Meshes by key."""

    meshes: Mapping[str, Mesh]

    def get(self, key: str) -> Mesh:
        """A mesh of the bank, or one built from its key."""
        return self.meshes[key] if key in self.meshes else get_mesh(key)


def mesh_bank(families: tuple[str, ...] = FAMILIES, folder: Path | None = None, progress: Progress = SILENT) -> Bank:
    """All fixed shapes of the families, read from `folder` (the cache unless given) or built and kept there."""
    missing = [name for name in families if not _family_file(name, folder).exists()]
    meshes: dict[str, Mesh] = {}
    with progress.bar("Building shapes", len(missing) * PER_FAMILY) as advance:
        for name in families:
            found = _read_family(name, folder)
            if found is None:
                found = {}
                for key in bank_keys(name):
                    found[key] = build_mesh(key)
                    advance(1)
                _write_family(name, found, folder)
            meshes.update(found)
    return Bank(meshes)


@lru_cache(maxsize=len(FAMILIES))
def _read_once(family: str, file: Path) -> dict[str, Mesh]:
    """A family as this process first found it; empty where it was not there."""
    return _read_family(family, file.parent) or {}


@lru_cache(maxsize=1024)
def get_mesh(key: str) -> Mesh:
    """The mesh of a key, from the bank in the cache where it holds it, else built for this process."""
    family = family_of(key)
    found = _read_once(family, _family_file(family, None)) if key in bank_keys(family) else {}
    return found[key] if key in found else build_mesh(key)


@lru_cache(maxsize=1)
def _recipe() -> str:
    """Changes whenever the code or the library that makes shapes does, so no stale mesh is ever read."""
    digest = hashlib.sha256(metadata.version("manifold3d").encode())
    here = Path(__file__).parent
    for source in sorted([*here.glob("shapes*.py"), here / "mesh_facts.py", here / "bank.py"]):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def _family_file(family: str, folder: Path | None) -> Path:
    return (folder or cache_dir() / "meshes") / f"{family}-{_recipe()}.npz"


_ARRAYS = ("vertices", "faces", "corner_normals", "hull", "rest_rotations", "rest_weights")


def _write_family(family: str, meshes: Mapping[str, Mesh], folder: Path | None) -> None:
    arrays = {f"{i}.{name}": getattr(mesh, name) for i, mesh in enumerate(meshes.values()) for name in _ARRAYS}
    arrays["symmetry"] = np.array([mesh.symmetry for mesh in meshes.values()])

    def write(path: Path) -> None:
        with open(path, "wb") as file:
            np.savez(file, **arrays)

    write_atomic(_family_file(family, folder), write)


def _read_family(family: str, folder: Path | None) -> dict[str, Mesh] | None:
    """What is on disk, or None where it is missing or cut short."""
    try:
        with np.load(_family_file(family, folder)) as file:
            return {
                key: Mesh(
                    key=key,
                    vertices=file[f"{i}.vertices"],
                    faces=file[f"{i}.faces"],
                    corner_normals=file[f"{i}.corner_normals"],
                    hull=file[f"{i}.hull"],
                    rest_rotations=file[f"{i}.rest_rotations"],
                    rest_weights=file[f"{i}.rest_weights"],
                    symmetry=float(file["symmetry"][i]),
                )
                for i, key in enumerate(bank_keys(family))
            }
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None

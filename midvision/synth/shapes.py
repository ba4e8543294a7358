"""Families of solids: a shape code (numbers in [0, 1]) becomes a closed triangle mesh of unit radius.

Every family is a pure function of its code, continuous in most of it, so that a shape can be varied in
small steps. Vertices are rounded to 2^-18, which hides the last bits of the platform's arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from midvision.synth import shapes_made, shapes_smooth
from midvision.synth.shapes_grid import Surface

Build = Callable[[np.ndarray], Surface]


@dataclass(frozen=True, slots=True)
class Family:
    """`numbers` is the length of its code; faces meeting at less than `crease_deg` shade smoothly."""

    name: str
    build: Build
    numbers: int
    crease_deg: float


_ALL = (
    Family("box", shapes_made.box, 3, 20.0),
    Family("cylinder", shapes_made.cylinder, 4, 35.0),
    Family("torus", shapes_smooth.torus, 3, 60.0),
    Family("capsule", shapes_smooth.capsule, 3, 60.0),
    Family("superquadric", shapes_smooth.superquadric, 8, 50.0),
    Family("lathe", shapes_smooth.lathe, 9, 40.0),
    Family("tube", shapes_smooth.tube, 8, 60.0),
    Family("gear", shapes_made.gear, 7, 35.0),
    Family("rock", shapes_smooth.rock, 9, 40.0),
    Family("boolean", shapes_made.boolean, 7, 30.0),
    Family("loft", shapes_made.loft, 9, 40.0),
    Family("compound", shapes_made.compound, 6, 40.0),
)
BY_NAME = {family.name: family for family in _ALL}
FAMILIES: tuple[str, ...] = tuple(BY_NAME)
PRIMITIVES: tuple[str, ...] = ("box", "cylinder", "torus", "capsule")
HELD_OUT_FAMILIES: tuple[str, ...] = ("boolean", "loft", "compound")
SEEN_FAMILIES: tuple[str, ...] = tuple(name for name in FAMILIES if name not in HELD_OUT_FAMILIES)


def families_at(level: int) -> tuple[str, ...]:
    """Families of a level of the shape axis: primitives; and superquadrics, lathes; all seen; held out."""
    easy = (*PRIMITIVES, "superquadric", "lathe")
    return (PRIMITIVES, easy, SEEN_FAMILIES, HELD_OUT_FAMILIES)[level]


def build_surface(family: str, code: np.ndarray) -> Surface:
    """The solid of a code: centred on its bounding box, farthest vertex at distance 1, no empty triangles."""
    vertices, faces = BY_NAME[family].build(np.asarray(code, dtype=np.float64))
    vertices = vertices - (vertices.min(0) + vertices.max(0)) / 2
    vertices = vertices / np.linalg.norm(vertices, axis=1).max()
    vertices = np.rint(vertices * 2**18) / 2**18
    vertices, merged = np.unique(vertices, axis=0, return_inverse=True)
    faces = merged.reshape(-1)[faces]
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return vertices, faces[area > 2.0**-30].astype(np.int32)

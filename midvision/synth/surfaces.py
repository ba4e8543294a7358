"""Materials as tables, and the kernel that paints points with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numba import njit

from midvision.synth.surfaces_noise import smooth
from midvision.synth.surfaces_patterns import TEXTURES, decal, pattern
from midvision.synth.world_parts import Material

__all__ = ["TEXTURES", "material_table", "mean_colour", "paint"]

_BRICKS = TEXTURES.index("bricks")
# Columns of a material table.
_KIND, _SCALE, _OFFSET, _SEED, _COLOURS, _BUMP, _DECALS, _REACH = 0, 1, 2, 5, 6, 15, 16, 17
ROUGHNESS, SPECULAR, METAL = 18, 19, 20
_COLUMNS = 21


def material_table(materials: Sequence[Material], reach_m: Sequence[float]) -> np.ndarray:
    """Materials as rows of float64 `[M, 21]`; `reach_m` is the radius of the piece, for decals."""
    table = np.zeros((len(materials), _COLUMNS))
    for row, material, reach in zip(table, materials, reach_m, strict=True):
        row[_KIND] = TEXTURES.index(material.texture)
        row[_SCALE] = material.scale
        row[_OFFSET : _OFFSET + 3] = material.offset
        row[_SEED] = material.seed % 2**20
        row[_COLOURS : _COLOURS + 9] = np.ravel(material.colours)
        row[_BUMP], row[_DECALS], row[_REACH] = material.bump, material.decals, reach
        row[ROUGHNESS], row[SPECULAR], row[METAL] = material.roughness, material.specular, material.metal
    return table


def mean_colour(material: Material) -> np.ndarray:
    """Roughly what a material looks like from afar, linear RGB `[3]`."""
    first, second, third = np.asarray(material.colours)
    return np.asarray(first * 0.55 + second * 0.35 + third * 0.1)


@njit(cache=True)
def _looked_up(
    row: np.ndarray, x: float, y: float, z: float, axis: int, footprint: float
) -> tuple[float, float, float]:
    """The material's pattern at a point in metres; `axis` is the main direction of the face there."""
    s = row[1]
    x, y, z = (x + row[2]) * s, (y + row[3]) * s, (z + row[4]) * s
    kind = int(row[0])
    if kind == 8:
        # Courses of bricks lie in the face, whichever way it looks.
        if axis == 0:
            x, y, z = y, z, x
        elif axis == 1:
            x, y, z = x, z, y
    return pattern(kind, x, y, z, footprint * s, int(row[5]))


@njit(cache=True)
def paint(
    xyz: np.ndarray, normals: np.ndarray, rows: np.ndarray, footprint_m: np.ndarray, table: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Linear colours `[N, 3]` and normals bent by the relief `[N, 3]`, both float32.

    xyz, normals float32 `[N, 3]` in the piece's frame; rows int32 `[N]` into `table`; footprint_m
    float32 `[N]`, the width a pixel covers on the surface.
    """
    n = len(xyz)
    colour = np.empty((n, 3), np.float32)
    bent = np.empty((n, 3), np.float32)
    for i in range(n):
        row = table[rows[i]]
        x, y, z = float(xyz[i, 0]), float(xyz[i, 1]), float(xyz[i, 2])
        nx, ny, nz = float(normals[i, 0]), float(normals[i, 1]), float(normals[i, 2])
        axis = 2
        if abs(nx) > abs(ny) and abs(nx) > abs(nz):
            axis = 0
        elif abs(ny) > abs(nz):
            axis = 1
        fp = float(footprint_m[i])
        second, third, relief = _looked_up(row, x, y, z, axis, fp)
        ink = 0.0
        if row[16] > 0.0:
            r = row[17]
            ink = decal(x / r, y / r, z / r, fp / r, int(row[5]), int(row[16]))
        for c in range(3):
            value = row[6 + c] + (row[9 + c] - row[6 + c]) * second
            value += (row[12 + c] - value) * third
            # Ink is dark on light and light on dark.
            value += ((0.03 if row[6] + row[7] + row[8] > 0.6 else 0.75) - value) * ink
            colour[i, c] = min(1.0, max(0.0, value))
        strength = row[15] * (1.0 - smooth(0.25, 0.8, fp * row[1]))
        if strength > 0.0:
            step = max(0.03 / row[1], 0.5 * fp)
            gx = _looked_up(row, x + step, y, z, axis, fp)[2] - relief
            gy = _looked_up(row, x, y + step, z, axis, fp)[2] - relief
            gz = _looked_up(row, x, y, z + step, axis, fp)[2] - relief
            k = strength / (step * row[1])
            along = gx * nx + gy * ny + gz * nz
            nx -= k * (gx - along * nx)
            ny -= k * (gy - along * ny)
            nz -= k * (gz - along * nz)
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            nx, ny, nz = nx / length, ny / length, nz / length
        bent[i, 0], bent[i, 1], bent[i, 2] = nx, ny, nz
    return colour, bent

"""Solid textures, compiled: where in space each of a material's three colours shows.

Every pattern takes a point in feature units, the footprint of a pixel in the same units and a seed,
and gives how much of the second colour, how much of the third, and the relief (0 to 1). Edges are
softened to the footprint and patterns finer than a pixel fade to their mean.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from midvision.synth.surfaces_noise import also, cells, fractal, gradient_noise, lattice_hash, smooth, soft_step, unit

Mix = tuple[float, float, float]

TEXTURES: tuple[str, ...] = (
    "plain",
    "checker",
    "stripes",
    "marble",
    "wood",
    "blotches",
    "stone",
    "dots",
    "bricks",
    "weave",
    "speckle",
    "brushed",
    "terrazzo",
    "plaid",
)


@njit(cache=True)
def _wave(t: float, duty: float, footprint: float) -> float:
    """1 on a share `duty` of every unit of t, softly; its mean when finer than a pixel."""
    f = t - np.floor(t)
    inside = min(f, 1.0 - f) * 2.0
    value = soft_step(duty - inside, 2.0 * footprint)
    return value + (duty - value) * smooth(0.35, 0.9, footprint)


@njit(cache=True)
def plain(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    n = fractal(x, y, z, seed, 3, fp)
    return 0.12 + 0.12 * n, 0.0, 0.5 + 0.3 * n


@njit(cache=True)
def checker(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    # Triangle waves have hard signs where they cross zero; their product is a solid checker.
    tx, ty, tz = x - np.floor(x), y - np.floor(y), z - np.floor(z)
    sx = soft_step(0.5 - abs(tx * 2.0 - 1.0), 2.0 * fp) * 2.0 - 1.0
    sy = soft_step(0.5 - abs(ty * 2.0 - 1.0), 2.0 * fp) * 2.0 - 1.0
    sz = soft_step(0.5 - abs(tz * 2.0 - 1.0), 2.0 * fp) * 2.0 - 1.0
    value = (sx * sy * sz) * (1.0 - smooth(0.3, 0.7, fp))
    grain = 0.06 * fractal(x * 3.0, y * 3.0, z * 3.0, seed, 2, fp * 3.0)
    return 0.5 + 0.5 * value + grain, 0.0, 0.5


@njit(cache=True)
def stripes(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    wobble = 0.55 * gradient_noise(x * 0.6, y * 0.6, z * 0.6, seed)
    t = 0.35 * x + 0.25 * y + 0.9 * z + wobble
    second = _wave(t, 0.5, fp)
    third = _wave(t * 0.5 + 0.13, 0.12, fp * 0.5)
    return second, third, 0.4 + 0.4 * second


@njit(cache=True)
def marble(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    warp = fractal(x * 0.6, y * 0.6, z * 0.6, seed, 4, fp * 0.6)
    vein = abs(np.sin(2.2 * (x * 0.5 + z * 0.35) + 4.5 * warp))
    thin = (1.0 - smooth(0.0, 0.16 + fp, vein)) * (1.0 - smooth(0.5, 1.5, fp))
    cloud = 0.5 + 0.5 * fractal(x * 0.9 + 7.1, y * 0.9, z * 0.9, seed + 9, 4, fp * 0.9)
    return min(1.0, max(0.0, cloud * 0.7)), 0.85 * thin, 0.5


@njit(cache=True)
def wood(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    # Rings about an axis far beside the piece; the grain runs along x.
    wx = x * 0.12
    warp = 0.9 * fractal(wx, y * 0.35, z * 0.35, seed, 3, fp * 0.35)
    radius = np.sqrt((y + 2.3) * (y + 2.3) + (z * 1.7 + 1.1) * (z * 1.7 + 1.1)) * 0.9 + warp
    ring = radius - np.floor(radius)
    late = ring * ring * (1.0 - smooth(0.93, 1.0, ring))
    late = late + (0.3 - late) * smooth(0.3, 0.8, fp)
    fibre = fractal(wx * 4.0, y * 9.0, z * 9.0, seed + 5, 3, fp * 9.0)
    return min(1.0, max(0.0, 0.1 + 0.8 * late + 0.22 * fibre)), 0.12 + 0.12 * fibre, 0.5 + 0.3 * late + 0.25 * fibre


@njit(cache=True)
def blotches(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    n = fractal(x, y, z, seed, 4, fp)
    m = fractal(x * 1.3 + 5.2, y * 1.3, z * 1.3, seed + 11, 4, fp * 1.3)
    width = 0.04 + fp
    return smooth(-width, width, n), smooth(0.28 - width, 0.28 + width, m), 0.5 + 0.5 * n


@njit(cache=True)
def stone(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    warp = 0.12 * fractal(x * 2.0, y * 2.0, z * 2.0, seed + 3, 2, fp * 2.0)
    first, second, owner = cells(x + warp, y + warp, z - warp, seed, 0.9)
    gap = second - first
    joint = (1.0 - smooth(0.05, 0.09 + fp, gap)) * (1.0 - 0.7 * smooth(0.4, 1.0, fp))
    tone = unit(also(owner, 7))
    grain = 0.18 * fractal(x * 5.0, y * 5.0, z * 5.0, seed, 3, fp * 5.0)
    return min(1.0, max(0.0, 0.7 * tone + grain + 0.1)), 0.9 * joint, smooth(0.0, 0.3, gap) * 0.8 + 0.2 * grain


@njit(cache=True)
def dots(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    first, _, owner = cells(x * 0.8, y * 0.8, z * 0.8, seed, 0.35)
    size = 0.33 + 0.12 * unit(also(owner, 3))
    inside = soft_step(size - first, fp * 0.8)
    inside = inside + (0.3 - inside) * smooth(0.45, 1.0, fp)
    other = 1.0 if unit(also(owner, 5)) < 0.35 else 0.0
    return inside * (1.0 - other), inside * other, 0.5 + 0.3 * inside


@njit(cache=True)
def bricks(u: float, v: float, z: float, fp: float, seed: int) -> Mix:
    row = np.floor(v * 2.0)
    a = u + 0.5 * (row - 2.0 * np.floor(row / 2.0))
    column = np.floor(a)
    rough = 0.02 * fractal(u * 3.0, v * 3.0, z, seed + 2, 2, fp * 3.0)
    fa, fv = a - column, (v * 2.0 - row) * 0.5
    edge = min(min(fa, 1.0 - fa), min(fv, 0.5 - fv)) + rough
    joint = soft_step(0.035 - edge, fp)
    joint = joint + (0.18 - joint) * smooth(0.25, 0.6, fp)
    tone = unit(lattice_hash(int(column), int(row), 0, seed))
    grain = 0.25 * fractal(u * 6.0, v * 6.0, z * 6.0, seed, 3, fp * 6.0)
    relief = smooth(0.02, 0.09, edge) * 0.9 + 0.1 * grain
    return min(1.0, max(0.0, tone * 0.8 + grain)), joint, relief


@njit(cache=True)
def weave(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    sx, sy, sz = np.sin(x * 6.2832), np.sin(y * 6.2832), np.sin(z * 6.2832)
    fade = 1.0 - smooth(0.2, 0.45, fp)
    over = sx * sy + sy * sz + sz * sx
    thread = soft_step(over * 0.25 * fade, fp)
    tint = 0.12 * fractal(x * 0.5, y * 0.5, z * 0.5, seed, 2, fp * 0.5)
    shade = (1.0 - abs(sx * sy * sz)) * fade
    return min(1.0, max(0.0, 0.15 + 0.7 * thread + tint)), 0.12 * (1.0 - shade), 0.5 + 0.5 * over * fade


@njit(cache=True)
def speckle(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    big = smooth(-0.1 - fp, 0.1 + fp, fractal(x * 0.5, y * 0.5, z * 0.5, seed, 2, fp * 0.5))
    first, _, owner = cells(x * 2.5, y * 2.5, z * 2.5, seed + 1, 1.0)
    grain = soft_step(0.22 + 0.18 * unit(owner) - first, fp * 2.5)
    grain = grain + (0.12 - grain) * smooth(0.2, 0.5, fp)
    return big, grain * 0.9, 0.5 + 0.3 * grain


@njit(cache=True)
def brushed(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    n = fractal(x * 0.25, y * 6.0, z * 6.0, seed, 4, fp * 6.0)
    wide = fractal(x * 0.1, y * 1.2, z * 1.2, seed + 4, 2, fp * 1.2)
    return min(1.0, max(0.0, 0.4 + 0.4 * n + 0.3 * wide)), 0.0, 0.5 + 0.5 * n


@njit(cache=True)
def terrazzo(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    first, second, owner = cells(x * 1.4, y * 1.4, z * 1.4, seed, 1.0)
    kind = unit(also(owner, 17))
    chip = soft_step(second - first - 0.16 - 0.25 * kind, fp * 1.4) * (1.0 - 0.5 * smooth(0.3, 0.8, fp))
    dust = 0.08 * fractal(x * 4.0, y * 4.0, z * 4.0, seed, 2, fp * 4.0)
    return chip * (1.0 if kind < 0.5 else 0.35) + max(0.0, dust), chip * (0.0 if kind < 0.6 else 0.9), 0.5


@njit(cache=True)
def plaid(x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    second = 0.0
    third = 0.0
    for axis in range(3):
        t = x if axis == 0 else (y if axis == 1 else z)
        second += _wave(t * 0.5 + 0.17 * axis, 0.42, fp * 0.5) / 3.0
        third += _wave(t * 0.5 + 0.31 + 0.2 * axis, 0.05, fp * 0.5)
    cloth = 0.08 * fractal(x * 6.0, y * 6.0, z * 6.0, seed, 1, fp * 6.0)
    return min(1.0, 1.3 * second + cloth), min(0.9, third), 0.5 + cloth


@njit(cache=True)
def pattern(kind: int, x: float, y: float, z: float, fp: float, seed: int) -> Mix:
    """The pattern with index `kind` in `TEXTURES`."""
    if kind == 0:
        return plain(x, y, z, fp, seed)
    if kind == 1:
        return checker(x, y, z, fp, seed)
    if kind == 2:
        return stripes(x, y, z, fp, seed)
    if kind == 3:
        return marble(x, y, z, fp, seed)
    if kind == 4:
        return wood(x, y, z, fp, seed)
    if kind == 5:
        return blotches(x, y, z, fp, seed)
    if kind == 6:
        return stone(x, y, z, fp, seed)
    if kind == 7:
        return dots(x, y, z, fp, seed)
    if kind == 8:
        return bricks(x, y, z, fp, seed)
    if kind == 9:
        return weave(x, y, z, fp, seed)
    if kind == 10:
        return speckle(x, y, z, fp, seed)
    if kind == 11:
        return brushed(x, y, z, fp, seed)
    if kind == 12:
        return terrazzo(x, y, z, fp, seed)
    return plaid(x, y, z, fp, seed)


@njit(cache=True)
def decal(x: float, y: float, z: float, fp: float, seed: int, count: int) -> float:
    """Glyph-like blobs on a few spots of a piece of unit radius: 1 inside a stroke."""
    value = 0.0
    for spot in range(count):
        h = lattice_hash(spot, 3, 5, seed)
        a, b = 6.2832 * unit(h), 2.0 * unit(also(h, 1)) - 1.0
        ring = np.sqrt(1.0 - b * b)
        nx, ny, nz = ring * np.cos(a), ring * np.sin(a), b
        along = x * nx + y * ny + z * nz
        if along < 0.25:
            continue
        # A plane across the spot's direction carries the glyph.
        ux, uy, uz = -np.sin(a), np.cos(a), 0.0
        u = x * ux + y * uy + z * uz
        v = x * (ny * uz - nz * uy) + y * (nz * ux - nx * uz) + z * (nx * uy - ny * ux)
        r = np.sqrt(u * u + v * v)
        if r > 0.45:
            continue
        stroke = abs(gradient_noise(u * 5.0, v * 5.0, spot * 7.3, seed + 1))
        value = max(value, soft_step(0.16 - stroke, fp * 5.0) * soft_step(0.4 - r, fp))
    return value

"""Noise from integer hashes, compiled: the same numbers on every platform."""

from __future__ import annotations

import numpy as np
from numba import njit

_A, _B, _C, _D = np.uint32(0x8DA6B343), np.uint32(0xD8163841), np.uint32(0xCB1AB31F), np.uint32(0x9E3779B9)
_M1, _M2 = np.uint32(0x7FEB352D), np.uint32(0x846CA68B)
_S16, _S15 = np.uint32(16), np.uint32(15)
_UNIT = 1.0 / 4294967296.0


@njit(cache=True)
def mixed(x: np.uint32) -> np.uint32:
    """A 32-bit integer hash (lowbias32 by C. Wellons, public domain constants)."""
    x = np.uint32(x ^ (x >> _S16))
    x = np.uint32(x * _M1)
    x = np.uint32(x ^ (x >> _S15))
    x = np.uint32(x * _M2)
    return np.uint32(x ^ (x >> _S16))


@njit(cache=True)
def lattice_hash(i: int, j: int, k: int, seed: int) -> np.uint32:
    """Hash of a lattice point."""
    x = np.uint32(np.uint32(i) * _A) ^ np.uint32(np.uint32(j) * _B) ^ np.uint32(np.uint32(k) * _C)
    return mixed(np.uint32(x ^ np.uint32(np.uint32(seed) * _D)))


@njit(cache=True)
def also(h: np.uint32, number: int) -> np.uint32:
    """One more hash from a hash."""
    return mixed(np.uint32(h + np.uint32(number)))


@njit(cache=True)
def unit(h: np.uint32) -> float:
    """A hash as a number in [0, 1)."""
    return np.float64(h) * _UNIT


@njit(cache=True)
def _corner(h: np.uint32, x: float, y: float, z: float) -> float:
    """Dot product with one of the twelve edge directions of a cube."""
    g = h & np.uint32(15)
    u = x if g < 8 else y
    v = y if g < 4 else (x if g == 12 or g == 14 else z)
    return (u if g & np.uint32(1) == 0 else -u) + (v if g & np.uint32(2) == 0 else -v)


@njit(cache=True)
def gradient_noise(x: float, y: float, z: float, seed: int) -> float:
    """Perlin's gradient noise, about -1 to 1, features of size 1."""
    fi, fj, fk = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fi), int(fj), int(fk)
    x, y, z = x - fi, y - fj, z - fk
    u = x * x * x * (x * (x * 6.0 - 15.0) + 10.0)
    v = y * y * y * (y * (y * 6.0 - 15.0) + 10.0)
    w = z * z * z * (z * (z * 6.0 - 15.0) + 10.0)
    total = 0.0
    for dk in range(2):
        wk = w if dk else 1.0 - w
        for dj in range(2):
            wj = v if dj else 1.0 - v
            a = _corner(lattice_hash(i, j + dj, k + dk, seed), x, y - dj, z - dk)
            b = _corner(lattice_hash(i + 1, j + dj, k + dk, seed), x - 1.0, y - dj, z - dk)
            total += wk * wj * (a + u * (b - a))
    return total


@njit(cache=True)
def fractal(x: float, y: float, z: float, seed: int, octaves: int, footprint: float) -> float:
    """Octaves of gradient noise, about -1 to 1; octaves finer than two footprints fade away."""
    total, size, scale, norm = 0.0, 1.0, 1.0, 0.0
    for octave in range(octaves):
        fade = min(1.0, max(0.0, (0.6 - scale * footprint) * 3.0))
        norm += size
        if fade > 0.0:
            total += size * fade * gradient_noise(x * scale, y * scale, z * scale, seed + octave)
        size *= 0.5
        scale *= 2.03
    return total / norm * 1.5


@njit(cache=True)
def cells(x: float, y: float, z: float, seed: int, jitter: float) -> tuple[float, float, np.uint32]:
    """Distances to the nearest and second nearest jittered lattice point, and the nearest one's hash."""
    fi, fj, fk = np.floor(x), np.floor(y), np.floor(z)
    i, j, k = int(fi), int(fj), int(fk)
    first, second, owner = 1e9, 1e9, np.uint32(0)
    for dk in range(-1, 2):
        for dj in range(-1, 2):
            for di in range(-1, 2):
                h = lattice_hash(i + di, j + dj, k + dk, seed)
                h2 = also(h, 1)
                h3 = also(h, 2)
                px = fi + di + 0.5 + jitter * (unit(h) - 0.5) - x
                py = fj + dj + 0.5 + jitter * (unit(h2) - 0.5) - y
                pz = fk + dk + 0.5 + jitter * (unit(h3) - 0.5) - z
                d = px * px + py * py + pz * pz
                if d < first:
                    second = first
                    first = d
                    owner = h
                elif d < second:
                    second = d
    return np.sqrt(first), np.sqrt(second), owner


@njit(cache=True)
def soft_step(d: float, footprint: float) -> float:
    """0 to 1 where `d` crosses 0, over one footprint: a box filter of a hard edge."""
    return min(1.0, max(0.0, 0.5 + d / max(footprint, 1e-6)))


@njit(cache=True)
def smooth(edge0: float, edge1: float, x: float) -> float:
    """Cubic ramp from 0 at edge0 to 1 at edge1."""
    t = min(1.0, max(0.0, (x - edge0) / (edge1 - edge0)))
    return t * t * (3.0 - 2.0 * t)

"""Light on surfaces, compiled: Lambert and GGX for lamps, soft surroundings for the rest."""

from __future__ import annotations

import numpy as np
from numba import njit

from midvision.synth.surfaces_noise import smooth


@njit(cache=True)
def _room_exit(p: np.ndarray, r: np.ndarray, half: np.ndarray) -> tuple[float, float]:
    """How far a ray goes inside the room (half x, half y, height), and the height where it ends."""
    far = 1e9
    for a in range(3):
        if abs(r[a]) < 1e-6:
            continue
        low = 0.0 if a == 2 else -half[a]
        wall = half[a] if r[a] > 0.0 else low
        far = min(far, max(0.0, (wall - p[a]) / r[a]))
    return far, p[2] + far * r[2]


@njit(cache=True)
def _panel_light(p: np.ndarray, r: np.ndarray, panel: np.ndarray, rough: float) -> float:
    """How much of a soft rectangle (centre, half u, half v as nine numbers) a reflected ray sees."""
    ux, uy, uz, vx, vy, vz = panel[3], panel[4], panel[5], panel[6], panel[7], panel[8]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    slope = nx * r[0] + ny * r[1] + nz * r[2]
    if abs(slope) < 1e-9:
        return 0.0
    cx, cy, cz = panel[0] - p[0], panel[1] - p[1], panel[2] - p[2]
    t = (nx * cx + ny * cy + nz * cz) / slope
    if t <= 0.0:
        return 0.0
    dx, dy, dz = t * r[0] - cx, t * r[1] - cy, t * r[2] - cz
    uu, vv = ux * ux + uy * uy + uz * uz, vx * vx + vy * vy + vz * vz
    a = abs(dx * ux + dy * uy + dz * uz) / uu
    b = abs(dx * vx + dy * vy + dz * vz) / vv
    soft_a = 0.04 + rough * t / np.sqrt(uu)
    soft_b = 0.04 + rough * t / np.sqrt(vv)
    seen = (1.0 - smooth(1.0 - soft_a, 1.0 + soft_a, a)) * (1.0 - smooth(1.0 - soft_b, 1.0 + soft_b, b))
    # A lobe wider than the panel sees only part of it.
    return float(seen / ((1.0 + 0.5 * soft_a) * (1.0 + 0.5 * soft_b)))


@njit(cache=True)
def shade(
    position: np.ndarray,
    normal: np.ndarray,
    view: np.ndarray,
    colour: np.ndarray,
    gloss: np.ndarray,
    lamps: np.ndarray,
    clear: np.ndarray,
    open_share: np.ndarray,
    ambient: np.ndarray,
    panels: np.ndarray,
    room: np.ndarray,
) -> np.ndarray:
    """Radiance float32 `[N, 3]` leaving surfaces towards the camera.

    view float32 `[N, 3]` unit, from the surface to the camera; gloss float32 `[N, 3]` roughness,
    specular, metal; lamps `[L, 7]` position, radius, power; clear float32 `[N, L]` share of each lamp
    seen; open_share float32 `[N]` from occlusion rays; ambient `[3, 3]` sky, ground, walls; panels
    `[P, 12]` centre, half u, half v, radiance; room `[3]` half x, half y, height.
    """
    n = len(position)
    result = np.empty((n, 3), np.float32)
    p, r, light, shine = np.empty(3), np.empty(3), np.empty(3), np.empty(3)
    for i in range(n):
        nx, ny, nz = float(normal[i, 0]), float(normal[i, 1]), float(normal[i, 2])
        vx, vy, vz = float(view[i, 0]), float(view[i, 1]), float(view[i, 2])
        rough, specular, metal = float(gloss[i, 0]), float(gloss[i, 1]), float(gloss[i, 2])
        nv = max(0.02, nx * vx + ny * vy + nz * vz)
        for a in range(3):
            p[a] = position[i, a]
            light[a] = 0.0
            shine[a] = 0.0
        for k in range(len(lamps)):
            if clear[i, k] <= 0.0:
                continue
            lx, ly, lz = lamps[k, 0] - p[0], lamps[k, 1] - p[1], lamps[k, 2] - p[2]
            d2 = lx * lx + ly * ly + lz * lz
            far = np.sqrt(d2)
            lx, ly, lz = lx / far, ly / far, lz / far
            nl = nx * lx + ny * ly + nz * lz
            if nl <= 0.0:
                continue
            irradiance = clear[i, k] * nl / d2
            hx, hy, hz = lx + vx, ly + vy, lz + vz
            length = np.sqrt(hx * hx + hy * hy + hz * hz)
            nh = min(1.0, (nx * hx + ny * hy + nz * hz) / length)
            vh = max(0.0, (vx * hx + vy * hy + vz * hz) / length)
            base = rough * rough
            wide = min(1.0, base + 0.5 * lamps[k, 3] / far)
            a2 = wide * wide
            q = nh * nh * (a2 - 1.0) + 1.0
            # GGX widened for the lamp's size, Smith's visibility by Schlick; pi is in the lamp's power.
            g = rough + 1.0
            g = g * g / 8.0
            visible = 1.0 / (4.0 * (nv * (1.0 - g) + g) * (nl * (1.0 - g) + g))
            lobe = base * base / (q * q) * visible if wide < 1e-4 else a2 / (q * q) * visible * (base / wide) ** 2
            f = (1.0 - vh) ** 5
            for a in range(3):
                tint = 0.08 * specular * (1.0 - metal) + colour[i, a] * metal
                light[a] += lamps[k, 4 + a] * irradiance
                shine[a] += lamps[k, 4 + a] * irradiance * lobe * (tint + (1.0 - tint) * f)
        around = float(open_share[i])
        vn = 2.0 * (nx * vx + ny * vy + nz * vz)
        r[0], r[1], r[2] = vn * nx - vx, vn * ny - vy, vn * nz - vz
        _, end = _room_exit(p, r, room)
        up = smooth(-0.2, 1.2, end / room[2])
        blend = 0.5 + 0.5 * nz
        f = (1.0 - nv) ** 5 * (1.0 - rough)
        for a in range(3):
            tint = 0.08 * specular * (1.0 - metal) + colour[i, a] * metal
            mirror = tint + (max(1.0 - rough, tint) - tint) * f
            albedo = colour[i, a] * (1.0 - metal)
            # Light bounced between near surfaces brightens corners in their own colour.
            closed = around / (1.0 - 0.6 * albedo * (1.0 - around))
            surround = ambient[1, a] + (ambient[0, a] - ambient[1, a]) * blend
            seen = ambient[2, a] * (0.35 + 0.9 * up)
            for k in range(len(panels)):
                seen += panels[k, 9 + a] * _panel_light(p, r, panels[k], rough)
            result[i, a] = albedo * (light[a] + surround * closed) + shine[a] + seen * mirror * around
    return result


@njit(cache=True)
def filmic(radiance: np.ndarray, exposure: float) -> np.ndarray:
    """Display values in [0, 1], still linear, float32: K. Narkowicz's fit of the ACES curve."""
    flat = radiance.ravel()
    result = np.empty(flat.size, np.float32)
    for i in range(flat.size):
        x = max(0.0, float(flat[i])) * exposure
        result[i] = min(1.0, x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14))
    return result.reshape(radiance.shape)


@njit(cache=True)
def to_srgb(display: np.ndarray) -> np.ndarray:
    """The sRGB curve on values in [0, 1], float32."""
    flat = display.ravel()
    result = np.empty(flat.size, np.float32)
    for i in range(flat.size):
        x = min(1.0, max(0.0, float(flat[i])))
        result[i] = 12.92 * x if x <= 0.0031308 else 1.055 * x ** (1.0 / 2.4) - 0.055
    return result.reshape(display.shape)

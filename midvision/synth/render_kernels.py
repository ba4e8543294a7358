"""Compiled geometry of a frame: exact hits, edges, shadow and occlusion rays, the blur that follows them."""

from __future__ import annotations

import numpy as np
from numba import njit

from midvision.synth.surfaces_noise import lattice_hash


@njit(cache=True)
def resolve_hits(
    triangle: np.ndarray,
    origin: np.ndarray,
    directions: np.ndarray,
    corners: np.ndarray,
    corner_normals: np.ndarray,
    owner: np.ndarray,
    poses: np.ndarray,
    inverses: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Depth, thing, world position, world normal and local position where rays meet their triangles.

    Embree finds the triangle in single precision; the crossing itself is computed anew in double
    precision in the thing's own frame. `poses [T, 4, 4]` are world from thing, `inverses` the way back.
    """
    n = len(triangle)
    depth = np.empty(n, np.float64)
    thing = np.empty(n, np.int32)
    position = np.empty((n, 3), np.float32)
    normal = np.empty((n, 3), np.float32)
    local = np.empty((n, 3), np.float32)
    o, d, m = np.empty(3), np.empty(3), np.empty(3)
    for i in range(n):
        t = triangle[i]
        which = owner[t]
        pose = poses[which]
        back = inverses[which]
        for a in range(3):
            o[a] = back[a, 3]
            d[a] = 0.0
            for b in range(3):
                o[a] += back[a, b] * origin[b]
                d[a] += back[a, b] * directions[i, b]
        p, q, r = corners[t, 0], corners[t, 1], corners[t, 2]
        e1x, e1y, e1z = q[0] - p[0], q[1] - p[1], q[2] - p[2]
        e2x, e2y, e2z = r[0] - p[0], r[1] - p[1], r[2] - p[2]
        gx, gy, gz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
        area = gx * gx + gy * gy + gz * gz
        slope = gx * d[0] + gy * d[1] + gz * d[2]
        if abs(slope) < 1e-300:
            slope = -1e-300
        k = (gx * (p[0] - o[0]) + gy * (p[1] - o[1]) + gz * (p[2] - o[2])) / slope
        x, y, z = o[0] + k * d[0], o[1] + k * d[1], o[2] + k * d[2]
        wx, wy, wz = x - p[0], y - p[1], z - p[2]
        u = ((wy * e2z - wz * e2y) * gx + (wz * e2x - wx * e2z) * gy + (wx * e2y - wy * e2x) * gz) / area
        v = ((e1y * wz - e1z * wy) * gx + (e1z * wx - e1x * wz) * gy + (e1x * wy - e1y * wx) * gz) / area
        u, v = min(1.0, max(0.0, u)), min(1.0, max(0.0, v))
        w = max(0.0, 1.0 - u - v)
        for a in range(3):
            m[a] = w * corner_normals[t, 0, a] + u * corner_normals[t, 1, a] + v * corner_normals[t, 2, a]
        length = np.sqrt(m[0] * m[0] + m[1] * m[1] + m[2] * m[2])
        if length < 1e-9:
            m[0], m[1], m[2] = gx, gy, gz
            length = np.sqrt(area)
        far = np.sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2])
        facing = (m[0] * d[0] + m[1] * d[1] + m[2] * d[2]) / (length * far)
        # Interpolated normals may look away at silhouettes: bend them until they just face the ray.
        lift = max(0.0, facing + 0.02) / far
        for a in range(3):
            m[a] = m[a] / length - lift * d[a]
        length = np.sqrt(m[0] * m[0] + m[1] * m[1] + m[2] * m[2])
        for a in range(3):
            normal[i, a] = (pose[a, 0] * m[0] + pose[a, 1] * m[1] + pose[a, 2] * m[2]) / length
            position[i, a] = pose[a, 0] * x + pose[a, 1] * y + pose[a, 2] * z + pose[a, 3]
        local[i, 0], local[i, 1], local[i, 2] = x, y, z
        depth[i] = k
        thing[i] = which
    return depth, thing, position, normal, local


@njit(cache=True)
def find_edges(
    thing: np.ndarray, depth: np.ndarray, normals: np.ndarray, jump: float, crease: float
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels beside another thing or behind a jump in depth (first), and those or beside a crease (second).

    `thing [H, W]` -1 off everything; a jump is a difference of depth beyond `jump` of it and beyond what
    the surface's slope explains; a crease a cosine between neighbouring normals below `crease`.
    """
    height, width = thing.shape
    mixed = np.zeros((height, width), np.bool_)
    rough = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            for side in range(2):
                y2, x2 = (y + 1, x) if side == 0 else (y, x + 1)
                if y2 >= height or x2 >= width:
                    continue
                edge = thing[y, x] != thing[y2, x2]
                if not edge and thing[y, x] >= 0:
                    near, far = min(depth[y, x], depth[y2, x2]), max(depth[y, x], depth[y2, x2])
                    if far - near > jump * near:
                        slope = 0.0
                        yb, xb = 2 * y - y2, 2 * x - x2
                        if yb >= 0 and xb >= 0 and thing[yb, xb] == thing[y, x]:
                            slope = max(slope, abs(depth[y, x] - depth[yb, xb]))
                        yc, xc = 2 * y2 - y, 2 * x2 - x
                        if yc < height and xc < width and thing[yc, xc] == thing[y, x]:
                            slope = max(slope, abs(depth[y2, x2] - depth[yc, xc]))
                        edge = far - near > 2.5 * slope + jump * near
                bend = False
                if not edge:
                    cosine = 0.0
                    for a in range(3):
                        cosine += normals[y, x, a] * normals[y2, x2, a]
                    bend = cosine < crease
                if edge:
                    mixed[y, x] = True
                    mixed[y2, x2] = True
                if edge or bend:
                    rough[y, x] = True
                    rough[y2, x2] = True
    return mixed, rough


@njit(cache=True)
def _spread(px: int, py: int, dimension: int, seed: int) -> float:
    """Per-pixel offset in [0, 1) that differs much between neighbours (interleaved gradient noise)."""
    h = lattice_hash(dimension, 1, 2, seed)
    x, y = px + int(h & np.uint32(1023)), py + int((h >> np.uint32(10)) & np.uint32(1023))
    inner = 0.06711056 * x + 0.00583715 * y
    inner = 52.9829189 * (inner - np.floor(inner))
    return float(inner - np.floor(inner))


@njit(cache=True)
def _frame(nx: float, ny: float, nz: float) -> tuple[float, float, float, float, float, float]:
    """Two unit vectors across a unit vector."""
    sign = 1.0 if nz >= 0.0 else -1.0
    a = -1.0 / (sign + nz)
    b = nx * ny * a
    return 1.0 + sign * nx * nx * a, sign * b, -sign * nx, b, sign + ny * ny * a, -ny


@njit(cache=True)
def shadow_rays(
    position: np.ndarray, normal: np.ndarray, pixel: np.ndarray, lamp: np.ndarray, rays: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rays towards points of a spherical lamp (x, y, z, radius) from surfaces that face it.

    pixel int32 `[N, 2]` (row, column). Returns owner int64 `[R]`, origins and directions float32
    `[R, 3]`; a direction reaches the lamp at length 1.
    """
    n = len(position)
    owner = np.empty(n * rays, np.int64)
    origins = np.empty((n * rays, 3), np.float32)
    directions = np.empty((n * rays, 3), np.float32)
    count = 0
    for i in range(n):
        lx, ly, lz = lamp[0] - position[i, 0], lamp[1] - position[i, 1], lamp[2] - position[i, 2]
        far = np.sqrt(lx * lx + ly * ly + lz * lz)
        lx, ly, lz = lx / far, ly / far, lz / far
        facing = lx * normal[i, 0] + ly * normal[i, 1] + lz * normal[i, 2]
        if facing < -0.02:
            continue
        ax, ay, az, bx, by, bz = _frame(lx, ly, lz)
        first = _spread(pixel[i, 1], pixel[i, 0], 1, seed)
        turn = _spread(pixel[i, 1], pixel[i, 0], 2, seed)
        for k in range(rays):
            r = lamp[3] * np.sqrt((k + first) / rays)
            phi = 6.283185307 * (turn + k * 0.61803398875)
            c, s = r * np.cos(phi), r * np.sin(phi)
            owner[count] = i
            for a in range(3):
                origins[count, a] = position[i, a] + 0.002 * normal[i, a]
            directions[count, 0] = lx * far + c * ax + s * bx - 0.002 * normal[i, 0]
            directions[count, 1] = ly * far + c * ay + s * by - 0.002 * normal[i, 1]
            directions[count, 2] = lz * far + c * az + s * bz - 0.002 * normal[i, 2]
            count += 1
    return owner[:count], origins[:count], directions[:count]


@njit(cache=True)
def occlusion_rays(
    position: np.ndarray, normal: np.ndarray, pixel: np.ndarray, rays: int, seed: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cosine-weighted rays over the half space of each normal, of random lengths from 4 cm to 1 m.

    Random lengths make near blockers count more than far ones. Origins, unit directions `[N * rays, 3]`
    and reach `[N * rays]`, float32.
    """
    n = len(position)
    origins = np.empty((n * rays, 3), np.float32)
    directions = np.empty((n * rays, 3), np.float32)
    reach = np.empty(n * rays, np.float32)
    for i in range(n):
        nx, ny, nz = float(normal[i, 0]), float(normal[i, 1]), float(normal[i, 2])
        ax, ay, az, bx, by, bz = _frame(nx, ny, nz)
        first = _spread(pixel[i, 1], pixel[i, 0], 3, seed)
        turn = _spread(pixel[i, 1], pixel[i, 0], 4, seed)
        long = _spread(pixel[i, 1], pixel[i, 0], 5, seed)
        for k in range(rays):
            j = i * rays + k
            r2 = (k + first) / rays
            phi = 6.283185307 * (turn + k * 0.61803398875)
            c, s, up = np.sqrt(r2) * np.cos(phi), np.sqrt(r2) * np.sin(phi), np.sqrt(max(0.0, 1.0 - r2))
            directions[j, 0] = c * ax + s * bx + up * nx
            directions[j, 1] = c * ay + s * by + up * ny
            directions[j, 2] = c * az + s * bz + up * nz
            for a in range(3):
                origins[j, a] = position[i, a] + 0.002 * normal[i, a]
            t = long + k * 0.7548776662
            reach[j] = 0.04 * 25.0 ** (t - np.floor(t))
    return origins, directions, reach


@njit(cache=True)
def mean_by_owner(owner: np.ndarray, blocked: np.ndarray, n: int) -> np.ndarray:
    """Share of each owner's rays that got through, float32 `[n]`; 0 where it sent none."""
    clear = np.zeros(n, np.float32)
    sent = np.zeros(n, np.float32)
    for i in range(len(owner)):
        sent[owner[i]] += 1.0
        if not blocked[i]:
            clear[owner[i]] += 1.0
    for i in range(n):
        if sent[i] > 0.0:
            clear[i] /= sent[i]
    return clear


@njit(cache=True)
def blur_within_surfaces(
    values: np.ndarray, thing: np.ndarray, position: np.ndarray, normal: np.ndarray, index: np.ndarray, radius: int
) -> np.ndarray:
    """Mean of `values [N, C]` over neighbours on the same smooth surface.

    `index [H, W]` gives each pixel's row in the arrays, -1 for none. Neighbours off the pixel's tangent
    plane or facing elsewhere do not take part.
    """
    height, width = index.shape
    channels = values.shape[1]
    result = np.empty_like(values)
    total = np.empty(channels, np.float64)
    for y in range(height):
        for x in range(width):
            i = index[y, x]
            if i < 0:
                continue
            total[:] = 0.0
            weight = 0.0
            for y2 in range(max(0, y - radius), min(height, y + radius + 1)):
                for x2 in range(max(0, x - radius), min(width, x + radius + 1)):
                    j = index[y2, x2]
                    if j < 0 or thing[j] != thing[i]:
                        continue
                    cosine, off, far = 0.0, 0.0, 0.0
                    for a in range(3):
                        step = float(position[j, a]) - float(position[i, a])
                        cosine += normal[i, a] * normal[j, a]
                        off += step * normal[i, a]
                        far += step * step
                    if cosine < 0.8 or off * off > 0.09 * far + 1e-8:
                        continue
                    w = 1.0 / (1.0 + 0.25 * ((x2 - x) * (x2 - x) + (y2 - y) * (y2 - y)))
                    weight += w
                    for c in range(channels):
                        total[c] += w * values[j, c]
            for c in range(channels):
                result[i, c] = total[c] / weight
    return result


@njit(cache=True)
def borrow_from_pixels(
    values: np.ndarray,
    thing: np.ndarray,
    position: np.ndarray,
    normal: np.ndarray,
    index: np.ndarray,
    asked_pixel: np.ndarray,
    asked_thing: np.ndarray,
    asked_position: np.ndarray,
    asked_normal: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Values `[M, C]` for extra samples from the pixels around them that see the same smooth surface.

    The first five arrays are those of `blur_within_surfaces`; the asked ones belong to the samples.
    Second: bool `[M]`, whether any pixel would do.
    """
    height, width = index.shape
    m, channels = len(asked_thing), values.shape[1]
    result = np.zeros((m, channels), np.float32)
    found = np.zeros(m, np.bool_)
    for k in range(m):
        weight = 0.0
        y, x = asked_pixel[k, 0], asked_pixel[k, 1]
        for y2 in range(max(0, y - 1), min(height, y + 2)):
            for x2 in range(max(0, x - 1), min(width, x + 2)):
                j = index[y2, x2]
                if j < 0 or thing[j] != asked_thing[k]:
                    continue
                cosine, off, far = 0.0, 0.0, 0.0
                for a in range(3):
                    step = float(position[j, a]) - float(asked_position[k, a])
                    cosine += asked_normal[k, a] * normal[j, a]
                    off += step * asked_normal[k, a]
                    far += step * step
                if cosine < 0.8 or off * off > 0.09 * far + 1e-8:
                    continue
                weight += 1.0
                for c in range(channels):
                    result[k, c] += values[j, c]
        if weight > 0.0:
            found[k] = True
            for c in range(channels):
                result[k, c] /= weight
    return result, found

"""Made things: bevelled boxes and cylinders, gears, lofts, booleans of two solids, compounds."""

from __future__ import annotations

import manifold3d
import numpy as np

from midvision.synth.shapes_grid import Surface, between, circle, convex, joined, moved, rings, turned
from midvision.synth.shapes_smooth import bent


def box(code: np.ndarray) -> Surface:
    """Two aspects and the bevel."""
    half = np.array([1.0, between(code[0], 0.45, 1.0), between(code[1], 0.3, 1.0)])
    bevel = between(code[2], 0.02, 0.1)
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=np.float64)
    corners = [signs * (half - bevel * (1 - np.eye(3)[axis])) for axis in range(3)]
    return convex(np.concatenate(corners))


def cylinder(code: np.ndarray) -> Surface:
    """Height, width of the top, ovalness, bevel."""
    height, top, oval = between(code[0], 0.35, 2.2), between(code[1], 0.35, 1.0), between(code[2], 0.7, 1.0)
    bevel = between(code[3], 0.03, 0.12) * min(1.0, height)
    radius = np.array([1 - bevel, 1.0, top, top - bevel])
    level = np.array([0.0, bevel, height - bevel, height])
    c, s = circle(64)
    points = np.stack([radius[:, None] * c, oval * radius[:, None] * s, level[:, None] * np.ones(64)], -1)
    return rings(points)


def gear(code: np.ndarray) -> Surface:
    """Teeth, their depth, their squareness, thickness, hole, twist, taper: stars, flowers, gears."""
    teeth = int(3 + code[0] * 6.999)
    per_tooth = 24
    phase = np.arange(teeth * per_tooth) * (2 * np.pi / per_tooth)
    sharp = between(code[2], 0.3, 4.0)
    wave = np.tanh(sharp * np.cos(phase)) / np.tanh(sharp)
    outer = 1 - between(code[1], 0.08, 0.25) * (1 - wave)
    height = between(code[3], 0.25, 1.3)
    hole = 0.0 if code[4] < 0.3 else between(code[4], 0.1, 0.45)
    c, s = circle(len(phase))
    bevel = 0.05
    levels = np.array([0, bevel, *np.linspace(bevel, height - bevel, 6)[1:-1], height - bevel, height])
    inset = np.where((levels == 0) | (levels == height), bevel, 0.0)
    taper = 1 + between(code[6], -0.3, 0.3) * (levels / height - 0.5)
    radius = (outer - inset[:, None]) * taper[:, None]
    body = np.stack([radius * c, radius * s, levels[:, None] * np.ones(len(c))], -1)
    body = turned(body, np.broadcast_to((between(code[5], -0.5, 0.5) * levels / height)[:, None], radius.shape))
    if hole == 0.0:
        return rings(body)
    wall = np.stack([hole * c, hole * s, np.zeros(len(c))], -1)
    inner = np.stack([wall + [0, 0, height], wall])
    # Outside up, across the top, down the hole, back along the bottom.
    return rings(np.concatenate([body, inner]), closed=True)


def loft(code: np.ndarray) -> Surface:
    """Two cross-sections (corners, roundness), height, twist, width of the top, belly, lean."""
    n, m = 96, 28
    low, high = _section(int(3 + code[0] * 3.999), code[1], n), _section(int(3 + code[2] * 3.999), code[3], n)
    s = np.linspace(0, 1, m)[:, None, None]
    blend = s * s * (3 - 2 * s)
    flat = low * (1 - blend) + high * between(code[6], 0.35, 1.0) * blend
    flat = flat * (1 + between(code[7], -0.25, 0.35) * np.sin(np.pi * s))
    height = between(code[4], 0.7, 2.0)
    points = np.concatenate([flat, np.broadcast_to(s * height, (m, n, 1))], -1)
    points = turned(points, np.broadcast_to(between(code[5], -1.3, 1.3) * s[..., 0], (m, n)))
    points[..., 2] -= height / 2
    lean = between(code[8], 0.0, 0.5)
    ends = np.concatenate([points[:1] * [0.92, 0.92, 1], points, points[-1:] * [0.92, 0.92, 1]])
    ends[0, :, 2] -= 0.03
    ends[-1, :, 2] += 0.03
    return rings(bent(ends.reshape(-1, 3), lean, 0.7).reshape(ends.shape))


def _section(corners: int, roundness: float, n: int) -> np.ndarray:
    """A polygon with rounded corners as `n` points `[n, 2]`, radius about 1."""
    angle = np.arange(n) * (2 * np.pi / n)
    inside = (angle + np.pi / corners) % (2 * np.pi / corners) - np.pi / corners
    polygon = np.cos(np.pi / corners) / np.cos(inside)
    radius = polygon * (1 - roundness) + between(0.5, 0.8, 1.0) * roundness
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1)


def boolean(code: np.ndarray) -> Surface:
    """Which two solids, their sizes, how they are turned and shifted; cut, drilled, joined or intersected."""
    kind = int(code[0] * 5.999)
    size, tall = between(code[1], 0.7, 1.0), between(code[2], 0.5, 1.0)
    block = manifold3d.Manifold.cube((2 * size, 2.0, 2 * tall), True)
    ball = manifold3d.Manifold.sphere(between(code[3], 0.75, 1.15), 64)
    rod = manifold3d.Manifold.cylinder(4.0, between(code[3], 0.3, 0.62), -1.0, 56, True)
    rod = rod.rotate((90 * (code[4] < 0.5), 25 * code[5], 0))
    shift = (between(code[4], -0.5, 0.5), between(code[5], -0.5, 0.5), between(code[6], -0.2, 0.8))
    solids = (
        lambda: block - ball.translate((1.6 * shift[0], 1.6 * shift[1], tall * 1.1)),
        lambda: block - rod.translate((shift[0] * 0.7, 0.0, 0.0)),
        lambda: (
            ball - block.scale((0.7, 1.2, 0.7)).rotate((0, 0, 40 * code[6])).translate((0.75, 0.3 * shift[1], 0.75))
        ),
        lambda: ball.scale((1.15, 1.15, 1.15)) ^ block.scale((0.85, 0.75, 1.0)).rotate((20 * code[5], 25 * code[6], 0)),
        lambda: block.scale((1.0, 0.45, 0.6)) + rod.scale((0.8, 0.8, 0.45)).rotate((0, 0, 30 * code[6])),
        lambda: (block - rod.translate((0.55 * shift[0], 0, 0))) - rod.rotate((90, 0, 90)).translate((0, 0, shift[1])),
    )
    mesh = solids[kind]().to_mesh64()
    return np.asarray(mesh.vert_properties)[:, :3].astype(np.float64), np.asarray(mesh.tri_verts).astype(np.int64)


def compound(code: np.ndarray) -> Surface:
    """Two to five parts with one outline: mugs, mushrooms, dumb-bells, figures, tripods."""
    kind = int(code[0] * 4.999)
    wide, tall = between(code[1], 0.55, 0.9), between(code[2], 0.9, 1.7)
    thin = between(code[3], 0.1, 0.2)
    body = cylinder(np.array([0.5, between(code[4], 0.6, 1.0), 1.0, 0.3]))
    if kind == 0:
        return joined(
            _scaled(body, (wide, wide, tall / 1.3)), _handle(wide * 0.93, tall, thin, between(code[5], 0.6, 1.0))
        )
    if kind == 1:
        cap = moved(_ball(), (0, 0, tall), 1.0)
        cap = (np.where(cap[0][:, 2:] < tall, cap[0] * [1, 1, 0.25] + [0, 0, tall * 0.75], cap[0]), cap[1])
        return joined(_scaled(body, (wide * 0.5, wide * 0.5, tall / 1.25)), cap)
    if kind == 2:
        bar = _scaled(body, (thin * 1.4, thin * 1.4, 2 * tall / 1.275))
        return joined(
            bar, moved(_ball(), scale=wide * 0.8), moved(_ball(), (0, 0, 2 * tall), wide * between(code[4], 0.5, 1.0))
        )
    if kind == 3:
        second = between(code[4], 0.6, 0.85) * wide
        head = second * between(code[5], 0.55, 0.8)
        z1 = wide + second * 0.75
        z2 = z1 + second * 0.75 + head * 0.7
        nose = moved(_ball(), (head * 0.95, 0, z2), head * 0.35)
        return joined(
            moved(_ball(), scale=wide), moved(_ball(), (0, 0, z1), second), moved(_ball(), (0, 0, z2), head), nose
        )
    seat = moved(_scaled(body, (1.0, 1.0, thin)), (0, 0, tall))
    legs = []
    for angle in np.arange(3) * (2 * np.pi / 3) + code[5]:
        low = np.array([np.cos(angle), np.sin(angle), 0.0]) * between(code[4], 0.5, 0.95)
        leg = rings(np.stack([_ring(low, thin * 0.8), _ring(low * 0.5 + [0, 0, tall + 0.05], thin * 0.8)]))
        legs.append(leg)
    return joined(seat, *legs)


def _ring(centre: np.ndarray, radius: float) -> np.ndarray:
    c, s = circle(24)
    return centre + radius * np.stack([c, s, np.zeros(24)], -1)


def _ball() -> Surface:
    from midvision.synth.shapes_grid import sphere_directions

    return sphere_directions(3)


def _scaled(part: Surface, scale: tuple[float, float, float]) -> Surface:
    return part[0] * np.asarray(scale), part[1]


def _handle(wall: float, tall: float, thin: float, reach: float) -> Surface:
    """Half a ring that leaves the body at `wall` and comes back."""
    t = np.linspace(-np.pi / 2, np.pi / 2, 32)
    centre = np.stack([wall - 0.05 + reach * 0.75 * np.cos(t), np.zeros(32), tall * 0.5 + tall * 0.32 * np.sin(t)], -1)
    across = np.gradient(centre, axis=0)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    side = np.cross(across, [0.0, 1.0, 0.0])
    c, s = circle(20)
    ring = side[:, None] * c[:, None] - np.array([0.0, 1.0, 0.0]) * s[:, None]
    points = centre[:, None] + thin * ring
    return rings(points)

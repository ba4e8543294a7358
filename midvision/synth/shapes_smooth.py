"""Smooth families: superquadrics, lathes with an inner wall, tubes, rocks, tori, capsules."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import PchipInterpolator

from midvision.synth.shapes_grid import Surface, between, circle, rings, sphere_directions, turned


def superquadric(code: np.ndarray) -> Surface:
    """Two exponents, two aspects, taper, twist, bend, and the bend's direction."""
    e1, e2 = between(code[0], 0.25, 1.6), between(code[1], 0.25, 1.6)
    half = np.array([1.0, between(code[2], 0.5, 1.0), between(code[3], 0.6, 1.5)])
    directions, faces = sphere_directions(4)
    x, y, z = np.abs(directions / half).T
    flat = (x ** (2 / e2) + y ** (2 / e2)) ** (e2 / e1) + z ** (2 / e1)
    points = directions * (flat ** (-e1 / 2))[:, None]
    height = points[:, 2] / half[2]
    points[:, :2] *= (1 + between(code[4], -0.45, 0.45) * height)[:, None]
    points = turned(points, between(code[5], -1.0, 1.0) * height)
    return bent(points, between(code[6], 0.0, 0.9), between(code[7], 0.0, np.pi)), faces


def bent(points: np.ndarray, angle: float, towards: float) -> np.ndarray:
    """Bend the z axis into an arc of 2 * `angle` radians over its height, in the plane at azimuth `towards`."""
    if angle < 1e-3:
        return points
    points = turned(points, np.full(len(points), -towards))
    reach = np.abs(points[:, 2]).max()
    # The arc must be wider than the body, or its inner side would fold.
    radius = max(reach / angle, 1.15 * points[:, 0].max())
    theta = points[:, 2] / radius
    arm = radius - points[:, 0]
    curved = np.stack([radius - arm * np.cos(theta), points[:, 1], arm * np.sin(theta)], -1)
    return turned(curved, np.full(len(points), towards))


def lathe(code: np.ndarray) -> Surface:
    """Height, five radii from foot to rim, wall, lobes and their depth: bowls, vases, bottles, plates."""
    height = between(code[0], 0.45, 2.2)
    radii = [between(code[1], 0.3, 0.85), *(between(value, 0.22, 1.0) for value in code[2:6])]
    curve = PchipInterpolator(np.linspace(0, 1, 5), radii)
    s = np.linspace(0, 1, 34)
    outer = curve(s)
    wall = between(code[6], 0.04, 0.11)
    inside = np.linspace(1.0, wall / height, 34)
    # The wall keeps its thickness where the outside narrows: the least radius nearby decides.
    nearby = np.clip(inside + np.linspace(-1, 1, 9)[:, None] * wall / height, 0, 1)
    inner = np.maximum(curve(nearby).min(0) - wall, 0.03)
    rim = wall / 2
    rim_angle = np.linspace(0, np.pi, 7)[1:-1]
    rim_radius = outer[-1] - rim + rim * np.cos(rim_angle)
    rim_height = height + rim * np.sin(rim_angle)
    radius = np.concatenate(
        [[0.02, outer[0] * 0.5, outer[0] * 0.97], outer, rim_radius, inner, [inner[-1] * 0.5, 0.02]]
    )
    level = np.concatenate([[0, 0, 0], s * height, rim_height, inside * height, [wall] * 2])
    c, sn = circle(64)
    lobes = int(3 + code[7] * 6)
    depth = max(0.0, between(code[8], -0.12, 0.12)) * np.clip(level / height, 0, 1)
    ripple = 1 + depth[:, None] * np.cos(lobes * np.arctan2(sn, c))
    points = np.stack([radius[:, None] * c * ripple, radius[:, None] * sn * ripple, level[:, None] * np.ones(64)], -1)
    return rings(points)


def tube(code: np.ndarray) -> Surface:
    """A curve of given bends and waves in two planes, round section, thickness and its change along the way."""
    length = between(code[5], 2.0, 3.6)
    base, slope = between(code[6], 0.17, 0.36), between(code[7], -0.7, 0.7)
    ends = base * (1 - slope / 2) / length, base * (1 + slope / 2) / length
    round_cap = 1 - np.cos(np.linspace(0.02, np.pi / 2, 10))
    s = np.concatenate(
        [ends[0] * round_cap, np.linspace(ends[0], 1 - ends[1], 46)[1:-1], 1 - ends[1] * round_cap[::-1]]
    )
    yaw = between(code[0], -3.4, 3.4) * s + between(code[1], -1.6, 1.6) * np.sin(2 * np.pi * s + 6.28 * code[2])
    pitch = between(code[3], -1.2, 1.2) * np.sin(np.pi * s + 3.14 * code[4])
    tangent = np.stack([np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], -1)
    steps = (tangent[1:] + tangent[:-1]) / 2 * np.diff(s)[:, None] * length
    centre = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, 0)])
    thick = base * (1 + slope * (s - 0.5))
    to_end = np.minimum(s / ends[0], (1 - s) / ends[1])
    cap = np.sqrt(1 - (1 - to_end).clip(0) ** 2)
    side, up = _carried_frame(tangent)
    c, sn = circle(28)
    ring = side[:, None] * c[:, None] + up[:, None] * sn[:, None]
    return rings(centre[:, None] + ring * (thick * np.maximum(cap, 0.02))[:, None, None])


def _carried_frame(tangent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two unit vectors across each tangent that turn as little as possible along the curve."""
    side = np.zeros_like(tangent)
    start = np.cross([0.0, 0.0, 1.0], tangent[0])
    if np.linalg.norm(start) < 0.1:
        start = np.cross([0.0, 1.0, 0.0], tangent[0])
    for i, along in enumerate(tangent):
        start = start - along * (start @ along)
        start = start / np.linalg.norm(start)
        side[i] = start
    return side, np.cross(tangent, side)


def rock(code: np.ndarray) -> Surface:
    """Aspects, roughness, facets cut off, and four phases of the bumps."""
    directions, faces = sphere_directions(4)
    points = directions * [1.0, between(code[0], 0.6, 1.0), between(code[1], 0.5, 1.0)]
    amount = between(code[2], 0.08, 0.3)
    radius = np.ones(len(points))
    waves = np.array(
        [[1.9, 0.6, -1.1], [-1.2, 2.3, 0.9], [0.8, -1.6, 2.6], [3.6, 2.2, -2.1], [-2.8, 3.9, 3.3], [5.2, -4.6, 4.1]]
    )
    for k, wave in enumerate(waves):
        phase = 2 * np.pi * (code[5 + k % 4] + 0.37 * k)
        radius += amount / (1 + 0.8 * k) * np.sin(directions @ (wave * (0.8 + 0.5 * code[3])) + phase)
    points = points * radius[:, None]
    for k in range(int(code[4] * 5)):
        angle, tilt = 2 * np.pi * (code[5 + k % 4] + 0.29 * k), np.pi * (code[6 + k % 3] * 0.7 + 0.21 * k)
        normal = np.array([np.sin(tilt) * np.cos(angle), np.sin(tilt) * np.sin(angle), np.cos(tilt)])
        reach = points @ normal
        limit = 0.72 * reach.max()
        shrink = np.where(reach > limit, limit / np.maximum(reach, 1e-9), 1.0)
        points = points * shrink[:, None]
    return points, faces


def torus(code: np.ndarray) -> Surface:
    """Thickness of the ring, thickness across, and ovalness."""
    minor, tall, oval = between(code[0], 0.16, 0.42), between(code[1], 0.7, 1.5), between(code[2], 0.7, 1.0)
    c, s = circle(56)
    cm, sm = circle(28)
    radius = 1 + minor * cm
    x, y = c[:, None] * radius, s[:, None] * radius * oval
    points = np.stack([x, y, np.broadcast_to(minor * tall * sm, x.shape)], -1)
    vertices, faces = rings(points[:, ::-1], closed=True)
    return vertices, faces


def capsule(code: np.ndarray) -> Surface:
    """Length, thickness of the second end, and flatness."""
    length, second, flat = between(code[0], 0.3, 2.4), between(code[1], 0.55, 1.0), between(code[2], 0.65, 1.0)
    # Two balls and their common tangent cone.
    tilt = np.arcsin((1 - second) / length) if length > 1 - second else 0.0
    low = np.linspace(-np.pi / 2 + 0.03, tilt, 18)
    high = np.linspace(tilt, np.pi / 2 - 0.03, 18)
    radius = np.concatenate([np.cos(low), second * np.cos(high)])
    level = np.concatenate([np.sin(low), length + second * np.sin(high)])
    c, s = circle(48)
    points = np.stack([radius[:, None] * c, flat * radius[:, None] * s, level[:, None] * np.ones(48)], -1)
    return rings(points)

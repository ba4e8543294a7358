"""Rooms and what things stand on: floor, table, wall shelf, or a table with a second level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midvision.synth.world_colours import Palette, Role, sample_material, sample_palette
from midvision.synth.world_parts import (
    RGB,
    SCENE_TYPES,
    STRUCTURE_IDS,
    Axes,
    Material,
    Room,
    Solid,
    Support,
    Vector,
    child,
    rounded_pose,
)

_TYPE_SHARES = (0.3, 0.32, 0.16, 0.22)
WALL_M = 0.1


@dataclass(frozen=True, slots=True)
class Setting:
    """A room before anything stands in it; `windows` are those of its solids that shine."""

    scene_type: str
    room: Room
    supports: tuple[Support, ...]
    focus: Vector
    palette: Palette
    windows: tuple[Solid, ...]


def solid(
    name: str, size: Vector, centre: Vector, material: Material, yaw: float = 0.0, emission: RGB = (0.0, 0.0, 0.0)
) -> Solid:
    """A box standing upright, turned by `yaw` about z."""
    pose = np.eye(4)
    c, s = np.cos(yaw), np.sin(yaw)
    pose[:2, :2] = [[c, -s], [s, c]]
    pose[:3, 3] = centre
    return Solid(STRUCTURE_IDS[name], name, size, rounded_pose(pose), material, emission)


def sample_room(axes: Axes, rng: np.random.Generator, scene_type: str | None) -> Setting:
    """A room with its fittings and one kind of support."""
    chosen = str(rng.choice(SCENE_TYPES, p=_TYPE_SHARES))
    chosen = scene_type or chosen
    palette = sample_palette(rng)
    x, y, height = rng.uniform([3.4, 3.6, 2.3], [5.2, 4.4, 2.8]).tolist()
    shell = _shell(axes, child(rng, "shell"), palette, (x, y, height))
    fittings, windows = _fittings(axes, child(rng, "fittings"), palette, (x, y, height))
    makers = {"floor": _floor, "table": _table, "shelf": _shelf, "stack": _stack}
    solids, supports = makers[chosen](axes, child(rng, "support"), palette, (x, y, height))
    if chosen == "shelf":
        # The shelf's wall stays free of things that would run through its boards.
        fittings = [part for part in fittings if not _on_wall_y1(part, y)]
        windows = [part for part in windows if not _on_wall_y1(part, y)]
    room = Room((x, y, height), (*shell, *fittings, *windows, *solids))
    return Setting(chosen, room, tuple(supports), supports[0].centre, palette, tuple(windows))


def _on_wall_y1(part: Solid, y: float) -> bool:
    return bool(part.world_from_solid[1, 3] > y / 2 - 0.15)


def _shell(axes: Axes, rng: np.random.Generator, palette: Palette, size: Vector) -> list[Solid]:
    x, y, h = size
    t = WALL_M
    common = sample_material(axes, rng, "wall", palette)
    walls = [sample_material(axes, rng, "wall", palette) if rng.random() < 0.45 else common for _ in range(4)]
    floor = sample_material(axes, rng, "floor", palette)
    white = Material("plain", ((0.72, 0.71, 0.68),) * 3, 1.0, (0.0, 0.0, 0.0), 1, 0.9, 0.3)
    return [
        solid("floor", (x + 2 * t, y + 2 * t, t), (0.0, 0.0, -t / 2), floor),
        solid("wall_x0", (t, y, h), (-x / 2 - t / 2, 0.0, h / 2), walls[0]),
        solid("wall_x1", (t, y, h), (x / 2 + t / 2, 0.0, h / 2), walls[1]),
        solid("wall_y0", (x + 2 * t, t, h), (0.0, -y / 2 - t / 2, h / 2), walls[2]),
        solid("wall_y1", (x + 2 * t, t, h), (0.0, y / 2 + t / 2, h / 2), walls[3]),
        solid("ceiling", (x + 2 * t, y + 2 * t, t), (0.0, 0.0, h + t / 2), white),
    ]


def _fittings(axes: Axes, rng: np.random.Generator, palette: Palette, size: Vector) -> tuple[list[Solid], list[Solid]]:
    """Skirting, pictures, a door, cupboards; and windows, which shine."""
    x, y, h = size
    parts: list[Solid] = []
    windows: list[Solid] = []
    trim = sample_material(axes, rng, "fitting", palette)
    skirted = rng.random() < 0.7
    streams = [child(rng, "wall", wall) for wall in range(4)]
    for wall, rng in enumerate(streams):
        run = y if wall < 2 else x
        if skirted:
            parts.append(_against(wall, size, "skirting", run, 0.09, 0.015, 0.0, 0.045, trim))
        what = rng.random()
        along = float(rng.uniform(-0.3, 0.3) * run)
        if what < 0.3:
            width, tall = rng.uniform([0.35, 0.3], [1.0, 0.7]).tolist()
            level = float(rng.uniform(1.1, 1.7))
            frame = sample_material(axes, rng, "fitting", palette)
            inside = sample_material(axes, rng, "object", palette, 0.7)
            parts.append(_against(wall, size, "picture", width + 0.07, tall + 0.07, 0.02, along, level, frame))
            parts.append(_against(wall, size, "picture", width, tall, 0.025, along, level, inside))
        elif what < 0.55:
            width, tall = rng.uniform([0.7, 0.7], [1.3, 1.2]).tolist()
            level = min(1.45, h - tall / 2 - 0.15)
            pane = Material("plain", ((0.6, 0.7, 0.8),) * 3, 1.0, (0.0, 0.0, 0.0), 2, 0.3, 0.5)
            glow = rng.uniform(0.7, 1.5)
            parts.append(_against(wall, size, "window", width + 0.12, tall + 0.12, 0.03, along, level, trim))
            shine = (0.9 * glow, 1.0 * glow, 1.1 * glow)
            windows.append(_against(wall, size, "window", width, tall, 0.035, along, level, pane, shine))
            parts.append(_against(wall, size, "window", 0.04, tall, 0.05, along, level, trim))
            parts.append(_against(wall, size, "window", width, 0.04, 0.045, along, level, trim))
        elif what < 0.68:
            parts.append(_against(wall, size, "door", 0.88, 2.02, 0.03, along, 1.01, trim))
            leaf = sample_material(axes, rng, "support", palette)
            parts.append(_against(wall, size, "door", 0.78, 1.96, 0.04, along, 0.98, leaf))
        elif what < 0.85 and axes.clutter >= 2:
            width, deep, tall = rng.uniform([0.5, 0.22, 0.5], [1.1, 0.35, 1.5]).tolist()
            front = sample_material(axes, rng, "support", palette)
            parts.append(_against(wall, size, "clutter", width, tall, deep, along, tall / 2, front))
    return parts, windows


def _against(
    wall: int,
    size: Vector,
    name: str,
    width: float,
    tall: float,
    deep: float,
    along: float,
    level: float,
    material: Material,
    emission: RGB = (0.0, 0.0, 0.0),
) -> Solid:
    """A box on the inner face of a wall: `along` from its middle, its centre at height `level`."""
    x, y, _ = size
    if wall < 2:
        at = (x / 2 - deep / 2) * (1 if wall else -1)
        return solid(name, (deep, width, tall), (at, along, level), material, emission=emission)
    at = (y / 2 - deep / 2) * (1 if wall == 3 else -1)
    return solid(name, (width, deep, tall), (along, at, level), material, emission=emission)


Supported = tuple[list[Solid], list[Support]]


def _role(axes: Axes, rng: np.random.Generator, palette: Palette, role: Role = "support") -> Material:
    return sample_material(axes, rng, role, palette)


def _floor(axes: Axes, rng: np.random.Generator, palette: Palette, size: Vector) -> Supported:
    """Things on the bare floor or on a rug."""
    rug = rng.random() < 0.5
    cx, cy = rng.uniform(-0.35, 0.35, 2).tolist()
    half = rng.uniform(0.6, 0.85, 2).tolist()
    yaw = float(rng.uniform(-np.pi, np.pi))
    thick = 0.012 if rug else 0.0
    parts: list[Solid] = []
    if rug:
        wide = (2 * half[0] + 0.3, 2 * half[1] + 0.3, thick)
        parts.append(solid("support", wide, (cx, cy, thick / 2), _role(axes, rng, palette, "floor"), yaw))
    return parts, [Support("floor", (cx, cy, thick), (half[0], half[1]), yaw)]


def _table(axes: Axes, rng: np.random.Generator, palette: Palette, size: Vector) -> Supported:
    cx, cy = rng.uniform(-0.3, 0.3, 2).tolist()
    half = rng.uniform([0.5, 0.4], [0.8, 0.6]).tolist()
    top, thick = rng.uniform([0.42, 0.025], [0.95, 0.06]).tolist()
    yaw = float(rng.uniform(-np.pi, np.pi))
    board = _role(axes, rng, palette)
    leg = _role(axes, rng, palette, "fitting")
    parts = [solid("support", (2 * half[0], 2 * half[1], thick), (cx, cy, top - thick / 2), board, yaw)]
    width = float(rng.uniform(0.04, 0.08))
    c, s = np.cos(yaw), np.sin(yaw)
    for sx in (-1, 1):
        for sy in (-1, 1):
            u, v = sx * (half[0] - width), sy * (half[1] - width)
            place = (cx + c * u - s * v, cy + s * u + c * v, (top - thick) / 2)
            parts.append(solid("legs", (width, width, top - thick), place, leg, yaw))
    return parts, [Support("table", (cx, cy, top), (half[0] - 0.03, half[1] - 0.03), yaw)]


def _shelf(axes: Axes, rng: np.random.Generator, palette: Palette, size: Vector) -> Supported:
    """A board on the wall at +y with side boards, sometimes with a second board above."""
    _, y, h = size
    cx = float(rng.uniform(-0.4, 0.4))
    half, deep = rng.uniform([0.55, 0.34], [0.9, 0.48]).tolist()
    top, thick = rng.uniform([0.35, 0.02], [1.3, 0.045]).tolist()
    board = _role(axes, rng, palette)
    cy = y / 2 - deep / 2
    parts = [solid("support", (2 * half, deep, thick), (cx, cy, top - thick / 2), board)]
    supports = [Support("shelf", (cx, cy - 0.01, top), (half - 0.06, deep / 2 - 0.02), 0.0)]
    gap = float(rng.uniform(0.42, 0.55))
    above = top + gap + thick
    if rng.random() < 0.7 and above + 0.3 < h:
        parts.append(solid("upper", (2 * half, deep, thick), (cx, cy, above - thick / 2), board))
        supports.append(Support("shelf_above", (cx, cy - 0.01, above), (half - 0.06, deep / 2 - 0.02), 0.0))
        for side in (-1, 1):
            place = (cx + side * (half - thick / 2), cy, (top + above) / 2 - thick / 2)
            parts.append(solid("legs", (thick, deep * 0.96, gap), place, board))
    return parts, supports


def _stack(axes: Axes, rng: np.random.Generator, palette: Palette, size: Vector) -> Supported:
    """A table that carries a block; things stand on both levels."""
    parts, supports = _table(axes, rng, palette, size)
    table = supports[0]
    half = (table.half_m[0] * rng.uniform(0.4, 0.6), table.half_m[1] * rng.uniform(0.5, 0.95))
    tall = float(rng.uniform(0.1, 0.28))
    side = float(rng.choice([-1.0, 1.0]))
    shift = side * (table.half_m[0] - half[0])
    c, s = np.cos(table.yaw), np.sin(table.yaw)
    x, y = table.centre[0] + c * shift, table.centre[1] + s * shift
    z = table.centre[2]
    block = _role(axes, rng, palette)
    parts.append(solid("upper", (2 * half[0], 2 * half[1], tall), (x, y, z + tall / 2), block, table.yaw))
    upper = Support("upper", (x, y, z + tall), (half[0] - 0.02, half[1] - 0.02), table.yaw)
    free = table.half_m[0] - half[0]
    shift = -side * (table.half_m[0] - free)
    low = (table.centre[0] + c * shift, table.centre[1] + s * shift, z)
    return parts, [Support("lower", low, (free - 0.02, table.half_m[1]), table.yaw), upper]

"""Colours and materials drawn for surfaces and objects."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from typing import Literal

import numpy as np

from midvision.synth.surfaces import TEXTURES
from midvision.synth.world_parts import RGB, Axes, Material, child

Role = Literal["wall", "floor", "support", "fitting", "object"]

# Features per metre on structure, features per diameter on objects.
_COARSE = {
    "plain": 1.0,
    "checker": 0.8,
    "stripes": 0.9,
    "marble": 0.6,
    "wood": 1.4,
    "blotches": 0.6,
    "stone": 0.8,
    "dots": 1.1,
    "bricks": 0.6,
    "weave": 2.2,
    "speckle": 1.2,
    "brushed": 1.0,
    "terrazzo": 1.5,
    "plaid": 1.0,
}
_ON_WALLS = ("plain", "plain", "bricks", "stone", "stripes", "blotches", "wood", "weave", "checker", "plaid")
_ON_FLOORS = ("wood", "wood", "stone", "checker", "weave", "marble", "terrazzo", "plain", "bricks", "speckle")
_ON_SUPPORTS = (
    "wood",
    "wood",
    "marble",
    "plain",
    "speckle",
    "weave",
    "brushed",
    "terrazzo",
    "plaid",
    "checker",
    "blotches",
)
_FIXED_OBJECT: tuple[RGB, RGB, RGB] = ((0.45, 0.45, 0.47), (0.2, 0.2, 0.22), (0.75, 0.75, 0.72))
_FIXED_SURFACE: tuple[RGB, RGB, RGB] = ((0.55, 0.5, 0.44), (0.4, 0.35, 0.3), (0.3, 0.27, 0.25))


@dataclass(frozen=True, slots=True)
class Palette:
    """What the materials of one world share: the one texture of level 1, the background's hue."""

    texture: str
    hue: float
    value: float


def sample_palette(rng: np.random.Generator) -> Palette:
    return Palette(str(rng.choice(TEXTURES[1:])), float(rng.random()), float(rng.uniform(0.35, 0.8)))


def linear(hue: float, saturation: float, value: float) -> RGB:
    """HSV with a display-referred value to linear RGB."""
    r, g, b = colorsys.hsv_to_rgb(hue % 1.0, min(max(saturation, 0.0), 1.0), min(max(value, 0.0), 1.0))
    return (r**2.2, g**2.2, b**2.2)


def sample_material(
    axes: Axes, rng: np.random.Generator, role: Role, palette: Palette, size_m: float = 1.0
) -> Material:
    """A material for a role; `size_m` is the diameter of an object, ignored for structure."""
    rng = child(rng, "material")
    texture = _texture(axes, rng, role, palette)
    object_like = role == "object"
    per_metre = rng.uniform(3.0, 7.5) / size_m if object_like else rng.uniform(2.2, 6.0)
    draw = rng.random(4)
    metal = float(axes.texture > 0 and object_like and draw[0] < 0.12)
    if metal:
        texture = "brushed" if draw[1] < 0.5 and axes.texture >= 2 else texture
    shiny = draw[2] < (0.45 if object_like else 0.25)
    roughness = rng.uniform(0.12, 0.4) if shiny or metal else rng.uniform(0.45, 0.95)
    relief, blobs = rng.uniform(0.04, 0.16), int(rng.integers(2, 7))
    bump = relief if axes.texture == 3 and draw[3] < 0.6 else 0.0
    decals = blobs if axes.texture == 3 and object_like and rng.random() < 0.3 else 0
    x, y, z = rng.uniform(-3, 3, 3).tolist()
    return Material(
        texture=texture,
        colours=_colours(axes, rng, role, palette, bool(metal)),
        scale=float(per_metre * _COARSE[texture]),
        offset=(x, y, z),
        seed=int(rng.integers(2**20)),
        roughness=float(roughness),
        specular=float(rng.uniform(0.3, 0.7)),
        metal=metal,
        bump=float(bump),
        decals=decals,
    )


def matt(material: Material) -> bool:
    return material.roughness >= 0.45 and not material.metal


def _texture(axes: Axes, rng: np.random.Generator, role: Role, palette: Palette) -> str:
    pick = rng.random()
    if axes.texture == 0:
        return "plain"
    if axes.texture == 1:
        return palette.texture if role != "wall" else "plain"
    if role == "object":
        return TEXTURES[int(pick * len(TEXTURES))]
    usual = {"wall": _ON_WALLS, "floor": _ON_FLOORS}.get(role, _ON_SUPPORTS)
    return usual[int(pick * len(usual))]


def _colours(axes: Axes, rng: np.random.Generator, role: Role, palette: Palette, metal: bool) -> tuple[RGB, RGB, RGB]:
    """Main colour, second, accent."""
    draw = rng.random(8)
    object_like = role == "object"
    if axes.colour == 0:
        return _FIXED_OBJECT if object_like else _FIXED_SURFACE
    if axes.colour == 1:
        hue = draw[0]
        saturation, value = (0.6, 0.7) if object_like else (0.3, 0.65)
        return linear(hue, saturation, value), linear(hue, saturation, value * 0.6), linear(hue, saturation * 0.3, 0.9)
    hidden = axes.colour == 3 and object_like and draw[7] < 0.6
    # Some objects wear the colours of walls and tables, so that colour alone never tells them apart.
    vivid = object_like and draw[7] > 0.3
    if vivid and not hidden:
        hue, saturation, value = draw[0], 0.15 + 0.75 * draw[1], 0.3 + 0.6 * draw[2]
    elif hidden or draw[6] < 0.2:
        hue, saturation, value = palette.hue + 0.06 * (draw[0] - 0.5), 0.08 + 0.3 * draw[1], palette.value
    elif draw[5] < 0.6:
        hue, saturation, value = 0.05 + 0.09 * draw[0], 0.1 + 0.42 * draw[1], 0.35 + 0.5 * draw[2]
    elif draw[5] < 0.8:
        hue, saturation, value = 0.5 + 0.18 * draw[0], 0.05 + 0.27 * draw[1], 0.35 + 0.5 * draw[2]
    else:
        hue, saturation, value = draw[0], 0.1 + 0.6 * draw[1], 0.3 + 0.55 * draw[2]
    if metal:
        saturation, value = saturation * 0.5, 0.75 + 0.2 * draw[2]
    step = (0.16 + 0.3 * draw[3]) * (1 if value < 0.55 else -1)
    if not object_like:
        step *= 0.5 if draw[4] < 0.75 else 0.8
    turn = (0.5 if draw[4] < 0.25 else 0.16) * (draw[3] - 0.5) * (2.0 if object_like else 0.5)
    second = linear(hue + turn, saturation * (0.6 + 0.6 * draw[4]), value + step)
    far = draw[4] > 0.5 and object_like
    third = linear(hue + (0.35 + 0.3 * draw[3] if far else turn / 2), saturation * 0.7, value - 1.5 * step)
    return linear(hue, saturation, value), second, third

"""What a world is made of: plain frozen values that a renderer can draw and a variation can change.

Metres everywhere, world z up, the floor at z = 0 and the room's centre at x = y = 0. Matrices named
`b_from_a [4, 4]` map points of frame a to frame b. Colours are linear RGB.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from midvision.core.errors import UsageError, nearest
from midvision.core.seeds import numpy_generator

RGB = tuple[float, float, float]
Vector = tuple[float, float, float]
WorldKind = Literal["scene", "object", "salient"]

FIRST_OBJECT_ID = 16

# Ids of structure, 1 to 15. Several solids may share one id (the legs of a table, say).
STRUCTURE_IDS = {
    "floor": 1,
    "wall_x0": 2,
    "wall_x1": 3,
    "wall_y0": 4,
    "wall_y1": 5,
    "ceiling": 6,
    "support": 7,
    "upper": 8,
    "legs": 9,
    "skirting": 10,
    "window": 11,
    "door": 12,
    "picture": 13,
    "clutter": 14,
}

SCENE_TYPES = ("floor", "table", "shelf", "stack")


@dataclass(frozen=True, slots=True)
class Axes:
    """The seven difficulty axes of the suite, each from 0 (none) to 3 (hardest)."""

    texture: int = 2
    colour: int = 2
    viewpoint: int = 2
    lighting: int = 2
    shape: int = 2
    clutter: int = 2
    sensor: int = 2

    def __post_init__(self) -> None:
        for name in self.__slots__:
            level = getattr(self, name)
            if isinstance(level, bool) or not isinstance(level, int) or not 0 <= level <= 3:
                raise UsageError(f"Difficulty axis {name!r} got {level!r}.", "A level 0, 1, 2 or 3 was expected.")

    @classmethod
    def named(cls, name: str) -> Axes:
        """Axes of difficulty `easy` (all 1), `base` (all 2) or `hard` (all 3)."""
        levels = {"easy": 1, "base": 2, "hard": 3}
        if name not in levels:
            raise UsageError(f"The built-in suite has no difficulty {name!r}.", nearest(name, levels))
        return cls(*([levels[name]] * 7))


@dataclass(frozen=True, slots=True)
class Material:
    """A solid texture and how its surface answers light.

    `texture` is one of `surfaces.TEXTURES`; `scale` counts its features per metre; `offset` moves the
    pattern in metres of the object's frame; `seed` picks its noise. `bump` is the relief's height in
    units of a feature, `decals` the number of glyph-like blobs printed on top.
    """

    texture: str
    colours: tuple[RGB, RGB, RGB]
    scale: float
    offset: Vector
    seed: int
    roughness: float
    specular: float
    metal: float = 0.0
    bump: float = 0.0
    decals: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class ObjectInstance:
    """One object: the mesh `mesh_key` of the bank (unit radius), scaled to `radius_m`, rigidly posed.

    `shape_code` are the numbers in [0, 1] the mesh was built from; `bank.mesh_key(family, code)` gives
    the key of any other code.
    """

    id: int
    family: str
    mesh_key: str
    shape_code: tuple[float, ...]
    world_from_object: np.ndarray
    radius_m: float
    material: Material


@dataclass(frozen=True, slots=True, eq=False)
class Solid:
    """A box of structure: full edge lengths `size_m`, centred on its own frame. `id` is 1 to 15."""

    id: int
    name: str
    size_m: Vector
    world_from_solid: np.ndarray
    material: Material
    emission: RGB = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Support:
    """A level rectangle things stand on: centre of its top, half edges along x and y, yaw in radians."""

    name: str
    centre: Vector
    half_m: tuple[float, float]
    yaw: float = 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """A box of `size_m` (x, y, height) with its fittings as solids."""

    size_m: Vector
    solids: tuple[Solid, ...]


@dataclass(frozen=True, slots=True)
class Light:
    """A spherical lamp; `power` is the irradiance it gives a facing surface at 1 m, per colour channel.

    `rays` is the number of shadow rays per pixel.
    """

    position: Vector
    radius_m: float
    power: RGB
    rays: int = 3


@dataclass(frozen=True, slots=True)
class Panel:
    """A bright soft rectangle seen only in reflections: centre and two half-edge vectors."""

    centre: Vector
    half_u: Vector
    half_v: Vector
    radiance: RGB


@dataclass(frozen=True, slots=True)
class Ambient:
    """Light from all around: `sky` from above, `ground` from below, before ambient occlusion."""

    sky: RGB
    ground: RGB


@dataclass(frozen=True, slots=True)
class Sensor:
    """What the camera adds. `noise` in parts of full scale, `blur_px` a Gaussian sigma, `jpeg` 0 for none."""

    noise: float = 0.0
    blur_px: float = 0.0
    vignette: float = 0.0
    jpeg: int = 0
    exposure_stops: float = 0.0


@dataclass(frozen=True, slots=True)
class World:
    """Everything a renderer needs. `supports[0]` is the one most objects stand on, `focus` its middle.

    `subject_id` is the object that an `object` world was made for, 0 otherwise.
    """

    kind: WorldKind
    scene_type: str
    room: Room
    supports: tuple[Support, ...]
    objects: tuple[ObjectInstance, ...]
    lights: tuple[Light, ...]
    panels: tuple[Panel, ...]
    ambient: Ambient
    sensor: Sensor
    focus: Vector
    subject_id: int = 0

    @property
    def support(self) -> Support:
        return self.supports[0]

    @property
    def structure_ids(self) -> tuple[int, ...]:
        return tuple(sorted({solid.id for solid in self.room.solids}))


def child(rng: np.random.Generator, *purpose: str | int) -> np.random.Generator:
    """A stream of its own that costs `rng` one draw, so what one part draws cannot move the next."""
    return numpy_generator(*purpose, int(rng.integers(2**62)))


def rounded_pose(pose: np.ndarray) -> np.ndarray:
    """Pose `[4, 4]` on a grid of 2^-20, so that every platform places things alike."""
    return np.rint(np.asarray(pose, dtype=np.float64) * 2**20) / 2**20

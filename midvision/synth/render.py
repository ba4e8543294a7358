"""A world and a camera become a frame: colour with exact depth, normals, ids and object coordinates.

Embree finds every hit and every shadow; kernels of our own shade. One renderer holds one Embree
scene and serves all views of its world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from midvision.synth.bank import Mesh, get_mesh
from midvision.synth.cameras import Camera
from midvision.synth.render_scene import RayScene
from midvision.synth.world_parts import World

Passes = Literal["all", "geometry"]


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One view. Truth is one sample at every pixel's centre; `rgb` is anti-aliased.

    rgb uint8 `[H, W, 3]` (zeros when only geometry was asked); depth_m float32 `[H, W]`, camera z, 0
    invalid; normals float32 `[H, W, 3]` in the camera frame, facing the viewer, before bump mapping;
    ids uint8 `[H, W]` (0 invalid, 1-15 structure, 16+ objects); edge bool `[H, W]`, pixels that mix
    surfaces; object_xyz float32 `[H, W, 3]`, metres in the object's rigid frame
    (world_from_object maps it to the world), NaN off objects.
    """

    rgb: np.ndarray
    depth_m: np.ndarray
    normals: np.ndarray
    ids: np.ndarray
    edge: np.ndarray
    object_xyz: np.ndarray


class Renderer:
    """Draws views of one world. `meshes` finds a mesh by key; the bank unless told otherwise."""

    def __init__(self, world: World, meshes: Callable[[str], Mesh] = get_mesh) -> None:
        self.world = world
        self.scene = RayScene(world, meshes)

    def render(self, camera: Camera, rng: np.random.Generator, passes: Passes = "all") -> Frame:
        """`rng` drives sampling noise and the sensor only; with `geometry` it is not used."""

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
from midvision.synth.render_kernels import (
    blur_within_surfaces,
    find_edges,
    mean_by_owner,
    occlusion_rays,
    shadow_rays,
)
from midvision.synth.render_scene import Hits, RayScene
from midvision.synth.render_sensor import developed, exposure_for
from midvision.synth.shading import filmic, shade
from midvision.synth.surfaces import METAL, ROUGHNESS, SPECULAR, paint
from midvision.synth.world_parts import FIRST_OBJECT_ID, World

Passes = Literal["all", "geometry"]

JUMP = 0.01
CREASE = 0.94
OCCLUSION_RAYS = 4
BLUR_RADIUS = 2
# Rotated-grid samples of a pixel for anti-aliasing, as offsets from its centre.
_CORNERS = np.array([[-0.4375, -0.0625], [-0.3125, 0.3125], [-0.1875, -0.3125], [-0.0625, 0.0625]])
SUBSAMPLES = np.concatenate([_CORNERS, -_CORNERS])


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
        self._lamps = np.array([[*l.position, l.radius_m, *l.power] for l in world.lights]).reshape(-1, 7)
        self._panels = np.array([[*p.centre, *p.half_u, *p.half_v, *p.radiance] for p in world.panels]).reshape(-1, 12)
        sky, ground = np.array(world.ambient.sky), np.array(world.ambient.ground)
        self._ambient = np.stack([sky, ground, (sky + ground) / 2 * self.scene.wall_colour * 2])
        x, y, height = world.room.size_m
        self._room = np.array([x / 2, y / 2, height])

    def render(self, camera: Camera, rng: np.random.Generator, passes: Passes = "all") -> Frame:
        """`rng` drives sampling noise and the sensor only; with `geometry` it is not used."""
        height, width = camera.size
        pixels = np.indices((height, width)).reshape(2, -1).T
        hits = self.scene.hits(camera.centre, camera.directions(pixels + 0.5))
        frame, thing, rough = self._truth(camera, hits)
        if passes == "geometry":
            return frame
        seed = int(rng.integers(2**20))
        index = np.full(height * width, -1, dtype=np.int64)
        index[hits.ray] = np.arange(len(hits.ray))
        index = index.reshape(height, width)
        radiance = np.zeros((height * width, 3), dtype=np.float32)
        radiance[hits.ray] = self._radiance(camera, hits, pixels[hits.ray], seed, index)
        exposure = exposure_for(radiance[hits.ray]) * 2.0**self.world.sensor.exposure_stops
        display = filmic(radiance, exposure).reshape(height, width, 3)
        display[rough] = self._averaged(camera, np.argwhere(rough), exposure, seed + 1)
        rgb = developed(display, self.world.sensor, rng)
        return Frame(rgb, frame.depth_m, frame.normals, frame.ids, frame.edge, frame.object_xyz)

    def _truth(self, camera: Camera, hits: Hits) -> tuple[Frame, np.ndarray, np.ndarray]:
        """The frame without colour; the thing at each pixel; pixels worth more than one sample."""
        height, width = camera.size
        depth = np.zeros(height * width)
        depth[hits.ray] = hits.depth
        ids = np.zeros(height * width, dtype=np.uint8)
        ids[hits.ray] = self.scene.ids[hits.thing]
        thing = np.full(height * width, -1, dtype=np.int32)
        thing[hits.ray] = hits.thing
        normals = np.zeros((height * width, 3), dtype=np.float32)
        normals[hits.ray] = hits.normal @ camera.camera_from_world[:3, :3].T.astype(np.float32)
        local = np.full((height * width, 3), np.nan, dtype=np.float32)
        on_object = self.scene.ids[hits.thing] >= FIRST_OBJECT_ID
        local[hits.ray[on_object]] = hits.local[on_object]
        shape = (height, width)
        thing, depth, normals = thing.reshape(shape), depth.reshape(shape), normals.reshape(*shape, 3)
        edge, rough = find_edges(thing, depth, normals, JUMP, CREASE)
        rgb = np.zeros((height, width, 3), dtype=np.uint8)
        frame = Frame(rgb, depth.astype(np.float32), normals, ids.reshape(shape), edge, local.reshape(*shape, 3))
        return frame, thing, rough

    def _radiance(
        self, camera: Camera, hits: Hits, pixels: np.ndarray, seed: int, index: np.ndarray | None
    ) -> np.ndarray:
        """Light from each hit to the camera, float32 `[N, 3]`.

        `index [H, W]` (row of each pixel's hit) allows blurring the noisy terms; without it every
        lamp gets one ray.
        """
        n = len(hits.ray)
        noisy = np.ones((n, len(self._lamps) + 1), dtype=np.float32)
        for k, (light, lamp) in enumerate(zip(self.world.lights, self._lamps, strict=True)):
            rays = light.rays if index is not None else 1
            owner, origins, ways = shadow_rays(hits.position, hits.normal, pixels, lamp[:4], rays, seed + 16 * k)
            reach = np.full(len(owner), 0.999, dtype=np.float32)
            noisy[:, k] = mean_by_owner(owner, self.scene.blocked(origins, ways, reach), n)
        rays = OCCLUSION_RAYS if index is not None else 1
        around = occlusion_rays(hits.position, hits.normal, pixels, rays, seed)
        noisy[:, -1] = 1 - self.scene.blocked(*around).reshape(n, rays).mean(1)
        if index is not None:
            noisy = blur_within_surfaces(noisy, hits.thing, hits.position, hits.normal, index, BLUR_RADIUS)
        to_camera = (camera.centre - hits.position).astype(np.float32)
        distance = np.linalg.norm(to_camera, axis=1)
        view = to_camera / distance[:, None]
        facing = np.maximum((view * hits.normal).sum(1), 0.15)
        footprint = distance / np.float32(camera.K[0, 0]) / facing
        rotations = self.scene.poses[:, :3, :3].astype(np.float32)[hits.thing]
        normal_local = np.einsum("nba,nb->na", rotations, hits.normal)
        colour, bent = paint(hits.local, normal_local, hits.thing, footprint, self.scene.table)
        normal = np.einsum("nab,nb->na", rotations, bent)
        gloss = self.scene.table[:, [ROUGHNESS, SPECULAR, METAL]].astype(np.float32)[hits.thing]
        light_out = shade(
            hits.position,
            normal,
            view,
            colour,
            gloss,
            self._lamps,
            noisy[:, :-1],
            noisy[:, -1],
            self._ambient,
            self._panels,
            self._room,
        )
        return light_out + self.scene.emission[hits.thing]

    def _averaged(self, camera: Camera, pixels: np.ndarray, exposure: float, seed: int) -> np.ndarray:
        """Display values `[M, 3]` of pixels `[M, 2]` from several samples each."""
        if not len(pixels):
            return np.zeros((0, 3), dtype=np.float32)
        count = len(SUBSAMPLES)
        points = (pixels[:, None] + 0.5 + SUBSAMPLES).reshape(-1, 2)
        # Sampling noise must differ between the samples of a pixel.
        places = (pixels[:, None] + 31 * np.arange(count)[:, None]).reshape(-1, 2)
        hits = self.scene.hits(camera.centre, camera.directions(points))
        display = np.zeros((len(points), 3), dtype=np.float32)
        display[hits.ray] = filmic(self._radiance(camera, hits, places[hits.ray], seed, None), exposure)
        return display.reshape(-1, count, 3).mean(1)

"""A world and a camera become a frame: colour with exact depth, normals, ids and object coordinates.

Embree finds every hit and every shadow; kernels of our own shade. One renderer holds one Embree
scene and serves all views of its world.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from midvision.core.progress import SILENT, Progress
from midvision.core.seeds import numpy_generator
from midvision.synth.bank import Mesh, get_mesh
from midvision.synth.cameras import Camera, look_at
from midvision.synth.render_kernels import (
    blur_within_surfaces,
    borrow_from_pixels,
    find_edges,
    mean_by_owner,
    occlusion_rays,
    shadow_rays,
)
from midvision.synth.render_scene import Hits, RayScene
from midvision.synth.render_sensor import developed, exposure_for
from midvision.synth.shading import filmic, shade
from midvision.synth.surfaces import METAL, ROUGHNESS, SPECULAR, paint
from midvision.synth.world_parts import FIRST_OBJECT_ID, Axes, World

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
        self._lamps = np.array([[*lamp.position, lamp.radius_m, *lamp.power] for lamp in world.lights]).reshape(-1, 7)
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
        frame, rough = self._truth(camera, hits)
        if passes == "geometry":
            return frame
        seed = int(rng.integers(2**20))
        index = np.full((height, width), -1, dtype=np.int64)
        index.reshape(-1)[hits.ray] = np.arange(len(hits.ray))
        seen = self._light_reaching(hits, pixels[hits.ray], seed)
        seen = blur_within_surfaces(seen, hits.thing, hits.position, hits.normal, index, BLUR_RADIUS)
        radiance = np.zeros((height * width, 3), dtype=np.float32)
        radiance[hits.ray] = self._radiance(camera, hits, seen)
        exposure = exposure_for(radiance[hits.ray]) * 2.0**self.world.sensor.exposure_stops
        display = filmic(radiance, exposure).reshape(height, width, 3)
        extra, owner = self._extra_hits(camera, np.argwhere(rough))
        seen = self._borrowed(seen, hits, index, extra, owner, seed)
        samples = np.zeros((rough.sum() * len(SUBSAMPLES), 3), dtype=np.float32)
        samples[extra.ray] = filmic(self._radiance(camera, extra, seen), exposure)
        display[rough] = samples.reshape(-1, len(SUBSAMPLES), 3).mean(1)
        rgb = developed(display, self.world.sensor, rng)
        return replace(frame, rgb=rgb)

    def _truth(self, camera: Camera, hits: Hits) -> tuple[Frame, np.ndarray]:
        """The frame without colour, and the pixels worth more than one sample."""
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
        flat, deep = (height, width), (height, width, 3)
        edge, rough = find_edges(thing.reshape(flat), depth.reshape(flat), normals.reshape(deep), JUMP, CREASE)
        frame = Frame(
            rgb=np.zeros(deep, dtype=np.uint8),
            depth_m=depth.reshape(flat).astype(np.float32),
            normals=normals.reshape(deep),
            ids=ids.reshape(flat),
            edge=edge,
            object_xyz=local.reshape(deep),
        )
        return frame, rough

    def _light_reaching(self, hits: Hits, pixels: np.ndarray, seed: int) -> np.ndarray:
        """Share of every lamp seen from each hit, then of open space, noisy: float32 `[N, L + 1]`."""
        n = len(hits.ray)
        seen = np.empty((n, len(self._lamps) + 1), dtype=np.float32)
        for k, (light, lamp) in enumerate(zip(self.world.lights, self._lamps, strict=True)):
            owner, origins, ways = shadow_rays(hits.position, hits.normal, pixels, lamp[:4], light.rays, seed + 16 * k)
            reach = np.full(len(owner), 0.999, dtype=np.float32)
            seen[:, k] = mean_by_owner(owner, self.scene.blocked(origins, ways, reach), n)
        around = occlusion_rays(hits.position, hits.normal, pixels, OCCLUSION_RAYS, seed)
        seen[:, -1] = 1 - self.scene.blocked(*around).reshape(n, OCCLUSION_RAYS).mean(1)
        return seen

    def _extra_hits(self, camera: Camera, pixels: np.ndarray) -> tuple[Hits, np.ndarray]:
        """Hits of several samples in each of `pixels [M, 2]`, and the pixel of each hit."""
        points = (pixels[:, None] + 0.5 + SUBSAMPLES).reshape(-1, 2)
        hits = self.scene.hits(camera.centre, camera.directions(points))
        return hits, np.repeat(pixels, len(SUBSAMPLES), axis=0)[hits.ray]

    def _borrowed(
        self, seen: np.ndarray, hits: Hits, index: np.ndarray, extra: Hits, pixels: np.ndarray, seed: int
    ) -> np.ndarray:
        """`seen` of the pixels carried over to extra samples beside them; rays of their own where none fits."""
        result, found = borrow_from_pixels(
            seen, hits.thing, hits.position, hits.normal, index, pixels, extra.thing, extra.position, extra.normal
        )
        alone = np.flatnonzero(~found)
        result[alone] = self._light_reaching(extra.some(alone), pixels[alone], seed + 1)
        return result

    def _radiance(self, camera: Camera, hits: Hits, seen: np.ndarray) -> np.ndarray:
        """Light from each hit to the camera, float32 `[N, 3]`; `seen` as from `_light_reaching`."""
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
        lit = shade(
            hits.position,
            normal,
            view,
            colour,
            gloss,
            self._lamps,
            seen[:, :-1],
            seen[:, -1],
            self._ambient,
            self._panels,
            self._room,
        )
        return np.asarray(lit + self.scene.emission[hits.thing])


def warm_up(progress: Progress = SILENT) -> None:
    """Compile the kernels (kept on disk) by drawing one small picture."""
    from midvision.synth.world import sample_world

    with progress.bar("Compiling the renderer", 1) as advance:
        axes = Axes(texture=3)
        world = sample_world(axes, numpy_generator("warm up"), "object", ("box",))
        eye = np.array([1.0, 1.0, 1.5])
        camera = look_at(eye, np.array(world.focus), np.array([0.0, 0.0, 1.0]), 50.0, (24, 24))
        Renderer(world).render(camera, numpy_generator("warm up", "rays"))
        advance(1)

"""A world as triangles: one Embree scene, and exact hits recomputed in double precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from embreex.mesh_construction import TriangleMesh
from embreex.rtcore import EmbreeDevice
from embreex.rtcore_scene import EmbreeScene

from midvision.synth.bank import Mesh
from midvision.synth.render_kernels import resolve_hits
from midvision.synth.surfaces import material_table, mean_colour
from midvision.synth.world_parts import Material, Solid, World

_BOX_FACES = np.array(
    [[0, 2, 3], [0, 3, 1], [4, 5, 7], [4, 7, 6], [0, 1, 5], [0, 5, 4], [2, 6, 7], [2, 7, 3], [0, 4, 6], [0, 6, 2]]
    + [[1, 3, 7], [1, 7, 5]]
)
_BOX_SIGNS = np.array([[x, y, z] for z in (-0.5, 0.5) for y in (-0.5, 0.5) for x in (-0.5, 0.5)])


@dataclass(frozen=True, slots=True, eq=False)
class Hits:
    """What N rays hit; only rays that hit something are listed.

    ray int64 `[N]` which ray; depth float64 `[N]` in units of the ray's direction; thing int32 `[N]`;
    position, normal float32 `[N, 3]` in the world, the normal facing the ray; local float32 `[N, 3]`
    in the thing's frame, metres.
    """

    ray: np.ndarray
    depth: np.ndarray
    thing: np.ndarray
    position: np.ndarray
    normal: np.ndarray
    local: np.ndarray

    def some(self, chosen: np.ndarray) -> Hits:
        """The hits with the indices `chosen`."""
        return Hits(*(getattr(self, name)[chosen] for name in self.__slots__))


@lru_cache(maxsize=1)
def _device() -> EmbreeDevice:
    return EmbreeDevice()


def _box(solid: Solid) -> tuple[np.ndarray, np.ndarray]:
    corners = (_BOX_SIGNS * np.asarray(solid.size_m))[_BOX_FACES]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    return corners, np.repeat(normal[:, None], 3, axis=1).astype(np.float32)


class RayScene:
    """Triangles of all solids and objects of a world, in the order room, then objects.

    ids uint8 `[T]` and poses float64 `[T, 4, 4]` of the T things; `table` their materials;
    emission float32 `[T, 3]`.
    """

    def __init__(self, world: World, meshes: Callable[[str], Mesh]) -> None:
        solids, objects = world.room.solids, world.objects
        pieces = [_box(solid) for solid in solids]
        for thing in objects:
            mesh = meshes(thing.mesh_key)
            pieces.append(((mesh.vertices * thing.radius_m)[mesh.faces], mesh.corner_normals))
        counts = [len(corners) for corners, _ in pieces]
        self.corners = np.ascontiguousarray(np.concatenate([corners for corners, _ in pieces]), dtype=np.float64)
        self.corner_normals = np.concatenate([normals for _, normals in pieces])
        self.owner = np.repeat(np.arange(len(pieces), dtype=np.int32), counts)
        self.ids = np.array([*(part.id for part in solids), *(thing.id for thing in objects)], dtype=np.uint8)
        self.poses = np.stack(
            [*(solid.world_from_solid for solid in solids), *(thing.world_from_object for thing in objects)]
        ).astype(np.float64)
        self._inverses = np.linalg.inv(self.poses)
        materials: list[Material] = [*(part.material for part in solids), *(thing.material for thing in objects)]
        reach = [*(max(solid.size_m) / 2 for solid in solids), *(thing.radius_m for thing in objects)]
        self.table = material_table(materials, reach)
        self.emission = np.array(
            [*(solid.emission for solid in solids), *([(0.0, 0.0, 0.0)] * len(objects))], np.float32
        )
        walls = [mean_colour(solid.material) for solid in solids if 2 <= solid.id <= 5]
        self.wall_colour = np.mean(walls, axis=0) if walls else np.full(3, 0.5)
        self._scene = self._built(counts)

    def _built(self, counts: list[int]) -> EmbreeScene:
        start = 0
        placed = np.empty((len(self.corners), 3, 3), dtype=np.float32)
        for pose, count in zip(self.poses, counts, strict=True):
            placed[start : start + count] = self.corners[start : start + count] @ pose[:3, :3].T + pose[:3, 3]
            start += count
        scene = EmbreeScene(_device())
        TriangleMesh(scene, placed)
        return scene

    def hits(self, origin: np.ndarray, directions: np.ndarray) -> Hits:
        """First hits of rays from one `origin [3]` along float64 `directions [N, 3]`."""
        origins = np.broadcast_to(origin.astype(np.float32), (len(directions), 3))
        triangle = self._scene.run(origins, directions.astype(np.float32))
        ray = np.flatnonzero(triangle >= 0)
        depth, thing, position, normal, local = resolve_hits(
            triangle[ray],
            origin,
            directions[ray],
            self.corners,
            self.corner_normals,
            self.owner,
            self.poses,
            self._inverses,
        )
        return Hits(ray, depth, thing, position, normal, local)

    def blocked(self, origins: np.ndarray, directions: np.ndarray, reach: np.ndarray) -> np.ndarray:
        """Bool `[N]`: something lies between an origin and `reach` directions from it (all float32)."""
        if not len(origins):
            return np.zeros(0, dtype=bool)
        return np.asarray(self._scene.run(origins, directions, reach, query="OCCLUDED") == 0)

"""What placing and shading need to know of a mesh: crease normals, hull, stable poses, symmetry."""

from __future__ import annotations

import numpy as np
import trimesh
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.transform import Rotation

from midvision.core.seeds import numpy_generator


def corner_normals(vertices: np.ndarray, faces: np.ndarray, crease_deg: float) -> np.ndarray:
    """Unit normals `[F, 3, 3]` float32 for the corners of each face.

    A corner's normal is the mean of the normals of the faces around its vertex that meet its own face
    at less than the crease angle, weighted by their angle at the vertex.
    """
    corners = vertices[faces]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    before, after = np.roll(corners, 1, 1) - corners, np.roll(corners, -1, 1) - corners
    cosine = (before * after).sum(-1) / (np.linalg.norm(before, axis=-1) * np.linalg.norm(after, axis=-1))
    angle = np.arccos(np.clip(cosine, -1, 1)).reshape(-1)
    vertex = faces.reshape(-1)
    order = np.argsort(vertex, kind="stable")
    count = np.bincount(vertex, minlength=len(vertices))
    start = np.cumsum(count) - count
    total = np.zeros((faces.size, 3))
    owner = np.arange(faces.size)
    limit = np.cos(np.radians(crease_deg))
    for k in range(int(count.max())):
        has = count[vertex] > k
        mine = owner[has]
        other = order[start[vertex[mine]] + k]
        near = (normal[mine // 3] * normal[other // 3]).sum(1) >= limit
        total[mine] += (near * angle[other])[:, None] * normal[other // 3]
    length = np.linalg.norm(total, axis=1, keepdims=True)
    result = np.where(length > 1e-9, total / np.maximum(length, 1e-9), np.repeat(normal, 3, axis=0))
    return np.asarray(result.reshape(-1, 3, 3), dtype=np.float32)


def hull_points(vertices: np.ndarray) -> np.ndarray:
    """The vertices `[H, 3]` of the convex hull."""
    return np.asarray(vertices[np.sort(ConvexHull(vertices).vertices)])


def stable_rotations(vertices: np.ndarray, faces: np.ndarray, most: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Rotations `[P, 3, 3]` that put the solid at rest on a plane z = const, and weights `[P]`.

    A hull facet carries the solid when the centre of mass projects inside it. The weight is the solid
    angle of the facet seen from the centre of mass; smooth solids rest on many tiny facets alike.
    """
    hull = ConvexHull(vertices)
    centre = _centre_of_mass(vertices, faces)
    normals = hull.equations[:, :3]
    n = len(normals)
    first, side = np.repeat(np.arange(n), 3), np.tile(np.arange(3), n)
    second = hull.neighbors.reshape(-1)
    flat = (normals[first] * normals[second]).sum(1) > 1 - 1e-6
    graph = coo_array((np.ones(flat.sum()), (first[flat], second[flat])), shape=(n, n))
    parts, label = connected_components(graph, directed=False)
    edge = hull.simplices[first, (side + 1) % 3], hull.simplices[first, (side + 2) % 3]
    along = vertices[edge[1]] - vertices[edge[0]]
    inward = np.cross(normals[first], along)
    third = vertices[hull.simplices[first, side]]
    inward *= np.sign(((third - vertices[edge[0]]) * inward).sum(1))[:, None]
    outside = ~flat & (((centre - vertices[edge[0]]) * inward).sum(1) < 0)
    stable = np.ones(parts, dtype=bool)
    stable[label[first[outside]]] = False
    corners = vertices[hull.simplices]
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1) / 2
    depth = ((corners[:, 0] - centre) * normals).sum(1)
    size = np.bincount(label, area / np.maximum(depth, 0.05) ** 2, minlength=parts)
    down = np.stack([np.bincount(label, area * normals[:, axis], minlength=parts) for axis in range(3)], -1)
    chosen = np.flatnonzero(stable)
    if not len(chosen):
        chosen = label[[int(np.argmin(depth))]]
    chosen = chosen[np.argsort(-size[chosen], kind="stable")[:most]]
    weights = size[chosen] + 1e-3
    rotations = np.stack([_turn_down(down[part] / np.linalg.norm(down[part])) for part in chosen])
    return np.rint(rotations * 2**20) / 2**20, weights / weights.sum()


def _turn_down(direction: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes a unit direction to -z."""
    rotation, _ = Rotation.align_vectors(np.array([[0.0, 0.0, -1.0]]), direction[None])
    return np.asarray(rotation.as_matrix())


def _centre_of_mass(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Of the enclosed volume, by signed tetrahedra; overlapping parts count twice."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    volume = (a * np.cross(b, c)).sum(1)
    return np.asarray(((a + b + c) / 4 * volume[:, None]).sum(0) / volume.sum())


def symmetry_deviation(vertices: np.ndarray, faces: np.ndarray) -> float:
    """How far the nearest turned copy lies from the solid, in radii.

    Turns by fractions of a circle about the frame's and the principal axes; the deviation of one turn
    is the 90th percentile of distances from turned surface points to the surface near them.
    """
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    points, face = trimesh.sample.sample_surface(mesh, 4000, seed=numpy_generator("symmetry"))
    normals = mesh.face_normals[face]
    tree = cKDTree(points)
    some = points[:: len(points) // 300]
    axes = np.concatenate([np.eye(3), np.linalg.eigh(np.cov(points.T))[1].T])
    centre = _centre_of_mass(vertices, faces)
    worst = np.inf
    for axis in axes:
        for angle in (180.0, 120.0, 90.0, 72.0, 60.0, 45.0):
            turn = Rotation.from_rotvec(axis * np.radians(angle)).as_matrix()
            copy = (some - centre) @ turn.T + centre
            _, near = tree.query(copy)
            gap = np.abs(((copy - points[near]) * normals[near]).sum(1))
            worst = min(worst, float(np.quantile(gap, 0.9)))
    return worst

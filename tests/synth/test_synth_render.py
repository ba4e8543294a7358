"""The renderer's ground truth against analytic solids and against itself from other views."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
import trimesh

from midvision.core.seeds import numpy_generator
from midvision.geometry.surface import normals_from_depth
from midvision.synth.bank import Mesh
from midvision.synth.cameras import Camera, look_at, sample_camera
from midvision.synth.render import Frame, Renderer
from midvision.synth.world import (
    FIRST_OBJECT_ID,
    Ambient,
    Axes,
    Light,
    Material,
    ObjectInstance,
    Room,
    Sensor,
    Solid,
    Support,
    World,
    rounded_pose,
    sample_world,
)

GREY = Material("plain", ((0.5, 0.5, 0.5),) * 3, 4.0, (0.0, 0.0, 0.0), 1, 0.9, 0.2)
CAMERA = look_at(
    np.array([1.1, -1.4, 1.2]), np.array([0.1, 0.05, 0.1]), np.array([0.0, 0.0, 1.0]), 50.0, (96, 128), 7.0
)
SEED = numpy_generator("render tests")


def pose(shift: tuple[float, float, float], yaw: float = 0.0) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    matrix[:3, 3] = shift
    return rounded_pose(matrix)


def bare_world(solids: tuple[Solid, ...], objects: tuple[ObjectInstance, ...] = (), **changes) -> World:
    lamp = Light((0.6, -0.9, 1.9), 0.05, (2.0, 2.0, 2.0))
    usual = World(
        kind="scene",
        scene_type="floor",
        room=Room((4.0, 4.0, 2.5), solids),
        supports=(Support("floor", (0.0, 0.0, 0.0), (1.0, 1.0)),),
        objects=objects,
        lights=(lamp,),
        panels=(),
        ambient=Ambient((0.3, 0.3, 0.3), (0.2, 0.2, 0.2)),
        sensor=Sensor(),
        focus=(0.0, 0.0, 0.0),
    )
    return replace(usual, **changes)


def floor() -> Solid:
    return Solid(1, "floor", (6.0, 6.0, 0.1), pose((0.0, 0.0, -0.05)), GREY)


def rays(camera: Camera) -> tuple[np.ndarray, np.ndarray]:
    """Origin and world directions with camera z = 1, pixel by pixel, from the definition."""
    height, width = camera.size
    y, x = np.mgrid[0:height, 0:width] + 0.5
    in_camera = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(camera.K).T
    world_from_camera = np.linalg.inv(camera.camera_from_world)
    return world_from_camera[:3, 3], in_camera @ world_from_camera[:3, :3].T


def scene(index: int, axes: Axes | None = None, kind: str = "scene") -> tuple[World, Renderer, list[Camera]]:
    axes = axes or Axes.named("base")
    rng = numpy_generator("render tests", kind, index)
    world = sample_world(axes, rng, kind)
    renderer = Renderer(world)
    return world, renderer, [sample_camera(world, axes, rng, (160, 160), renderer=renderer) for _ in range(2)]


@pytest.fixture(scope="module")
def shots() -> list[tuple[World, list[Camera], list[Frame]]]:
    found = []
    for index in range(4):
        world, renderer, cameras = scene(index)
        found.append((world, cameras, [renderer.render(camera, SEED, passes="geometry") for camera in cameras]))
    return found


def test_a_plane_is_exact() -> None:
    frame = Renderer(bare_world((floor(),))).render(CAMERA, SEED, passes="geometry")
    origin, ways = rays(CAMERA)
    depth = -origin[2] / ways[..., 2]
    hit = ways[..., 2] < 0
    ends = origin + depth[..., None] * ways
    hit &= (np.abs(ends[..., :2]) < 2.999).all(-1)
    assert hit.mean() > 0.9
    assert (frame.ids[hit] == 1).all()
    assert np.abs(frame.depth_m[hit] - depth[hit]).max() < 1e-5
    up = CAMERA.camera_from_world[:3, 2]
    assert np.abs(frame.normals[hit] - up).max() < 1e-5
    assert not frame.rgb.any() and np.isnan(frame.object_xyz).all()


def test_a_turned_box_is_exact() -> None:
    size, where = (0.5, 0.3, 0.4), pose((0.1, 0.05, 0.2), 0.6)
    box = Solid(7, "support", size, where, GREY)
    frame = Renderer(bare_world((floor(), box))).render(CAMERA, SEED, passes="geometry")
    origin, ways = rays(CAMERA)
    back = np.linalg.inv(where)
    o, d = back[:3, :3] @ origin + back[:3, 3], ways @ back[:3, :3].T
    # Slabs: enter the last of three near planes, leave by the first of three far ones.
    near, far = (-np.sign(d) * np.array(size) / 2 - o) / d, (np.sign(d) * np.array(size) / 2 - o) / d
    enter, leave = near.max(-1), far.min(-1)
    hit = enter < leave
    assert hit.sum() > 500
    assert (frame.ids == 7)[hit].mean() > 0.999 and not (frame.ids == 7)[~hit & (enter > leave + 1e-4)].any()
    seen = hit & (frame.ids == 7)
    assert np.abs(frame.depth_m[seen] - enter[seen]).max() < 1e-5
    axis = near.argmax(-1)[seen]
    normal = -np.sign(d[seen])[np.arange(seen.sum()), axis][:, None] * np.eye(3)[axis]
    expected = normal @ where[:3, :3].T @ CAMERA.camera_from_world[:3, :3].T
    assert np.abs(frame.normals[seen] - expected).max() < 1e-5


def test_a_sphere_is_exact_up_to_its_triangles() -> None:
    ball = trimesh.creation.icosphere(subdivisions=7)
    vertices, faces = np.array(ball.vertices), np.array(ball.faces, dtype=np.int32)
    corner = vertices[faces].astype(np.float32)
    mesh = Mesh("ball", vertices, faces, corner, vertices[:9], np.eye(3)[None], np.ones(1), 0.0)
    radius, where = 0.2, pose((0.1, 0.0, 0.25), 0.4)
    thing = ObjectInstance(16, "ball", "ball", (), where, radius, GREY)
    frame = Renderer(bare_world((floor(),), (thing,)), {"ball": mesh}.__getitem__).render(CAMERA, SEED, "geometry")
    origin, ways = rays(CAMERA)
    out = origin - where[:3, 3]
    a, b, c = (ways**2).sum(-1), ways @ out, out @ out - radius**2
    root = b**2 - a * c
    hit = root > 0
    assert ((frame.ids == 16) == hit).mean() > 0.9995
    depth = (-b - np.sqrt(np.where(hit, root, 0))) / a
    points = out + depth[..., None] * ways
    cosine = -(points * ways).sum(-1) / radius / np.sqrt(a)
    clear = hit & (frame.ids == 16) & (cosine > 0.3)
    assert clear.sum() > 500
    assert np.abs(frame.depth_m - depth)[clear].max() < 1e-5
    expected = points / radius @ CAMERA.camera_from_world[:3, :3].T
    assert np.abs(frame.normals - expected)[clear].max() < 1e-4
    assert np.median(np.abs(frame.normals - expected)[clear]) < 1e-5
    assert np.abs(frame.object_xyz[clear] - points[clear] @ where[:3, :3]).max() < 1e-5


def test_object_coordinates_project_back_to_their_pixels(shots) -> None:
    for world, cameras, frames in shots:
        for camera, frame in zip(cameras, frames, strict=True):
            for thing in world.objects:
                rows, columns = np.nonzero(frame.ids == thing.id)
                if not len(rows):
                    continue
                local = frame.object_xyz[rows, columns].astype(np.float64)
                assert np.linalg.norm(local, axis=1).max() < thing.radius_m * 1.0001
                to_camera = camera.camera_from_world @ thing.world_from_object
                points = local @ to_camera[:3, :3].T + to_camera[:3, 3]
                xy = points @ camera.K.T
                xy = xy[:, :2] / xy[:, 2:]
                assert np.abs(xy - np.stack([columns + 0.5, rows + 0.5], -1)).max() < 1e-3
                assert np.abs(points[:, 2] - frame.depth_m[rows, columns]).max() < 1e-5
            on_objects = frame.ids >= FIRST_OBJECT_ID
            assert np.isnan(frame.object_xyz).all(-1)[~on_objects].all()


def reprojected(a: Camera, b: Camera, frame_a: Frame, frame_b: Frame) -> tuple[np.ndarray, ...]:
    """For pixels of a seen by b: their indices, x and y in b, depth in b by pose, depth read in b."""
    origin, ways = rays(a)
    points = origin + frame_a.depth_m.astype(np.float64)[..., None] * ways
    in_b = points @ b.camera_from_world[:3, :3].T + b.camera_from_world[:3, 3]
    xy = in_b @ b.K.T
    x, y = xy[..., 0] / xy[..., 2] - 0.5, xy[..., 1] / xy[..., 2] - 0.5
    height, width = b.size
    inside = (in_b[..., 2] > 0) & (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1) & (frame_a.depth_m > 0)
    rows, columns = np.nonzero(inside)
    x, y, z = x[inside], y[inside], in_b[..., 2][inside]
    read = 1 / bilinear(1 / np.maximum(frame_b.depth_m.astype(np.float64), 1e-9), x, y)
    return rows, columns, x, y, z, read


def bilinear(values: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    v, u = y - i, x - j
    upper = values[i, j] * (1 - u) + values[i, j + 1] * u
    return upper * (1 - v) + (values[i + 1, j] * (1 - u) + values[i + 1, j + 1] * u) * v


def test_depth_pose_and_intrinsics_agree_between_views(shots) -> None:
    """A to B with inverse depth between pixels: exact on planes."""
    residuals = []
    for _, cameras, frames in shots:
        *_, z, read = reprojected(*cameras, *frames)
        off = np.abs(read / z - 1)
        residuals.append(off[off < 0.01])
    gathered = np.concatenate(residuals)
    assert len(gathered) > 20_000
    assert np.median(gathered) < 1e-6
    assert np.quantile(gathered, 0.9) < 2e-3


def test_normals_agree_with_depth_on_objects(shots) -> None:
    angles = []
    for _, cameras, frames in shots:
        for camera, frame in zip(cameras, frames, strict=True):
            depth = torch.from_numpy(frame.depth_m.astype(np.float64))[None]
            found, valid = normals_from_depth(depth, torch.from_numpy(camera.K), depth > 0)
            use = valid.numpy().reshape(frame.ids.shape) & (frame.ids >= FIRST_OBJECT_ID) & ~frame.edge
            cosine = (found.permute(1, 2, 0).numpy() * frame.normals).sum(-1)[use]
            angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    gathered = np.concatenate(angles)
    assert len(gathered) > 5000
    assert np.median(gathered) < 1.0
    assert np.quantile(gathered, 0.9) < 8.0


def test_no_normal_looks_away_from_the_viewer(shots) -> None:
    for _, cameras, frames in shots:
        for camera, frame in zip(cameras, frames, strict=True):
            _, ways = rays(camera)
            in_camera = ways @ camera.camera_from_world[:3, :3].T
            in_camera /= np.linalg.norm(in_camera, axis=-1, keepdims=True)
            seen = frame.ids > 0
            assert (frame.normals * in_camera).sum(-1)[seen].max() < 0.0
            assert np.allclose(np.linalg.norm(frame.normals[seen], axis=-1), 1, atol=1e-5)


def test_edges_hold_every_border_between_ids(shots) -> None:
    for _, _, frames in shots:
        for frame in frames:
            for axis in (0, 1):
                first, second = np.moveaxis(frame.ids, axis, 0)[:-1], np.moveaxis(frame.ids, axis, 0)[1:]
                marked = np.moveaxis(frame.edge, axis, 0)
                border = first != second
                assert marked[:-1][border].all() and marked[1:][border].all()
            assert 0.005 < frame.edge.mean() < 0.4


def test_the_same_surface_looks_alike_from_two_sides() -> None:
    """Matt materials, fixed light: intensity of A against B reprojected, co-visible and off the edges."""
    a_values, b_values = [], []
    for index in range(3):
        world, _, _ = scene(index, replace(Axes.named("base"), sensor=0))
        matt = [
            replace(t, material=replace(t.material, roughness=0.95, specular=0.0, metal=0.0)) for t in world.objects
        ]
        solids = tuple(
            replace(s, material=replace(s.material, roughness=0.95, specular=0.0)) for s in world.room.solids
        )
        world = replace(world, objects=tuple(matt), room=replace(world.room, solids=solids))
        renderer = Renderer(world)
        rng = numpy_generator("pairs", index)
        axes = Axes.named("base")
        a, b = (
            sample_camera(world, axes, rng, (160, 160), renderer=renderer, azimuth_deg=-90 + turn, elevation_deg=35)
            for turn in (0, 20)
        )
        frame_a, frame_b = renderer.render(a, rng), renderer.render(b, rng)
        rows, columns, x, y, z, read = reprojected(a, b, frame_a, frame_b)
        near = (np.abs(read / z - 1) < 0.005) & ~frame_a.edge[rows, columns]
        near &= ~frame_b.edge[np.rint(y).astype(int), np.rint(x).astype(int)]
        grey_a, grey_b = frame_a.rgb.mean(-1), frame_b.rgb.mean(-1)
        first, second = grey_a[rows, columns][near], bilinear(grey_b, x, y)[near]
        # Exposure follows the view, so each pair is compared at equal mean.
        a_values.append(first / first.mean())
        b_values.append(second / second.mean())
    assert sum(len(part) for part in a_values) > 5000
    assert np.corrcoef(np.concatenate(a_values), np.concatenate(b_values))[0, 1] > 0.95


def test_same_seed_same_bits_whatever_was_drawn_before() -> None:
    _, renderer, (first, second) = scene(5, Axes.named("hard"))
    _, again, _ = scene(5, Axes.named("hard"))
    a = renderer.render(first, numpy_generator("one"))
    renderer.render(second, numpy_generator("two"))
    b = again.render(second, numpy_generator("two"))
    c = again.render(first, numpy_generator("one"))
    for name in ("rgb", "depth_m", "normals", "ids", "edge"):
        assert np.array_equal(getattr(a, name), getattr(c, name))
    assert not np.array_equal(a.rgb, b.rgb)
    geometry = again.render(first, numpy_generator("other"), passes="geometry")
    for name in ("depth_m", "normals", "ids", "edge"):
        assert np.array_equal(getattr(a, name), getattr(geometry, name))


@pytest.mark.slow
def test_another_process_makes_the_same_bits() -> None:
    script = (
        "import hashlib\n"
        "from midvision.core.seeds import numpy_generator as g\n"
        "from midvision.synth.world import Axes, sample_world\n"
        "from midvision.synth.cameras import sample_camera\n"
        "from midvision.synth.render import Renderer\n"
        "axes, rng = Axes.named('hard'), g('process')\n"
        "world = sample_world(axes, rng, 'scene')\n"
        "renderer = Renderer(world)\n"
        "frame = renderer.render(sample_camera(world, axes, rng, (64, 64), renderer=renderer), rng)\n"
        "parts = b''.join(x.tobytes() for x in (frame.rgb, frame.depth_m, frame.normals, frame.ids))\n"
        "print(hashlib.sha256(parts).hexdigest())\n"
    )
    digests = {
        subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    }
    assert len(digests) == 1 and digests != {""}


def test_shadows_fall_where_the_lamp_is_hidden() -> None:
    """A box on the floor: floor pixels behind it are darker than with the lamp unblocked, others are not."""
    box = Solid(7, "support", (0.3, 0.3, 0.3), pose((0.0, 0.0, 0.15)), GREY)
    lamp = Light((1.0, 0.0, 1.5), 0.01, (2.0, 2.0, 2.0))
    dark = Ambient((0.02, 0.02, 0.02), (0.02, 0.02, 0.02))
    camera = look_at(np.array([0.0, -1.5, 1.6]), np.array([-0.1, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]), 55.0, (96, 96))
    frame = Renderer(bare_world((floor(), box), lights=(lamp,), ambient=dark)).render(camera, SEED)
    origin, ways = rays(camera)
    points = origin + frame.depth_m[..., None] * ways
    on_floor = (frame.ids == 1) & ~frame.edge & (np.abs(points[..., 1]) < 0.1)
    # The box's top edge x = -0.15, z = 0.3 throws its shadow to where the line from the lamp meets the floor.
    end = -0.15 - 0.3 * (1.0 + 0.15) / (1.5 - 0.3)
    shaded = on_floor & (points[..., 0] > end + 0.05) & (points[..., 0] < -0.2)
    lit = on_floor & (points[..., 0] < end - 0.1) & (points[..., 0] > end - 0.3)
    assert shaded.sum() > 10 and lit.sum() > 10
    assert frame.rgb[shaded].mean() < 0.5 * frame.rgb[lit].mean()


def test_anti_aliasing_fills_edges_with_values_between() -> None:
    white, black = (((v, v, v),) * 3 for v in (0.9, 0.05))
    board = Solid(7, "support", (0.8, 0.8, 0.02), pose((0.0, 0.0, 0.5), 0.3), replace(GREY, colours=white))
    ground = replace(floor(), material=replace(GREY, colours=black))
    frame = Renderer(bare_world((ground, board), lights=())).render(CAMERA, SEED)
    border = frame.edge & (frame.ids > 0)
    values = frame.rgb[border].mean(-1)
    low, high = (
        np.median(frame.rgb[(frame.ids == 1) & ~frame.edge]),
        np.median(frame.rgb[(frame.ids == 7) & ~frame.edge]),
    )
    between = (values > low + 0.15 * (high - low)) & (values < high - 0.15 * (high - low))
    assert between.mean() > 0.25


def test_the_sensor_adds_what_it_is_told() -> None:
    world = bare_world((floor(),))
    clean = Renderer(world).render(CAMERA, numpy_generator("sensor")).rgb.astype(float)

    def taken(**changes: float) -> np.ndarray:
        changed = replace(world, sensor=Sensor(**changes))
        return Renderer(changed).render(CAMERA, numpy_generator("sensor")).rgb.astype(float)

    assert 1 < (taken(noise=0.03) - clean).std() < 30
    dark = taken(vignette=0.5) - clean
    assert dark[-1, -1].mean() < -5 and abs(dark[48, 64]).max() < 3
    assert taken(exposure_stops=1.0).mean() > clean.mean() + 10 > taken(exposure_stops=-1.0).mean()
    assert 0 < np.abs(taken(jpeg=60) - clean).mean() < 6
    assert np.abs(np.diff(taken(blur_px=1.5), axis=1)).mean() <= np.abs(np.diff(clean, axis=1)).mean()

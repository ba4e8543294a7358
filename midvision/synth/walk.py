"""First-person clips: a head that drifts, turns to objects, wobbles and walks, with exact pose and flow.

The numbers are starting values for a sitting or standing toddler (spec 8.2), not measured statistics.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial.transform import Rotation

from midvision.core.errors import DataError
from midvision.synth.cameras import Camera, look_at
from midvision.synth.render import Frame, Renderer
from midvision.synth.suite import generator
from midvision.synth.world import Axes, World, sample_world

if TYPE_CHECKING:
    from numpy.random import Generator

FRAMES_PER_S = 15.0
LEAST_DISTANCE_M = 0.10
PEAK_TURN_DEG_S = 200.0
TRIES = 12


@dataclass(frozen=True, slots=True)
class HeadPath:
    """Camera over time: `eye_m [T, 3]` in the world, `yaw`, `pitch`, `roll` in radians `[T]`.

    Yaw turns about world z from +x; pitch is positive upwards.
    """

    eye_m: np.ndarray
    yaw: np.ndarray
    pitch: np.ndarray
    roll: np.ndarray

    def forward(self) -> np.ndarray:
        """Unit viewing directions `[T, 3]`."""
        return np.stack(
            [np.cos(self.pitch) * np.cos(self.yaw), np.cos(self.pitch) * np.sin(self.yaw), np.sin(self.pitch)], -1
        )


@dataclass(frozen=True, slots=True)
class Clip:
    """Frames at 15 per second with their cameras; `worlds[t]` holds the object poses of frame t.

    `held` is the id of the object in hand, 0 where the world is static.
    """

    frames: tuple[Frame, ...]
    cameras: tuple[Camera, ...]
    worlds: tuple[World, ...]
    held: int


def clip(
    axes: Axes,
    size: tuple[int, int],
    frames: int,
    *purpose: str | int,
    families: tuple[str, ...] | None = None,
    blur_renders: int = 1,
) -> Clip:
    """A clip drawn from the stream of `purpose`. `blur_renders` > 1 averages that many RGB renders per frame.

    Paths that come closer than 10 cm to a surface are drawn again; raises `DataError` if all do.
    """
    for attempt in range(TRIES):
        rng = generator(*purpose, "clip", attempt)
        world = sample_world(axes, rng, kind="scene", families=families, n_objects=None)
        steps = frames * blur_renders
        path = head_path(world, rng, steps, FRAMES_PER_S * blur_renders)
        fov_deg = float(rng.uniform(70, 90))
        cameras = path_cameras(path, fov_deg, size)
        held, worlds = _hand(world, path, rng, steps)
        if held or _far_enough(world, cameras[:: 4 * blur_renders]):
            made = _render(worlds, cameras, blur_renders, purpose)
            if all(_nearest_m(frame) >= LEAST_DISTANCE_M for frame in made):
                return Clip(tuple(made), tuple(cameras[::blur_renders]), tuple(worlds[::blur_renders]), held)
    raise DataError(f"No clip of {purpose} keeps 10 cm from every surface in {TRIES} tries.")


def head_path(world: World, rng: Generator, steps: int, rate_hz: float) -> HeadPath:
    """Drift, gaze shifts, wobble, step bounce and roll; see the module's numbers."""
    eye = _start(world, rng) + _drift(rng, steps, rate_hz)
    if rng.random() < 0.3:
        height, pace_hz = rng.uniform(0.01, 0.02), rng.uniform(1.5, 2.5)
        eye[:, 2] += height * np.abs(np.sin(np.pi * pace_hz * np.arange(steps) / rate_hz))
    yaw, pitch = _gaze(world, eye, rng, steps, rate_hz)
    wobble = np.radians(rng.uniform(0.5, 1.0))
    yaw = yaw + wobble * _band_noise(rng, steps, rate_hz, 2, 8)
    pitch = pitch + wobble * _band_noise(rng, steps, rate_hz, 2, 8)
    roll = np.radians(4) * _band_noise(rng, steps, rate_hz, 0.05, 0.5)
    return HeadPath(eye, yaw, np.clip(pitch, -1.4, 1.4), roll)


def path_cameras(path: HeadPath, fov_deg: float, size: tuple[int, int]) -> list[Camera]:
    """One pinhole camera per step; roll turns the up vector about the viewing direction."""
    cameras = []
    for eye, forward, roll in zip(path.eye_m, path.forward(), path.roll, strict=True):
        up = Rotation.from_rotvec(forward * roll).apply([0.0, 0.0, 1.0])
        cameras.append(look_at(eye, eye + forward, up, fov_deg, size))
    return cameras


def flow_to_next(
    depth_m: np.ndarray,
    K: np.ndarray,
    camera_from_world: np.ndarray,
    next_from_world: np.ndarray,
    next_K: np.ndarray | None = None,
    moved: Sequence[tuple[np.ndarray, np.ndarray]] = (),
) -> np.ndarray:
    """Where each pixel's surface point goes in the next frame: `[H, W, 2]` (x, y) pixels, NaN without depth.

    `moved` lists (mask `[H, W]`, next world pose from world pose `[4, 4]`) of objects that moved.
    Points that leave the view or get hidden have a flow too.
    """
    height, width = depth_m.shape
    x, y = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    pixels = np.stack([x, y, np.ones_like(x)], -1)
    points = pixels @ np.linalg.inv(K).T * depth_m[..., None].astype(np.float64)
    world = _apply(np.linalg.inv(camera_from_world), points)
    for mask, step in moved:
        world[mask] = _apply(step, world[mask])
    seen = _apply(next_from_world, world) @ (K if next_K is None else next_K).T
    with np.errstate(divide="ignore", invalid="ignore"):
        flow = seen[..., :2] / seen[..., 2:] - pixels[..., :2]
    flow[(depth_m <= 0) | (seen[..., 2] <= 0)] = np.nan
    return np.asarray(flow)


def clip_flow(made: Clip, index: int) -> np.ndarray:
    """Flow of a clip from frame `index` to the next, the object in hand included."""
    moved = []
    if made.held:
        before, after = (_pose_of(made.worlds[i], made.held) for i in (index, index + 1))
        moved.append((made.frames[index].ids == made.held, after @ np.linalg.inv(before)))
    a, b = made.cameras[index], made.cameras[index + 1]
    return flow_to_next(made.frames[index].depth_m, a.K, a.camera_from_world, b.camera_from_world, b.K, moved)


def minimum_jerk(share: np.ndarray) -> np.ndarray:
    """Position of a minimum-jerk move at a share of its duration, both 0 to 1; peak speed is 1.875."""
    s = np.clip(share, 0, 1)
    return np.asarray(s**3 * (10 - 15 * s + 6 * s**2))


def _start(world: World, rng: Generator) -> np.ndarray:
    """Eye 0.2 to 0.8 m from an object, 0.5 to 0.9 m above the floor or 0.2 m above what the object stands on."""
    objects = [thing.world_from_object[:3, 3] for thing in world.objects]
    target = objects[int(rng.integers(len(objects)))]
    height = max(rng.uniform(0.5, 0.9), target[2] + 0.2)
    out = rng.uniform(0.3, 0.8)
    angle = rng.uniform(-np.pi, np.pi)
    return np.array([target[0] + out * np.cos(angle), target[1] + out * np.sin(angle), height])


def _drift(rng: Generator, steps: int, rate_hz: float) -> np.ndarray:
    """Body drift: Ornstein-Uhlenbeck velocity, 0.15 m/s, 1.2 s, a third of that vertically."""
    keep = np.exp(-1 / (1.2 * rate_hz))
    velocity = rng.normal(0, 0.15, 3)
    offset, offsets = np.zeros(3), []
    for _ in range(steps):
        offsets.append(offset)
        offset = offset + velocity * np.array([1, 1, 0.33]) / rate_hz
        velocity = keep * velocity + np.sqrt(1 - keep**2) * rng.normal(0, 0.15, 3)
    return np.array(offsets)


def _gaze(world: World, eye: np.ndarray, rng: Generator, steps: int, rate_hz: float) -> tuple[np.ndarray, np.ndarray]:
    """Yaw and pitch: fixations on objects, 0.8 to 3 s long, and minimum-jerk turns between them."""
    targets = np.array([thing.world_from_object[:3, 3] for thing in world.objects])
    current = int(np.argmin(np.linalg.norm(targets - eye[0], axis=1)))
    yaw, pitch = _angles(targets[current] - eye)
    step = 0
    while True:
        dwell_s = np.clip(rng.exponential(1 / 0.6), 0.8, 3.0)
        step += max(1, int(dwell_s * rate_hz))
        if step >= steps or len(targets) < 2:
            return yaw, pitch
        wish = min(np.degrees(np.exp(rng.normal(np.log(np.radians(15)), 0.6))), 60.0)
        now = np.array([yaw[step], pitch[step]])
        aims = np.array([_angles((target - eye)[step : step + 1]) for target in targets])[..., 0]
        turns = np.degrees(np.hypot(_wrap(aims[:, 0] - now[0]) * np.cos(now[1]), aims[:, 1] - now[1]))
        turns[current] = np.inf
        current = int(np.argmin(np.abs(turns - wish)))
        if turns[current] > 60:
            return yaw, pitch
        seconds = max(0.2, 1.875 * turns[current] / PEAK_TURN_DEG_S)
        share = minimum_jerk((np.arange(steps) - step) / (seconds * rate_hz))
        aim_yaw, aim_pitch = _angles(targets[current] - eye)
        yaw, pitch = yaw + share * _wrap(aim_yaw - yaw), pitch + share * (aim_pitch - pitch)


def _angles(direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    yaw = np.unwrap(np.arctan2(direction[:, 1], direction[:, 0]))
    return yaw, np.arctan2(direction[:, 2], np.linalg.norm(direction[:, :2], axis=1))


def _wrap(angle: np.ndarray) -> np.ndarray:
    return (angle + np.pi) % (2 * np.pi) - np.pi


def _band_noise(rng: Generator, steps: int, rate_hz: float, low_hz: float, high_hz: float) -> np.ndarray:
    """Eight sines in a band, unit standard deviation."""
    hertz = rng.uniform(low_hz, min(high_hz, rate_hz / 2), 8)
    phase = rng.uniform(0, 2 * np.pi, 8)
    return np.asarray(np.sin(2 * np.pi * hertz * np.arange(steps)[:, None] / rate_hz + phase).sum(1) / 2)


def _hand(world: World, path: HeadPath, rng: Generator, steps: int) -> tuple[int, list[World]]:
    """In a fifth of the clips one object floats before the eye and turns; its id and the world of every step."""
    thing = world.objects[int(rng.integers(len(world.objects)))]
    in_hand, reach = rng.random() < 0.2, rng.uniform(0.3, 0.5) + thing.radius_m
    axis, turn_rad_s = rng.normal(size=3), np.radians(rng.uniform(20, 60))
    sway = np.stack([_band_noise(rng, steps, 60.0, 0.2, 0.8) for _ in range(3)], -1) * 0.015
    if not in_hand:
        return 0, [world] * steps
    axis /= np.linalg.norm(axis)
    forward = path.forward()
    worlds = []
    for step in range(steps):
        pose = np.eye(4)
        spin = Rotation.from_rotvec(axis * turn_rad_s * step / FRAMES_PER_S).as_matrix()
        pose[:3, :3] = spin @ thing.world_from_object[:3, :3]
        pose[:3, 3] = path.eye_m[step] + reach * forward[step] + [0, 0, -0.06] + sway[step]
        moved = replace(thing, world_from_object=pose)
        others = tuple(moved if other.id == thing.id else other for other in world.objects)
        worlds.append(replace(world, objects=others))
    return thing.id, worlds


def _far_enough(world: World, cameras: Sequence[Camera]) -> bool:
    """A cheap look at small frames, before the costly ones."""
    renderer = Renderer(world)
    for camera in cameras:
        scale = 32 / camera.size[0]
        K = np.diag([scale, scale, 1.0]) @ camera.K
        small = replace(camera, K=K, size=(32, round(camera.size[1] * scale)))
        if _nearest_m(renderer.render(small, generator("clip", "look"), passes="geometry")) < LEAST_DISTANCE_M:
            return False
    return True


def _render(
    worlds: Sequence[World], cameras: Sequence[Camera], blur_renders: int, purpose: tuple[str | int, ...]
) -> list[Frame]:
    """Every `blur_renders`-th step with truth; the steps up to the next one only add to its RGB."""
    renderer = Renderer(worlds[0])
    static = all(world is worlds[0] for world in worlds)
    made: list[Frame] = []
    for start in range(0, len(cameras), blur_renders):
        light = []
        for step in range(start, start + blur_renders):
            current = renderer if static else Renderer(worlds[step])
            frame = current.render(cameras[step], generator(*purpose, "sensor", step), passes="all")
            light.append((frame.rgb / 255.0) ** 2.2)
            if step == start:
                first = frame
        mean = np.mean(light, axis=0) ** (1 / 2.2)
        made.append(first if blur_renders == 1 else replace(first, rgb=np.rint(mean * 255).astype(np.uint8)))
    return made


def _nearest_m(frame: Frame) -> float:
    return float(np.min(frame.depth_m[frame.depth_m > 0], initial=np.inf))


def _pose_of(world: World, identity: int) -> np.ndarray:
    return next(thing.world_from_object for thing in world.objects if thing.id == identity)


def _apply(transform: np.ndarray, points: np.ndarray) -> np.ndarray:
    return np.asarray(points @ transform[:3, :3].T + transform[:3, 3])

"""One group of the suite from its number: a scene's views, an object's views, a triplet family, a clip.

Every draw has its own purpose (part, split, number, what for, attempt), so no stream is shared and
a group does not depend on which others are made, nor where.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from midvision.core.progress import Progress
from midvision.synth import bank, pairs
from midvision.synth.cameras import Camera, look_at, sample_camera
from midvision.synth.render import Frame, Renderer
from midvision.synth.shapes import families_at
from midvision.synth.store import FrameInfo, ObjectInfo, PairInfo, SceneInfo, array_digest, encode_frame, encode_rgb
from midvision.synth.suite import OBJECT_BINS, SCENE_BINS, PartName, SplitName, Suite, generator, group_name
from midvision.synth.variations import Shot, apply_variant, plan_family
from midvision.synth.walk import clip
from midvision.synth.world import FIRST_OBJECT_ID, SCENE_TYPES, Axes, ObjectInstance, World, sample_world

Made = tuple[SceneInfo, list[dict[str, bytes]]]

ATTEMPTS = 6
LOOK_PX = 64
MIN_FOREGROUND, MAX_FOREGROUND = 0.05, 0.60
LEAST_VALID = 0.98
LEAST_SUBJECT = 0.08
LEAST_LOOK_SHARE = 0.10


@dataclass(frozen=True, slots=True)
class Taken:
    """A rendered view with what it was taken of."""

    world: World
    camera: Camera
    frame: Frame


def prepare(suite: Suite, progress: Progress) -> None:
    """Build the mesh bank and compile the kernels, once for all workers."""
    bank.mesh_bank(progress=progress)


def make_group(suite: Suite, part: PartName, split: SplitName, index: int) -> Made:
    """Group `index` of a part: what is known of it, and its pictures in frame order."""
    makers = {"scene": _scene, "salient": _salient, "object": _object, "triplet": _triplets, "clip": _clip}
    return makers[part](suite, split, index)


def families_of(axes: Axes, split: SplitName, index: int) -> tuple[str, ...]:
    """Families that group `index` may use; with held-out shapes the even test groups are all held out."""
    if axes.shape == 3:
        return bank.HELD_OUT_FAMILIES if split != "train" and index % 2 == 0 else bank.SEEN_FAMILIES
    return families_at(axes.shape)


def _scene(suite: Suite, split: SplitName, index: int) -> Made:
    """Views of one static scene, chosen so that their pairs fill the angle bins."""
    views = suite.part("scene", split).views
    families = families_of(suite.axes, split, index)
    kind = SCENE_TYPES[index % len(SCENE_TYPES)]
    world = sample_world(suite.axes, generator("scene", split, index, "world"), "scene", families, scene_type=kind)
    renderer = Renderer(world)
    cameras = _scene_cameras(suite, world, renderer, split, index, views)
    taken = [
        Taken(world, camera, renderer.render(camera, generator("scene", split, index, "sensor", view)))
        for view, camera in enumerate(cameras)
    ]
    sights = [sight_of(shot, None) for shot in taken]
    found = [pairs.scene_pair(a, b, sights[a], sights[b]) for a, b in _couples(views)]
    return _bundle(suite, "scene", split, index, taken, [0] * views, [pair for pair in found if pair])


def _scene_cameras(
    suite: Suite, world: World, renderer: Renderer, split: SplitName, index: int, views: int
) -> list[Camera]:
    """Candidates all around, looked at in small, and the subset whose pairs fill the bins best."""
    rng = generator("scene", split, index, "cameras")
    if split == "train" and views < 4:
        return [sample_camera(world, suite.axes, rng, suite.preset.size, renderer=renderer) for _ in range(views)]
    candidates = [sample_camera(world, suite.axes, rng, suite.preset.size, renderer=renderer) for _ in range(3 * views)]
    looks = [
        sight_of(Taken(world, camera, renderer.render(camera, rng, passes="geometry")), None)
        for camera in (shrunk(camera, LOOK_PX) for camera in candidates)
    ]
    found = [pairs.scene_pair(a, b, looks[a], looks[b]) for a, b in _couples(len(looks))]
    return [candidates[i] for i in pairs.choose_views(_bins(found, len(looks)), views)]


def _salient(suite: Suite, split: SplitName, index: int) -> Made:
    """Views of one to four objects before clutter; drawn again until the foreground is 5 to 60 %."""
    views = suite.part("salient", split).views
    families = families_of(suite.axes, split, index)
    for attempt in range(ATTEMPTS):
        world = sample_world(suite.axes, generator("salient", split, index, "world", attempt), "salient", families)
        rng = generator("salient", split, index, "cameras", attempt)
        renderer = Renderer(world)
        cameras = [sample_camera(world, suite.axes, rng, suite.preset.size, renderer=renderer) for _ in range(views)]
        looks = [renderer.render(shrunk(camera, LOOK_PX), rng, passes="geometry") for camera in cameras]
        if all(MIN_FOREGROUND + 0.01 < foreground_of(look) < MAX_FOREGROUND - 0.01 for look in looks):
            break
    taken = [
        Taken(world, camera, renderer.render(camera, generator("salient", split, index, "sensor", view)))
        for view, camera in enumerate(cameras)
    ]
    return _bundle(suite, "salient", split, index, taken, [0] * views, [])


def _object(suite: Suite, split: SplitName, index: int) -> Made:
    """One object in a new room, light and pose for every view, turned so that pairs fill the rotation bins."""
    views = suite.part("object", split).views
    families = families_of(suite.axes, split, index // 2 if suite.axes.shape == 3 else index)
    family = families[(index // 2 if suite.axes.shape == 3 else index) % len(families)]
    subject = _subject(suite, split, index, family)
    poses = _object_poses(suite, subject, split, index, views)
    taken = [_object_view(suite, subject, pose, split, index, view) for view, pose in enumerate(poses)]
    sights = [sight_of(shot, subject.id) for shot in taken]
    found = [pairs.object_pair(a, b, sights[a], sights[b], subject.radius_m) for a, b in _couples(views)]
    return _bundle(suite, "object", split, index, taken, [subject.id] * views, [pair for pair in found if pair])


@dataclass(frozen=True, slots=True)
class ObjectPose:
    """How the subject is seen: at rest as `rest [3, 3]`, from azimuth and elevation (degrees) in that frame."""

    rest: np.ndarray
    azimuth_deg: float
    elevation_deg: float


def _subject(suite: Suite, split: SplitName, index: int, family: str) -> ObjectInstance:
    """The object itself; without texture only asymmetric meshes will do."""
    for attempt in range(ATTEMPTS):
        world = sample_world(suite.axes, generator("object", split, index, "subject", attempt), "object", (family,))
        subject = world.objects[0]
        if suite.axes.texture > 0 or not bank.get_mesh(subject.mesh_key).symmetric:
            break
    return subject


def _object_poses(suite: Suite, subject: ObjectInstance, split: SplitName, index: int, views: int) -> list[ObjectPose]:
    """Candidate poses, looked at without a room, and the subset whose pairs fill the bins best."""
    rng = generator("object", split, index, "poses")
    reach = {0: 10.0, 1: 90.0}.get(suite.axes.viewpoint, 180.0)
    rests = [subject.world_from_object[:3, :3]]
    other = sample_world(
        suite.axes, generator("object", split, index, "rest"), "object", (subject.family,), subject=subject
    )
    rests.append(other.objects[0].world_from_object[:3, :3])
    count = 2 * views if views > 8 else 3 * views
    poses = [
        ObjectPose(rests[int(rng.random() < 0.25)], float(rng.uniform(-reach, reach)), float(rng.uniform(12, 50)))
        for _ in range(count)
    ]
    if split == "train" and views < 4:
        return poses[:views]
    room = replace(other.room, solids=())
    alone = replace(subject, world_from_object=np.eye(4))
    renderer = Renderer(replace(other, room=room, objects=(alone,)))
    looks = []
    for pose in poses:
        camera = _camera_on_object(pose, subject.radius_m)
        looks.append(sight_of(Taken(renderer.world, camera, renderer.render(camera, rng, "geometry")), subject.id))
    found = [pairs.object_pair(a, b, looks[a], looks[b], subject.radius_m) for a, b in _couples(count)]
    fair = [pair if pair and pair.shared >= LEAST_LOOK_SHARE else None for pair in found]
    return [poses[i] for i in pairs.choose_views(_bins(fair, count), views)]


def _camera_on_object(pose: ObjectPose, radius_m: float) -> Camera:
    """A small camera about an object that lies still at the origin of its own frame."""
    azimuth, elevation = np.radians([pose.azimuth_deg, pose.elevation_deg])
    level = np.cos(elevation)
    out = np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])
    eye = pose.rest.T @ out * 5 * radius_m
    up = pose.rest.T @ np.array([0.0, 0.0, 1.0])
    return look_at(eye, np.zeros(3), up, 26.0, (LOOK_PX, LOOK_PX))


def _object_view(
    suite: Suite, subject: ObjectInstance, pose: ObjectPose, split: SplitName, index: int, view: int
) -> Taken:
    """A new room; the camera stands where the room allows it, the subject is turned to match the pose."""
    reach = {0: 10.0, 1: 90.0}.get(suite.axes.viewpoint, 180.0)
    best: Taken | None = None
    for attempt in range(ATTEMPTS):
        purpose = ("object", split, index, "view", view, attempt)
        rng = generator(*purpose, "cameras")
        stand_deg = float(rng.uniform(-reach, reach))
        turn = np.radians(stand_deg - pose.azimuth_deg)
        spin = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
        world = sample_world(
            suite.axes,
            generator(*purpose, "world"),
            "object",
            (subject.family,),
            subject=subject,
            subject_rotation=spin @ pose.rest,
        )
        renderer = Renderer(world)
        camera = sample_camera(
            world,
            suite.axes,
            rng,
            suite.preset.size,
            renderer=renderer,
            azimuth_deg=stand_deg,
            elevation_deg=pose.elevation_deg,
        )
        look = renderer.render(shrunk(camera, LOOK_PX), rng, passes="geometry")
        if float((look.ids == subject.id).mean()) >= LEAST_SUBJECT + 0.01 or attempt == ATTEMPTS - 1:
            best = Taken(world, camera, renderer.render(camera, generator(*purpose, "sensor")))
            break
    assert best is not None
    return best


def _triplets(suite: Suite, split: SplitName, index: int) -> Made:
    """Eight pictures of one small world, each a known edit of the first; only their colours are stored."""
    purpose = ("triplet", split, index)
    families = families_of(suite.axes, split, index)
    world = sample_world(suite.axes, generator(*purpose, "world"), "salient", families, n_objects=range(2, 5))
    camera = sample_camera(world, suite.axes, generator(*purpose, "cameras"), suite.preset.size)
    variants, triplets = plan_family(index)
    taken = []
    for variant in variants:
        shot = apply_variant(Shot(world, camera), variant, *purpose)
        frame = Renderer(shot.world).render(shot.camera, generator(*purpose, "sensor", variant.view))
        taken.append(Taken(shot.world, shot.camera, frame))
    scene, planes = _bundle(suite, "triplet", split, index, taken, [0] * len(taken), [], only_rgb=True)
    frames = [replace(frame, tags=dict(variant.amounts)) for frame, variant in zip(scene.frames, variants, strict=True)]
    return replace(scene, frames=frames, triplets=triplets), planes


def _clip(suite: Suite, split: SplitName, index: int) -> Made:
    families = families_of(suite.axes, split, index)
    views = suite.part("clip", split).views
    blur = 3 if suite.axes.sensor >= 2 else 1
    made = clip(suite.axes, suite.preset.size, views, "clip", split, index, families=families, blur_renders=blur)
    taken = [Taken(*parts) for parts in zip(made.worlds, made.cameras, made.frames, strict=True)]
    return _bundle(suite, "clip", split, index, taken, [made.held] * views, [])


def sight_of(shot: Taken, only_object: int | None) -> pairs.Sight:
    """Geometry of a view in the world's frame, or of one object in its own."""
    frame, pose = shot.frame, shot.camera.camera_from_world
    depth = frame.depth_m
    if only_object is not None:
        depth = np.where(frame.ids == only_object, depth, 0)
        pose = pose @ next(thing.world_from_object for thing in shot.world.objects if thing.id == only_object)
    return pairs.Sight(depth, frame.normals, frame.ids >= FIRST_OBJECT_ID, shot.camera.K, pose)


def shrunk(camera: Camera, height: int) -> Camera:
    """The same view with fewer pixels."""
    width = round(camera.size[1] * height / camera.size[0])
    scale = np.diag([width / camera.size[1], height / camera.size[0], 1.0])
    return replace(camera, K=scale @ camera.K, size=(height, width))


def foreground_of(frame: Frame) -> float:
    """Share of pixels on objects."""
    return float((frame.ids >= FIRST_OBJECT_ID).mean())


def _couples(count: int) -> list[tuple[int, int]]:
    return [(a, b) for a in range(count) for b in range(a + 1, count)]


def _bins(found: Sequence[PairInfo | None], count: int) -> np.ndarray:
    bins = np.full((count, count), -1)
    for (a, b), pair in zip(_couples(count), found, strict=True):
        if pair:
            bins[a, b] = bins[b, a] = pair.bin
    return bins


def _bundle(
    suite: Suite,
    part: PartName,
    split: SplitName,
    index: int,
    taken: Sequence[Taken],
    focus: Sequence[int],
    found: Sequence[PairInfo],
    only_rgb: bool = False,
) -> Made:
    """Manifest entry and encoded pictures of a group's views."""
    name = group_name(part, index)
    frames, planes = [], []
    for view, (shot, centre) in enumerate(zip(taken, focus, strict=True)):
        frame = shot.frame
        frames.append(_frame_info(f"{name}-{view:02d}", view, shot, centre))
        planes.append(
            {"rgb": encode_rgb(frame.rgb)}
            if only_rgb
            else encode_frame(frame.rgb, frame.depth_m, frame.normals, frame.ids, frame.edge)
        )
    scene = SceneInfo(part, split, index, name, taken[0].world.scene_type, frames, list(found))
    return scene, planes


def _frame_info(key: str, view: int, shot: Taken, focus: int) -> FrameInfo:
    frame = shot.frame
    objects = [
        ObjectInfo(
            id=thing.id,
            family=thing.family,
            texture=thing.material.texture,
            radius_m=thing.radius_m,
            world_from_object=thing.world_from_object.tolist(),
            pixels=int((frame.ids == thing.id).sum()),
        )
        for thing in shot.world.objects
    ]
    return FrameInfo(
        key=key,
        view=view,
        K=shot.camera.K.tolist(),
        camera_from_world=shot.camera.camera_from_world.tolist(),
        objects=objects,
        foreground=foreground_of(frame),
        valid=float((frame.depth_m > 0).mean()),
        focus=focus,
        rgb_digest=array_digest(frame.rgb),
        truth_digest=array_digest(frame.depth_m, frame.normals, frame.ids, frame.edge),
    )


BIN_COUNTS = {"scene": len(SCENE_BINS) - 1, "object": len(OBJECT_BINS) - 1}

"""One group of the suite from its number: a scene's views, an object's views, a triplet family, a clip.

Every draw has its own purpose (part, split, number, what for, attempt), so no stream is shared and
a group does not depend on which others are made, nor where.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from midvision.core.progress import Progress
from midvision.synth import bank, pairs
from midvision.synth.camera_checks import view_fault
from midvision.synth.cameras import Camera, look_at, sample_camera
from midvision.synth.render import Renderer
from midvision.synth.shapes import families_at
from midvision.synth.suite import PartName, SplitName, Suite, generator
from midvision.synth.taken import (
    Made,
    Taken,
    bundle,
    couples,
    direction_deg,
    foreground_of,
    pair_bins,
    shrunk,
    sight_of,
)
from midvision.synth.variations import Shot, apply_variant, plan_family
from midvision.synth.walk import clip
from midvision.synth.world import FIRST_OBJECT_ID, SCENE_TYPES, Axes, ObjectInstance, World, rounded_pose, sample_world

ATTEMPTS = 6
LOOK_PX = 64
LEAST_FOREGROUND, MOST_FOREGROUND = 0.05, 0.60
LEAST_SUBJECT = 0.08
LEAST_LOOK_SHARE = 0.10
LEAST_TRIPLET = 0.12
TRIPLET_PLACES = ("floor", "table", "stack")
# Rooms are built to be looked into from -y.
FRONT_DEG = -90.0
# Textures that look the same however a symmetric solid is turned.
UNIFORM_TEXTURES = ("plain", "brushed", "speckle")


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


def family_of(axes: Axes, split: SplitName, index: int) -> str:
    """The family of object `index`: all in turn, so that every split has each of them."""
    families = families_of(axes, split, index)
    alternates = axes.shape == 3 and split != "train"
    return families[(index // 2 if alternates else index) % len(families)]


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
    found = [pairs.scene_pair(a, b, sights[a], sights[b]) for a, b in couples(views)]
    return bundle("scene", split, index, taken, [0] * views, [pair for pair in found if pair])


def _scene_cameras(
    suite: Suite, world: World, renderer: Renderer, split: SplitName, index: int, views: int
) -> list[Camera]:
    """Candidates all around, looked at in small, and the subset whose pairs fill the bins best."""
    rng = generator("scene", split, index, "cameras")
    if split == "train" and views < 4:
        return [sample_camera(world, suite.axes, rng, suite.preset.size, renderer=renderer) for _ in range(views)]
    candidates: list[Camera] = []
    for number in range(5 * views):
        # Two free draws seldom lie within 15 degrees of each other; every third stays near the last.
        near = candidates[-1] if number % 3 == 2 else None
        candidates.append(_candidate(suite, world, renderer, rng, near))
    looks = [
        sight_of(Taken(world, camera, renderer.render(camera, rng, passes="geometry")), None)
        for camera in (shrunk(camera, LOOK_PX) for camera in candidates)
    ]
    found = [pairs.scene_pair(a, b, looks[a], looks[b]) for a, b in couples(len(looks))]
    return [candidates[i] for i in pairs.choose_views(pair_bins(found, len(looks)), views)]


def _candidate(suite: Suite, world: World, renderer: Renderer, rng: np.random.Generator, near: Camera | None) -> Camera:
    """A camera of its own or a few degrees from `near`; half of them step closer where the view allows it.

    Pairs need enough of their common surface on objects, which few views of a wide scene offer.
    """
    step, closer = rng.uniform((-7, -3), (7, 3)), rng.uniform(0.55, 1.4)
    azimuth, elevation = direction_deg(near, world) if near else (None, None)
    camera = sample_camera(
        world,
        suite.axes,
        rng,
        suite.preset.size,
        renderer=renderer,
        azimuth_deg=None if azimuth is None else azimuth + float(step[0]),
        elevation_deg=None if elevation is None else elevation + float(step[1]),
    )
    pose = camera.camera_from_world.copy()
    pose[2, 3] -= max(0.0, 1.0 - closer) * float(np.linalg.norm(camera.centre - np.array(world.focus)))
    moved = replace(camera, camera_from_world=rounded_pose(pose))
    look = renderer.render(shrunk(moved, LOOK_PX), rng, passes="geometry")
    crowded = foreground_of(look) > MOST_FOREGROUND - 0.03
    return camera if crowded or view_fault(moved, renderer.scene, world, "scene") > 0 else moved


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
        if all(LEAST_FOREGROUND + 0.01 < foreground_of(look) < MOST_FOREGROUND - 0.01 for look in looks):
            break
    taken = [
        Taken(world, camera, renderer.render(camera, generator("salient", split, index, "sensor", view)))
        for view, camera in enumerate(cameras)
    ]
    return bundle("salient", split, index, taken, [0] * views, [])


def _object(suite: Suite, split: SplitName, index: int) -> Made:
    """One object in a new room, light and pose for every view, turned so that pairs fill the rotation bins."""
    views = suite.part("object", split).views
    family = family_of(suite.axes, split, index)
    subject = _subject(suite, split, index, family)
    poses = _object_poses(suite, subject, split, index, views)
    taken = [_object_view(suite, subject, pose, split, index, view) for view, pose in enumerate(poses)]
    sights = [sight_of(shot, subject.id) for shot in taken]
    found = [pairs.object_pair(a, b, sights[a], sights[b], subject.radius_m) for a, b in couples(views)]
    return bundle("object", split, index, taken, [subject.id] * views, [pair for pair in found if pair])


@dataclass(frozen=True, slots=True)
class ObjectPose:
    """How the subject is seen: at rest as `rest [3, 3]`, from azimuth and elevation (degrees) in that frame."""

    rest: np.ndarray
    azimuth_deg: float
    elevation_deg: float


def _subject(suite: Suite, split: SplitName, index: int, family: str) -> ObjectInstance:
    """The object itself; where neither shape nor texture tells its sides apart, another one is drawn."""
    for attempt in range(4 * ATTEMPTS):
        world = sample_world(suite.axes, generator("object", split, index, "subject", attempt), "object", (family,))
        subject = world.objects[0]
        uniform = subject.material.texture in UNIFORM_TEXTURES
        if not (uniform and bank.get_mesh(subject.mesh_key).symmetric):
            break
    return subject


def _object_poses(suite: Suite, subject: ObjectInstance, split: SplitName, index: int, views: int) -> list[ObjectPose]:
    """Candidate poses, looked at without a room, and the subset whose pairs fill the bins best."""
    rng = generator("object", split, index, "poses")
    reach = reach_deg(suite.axes)
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
    found = [pairs.object_pair(a, b, looks[a], looks[b], subject.radius_m) for a, b in couples(count)]
    fair = [pair if pair and pair.shared >= LEAST_LOOK_SHARE else None for pair in found]
    return [poses[i] for i in pairs.choose_views(pair_bins(fair, count), views)]


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
    best: tuple[float, World, Camera] | None = None
    for attempt in range(ATTEMPTS):
        purpose = ("object", split, index, "view", view, attempt)
        world, camera = _object_room(suite, subject, pose, index + view + attempt, *purpose)
        look = Renderer(world).render(shrunk(camera, LOOK_PX), generator(*purpose, "look"), passes="geometry")
        share = float((look.ids == subject.id).mean())
        if best is None or share > best[0]:
            best = share, world, camera
        if share >= LEAST_SUBJECT + 0.01:
            break
    assert best is not None
    _, world, camera = best
    frame = Renderer(world).render(camera, generator("object", split, index, "view", view, "sensor"))
    return Taken(world, camera, frame)


def _object_room(
    suite: Suite, subject: ObjectInstance, pose: ObjectPose, turn: int, *purpose: str | int
) -> tuple[World, Camera]:
    """Room types go round with `turn`; from high above one cannot look into a shelf."""
    rng = generator(*purpose, "cameras")
    types = [name for name in SCENE_TYPES if name != "shelf" or pose.elevation_deg < 25]
    scene_type = types[turn % len(types)]
    reach = min(reach_deg(suite.axes), 60.0 if scene_type == "shelf" else 180.0)
    stand_deg = FRONT_DEG + float(rng.uniform(-reach, reach))
    angle = np.radians(stand_deg - pose.azimuth_deg)
    spin = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    world = sample_world(
        suite.axes,
        generator(*purpose, "world"),
        "object",
        (subject.family,),
        scene_type=scene_type,
        subject=subject,
        subject_rotation=spin @ pose.rest,
    )
    camera = sample_camera(
        world, suite.axes, rng, suite.preset.size, azimuth_deg=stand_deg, elevation_deg=pose.elevation_deg
    )
    return world, camera


def reach_deg(axes: Axes) -> float:
    """How far views may lie to either side of the front, by the viewpoint axis."""
    return {0: 10.0, 1: 90.0}.get(axes.viewpoint, 180.0)


def _triplets(suite: Suite, split: SplitName, index: int) -> Made:
    """Eight pictures of one small world, each a known edit of the first; only their colours are stored."""
    purpose = ("triplet", split, index)
    families = families_of(suite.axes, split, index)
    # Level 1 keeps the objects in the middle, with room for the edits that move things.
    level = replace(suite.axes, viewpoint=min(suite.axes.viewpoint, 1))
    for attempt in range(ATTEMPTS):
        rng = generator(*purpose, "world", attempt)
        place = TRIPLET_PLACES[index % len(TRIPLET_PLACES)]
        world = sample_world(suite.axes, rng, "salient", families, range(3, 5), scene_type=place)
        renderer = Renderer(world)
        camera = sample_camera(world, level, rng, suite.preset.size, renderer=renderer)
        look = renderer.render(shrunk(camera, LOOK_PX), rng, passes="geometry")
        if foreground_of(look) >= LEAST_TRIPLET and len(np.unique(look.ids[look.ids >= FIRST_OBJECT_ID])) >= 3:
            break
    variants, triplets = plan_family(index)
    taken = []
    for variant in variants:
        shot = apply_variant(Shot(world, camera), variant, *purpose)
        frame = Renderer(shot.world).render(shot.camera, generator(*purpose, "sensor", variant.view))
        taken.append(Taken(shot.world, shot.camera, frame))
    scene, planes = bundle("triplet", split, index, taken, [0] * len(taken), [], only_rgb=True)
    frames = [replace(frame, tags=dict(variant.amounts)) for frame, variant in zip(scene.frames, variants, strict=True)]
    return replace(scene, frames=frames, triplets=triplets), planes


def _clip(suite: Suite, split: SplitName, index: int) -> Made:
    families = families_of(suite.axes, split, index)
    views = suite.part("clip", split).views
    blur = 3 if suite.axes.sensor >= 2 else 1
    made = clip(suite.axes, suite.preset.size, views, "clip", split, index, families=families, blur_renders=blur)
    taken = [Taken(*parts) for parts in zip(made.worlds, made.cameras, made.frames, strict=True)]
    return bundle("clip", split, index, taken, [made.held] * views, [])

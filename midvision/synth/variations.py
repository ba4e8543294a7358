"""Graded edits of a world, and the triplets whose answer follows from them ("parametric 2AFC").

A factor's amount is in calibrated steps: one step changes a fixed picture descriptor equally for all
factors on average (`calibrate.py` made the table). An edit draws its direction from its own stream,
so amounts 1 and 3 of one factor lie on one line.

Two answer definitions, never mixed in one score. *dominance* and *subset*: both candidates differ from
the reference by as many steps in every factor but the named one, along one line each, and one goes
farther in that (or does not change it at all); the smaller change is the answer, and no factor is weighed
against another. *nuisance*: one candidate keeps the queried factor and changes a nuisance, the other the
reverse; the first is the answer for that query.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from midvision.synth import bank
from midvision.synth.cameras import Camera
from midvision.synth.store import TripletInfo
from midvision.synth.suite import generator
from midvision.synth.world_parts import Material, ObjectInstance, World, rounded_pose

CONTENT = ("shape", "pose", "layout", "material", "colour")
NUISANCES = ("lighting", "viewpoint", "background")
FACTORS = (*CONTENT, "lighting")
RATIOS = (1.5, 2.0, 3.0, 4.0)
NUISANCE_STEPS = 3.0

# Raw amount per calibrated step; units are those of each edit below. Made by `calibrate.py` on 200 worlds.
STEPS: dict[str, float] = {
    "shape": 0.068,
    "pose": 0.148,
    "layout": 0.015,
    "material": 0.431,
    "colour": 0.24,
    "lighting": 0.196,
    "viewpoint": 0.026,
    "background": 0.058,
}


@dataclass(frozen=True, slots=True)
class Shot:
    """A world and the camera that looks at it."""

    world: World
    camera: Camera


@dataclass(frozen=True, slots=True)
class Variant:
    """One picture of a triplet family: which factors are changed, in calibrated steps."""

    view: int
    amounts: tuple[tuple[str, float], ...]


def edit(shot: Shot, factor: str, steps: float, *purpose: str | int) -> Shot:
    """`shot` with one factor moved by calibrated steps along the direction that `purpose` draws."""
    return edit_raw(shot, factor, steps * STEPS[factor], *purpose)


def edit_raw(shot: Shot, factor: str, amount: float, *purpose: str | int) -> Shot:
    """The same with the amount in the factor's own unit; 0 gives the shot back."""
    return shot if amount == 0 else _EDITS[factor](shot, amount, generator(*purpose, "direction", factor))


def apply_variant(shot: Shot, variant: Variant, *purpose: str | int) -> Shot:
    for factor, steps in variant.amounts:
        shot = edit(shot, factor, steps, *purpose)
    return shot


def plan_family(index: int) -> tuple[list[Variant], list[TripletInfo]]:
    """The eight pictures of triplet family `index` and the triplets made of them.

    Two factors, one nuisance and two ratios go round with the index; the side of the answer alternates.
    Besides the factor, candidates of dominance and subset triplets move the nuisance by equal steps to
    opposite sides. Without it, or to the same side, the distance of plain pixels orders them all.
    """
    first = FACTORS[index % 6]
    second = FACTORS[(index + 1 + (index // 6) % 5) % 6]
    free = [name for name in NUISANCES if name not in (first, second)]
    nuisance = free[(index + index // 6) % len(free)]
    k_first, k_second = RATIOS[index % 4], RATIOS[(index + 2) % 4]
    aside, opposite = (nuisance, NUISANCE_STEPS), (nuisance, -NUISANCE_STEPS)
    variants = [
        Variant(0, ()),
        Variant(1, ((first, 1.0), aside)),
        Variant(2, ((first, k_first), opposite)),
        Variant(3, ((second, 1.0), aside)),
        Variant(4, ((second, k_second), opposite)),
        Variant(5, (opposite,)),
        Variant(6, ((first, k_first),)),
        Variant(7, ((second, k_second),)),
    ]
    # (reference, answer, other, kind, factor, k)
    listed: list[tuple[int, int, int, str, str, float]] = []
    for factor, near, far, alone, k in ((first, 1, 2, 6, k_first), (second, 3, 4, 7, k_second)):
        listed += [
            (0, near, far, "dominance", factor, k),
            (0, 5, near, "subset", factor, 1.0),
            (alone, far, near, "subset", factor, k - 1),
        ]
        # The square of (factor, nuisance) on or off, seen from each of its corners.
        for corner, aside_only, factor_only in ((0, 5, alone), (far, alone, 5), (5, 0, far), (alone, far, 0)):
            listed.append((corner, aside_only, factor_only, "nuisance", factor, k))
    triplets = []
    for number, (reference, answer, other, kind, factor, k) in enumerate(listed):
        right = (number + index) % 2 == 0
        left_view, right_view = (other, answer) if right else (answer, other)
        triplets.append(TripletInfo(reference, left_view, right_view, float(right), kind, factor, nuisance, k))
    return variants, triplets


def _shape(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """Every shape code moves by `amount` in the root mean square, inside [0, 1]; objects stay on their support."""
    changed = []
    for thing in shot.world.objects:
        code = np.array(thing.shape_code)
        # Towards the farther end, so that no direction runs into a border before the others.
        direction = np.where(code < 0.5, 1.0, -1.0) * rng.uniform(0.5, 1.0, len(code))
        direction /= np.sqrt(np.mean(direction**2))
        moved = tuple(float(value) for value in np.clip(code + amount * direction, 0, 1).round(6))
        key = bank.mesh_key(thing.family, moved)
        changed.append(_rested(replace(thing, mesh_key=key, shape_code=moved), thing))
    return _with_objects(shot, changed)


def _pose(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """Every object turns by `amount` radians about its own axis, some upright and some tilted."""
    changed = []
    for thing in shot.world.objects:
        axis = rng.normal(size=3)
        axis /= np.linalg.norm(axis)
        pose = thing.world_from_object.copy()
        pose[:3, :3] = Rotation.from_rotvec(axis * amount).as_matrix() @ pose[:3, :3]
        changed.append(_rested(replace(thing, world_from_object=pose), thing))
    return _with_objects(shot, changed)


def _layout(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """Every object moves `amount` metres along the support: away from the others, or across if alone."""
    objects = shot.world.objects
    middle = np.mean([thing.world_from_object[:2, 3] for thing in objects], axis=0)
    changed = []
    for thing in objects:
        out = thing.world_from_object[:2, 3] - middle
        turn = rng.uniform(-0.8, 0.8)
        free = rng.uniform(-np.pi, np.pi)
        angle = np.arctan2(out[1], out[0]) + turn if np.linalg.norm(out) > 0.01 else free
        pose = thing.world_from_object.copy()
        pose[:2, 3] += amount * np.array([np.cos(angle), np.sin(angle)])
        changed.append(replace(thing, world_from_object=rounded_pose(pose)))
    return _with_objects(shot, changed)


def _material(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """Texture grain by a factor e^amount and gloss by its square, up or down for each object."""
    changed = []
    for thing in shot.world.objects:
        sign, gloss = rng.choice([-1.0, 1.0]), rng.choice([-1.0, 1.0])
        old = thing.material
        new = replace(
            _regrained(old, float(np.exp(sign * amount))),
            roughness=float(np.clip(old.roughness * np.exp(2 * gloss * amount), 0.08, 0.98)),
            specular=float(np.clip(old.specular * np.exp(-2 * gloss * amount), 0.01, 1.0)),
        )
        changed.append(replace(thing, material=new))
    return _with_objects(shot, changed)


def _colour(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """Each object's colours go a share `amount` of the way to another hue."""
    changed = [replace(thing, material=_tinted(thing.material, amount, rng)) for thing in shot.world.objects]
    return _with_objects(shot, changed)


def _lighting(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """Lamps walk about the focus by `amount` radians and get warmer or cooler; ambient light with them."""
    world = shot.world
    side, warmth = rng.choice([-1.0, 1.0]), rng.choice([-1.0, 1.0])
    tint = np.exp(warmth * amount * np.array([0.35, 0.0, -0.35]))
    focus = np.array(world.focus)
    spin = Rotation.from_rotvec([0, 0, side * amount]).as_matrix()
    half = np.array(world.room.size_m) / 2
    lamps = []
    for lamp in world.lights:
        place = focus + spin @ (np.array(lamp.position) - focus)
        place[:2] = np.clip(place[:2], -half[:2] + 0.2, half[:2] - 0.2)
        lamps.append(replace(lamp, position=_vector(place), power=_vector(np.array(lamp.power) * tint)))
    ambient = replace(
        world.ambient,
        sky=_vector(np.array(world.ambient.sky) * tint),
        ground=_vector(np.array(world.ambient.ground) * tint),
    )
    return replace(shot, world=replace(world, lights=tuple(lamps), ambient=ambient))


def _viewpoint(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """The camera walks about the focus by `amount` radians, and half as much up or down."""
    camera, focus = shot.camera, np.array(shot.world.focus)
    side, lift = rng.choice([-1.0, 1.0]), rng.choice([-0.5, 0.5])
    out = camera.centre - focus
    elevation = np.arctan2(out[2], np.hypot(out[0], out[1]))
    across = np.array([out[1], -out[0], 0.0]) / max(np.hypot(out[0], out[1]), 1e-9)
    rise = np.clip(elevation + lift * amount, 0.1, 1.3) - elevation if 0.1 < elevation < 1.3 else 0.0
    walk = Rotation.from_rotvec([0.0, 0.0, side * amount]) * Rotation.from_rotvec(across * rise)
    moved = np.eye(4)
    moved[:3, :3] = walk.as_matrix()
    moved[:3, 3] = focus - moved[:3, :3] @ focus
    return replace(shot, camera=replace(camera, camera_from_world=camera.camera_from_world @ np.linalg.inv(moved)))


def _background(shot: Shot, amount: float, rng: np.random.Generator) -> Shot:
    """Colours and grain of every structure surface go a share `amount` of the way to others."""
    solids = []
    for solid in shot.world.room.solids:
        tinted = _tinted(solid.material, amount, rng)
        grain = float(np.exp(rng.choice([-1.0, 1.0]) * amount))
        solids.append(replace(solid, material=_regrained(tinted, grain)))
    room = replace(shot.world.room, solids=tuple(solids))
    return replace(shot, world=replace(shot.world, room=room))


def _tinted(material: Material, share: float, rng: np.random.Generator) -> Material:
    """Each colour mixed with one of another hue, darker where it was light and lighter where it was dark.

    A negative share goes the other way.
    """
    turn, jitter = int(rng.integers(1, 3)), float(np.exp(rng.normal(0, 0.2)))
    kept = 1 - min(share, 1.0)
    mixed = []
    for colour in material.colours:
        old = np.array(colour)
        vivid = np.clip(old + 0.8 * (old - old.mean()) + rng.uniform(-0.08, 0.08, 3), 0.02, 0.95)
        gain = jitter * (0.45 if old.mean() > 0.25 else 2.0)
        new = np.clip(np.roll(vivid, turn) * gain, 0.02, 0.95)
        mixed.append(_vector(np.clip(kept * old + (1 - kept) * new, 0.02, 0.95)))
    return replace(material, colours=(mixed[0], mixed[1], mixed[2]))


def _regrained(material: Material, factor: float) -> Material:
    """The pattern `factor` times finer about the origin of its frame, so that small factors change little."""
    x, y, z = material.offset
    return replace(material, scale=material.scale * factor, offset=(x / factor, y / factor, z / factor))


def _rested(thing: ObjectInstance, before: ObjectInstance) -> ObjectInstance:
    """`thing` raised or lowered so that its lowest point is where that of `before` was."""
    pose = thing.world_from_object.copy()
    pose[2, 3] += lowest_m(before) - lowest_m(thing)
    return replace(thing, world_from_object=rounded_pose(pose))


def lowest_m(thing: ObjectInstance) -> float:
    """World height of the object's lowest vertex."""
    vertices = bank.get_mesh(thing.mesh_key).vertices * thing.radius_m
    return float((vertices @ thing.world_from_object[2, :3]).min() + thing.world_from_object[2, 3])


def _with_objects(shot: Shot, objects: list[ObjectInstance]) -> Shot:
    return replace(shot, world=replace(shot.world, objects=tuple(objects)))


def _vector(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


_EDITS: dict[str, Callable[[Shot, float, np.random.Generator], Shot]] = {
    "shape": _shape,
    "pose": _pose,
    "layout": _layout,
    "material": _material,
    "colour": _colour,
    "lighting": _lighting,
    "viewpoint": _viewpoint,
    "background": _background,
}

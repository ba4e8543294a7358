"""Draw a world from a seed: room, support, objects at rest, materials and light.

The parts and their units are in `world_parts`; they are offered here under one name.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from midvision.synth.world_parts import (
    FIRST_OBJECT_ID,
    RGB,
    SCENE_TYPES,
    STRUCTURE_IDS,
    Ambient,
    Axes,
    Light,
    Material,
    ObjectInstance,
    Panel,
    Room,
    Sensor,
    Solid,
    Support,
    Vector,
    World,
    WorldKind,
    child,
    rounded_pose,
)

__all__ = [
    "FIRST_OBJECT_ID",
    "RGB",
    "SCENE_TYPES",
    "STRUCTURE_IDS",
    "Ambient",
    "Axes",
    "Light",
    "Material",
    "ObjectInstance",
    "Panel",
    "Room",
    "Sensor",
    "Solid",
    "Support",
    "Vector",
    "World",
    "WorldKind",
    "rounded_pose",
    "sample_world",
]


def sample_world(
    axes: Axes,
    rng: np.random.Generator,
    kind: WorldKind = "scene",
    families: tuple[str, ...] | None = None,
    n_objects: range | None = None,
    *,
    scene_type: str | None = None,
    subject: ObjectInstance | None = None,
    subject_rotation: np.ndarray | None = None,
) -> World:
    """A world of the given kind; equal arguments and generator states give equal worlds.

    `scene`: several objects on a support. `salient`: one to four objects before cluttered patterns.
    `object`: one object, the subject (id 16), which may be given: it keeps its shape, material and
    radius and comes to rest here, in one of its stable poses or, where `subject_rotation [3, 3]`
    (world from object) is given, in exactly that orientation. `families` and `n_objects` replace what
    the shape and clutter axes would choose; `scene_type` is one of `SCENE_TYPES`.
    """
    # Imported here: they bring numba along, and listing data sets needs only the types above.
    from midvision.synth.world_lights import light_room, sample_sensor
    from midvision.synth.world_objects import furnish
    from midvision.synth.world_rooms import sample_room

    setting = sample_room(axes, child(rng, "room"), scene_type)
    things = child(rng, "objects")
    objects = furnish(setting, axes, things, kind, families, n_objects, subject, subject_rotation)
    lights, panels, ambient = light_room(setting, axes, child(rng, "light"))
    world = World(
        kind=kind,
        scene_type=setting.scene_type,
        room=setting.room,
        supports=setting.supports,
        objects=objects,
        lights=lights,
        panels=panels,
        ambient=ambient,
        sensor=sample_sensor(axes, child(rng, "sensor")),
        focus=setting.focus,
        subject_id=FIRST_OBJECT_ID if kind == "object" else 0,
    )
    return replace(world, focus=_middle_of(world))


def _middle_of(world: World) -> Vector:
    """Mean of the object centres, where cameras look."""
    if not world.objects:
        return world.focus
    x, y, z = np.mean([thing.world_from_object[:3, 3] for thing in world.objects], axis=0).tolist()
    return (x, y, z)

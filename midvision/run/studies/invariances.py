"""What may change while a point, an object or a likeness stays: light, viewpoint, background, texture.

Nothing is trained. Matching and likeness are scored with each of the four at its plainest and at its hardest level,
all else at base. `synth-triplets` says for every factor how often an encoder keeps to it while a nuisance changes
(`invariance.FACTOR`), pairs give recall by viewpoint change; an object's two views stand in different rooms.
"""

from __future__ import annotations

from midvision.run.study import Study

# The background of a view is what else stands in it: the axis of clutter.
AXES = {"lighting": "lighting", "viewpoint": "viewpoint", "background": "clutter", "texture": "texture"}

STUDY = Study(
    name="invariances",
    title="Lighting, viewpoint, background, texture",
    question="Which changes of a scene leave an encoder's answer as it was?",
    models=("dino_vitb16", "mae_vitb16", "ibot_vitb16", "mocov3_vitb16", "deit_vitb16"),
    tasks=("synth-object-pairs", "synth-scene-pairs", "synth-triplets"),
    difficulty="base",
    axes=({}, *({axis: level} for axis in AXES.values() for level in (0, 3))),
)

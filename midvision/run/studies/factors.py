"""One difficulty axis of the built-in suite at a time, from plain to hardest, all others at their base level."""

from __future__ import annotations

from midvision.core.specs import ProbeSpec
from midvision.run.study import BUILT_IN_TASKS, Study

AXES = ("texture", "colour", "viewpoint", "lighting", "shape", "clutter", "sensor")
BASE_LEVEL = 2

STUDY = Study(
    name="factors",
    title="One difficulty at a time",
    question="Which property of a scene costs which encoder most?",
    models=("dino_vitb16", "mae_vitb16", "ibot_vitb16", "mocov3_vitb16", "deit_vitb16"),
    tasks=BUILT_IN_TASKS,
    difficulty="base",
    probes=(ProbeSpec(name="ridge"),),
    axes=({}, *({axis: level} for axis in AXES for level in (0, 1, 2, 3) if level != BASE_LEVEL)),
)

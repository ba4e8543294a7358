"""Every readable layer by itself: where in a network do the best features sit?

Triplets and labels read the pooled vector after the last layer, so they have no curve over layers.
"""

from __future__ import annotations

from midvision.core.specs import ProbeSpec
from midvision.run.study import MAP_SETTINGS, MAP_TASKS, Study

STUDY = Study(
    name="layers",
    title="Every layer of a network",
    question="Where in a network do the best features for each task sit?",
    models=("dino_vitb16", "mae_vitb16", "ibot_vitb16", "mocov3_vitb16", "deit_vitb16"),
    tasks=MAP_TASKS,
    benchmarks=MAP_SETTINGS,
    probes=(ProbeSpec(name="ridge"),),
    layers="every",
)

"""The same probes from five random starts: how much of a difference between encoders is luck?"""

from __future__ import annotations

from midvision.core.specs import ProbeSpec
from midvision.run.study import DENSE_SETTINGS, DENSE_TASKS, Study

STUDY = Study(
    name="seeds",
    title="Five seeds of a trained probe",
    question="How much of a difference between encoders is the luck of a probe's start?",
    models=("dino_vitb16", "mae_vitb16", "ibot_vitb16", "mocov3_vitb16", "deit_vitb16"),
    tasks=DENSE_TASKS,
    benchmarks=DENSE_SETTINGS,
    probes=(ProbeSpec(name="linear"),),
    seeds=(0, 1, 2, 3, 4),
)

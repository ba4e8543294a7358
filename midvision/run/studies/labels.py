"""Probes fitted on more and more training images: whose features need few?

Smaller training sets are subsets of larger ones. Sizes that a data set does not have fall away, so the last
point is all of its images.
"""

from __future__ import annotations

from midvision.core.specs import ProbeSpec
from midvision.run.study import DENSE_SETTINGS, DENSE_TASKS, Study

STUDY = Study(
    name="labels",
    title="How many labelled images a probe needs",
    question="Whose features reach their best with few training images?",
    models=("dino_vitb16", "mae_vitb16", "ibot_vitb16", "mocov3_vitb16", "deit_vitb16"),
    tasks=DENSE_TASKS,
    benchmarks=DENSE_SETTINGS,
    probes=(ProbeSpec(name="ridge"),),
    train_images=(8, 16, 32, 64, 125, 250, 500, 1000, 2000, 4000, 8000, None),
)

"""A first look without any download: what controls and untrained networks reach on the built-in suite."""

from __future__ import annotations

from midvision.core.specs import ProbeSpec
from midvision.run.study import BUILT_IN_TASKS, NINE_SETTINGS, Study

STUDY = Study(
    name="quick",
    title="A quick look on built-in data",
    question="What do an encoder, the floors and the ceiling reach on every task?",
    models=(
        "control/oracle",
        "control/descriptor",
        "control/pixels",
        "control/noise",
        "random/resnet50",
        "random/vit_small_patch16_224",
    ),
    tasks=BUILT_IN_TASKS,
    benchmarks=NINE_SETTINGS,
    probes=(ProbeSpec(name="ridge"),),
)

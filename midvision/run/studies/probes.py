"""The same frozen features under probes of growing capacity: does the ranking depend on the probe?"""

from __future__ import annotations

from midvision.core.specs import ProbeSpec
from midvision.run.study import DENSE_SETTINGS, DENSE_TASKS, Study

STUDY = Study(
    name="probes",
    title="Probes of growing capacity",
    question="Does the ranking survive another probe, and who gains from more capacity?",
    models=("dino_vitb16", "mae_vitb16", "ibot_vitb16", "mocov3_vitb16", "deit_vitb16"),
    tasks=DENSE_TASKS,
    benchmarks=DENSE_SETTINGS,
    probes=(
        ProbeSpec(name="ridge"),
        ProbeSpec(name="linear"),
        ProbeSpec(name="multiscale", hidden=128),
        ProbeSpec(name="multiscale", hidden=512),
        ProbeSpec(name="dpt", hidden=128),
        ProbeSpec(name="dpt", hidden=512),
    ),
)

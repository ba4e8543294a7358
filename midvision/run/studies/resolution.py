"""Equal token grids across networks of different patch size and stride."""

from __future__ import annotations

from midvision.core.specs import ProbeSpec
from midvision.run.study import MAP_SETTINGS, MAP_TASKS, Study

STUDY = Study(
    name="resolution",
    title="Equal token grids",
    question="Does the ranking survive when every network gets the same number of cells, and more of them?",
    models=("dino_resnet50", "dino_vitb16", "dino_vits8", "dinov2_vitb14", "supervised_resnet50", "deit_vitb16"),
    tasks=MAP_TASKS,
    benchmarks=MAP_SETTINGS,
    probes=(ProbeSpec(name="ridge"),),
    token_grids=(7, 14, 28),
)

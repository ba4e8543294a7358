"""The paper's comparison: its 22 models and two supervised yardsticks, on its nine settings or their built-in twins."""

from __future__ import annotations

from midvision.run.study import BUILT_IN_TASKS, NINE_SETTINGS, Study

SELF_SUPERVISED = (
    "jigsaw_resnet50",
    "rotnet_resnet50",
    "npid_resnet50",
    "npid_pp_resnet50",
    "pirl_resnet50",
    "clusterfit_resnet50",
    "simclr_resnet50",
    "mocov2_resnet50",
    "byol_resnet50",
    "simsiam_resnet50",
    "barlowtwins_resnet50",
    "swav_resnet50",
    "selav2_resnet50",
    "deepclusterv2_resnet50",
    "densecl_resnet50",
    "dino_resnet50",
    "mocov3_resnet50",
    "dino_vitb16",
    "mocov3_vitb16",
    "ibot_vitb16",
    "mae_vitb16",
    "maskfeat_vitb16",
)
YARDSTICKS = ("supervised_resnet50", "deit_vitb16")

STUDY = Study(
    name="paper22",
    title="22 self-supervised encoders and two supervised ones",
    question="Is the mid-level ranking another ranking than the high-level one, and which objective gives what?",
    models=(*SELF_SUPERVISED, *YARDSTICKS),
    tasks=BUILT_IN_TASKS,
    benchmarks=NINE_SETTINGS,
    data="auto",
)

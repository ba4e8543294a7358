"""Studies in which every claim of the paper is planted true, false, or beyond telling."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from study_tables import SSL, SUPERVISED, study

from midvision.analysis.findings import CONTRASTIVE, MARGIN, PRETEXT
from midvision.results.high_level import HighScore
from midvision.results.query import Results

SEG, NORMALS, PAIRS = "synth-seg", "synth-normals", "synth-object-pairs"
TASKS = (SEG, NORMALS, PAIRS)
Quality = dict[str, dict[str, float]]
IDS = (
    "segmentation-order",
    "ibot-dino-lead",
    "masked-weak-frozen",
    "dino-correspondence",
    "pretext-geometry",
    "densecl-spatial",
    "share-mid",
    "share-high",
    "smaller-gap-mid",
    "weak-link",
)


def spread(index: int) -> float:
    """Values of 22 models between -1 and 1, in an order without a trend."""
    return float(((index * 7) % 22) / 10.5 - 1)


def all_true() -> tuple[Quality, dict[str, float]]:
    """Supervised 0.8; others near 0.70, so about 87 per cent; high level near 70 per cent and without relation."""
    high = {model: 52 + 2 * spread(index) for index, model in enumerate(SSL)} | dict.fromkeys(SUPERVISED, 75.0)
    quality: Quality = {}
    for task in TASKS:
        found = {model: 0.70 + 0.01 * spread(5 * index + 3) for index, model in enumerate(SSL)}
        found |= {"ibot_vitb16": 0.86, "dino_vitb16": 0.80, "mocov3_vitb16": 0.74, "mae_vitb16": 0.56}
        found |= {"maskfeat_vitb16": 0.56, "densecl_resnet50": 0.76, "mocov2_resnet50": 0.68, **_supervised()}
        quality[task] = found
    quality[PAIRS]["dino_vitb16"] = 0.92
    quality[SEG] |= {"jigsaw_resnet50": 0.60, "rotnet_resnet50": 0.60}
    return quality, high


def all_false() -> tuple[Quality, dict[str, float]]:
    """The other way round; the mid level follows the high level closely and lags further behind supervision."""
    high = {model: 66 + 4 * spread(index) for index, model in enumerate(SSL)} | dict.fromkeys(SUPERVISED, 75.0)
    quality: Quality = {}
    for task in TASKS:
        found = {model: 0.45 + 0.12 * spread(index) for index, model in enumerate(SSL)}
        found |= {"mae_vitb16": 0.52, "maskfeat_vitb16": 0.50, "mocov3_vitb16": 0.44, "dino_vitb16": 0.40}
        found |= {"ibot_vitb16": 0.36, "simclr_resnet50": 0.66, "densecl_resnet50": 0.40, "mocov2_resnet50": 0.50}
        found |= {"jigsaw_resnet50": 0.30, "rotnet_resnet50": 0.30, **_supervised()}
        quality[task] = found
    for model in ("mae", "maskfeat", "mocov3", "dino", "ibot"):
        high[f"{model}_vitb16"] = _follow(quality[SEG][f"{model}_vitb16"])
    for model in ("simclr", "densecl", "mocov2", "jigsaw", "rotnet"):
        high[f"{model}_resnet50"] = _follow(quality[SEG][f"{model}_resnet50"])
    return quality, high


def all_open() -> tuple[Quality, dict[str, float]]:
    """Nothing can be told: the models of each claim are equal, and shares lie across the ends of every range."""
    high = {model: 60 + 18 * spread(index) for index, model in enumerate(SSL)} | dict.fromkeys(SUPERVISED, 75.0)
    equal = [*(model for model in SSL if model.endswith("vitb16")), "dino_resnet50", "densecl_resnet50"]
    equal += ["mocov2_resnet50", "swav_resnet50"]
    quality: Quality = {}
    for place, task in enumerate(TASKS):
        found = {m: 0.61 + 0.09 * spread(n) + 0.05 * spread(9 * n + place) for n, m in enumerate(SSL)}
        found |= dict.fromkeys(equal, max(found.values())) | _supervised()
        others = [found[model] for model in CONTRASTIVE]
        found |= dict.fromkeys(PRETEXT, (1 - MARGIN) * float(np.mean(others)))
        quality[task] = found
    return quality, high


def _follow(quality: float) -> float:
    return 66 + 4 * (quality - 0.45) / 0.12


def _supervised() -> dict[str, float]:
    return dict.fromkeys(SUPERVISED, 0.8)


def made(folder: Path, plan: Callable[[], tuple[Quality, dict[str, float]]], **settings: float) -> tuple[Results, list]:
    """Stored results and own high-level scores of a plan."""
    quality, high = plan()
    settings = {"scenes": 24, "each": 2, "noise": 0.012, **settings}
    results = study(folder, quality, **settings)  # type: ignore[arg-type]
    return results, [HighScore(model, "planted", value, "made up", "own") for model, value in high.items()]


def correlation_with(high: Mapping[str, float], quality: Mapping[str, float]) -> float:
    models = [model for model in SSL if model in quality]
    return float(np.corrcoef([high[m] for m in models], [quality[m] for m in models])[0, 1])

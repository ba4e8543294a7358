"""A made-up study: the 22 models, their yardsticks and controls, on nine settings and image labels; seeded.

Everything the study report shows is there: intervals, floors, samples, cost, bins by viewpoint, layers, shares of
the training set, difficulty. Qualities are invented and mean nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import fabricated
import numpy as np

from midvision.core.scores import Metric, Scores
from midvision.results.record import ResultRecord, write, write_failure
from midvision.tasks.task import all_tasks
from midvision.zoo.card import FromLibrary, Source, all_cards, known
from midvision.zoo.fetch import published_sha256

MODELS: Mapping[str, float] = {
    "jigsaw_resnet50": 0.41,
    "rotnet_resnet50": 0.43,
    "npid_resnet50": 0.46,
    "npid_pp_resnet50": 0.48,
    "pirl_resnet50": 0.52,
    "clusterfit_resnet50": 0.5,
    "simclr_resnet50": 0.55,
    "mocov2_resnet50": 0.58,
    "byol_resnet50": 0.6,
    "simsiam_resnet50": 0.57,
    "barlowtwins_resnet50": 0.59,
    "swav_resnet50": 0.61,
    "selav2_resnet50": 0.6,
    "deepclusterv2_resnet50": 0.62,
    "densecl_resnet50": 0.66,
    "dino_resnet50": 0.65,
    "mocov3_resnet50": 0.64,
    "dino_vitb16": 0.78,
    "mocov3_vitb16": 0.7,
    "ibot_vitb16": 0.8,
    "mae_vitb16": 0.62,
    "maskfeat_vitb16": 0.68,
    "supervised_resnet50": 0.67,
    "deit_vitb16": 0.72,
}
CONTROLS: Mapping[str, float] = {
    "control/oracle": 0.98,
    "random/resnet50": 0.3,
    "random/vit_base_patch16_224": 0.28,
    "control/noise": 0.02,
}
SETTINGS: Mapping[str, str] = {
    "voc07-seg": "segmentation",
    "voc12-seg": "segmentation",
    "nyu-depth": "depth",
    "navi-depth": "object-depth",
    "nyu-normals": "normals",
    "navi-normals": "normals",
    "navi-pairs": "object-pairs",
    "scannet-pairs": "scene-pairs",
    "nights": "triplets",
}
HIGH: Mapping[str, str] = {"synth-labels": "labels"}
KINDS = {"object-depth": "depth", "labels": ""}
ITEMS, SCENES = 48, 12
FITTED = ("segmentation", "depth", "object-depth", "normals", "labels")


def fabricate_study(
    folder: Path,
    models: Mapping[str, float] = MODELS,
    tasks: Iterable[str] = (*SETTINGS, *HIGH),
    *,
    controls: Mapping[str, float] = CONTROLS,
    samples: bool = True,
    curves: bool = True,
    hostile: bool = False,
) -> Path:
    """Write the records; returns the folder. `hostile` adds models whose names try to break a page."""
    known = {**models, **controls, **(dict.fromkeys(fabricated.HOSTILE, 0.5) if hostile else {})}
    names = tuple(tasks)
    for model, quality in known.items():
        for task in names:
            put(folder, model, task, quality, samples=samples)
    if curves:
        for model in list(models)[-3:]:
            for block in (2, 5, 8, 11):
                put(folder, model, names[0], models[model] - 0.02 * abs(block - 8), run={"layers": [block]})
    write_failure(folder, fabricated.failure("convnextv2_atto_fcmae", names[0]))
    return folder


def put(
    folder: Path,
    model: str,
    task: str,
    quality: float,
    *,
    samples: bool = False,
    run: Mapping[str, Any] | None = None,
) -> ResultRecord:
    """One record; `run` replaces fields of its run specification."""
    content = {**SETTINGS, **HIGH, **fabricated.TASKS}[task]
    metrics = all_tasks()[task].metrics
    wish = dict(run or {})
    rng = np.random.default_rng(fabricated.hash_of(model + task + repr(sorted(wish.items()))))
    own = float(np.clip(quality + rng.normal(0, 0.03), 0.01, 0.99))
    scores = Scores(
        tuple(f"{content}/test/scene-{item % SCENES:02d}/{item}" for item in range(ITEMS)),
        tuple(f"scene-{item % SCENES:02d}" for item in range(ITEMS)),
        columns(content, metrics, own, rng),
        shots(content, round(quality, 1)) if samples and KINDS.get(content, content) else {},
    )
    made = fabricated.record(model, task, scores, metrics, content, "corrected", False, 0)
    return write(folder, _dressed(made, model, task, content, wish, scores, metrics), scores)


def _dressed(
    made: ResultRecord,
    model: str,
    task: str,
    content: str,
    wish: Mapping[str, Any],
    scores: Scores,
    metrics: tuple[Metric, ...],
) -> ResultRecord:
    """The record with its set's name, cost, and the probe that this content has."""
    transformer = "vit" in model
    cost = {
        "size": [224, 224],
        "parameters": 85_800_000 if transformer else 23_500_000,
        "gflops": 35.1 if transformer else 8.2,
        "tokens": 196 if transformer else 49,
        "images_per_s": (41.0 if transformer else 88.0) + fabricated.hash_of(model) % 7,
        "peak_mib": 402.0 if transformer else 228.0,
        "speed_source": "timed",
    }
    dataset = {**made.dataset, "name": task, "n_items": ITEMS, "n_images": ITEMS}
    if "train" in dataset and "train_images" in wish:
        size = wish["train_images"]
        dataset["train"] = {**dataset["train"], "n_items": size, "fingerprint": f"train-{content}-{size}"}
    if "data" in wish:
        dataset["fingerprint"] += repr(sorted(wish["data"].items()))
    probe = {"name": "linear" if content != "labels" else "ridge", "hidden": 512} if content in FITTED else None
    return replace(
        made,
        run_hash=hashlib.sha256(repr((model, task, sorted(wish.items()))).encode("utf-8")).hexdigest()[:16],
        model={
            **made.model,
            **_origin(model),
            "params": 0 if model.startswith("control/") else cost["parameters"],
            "kind": "transformer" if transformer else "convolutional",
        },
        dataset=dataset,
        probe=probe,
        cost={} if model.startswith("control/") else cost,
        features={**made.features, **({"image_size": wish["image_size"]} if "image_size" in wish else {})},
        run={**made.run, "data": {"set": task}, **wish},
        metrics={metric.name: _estimate(metric, scores) for metric in metrics},
    )


def _origin(model: str) -> dict[str, str]:
    """What a record says of weights that came from a card's own published file."""
    card = all_cards().get(model)
    if card is None:
        return {}
    source = known(card.source, Source())
    place = source.url or f"{source.repository}/{source.filename}"
    return {
        "card": card.id,
        "weights_choice": card.default_weights,
        "weights_source": card.route.id if isinstance(card.route, FromLibrary) else place,
        "weights_sha256": published_sha256(card).ljust(64, "0"),
    }


def _estimate(metric: Metric, scores: Scores) -> Any:
    from midvision.analysis.resample import estimate

    return estimate(scores, metric, n=50)


def columns(
    content: str, metrics: tuple[Metric, ...], quality: float, rng: np.random.Generator
) -> dict[str, fabricated.Array]:
    """Per-item columns around `quality`: scenes differ, larger viewpoint changes are harder, bins hold their items."""
    scene = np.random.default_rng(1).normal(0, 0.06, SCENES)[np.arange(ITEMS) % SCENES]
    angle = np.arange(ITEMS) * 179.0 / ITEMS
    found: dict[str, fabricated.Array] = {}
    for place, metric in enumerate(metrics):
        hard = -0.05 * place if "rot" not in metric.name else -0.0025 * angle
        share = np.clip(0.1 + 0.85 * quality + scene + hard + rng.normal(0, 0.05, ITEMS), 0.01, 0.99)
        worst = 60.0 if metric.unit == "deg" else 1.5
        found[metric.column] = share if metric.higher_is_better else worst * (1.05 - share)
        low, high = _bin(metric.name)
        found[metric.column] = np.where((angle >= low) & (angle < high), found[metric.column], np.nan)
        level = {"triplets": 0.5}.get(content, 0.02 if content.endswith("pairs") else 0.2)
        floor = "chance" if content == "triplets" or content.endswith("pairs") else "constant"
        if content != "labels":
            plain = np.full(ITEMS, level) if metric.higher_is_better else np.full(ITEMS, worst * (1.05 - level))
            found[f"{floor}.{metric.column}"] = np.where(np.isfinite(found[metric.column]), plain, np.nan)
        if metric.over:
            found[metric.over] = np.ones(ITEMS)
    if content.endswith("pairs"):
        found["angle_deg"] = angle
    return found


def _bin(name: str) -> tuple[float, float]:
    parts = name.split("_rot_")
    if len(parts) < 2:
        return 0.0, 180.0
    low, high = parts[1].split("_")
    return float(low), float(high)


@cache
def shots(content: str, quality: float) -> Mapping[str, Mapping[str, Any]]:
    """Sampled items; encoders of like quality share them, which keeps a large folder quick to make."""
    kind = KINDS.get(content, content)
    named = fabricated.samples(kind, quality, np.random.default_rng(7))
    return {f"{content}/test/scene-{item:02d}/{item}": shot for item, shot in enumerate(named.values())}

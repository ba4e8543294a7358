"""Made-up studies: stored results with per-item scores whose truth is planted, without any encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from midvision.analysis.resample import estimates
from midvision.core.scores import Metric, Scores
from midvision.results.query import Results
from midvision.results.record import ResultRecord, write
from midvision.tasks.task import all_tasks

RESNETS = (
    "jigsaw rotnet npid npid_pp pirl clusterfit simclr mocov2 byol simsiam barlowtwins swav selav2 deepclusterv2 "
    "densecl dino mocov3"
).split()
VITS = "dino mocov3 ibot mae maskfeat".split()
SSL = (*(f"{name}_resnet50" for name in RESNETS), *(f"{name}_vitb16" for name in VITS))
SUPERVISED = ("supervised_resnet50", "deit_vitb16")
TASKS = ("synth-seg", "synth-depth", "synth-normals", "synth-object-pairs", "synth-scene-pairs", "synth-triplets")


def put(
    folder: Path,
    model: str,
    task: str,
    quality: float,
    *,
    scenes: int = 30,
    each: int = 4,
    noise: float = 0.02,
    seed: int = 0,
    probe: str | None = "linear",
    protocol: str = "corrected",
    wobble: float = 0.0,
    floor: float | None = None,
    layers: Sequence[int] | None = None,
    salt: int = 0,
) -> ResultRecord:
    """One stored result. Every item scores `quality`, plus the scene's effect (shared by all models), plus noise."""
    metrics = all_tasks()[task].metrics[:2]
    scene = np.random.default_rng([scenes, salt]).normal(0, 0.03, scenes).repeat(each)
    words = f"{model} {task} {probe} {layers}"
    own = np.random.default_rng([sum(map(ord, words)), len(words), seed, salt, 7])
    per_scene = np.random.default_rng([sum(map(ord, words)), salt, 3]).normal(0, noise, scenes).repeat(each)
    base = quality + scene + per_scene + own.normal(0, wobble) + own.normal(0, noise, scenes * each)
    ids = tuple(f"item-{row}" for row in range(scenes * each))
    groups = tuple(f"scene-{row // each}" for row in range(scenes * each))
    scores = Scores(ids, groups, _columns(metrics, base, floor))
    found = estimates(scores, metrics, n=20)
    return write(folder, _record(model, task, metrics, found, seed, probe, protocol, layers), scores)


def _columns(metrics: Sequence[Metric], base: np.ndarray, floor: float | None) -> dict[str, np.ndarray]:
    columns = {}
    for metric in metrics:
        over = np.ones_like(base)
        columns[metric.column] = base if metric.higher_is_better else 1.5 - base
        if metric.over:
            columns[metric.over] = over
        if floor is not None:
            columns[f"constant.{metric.column}"] = np.full(len(base), floor)
    return columns


def _record(
    model: str,
    task: str,
    metrics: Sequence[Metric],
    found: Mapping,
    seed: int,
    probe: str | None,
    protocol: str,
    layers: Sequence[int] | None,
) -> ResultRecord:
    content = all_tasks()[task].content
    return ResultRecord(
        run_hash=f"{model}-{task}-{protocol}-{probe}-{seed}-{layers}".replace("/", "_"),
        task=task,
        main_metric=metrics[0].name,
        model={"id": model, "revision": None, "key": model},
        protocol={"name": protocol, "version": 1},
        dataset={"name": "made", "version": "1", "split": "test", "content": content, "fingerprint": f"of-{content}"},
        features={},
        metrics=found,
        run={"model": model, "task": task, "layers": list(layers) if layers else None},
        seed=seed,
        probe={"name": probe} if probe else None,
        created_at="2026-01-02T03:04:05+00:00",
    )


def study(
    folder: Path, qualities: Mapping[str, Mapping[str, float]], scenes: int = 30, each: int = 4, **settings: float
) -> Results:
    """Task -> model -> quality, as stored results."""
    return Results(
        [
            put(folder, model, task, quality, scenes=scenes, each=each, **settings)  # type: ignore[arg-type]
            for task, models in qualities.items()
            for model, quality in models.items()
        ]
    )

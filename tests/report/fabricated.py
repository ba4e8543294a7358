"""A made-up results folder with every kind of record the report can meet: no encoder, no probe, no suite."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midvision.core.scores import Estimate, Metric, Scores
from midvision.metrics.reduce import ratio, terms
from midvision.results.record import FailureRecord, ResultRecord, write, write_failure
from midvision.tasks.task import all_tasks

Array = NDArray[np.float64]

QUALITY: Mapping[str, float] = {
    "control/oracle": 0.97,
    "timm/vit_base_patch14_dinov2.lvd142m": 0.82,
    "timm/vit_small_patch16_224.dino": 0.72,
    "timm/resnet50.a1_in1k": 0.71,
    "control/descriptor": 0.42,
    "random/resnet50": 0.36,
    "random/vit_small_patch16_224": 0.35,
    "control/pixels": 0.25,
    "control/noise": 0.02,
}
PARAMETERS = {"vit_base": 86_000_000, "vit_small": 22_000_000, "resnet50": 25_600_000}
HOSTILE = (
    "file:<script>alert(1)</script><img src=x onerror=alert(2)>",
    "hf-hub:" + "very-long-organisation-name/" + "x" * 300,
    "python:😀.🦉:модель",
    "hf-hub:נסיון/rtl-‮evil‬-مثال",
    "timm/{{ 7*7 }}' \" &amp; `",
)
SIZE = 96
ITEMS, SCENES = 24, 8
TASKS: Mapping[str, str] = {
    "synth-seg": "segmentation",
    "synth-depth": "depth",
    "synth-normals": "normals",
    "synth-object-pairs": "object-pairs",
    "synth-scene-pairs": "scene-pairs",
    "synth-triplets": "triplets",
}
METRICS_KEPT = 4


def metrics_of(task: str) -> tuple[Metric, ...]:
    return tuple(all_tasks()[task].metrics[:METRICS_KEPT])


def fabricate(
    folder: Path,
    models: Mapping[str, float] = QUALITY,
    tasks: Iterable[str] = tuple(TASKS),
    *,
    hostile: bool = False,
    extras: bool = True,
) -> Path:
    """Write records, failures and limited records; returns the folder."""
    known = {**models, **(dict.fromkeys(HOSTILE, 0.5) if hostile else {})}
    for model, quality in known.items():
        for task in tasks:
            put(folder, model, task, quality)
    if extras:
        put(folder, "timm/resnet50.a1_in1k", "synth-depth", 0.9, protocol="paper")
        put(folder, "control/pixels", "synth-depth", 0.3, protocol="paper")
        put(folder, "timm/resnet50.a1_in1k", "synth-depth", 0.99, limited=True)
        write_failure(folder, failure("timm/convnext_tiny.in12k", "synth-normals"))
    return folder


def put(
    folder: Path,
    model: str,
    task: str,
    quality: float,
    *,
    protocol: str = "corrected",
    limited: bool = False,
    seed: int = 0,
) -> ResultRecord:
    """One record with items, samples and baselines."""
    content, metrics = TASKS[task], metrics_of(task)
    rng = np.random.default_rng(abs(hash_of(model + task + protocol)) + seed)
    scores = Scores(
        tuple(f"synthetic/small/base/test/scene-{item % SCENES:02d}/{item}" for item in range(ITEMS)),
        tuple(f"scene-{item % SCENES:02d}" for item in range(ITEMS)),
        columns(content, metrics, quality, rng),
        samples(content, quality, rng),
    )
    return write(folder, record(model, task, scores, metrics, content, protocol, limited, seed), scores)


def hash_of(text: str) -> int:
    return sum(place * ord(char) for place, char in enumerate(text, 1)) % 2**31


def columns(content: str, metrics: tuple[Metric, ...], quality: float, rng: np.random.Generator) -> dict[str, Array]:
    """Per-item columns around `quality`, with scene effects, and the floors' columns."""
    scene = np.random.default_rng(1).normal(0, 0.05, SCENES)[np.arange(ITEMS) % SCENES]
    found: dict[str, Array] = {}
    for metric in metrics:
        share = np.clip(0.15 + 0.8 * quality + scene + rng.normal(0, 0.03, ITEMS), 0.01, 0.99)
        worst = 60.0 if metric.unit == "deg" else 1.5
        found[metric.column] = share if metric.higher_is_better else worst * (1.05 - share)
        if content.endswith("pairs"):
            floor_name, level = "chance", np.full(ITEMS, 0.02)
        elif content == "triplets":
            floor_name, level = "chance", np.full(ITEMS, 0.5)
        else:
            share = np.clip(0.3 + scene, 0, 1)
            floor_name, level = "constant", share if metric.higher_is_better else worst * (1.05 - share)
        found[f"{floor_name}.{metric.column}"] = level.astype(np.float64)
        if metric.over:
            found[metric.over] = np.ones(ITEMS)
    return found


def estimate(metric: Metric, values: Mapping[str, Array], prefix: str = "") -> Estimate:
    """The value exactly; a rough interval over scenes."""
    moved = Metric(
        metric.name,
        metric.unit,
        metric.higher_is_better,
        metric.low,
        metric.high,
        prefix + metric.column,
        metric.over,
        metric.chance,
    )
    above, below = terms(moved, values)
    value = float(ratio(above.sum(), below.sum()))
    spread = 2.3 * float(np.std(above / np.maximum(below, 1e-9))) / np.sqrt(SCENES) + 1e-4
    low, high = max(metric.low, value - spread), min(metric.high, value + spread)
    return Estimate(
        value, low, high, ITEMS, SCENES, metric.unit, metric.higher_is_better, metric.low, metric.high, metric.chance
    )


def record(
    model: str,
    task: str,
    scores: Scores,
    metrics: tuple[Metric, ...],
    content: str,
    protocol: str,
    limited: bool,
    seed: int,
) -> ResultRecord:
    floors = {
        name: {
            m.name: estimate(m, scores.columns, f"{name}.") for m in metrics if f"{name}.{m.column}" in scores.columns
        }
        for name in ("constant", "chance")
    }
    probe = {"name": "ridge", "hidden": 512} if content in ("segmentation", "depth", "normals") else None
    dataset = {
        "name": "synthetic",
        "version": "1",
        "split": "test",
        "content": content,
        "n_items": ITEMS,
        "n_images": ITEMS,
        "frame_size": [SIZE, SIZE],
        "fingerprint": f"test-{content}-0123456789",
        "limited": limited,
    }
    if probe:
        dataset["train"] = {**dataset, "split": "train", "n_items": 96, "fingerprint": f"train-{content}-abcdef"}
    size = next((count for name, count in PARAMETERS.items() if name in model), 0)
    return ResultRecord(
        run_hash=f"{hash_of(model + task + protocol + str(limited)) + seed:016x}",
        task=task,
        main_metric=metrics[0].name,
        model={"id": model, "revision": None, "key": f"key-{hash_of(model):x}", "params": size, "patch_size": 16},
        protocol={
            "name": protocol,
            "version": 1,
            "images": {"crop": "none", "photo_resample": "bilinear"},
            "features": {"pixel_stats": "checkpoint", "cell_centres": "true"},
            "train": {"learning_rates": [1e-4, 5e-4, 2e-3]},
            "scoring": {"range_m": [0.001, 10.0]},
        },
        dataset=dataset,
        features={"layers": [2, 5, 8, 11], "image_size": [224, 224], "pooling_requested": "none"},
        metrics={metric.name: estimate(metric, scores.columns) for metric in metrics},
        plan={"layers": [{"index": 11, "channels": 384, "grid": {"size": [14, 14], "stride": [16.0, 16.0]}}]},
        run={
            "model": model,
            "task": task,
            "protocol": protocol,
            "limit": 8 if limited else None,
            "seed": seed,
            "data": {"set": "synthetic", "preset": "small", "difficulty": "base"},
        },
        seed=seed,
        probe=probe,
        learner={"penalty": 0.1, "candidates": [[0.01, 0.5], [0.1, 0.6]]} if probe else {},
        baselines={name: metrics for name, metrics in floors.items() if metrics},
        timing={"train_s": 1.5, "eval_s": 0.5, "images_per_s": 31.0},
        hardware={"device": "cpu", "device_name": "x86_64", "cpu_count": 2},
        versions={"python": "3.11.7", "midvision": "0.1.0", "torch": "2.15.0"},
        git={"revision": "abcdef012345"},
        command=f"midvision run -m '{model}' -t {task} --preset small",
        created_at="2026-01-02T03:04:05+00:00",
    )


def failure(model: str, task: str) -> FailureRecord:
    return FailureRecord(
        run_hash=f"{hash_of(model + task):016x}",
        task=task,
        model={"id": model, "revision": None},
        protocol={"name": "corrected", "version": 1},
        error="EncoderError",
        message="The features hold NaN at layer 3 of image 'scene-01/4'. Finite values were expected.",
        exit_code=3,
    )


def scene(number: int, shift: float = 0.0) -> dict[str, Array]:
    """Two spheres before a floor and a wall, cast ray by ray: rgb, depth_m, normals, mask."""
    rng = np.random.default_rng(number)
    y, x = np.meshgrid((np.arange(SIZE) + 0.5) / SIZE - 0.5, (np.arange(SIZE) + 0.5) / SIZE - 0.5, indexing="ij")
    rays = np.stack([x + shift, y, np.ones_like(x)])
    depth = np.minimum(5.0, np.where(y > 0.02, 0.8 / np.maximum(y, 1e-3), 5.0))
    normals = np.where(
        depth < 5.0, np.array([0.0, -1.0, 0.0])[:, None, None], np.array([0.0, 0.0, -1.0])[:, None, None]
    )
    albedo = np.where(depth < 5.0, 0.55 + 0.25 * np.sign(np.sin(9 * x * depth) * np.sin(3 * depth)), 0.7) * np.ones(
        (3, 1, 1)
    )
    mask = np.zeros_like(depth)
    for _ in range(2):
        centre = np.array([rng.uniform(-0.8, 0.8), rng.uniform(-0.1, 0.4), rng.uniform(2.2, 3.4)])
        radius, colour = rng.uniform(0.35, 0.6), rng.uniform(0.2, 1.0, 3)
        a, b = (rays**2).sum(0), (rays * centre[:, None, None]).sum(0)
        inside = b**2 - a * (centre @ centre - radius**2)
        near = np.where(inside > 0, (b - np.sqrt(np.maximum(inside, 0))) / a, np.inf)
        hit = near < depth
        depth = np.where(hit, near, depth)
        facing = (rays * near - centre[:, None, None]) / radius
        normals = np.where(hit, np.nan_to_num(facing, posinf=0, neginf=0), normals)
        stripes = 0.8 + 0.2 * np.sign(np.sin(14 * np.nan_to_num(facing[0], posinf=0, neginf=0) + number))
        albedo = np.where(hit, colour[:, None, None] * stripes, albedo)
        mask = np.where(hit, 1.0, mask)
    light = np.array([-0.5, -0.7, -0.6])[:, None, None]
    shade = 0.3 + 0.7 * np.clip((normals * light).sum(0), 0, 1)
    return {"rgb": np.clip(albedo * shade, 0, 1), "depth": depth[None], "normals": normals, "mask": mask[None]}


def samples(content: str, quality: float, rng: np.random.Generator) -> dict[str, dict[str, NDArray[np.generic]]]:
    """Four sampled items as scorers keep them."""
    found: dict[str, dict[str, NDArray[np.generic]]] = {}
    for item in range(4):
        name = f"synthetic/small/base/test/scene-{item % SCENES:02d}/{item}"
        if content.endswith("pairs"):
            found[name] = pair_sample(item, quality, rng)
        elif content == "triplets":
            found[name] = triplet_sample(item, quality, rng)
        else:
            found[name] = dense_sample(content, item, quality, rng)
    return found


def dense_sample(content: str, item: int, quality: float, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    made = scene(item)
    truth = made[{"segmentation": "mask", "depth": "depth", "normals": "normals"}[content]]
    block = int(2 + (1 - quality) * 14)
    cells = truth[:, ::block, ::block].repeat(block, 1).repeat(block, 2)[:, :SIZE, :SIZE]
    flat = truth.mean(axis=(1, 2), keepdims=True)
    spoiled = flat + (cells - flat) * min(1.0, quality + 0.1) + rng.normal(0, 0.12 * (1 - quality), truth.shape)
    valid = np.ones((1, SIZE, SIZE), dtype=bool)
    valid[:, :3, :3] = False
    return {
        "image": as_photo(made["rgb"]),
        "target": truth.astype(np.float32),
        "valid": valid,
        "prediction": spoiled.astype(np.float32),
    }


def pair_sample(item: int, quality: float, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    a, b = scene(item), scene(item, shift=0.06)
    xy_a = rng.uniform(6, SIZE - 6, (30, 2))
    error = np.where(rng.uniform(size=30) < quality, rng.uniform(0, 0.02, 30), rng.uniform(0.03, 0.5, 30))
    xy_b = np.clip(
        xy_a - [6, 0] + rng.normal(0, 1, (30, 2)) * (1 + 250 * np.maximum(error - 0.02, 0))[:, None], 0, SIZE
    )
    return {
        "image_a": as_photo(a["rgb"]),
        "image_b": as_photo(b["rgb"]),
        "xy_a": xy_a.astype(np.float32),
        "xy_b": xy_b.astype(np.float32),
        "error": error.astype(np.float32),
        "threshold": np.float32(0.02),
    }


def triplet_sample(item: int, quality: float, rng: np.random.Generator) -> dict[str, NDArray[np.generic]]:
    right = item % 2
    close, far = scene(item, shift=0.03), scene(item + 40)
    sides = (far, close) if right else (close, far)
    similarity = np.array([0.5, 0.5 + (0.3 if right else -0.3)]) + rng.normal(0, 0.3 * (1 - quality), 2)
    return {
        "reference": as_photo(scene(item)["rgb"]),
        "left": as_photo(sides[0]["rgb"]),
        "right": as_photo(sides[1]["rgb"]),
        "similarity": similarity,
        "right_share": np.array(0.9 if right else 0.1),
    }


def as_photo(rgb: Array) -> NDArray[np.uint8]:
    return np.rint(np.moveaxis(rgb, 0, -1) * 255).astype(np.uint8)

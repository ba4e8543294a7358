"""RunGroup -> Results: the spine, in a straight line."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from midvision.analysis.resample import baseline_metrics, estimates
from midvision.core.features import FeaturePlan, FeatureSpec, ImageEncoder, Pooled
from midvision.core.items import Dataset
from midvision.core.scores import Estimate, Scores
from midvision.core.streams import FeatureSource, Learner
from midvision.encoders.cost import Stopwatch, Timed
from midvision.encoders.plan import make_plan
from midvision.extraction.cache import FeatureCache
from midvision.extraction.source import open_source
from midvision.probes.train import run_stream
from midvision.run.cost import cost_of
from midvision.run.guard import Guarded, join
from midvision.run.options import RunOptions
from midvision.run.plan import RunGroup, Unit

INTERVAL_SEED = 0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came out of one unit: scores and numbers, or the error that stopped it."""

    unit: Unit
    plan: FeaturePlan | None = None
    scores: Scores | None = None
    metrics: dict[str, Estimate] | None = None
    baselines: dict[str, dict[str, Estimate]] | None = None
    learner: Learner | None = None
    encoder: ImageEncoder | None = None
    seconds: dict[str, float] | None = None
    images: int = 0
    cost: dict[str, Any] | None = None
    error: Exception | None = None


def evaluate_group(group: RunGroup, options: RunOptions) -> list[Evaluation]:
    """Every unit of the group from one stream of training and one of test features.

    An encoder that cannot be opened or read fails the whole group; a unit that breaks fails alone.
    """
    device = options.torch_device()
    encoder = at_precision(group.model.open(device), group.units[0].spec.precision)
    plans = {unit.key: make_plan(feature_spec(unit), encoder.info) for unit in group.units}
    joint = joint_plan(group.units, plans, encoder)
    clock = {"train_s": 0.0, "eval_s": 0.0}
    watch = Stopwatch()
    timed = Timed(encoder, watch)

    trained = [unit for unit in group.units if unit.train is not None and unit.task.learner is not None]
    learners = {unit.key: Guarded(unit, plans[unit.key], joint, device).learn() for unit in trained}
    if trained:
        started = time.perf_counter()
        source = open_features(timed, [unit.train for unit in trained if unit.train], joint, device, options)
        shuffle = trained[0].protocol.train.shuffle
        run_stream(source, join(list(learners.values())), shuffle=shuffle, progress=options.progress, purpose="train")
        clock["train_s"] = time.perf_counter() - started

    started = time.perf_counter()
    scorers = [Guarded(u, plans[u.key], joint, device).score(learners.get(u.key)) for u in group.units]
    source = open_features(timed, [unit.test for unit in group.units], joint, device, options)
    run_stream(source, scorers, shuffle=False, progress=options.progress, purpose="test")
    done = [finish(scorer, encoder) for scorer in scorers]
    clock["eval_s"] = time.perf_counter() - started
    images = len({name for unit in group.units for set_ in (unit.train, unit.test) if set_ for name in set_.images})
    cost = cost_of(encoder, joint.input_size, options.cache_folder.with_name("costs"), watch)
    return [replace(one, seconds=dict(clock), images=images, cost=cost) for one in done]


def feature_spec(unit: Unit) -> FeatureSpec:
    """What this unit asks of any encoder, from its task, protocol and overrides."""
    task, rules = unit.task, unit.protocol.features
    return FeatureSpec(
        image_size=unit.protocol.images.image_size or unit.test.frame_size,
        layers=(unit.spec.layers or task.layers) if task.maps else None,
        maps=task.maps,
        pooled=task.pooled,
        pixel_stats=rules.pixel_stats,
        fit=rules.fit,
        final_norm=rules.final_norm,
        dtype=unit.spec.feature_dtype,
        forced_input=rules.forced_input,
        blocks=rules.blocks,
    )


def joint_plan(units: Iterable[Unit], plans: dict[str, FeaturePlan], encoder: ImageEncoder) -> FeaturePlan:
    """One plan that holds every layer any unit reads."""
    members = list(units)
    layers = {layer.index: layer for p in plans.values() if p.maps for layer in p.layers}
    pooled: Pooled = "native" if any(p.pooled != "none" for p in plans.values()) else "none"
    plan = make_plan(replace(feature_spec(members[0]), layers=None, pooled=pooled), encoder.info)
    read = tuple(layers[index] for index in sorted(layers))
    return replace(plan, layers=read or plan.layers, maps=bool(read))


def open_features(
    encoder: ImageEncoder, datasets: list[Dataset], plan: FeaturePlan, device: str, options: RunOptions
) -> FeatureSource:
    """A source over all images of these data sets, cached where the budget allows."""
    for dataset in datasets:
        encoder = encoder.for_dataset(dataset)
    images = {name: image for dataset in datasets for name, image in dataset.images.items()}
    cache = FeatureCache.within_budget(
        options.cache_folder, options.cache_limit_bytes, plan, len(images), mode=options.cache
    )
    return open_source(
        encoder,
        images,
        plan,
        cache=cache,
        batch_size=options.batch_size,
        workers=options.workers,
        device=device,
        progress=options.progress,
    )


def at_precision(encoder: ImageEncoder, precision: str) -> ImageEncoder:
    change = getattr(encoder, "at_precision", None)
    return encoder if precision == "fp32" or change is None else change(precision)


def finish(scorer: Guarded, encoder: ImageEncoder) -> Evaluation:
    """Scores -> metrics with intervals, and the same metrics of the constant and the random answer."""
    unit = scorer.unit
    scores = scorer.result()
    if scores is None:
        return Evaluation(unit, error=scorer.error)
    metrics = estimates(scores, unit.task.metrics, seed=INTERVAL_SEED)
    baselines = {
        name: estimates(scores, found, seed=INTERVAL_SEED)
        for name in ("constant", "chance")
        if (found := baseline_metrics(scores, unit.task.metrics, name))
    }
    return Evaluation(unit, scorer.plan, scores, metrics, baselines, scorer.learner, encoder)

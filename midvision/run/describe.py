"""From an evaluation to the record that is stored: everything asked, and everything it became."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import yaml

from midvision.core.errors import MidvisionError
from midvision.core.features import FeaturePlan, ImageEncoder
from midvision.core.items import Dataset
from midvision.core.specs import RunSpec
from midvision.results.record import FailureRecord, ResultRecord
from midvision.run.evaluate import Evaluation
from midvision.run.options import RunOptions
from midvision.run.plan import Unit
from midvision.run.provenance import git_revision, hardware, versions


def describe_result(evaluation: Evaluation, options: RunOptions) -> ResultRecord:
    """The record of a finished unit."""
    unit, plan, encoder = evaluation.unit, evaluation.plan, evaluation.encoder
    assert plan is not None and encoder is not None and evaluation.metrics is not None
    seconds = evaluation.seconds or {}
    total = sum(seconds.values())
    dataset = describe_data(unit.test)
    if unit.train is not None:
        dataset["train"] = describe_data(unit.train)
    return ResultRecord(
        run_hash=unit.key,
        task=unit.task.name,
        main_metric=unit.task.metrics[0].name,
        model=describe_model(unit, encoder),
        protocol=unit.protocol.model_dump(mode="json"),
        dataset=dataset,
        features=describe_features(unit, plan),
        metrics=evaluation.metrics,
        plan=plan.as_dict(),
        run=unit.spec.model_dump(mode="json"),
        seed=unit.spec.seed,
        probe=unit.probe.model_dump(mode="json") if unit.probe else None,
        learner=dict(evaluation.learner.record()) if evaluation.learner else {},
        baselines=evaluation.baselines or {},
        timing={**seconds, "group_images": evaluation.images, "images_per_s": evaluation.images / max(total, 1e-9)},
        cost=evaluation.cost or {},
        hardware=hardware(options.torch_device()),
        versions=versions(),
        git={"revision": git_revision()},
        command=options.command,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def describe_model(unit: Unit, encoder: ImageEncoder) -> dict[str, Any]:
    info = encoder.info
    last = info.layers[-1]
    origin: dict[str, Any] = getattr(encoder, "origin", {})
    return {
        "id": unit.model.id,
        "revision": None,
        "weights": unit.model.weights,
        **origin,
        "key": encoder.key,
        "params": info.parameters,
        "patch_size": last.stride if info.kind == "transformer" else None,
        "stride": last.stride,
        "kind": info.kind,
    }


def describe_data(dataset: Dataset) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "version": dataset.version,
        "split": dataset.split,
        "content": dataset.content,
        "n_items": len(dataset.items),
        "n_images": len(dataset.images),
        "frame_size": list(dataset.frame_size),
        "fingerprint": dataset.fingerprint,
        "limited": dataset.limited,
    }


def describe_features(unit: Unit, plan: FeaturePlan) -> dict[str, Any]:
    return {
        "layers_requested": list(unit.spec.layers or unit.task.layers or ()) or "default four",
        "layers": [layer.index for layer in plan.layers] if plan.maps else [],
        "image_size": list(plan.input_size),
        "grids": [list(layer.grid.size) for layer in plan.layers] if plan.maps else [],
        "pooling_requested": unit.task.pooled,
        "pooling_resolved": plan.pooled,
        "dtype": plan.dtype,
    }


def describe_failure(unit: Unit, error: Exception, text: str) -> FailureRecord:
    return FailureRecord(
        run_hash=unit.key,
        task=unit.task.name,
        model={"id": unit.model.id, "revision": None},
        protocol=unit.protocol.model_dump(mode="json"),
        error=type(error).__name__,
        message=str(error),
        exit_code=error.exit_code if isinstance(error, MidvisionError) else 1,
        run=unit.spec.model_dump(mode="json"),
        seed=unit.spec.seed,
        traceback=text,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def config_text(spec: RunSpec) -> str:
    """The run as the YAML that `midvision run --config` reads."""
    body = spec.model_dump(mode="json")
    several = {"model": "models", "task": "tasks", "protocol": "protocols", "probe": "probes", "seed": "seeds"}
    lists = {plural: [body.pop(name)] for name, plural in several.items() if body[name] is not None}
    rest = {name: value for name, value in body.items() if value not in (None, {}) and name not in several}
    return yaml.safe_dump({**lists, **rest}, sort_keys=False)

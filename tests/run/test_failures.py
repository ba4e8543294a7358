"""A unit that breaks fails alone and visibly; a broken encoder fails its units, not the others'."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from midvision.core.errors import DataError, UsageError
from midvision.core.features import Features
from midvision.core.specs import DataSpec, RunSpec
from midvision.results.query import load_results
from midvision.run.front import evaluate, evaluate_runs
from midvision.run.local import Outcome
from midvision.run.options import RunOptions


def run(model: Any, tasks: list[str], data: DataSpec, options: RunOptions) -> Outcome:
    return evaluate_runs(
        model,
        tasks,
        data=data,
        protocols=["corrected"],
        probes=[None],
        seeds=[0],
        weights=None,
        template=RunSpec(model="", task="", probe=None),
        options=options,
    )


def test_unknown_names_offer_the_nearest(memory_set: DataSpec, counting: Any, options: RunOptions) -> None:
    with pytest.raises(UsageError, match=r"(?s)no task called 'depht'.*depth"):
        evaluate(counting, "depht", data=memory_set, options=options)
    with pytest.raises(UsageError, match="needs your data"):
        evaluate(counting, "depth", options=options)
    with pytest.raises(UsageError, match="brings its own data"):
        evaluate(counting, "synth-depth", data=memory_set, options=options)
    with pytest.raises(UsageError, match="is not an encoder"):
        evaluate(torch.nn.Identity(), "depth", data=memory_set, options=options)


def test_encoder_that_breaks_fails_its_own_units(memory_set: DataSpec, counting: Any, options: RunOptions) -> None:
    class Broken(type(counting)):
        def encode(self, ids: Any, images: Any, plan: Any) -> Features:
            raise DataError("the weights are broken")

    outcome = run([Broken("broken"), counting], ["triplets", "scene-pairs"], memory_set, options)
    assert [(failure.model, failure.task) for failure in outcome.failures] == [
        ("broken", "triplets"),
        ("broken", "scene-pairs"),
    ]
    assert {record.model_id for record in outcome.records} == {"counting"}
    stored = load_results(options.output)
    assert [failure.message for failure in stored.failures] == ["the weights are broken"] * 2


def test_failed_unit_is_tried_again_unless_never(memory_set: DataSpec, counting: Any, options: RunOptions) -> None:
    class Flaky(type(counting)):
        broken = True

        def encode(self, ids: Any, images: Any, plan: Any) -> Features:
            if self.broken:
                raise DataError("not now")
            return super().encode(ids, images, plan)

    encoder = Flaky("flaky")
    assert run(encoder, ["triplets"], memory_set, options).failures
    encoder.broken = False
    skipped = run(encoder, ["triplets"], memory_set, replace(options, overwrite="never"))
    assert not skipped.records
    assert not skipped.failures
    assert run(encoder, ["triplets"], memory_set, options).records
    assert not load_results(options.output).failures


def test_fail_fast_raises(memory_set: DataSpec, counting: Any, options: RunOptions) -> None:
    class Broken(type(counting)):
        def encode(self, ids: Any, images: Any, plan: Any) -> Features:
            raise DataError("the weights are broken")

    with pytest.raises(DataError, match="weights are broken"):
        run(Broken("broken"), ["triplets"], memory_set, replace(options, fail_fast=True))

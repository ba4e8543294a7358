"""What each decision does: planted effects come out, and a decision that cannot act gets no number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from midvision.analysis.resample import paired_difference
from midvision.cli.config import load_config
from midvision.core.errors import UsageError
from midvision.core.features import LayerInfo
from midvision.core.scores import Metric
from midvision.core.specs import DataSpec, HeadRules, ProbeSpec, Protocol, RunSpec
from midvision.results.query import load_results
from midvision.run.decisions import ALL, Effect, Measured, measure
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import resolve_protocol
from midvision.tasks.scoring import Scored, Unit, UnitScorer
from midvision.tasks.task import Task, all_tasks

LOUD, GAPPY = 0.25, 0.4
METRICS = (Metric("planted", "share", True, -10, 10, "planted"), Metric("other", "share", True, -10, 10, "other"))


def planted_score(number: int, scoring: Mapping[str, Any]) -> dict[str, float]:
    """A value per item; `loud` raises every third by 0.75, `aside` moves another metric, `gaps` empties item 0."""
    own = 0.1 * (number % 4)
    value = own + (3 * LOUD if scoring["loud"] == "yes" and number % 3 == 0 else 0.0)
    if scoring["gaps"] == "drop" and number == 1:
        value = np.nan
    return {"planted": value, "other": 1.0 if scoring["aside"] == "yes" else 0.0}


def planted_task() -> Task:
    """Triplets whose scores are made up from the protocol's decisions alone."""

    def scorer(setting: Any, dataset: Any, fitted: Any) -> UnitScorer:
        numbers = {item.id: number for number, item in enumerate(dataset.items)}
        units = [Unit((item.id,), (item.reference, item.left, item.right)) for item in dataset.items]

        def score(unit: Unit, features: Any) -> list[Scored]:
            if setting.protocol.scoring["broken"] == "yes":
                raise ValueError("broken on purpose")
            return [Scored(planted_score(numbers[unit.items[0]], setting.protocol.scoring))]

        return UnitScorer(dataset, units, score, METRICS)

    fields = ("loud", "quiet", "aside")
    corrected = {**dict.fromkeys(fields, "no"), "gaps": "keep", "broken": "no"}
    paper = {**dict.fromkeys(fields, "yes"), "gaps": "drop", "broken": "no"}
    protocols = {
        "corrected": Protocol(name="corrected", version=1, scoring=corrected),
        "paper": Protocol(name="paper", version=1, scoring=paper),
    }
    return replace(all_tasks()["triplets"], name="planted", protocols=protocols, scorer=scorer, metrics=METRICS)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, memory_set: DataSpec) -> DataSpec:
    monkeypatch.setitem(all_tasks(), "planted", planted_task())
    return memory_set


Measure = Callable[..., Measured]


@pytest.fixture
def run(options: RunOptions) -> Measure:
    def go(encoder: Any, task: str, data: DataSpec, probe: ProbeSpec | None = None, **changes: Any) -> Measured:
        found = measure(
            [Model(encoder.name, None, encoder)],
            [task],
            "paper",
            "corrected",
            data=data,
            probe=probe,
            seed=0,
            template=RunSpec(model="", task=""),
            options=replace(options, **changes),
        )
        return found[0]

    return go


def by_name(found: Measured) -> dict[str, Effect]:
    return {effect.what: effect for effect in found.effects}


def test_planted_effects_come_out_and_others_get_no_number(planted: DataSpec, counting: Any, run: Measure) -> None:
    effects = by_name(run(counting, "planted", planted))
    assert list(effects) == [f"scoring.{name}" for name in ("loud", "quiet", "aside", "gaps")] + [ALL]
    loud = effects["scoring.loud"]
    assert loud.state == "measured" and loud.difference is not None and loud.record is not None
    assert loud.difference.value == pytest.approx(LOUD)
    assert (loud.difference.groups, loud.difference.n) == (4, 12)
    # Every scene of three holds one raised item, so all scenes agree on the effect.
    assert (loud.difference.ci_low, loud.difference.ci_high) == pytest.approx((LOUD, LOUD))
    assert loud.difference.better == "a"
    quiet, aside = effects["scoring.quiet"], effects["scoring.aside"]
    assert quiet.state == "unmoved" and quiet.difference is None and "no item's score changed" in quiet.said
    assert aside.state == "unmoved" and aside.said.startswith("moves other")
    # Item 1 (0.1) falls out: eleven items are left, on which a pairing by item would see nothing.
    values = [planted_score(number, {"loud": "no", "gaps": "keep", "aside": "no"})["planted"] for number in range(12)]
    gaps = effects["scoring.gaps"].difference
    assert gaps is not None
    assert gaps.value == pytest.approx((sum(values) - values[1]) / 11 - sum(values) / 12)
    assert gaps.n == 11
    everything = effects[ALL].difference
    assert everything is not None and everything.value > 0.2


def test_the_interval_is_the_paired_one(planted: DataSpec, counting: Any, run: Measure) -> None:
    found = run(counting, "planted", planted)
    loud = by_name(found)["scoring.loud"]
    assert loud.record is not None
    assert loud.difference == paired_difference(loud.record.scores(), found.base.scores(), METRICS[0])


def test_every_toggled_run_is_a_stored_run_with_all_its_decisions(
    planted: DataSpec, counting: Any, run: Measure, options: RunOptions
) -> None:
    found = run(counting, "planted", planted)
    stored = {record.run_hash: record for record in load_results(options.output)}
    assert len(stored) == 6
    for effect in found.effects:
        assert effect.record is not None
        record = stored[effect.record.run_hash]
        expected = dict(planted_task().protocols["corrected"].scoring)
        if effect.decision is None:
            assert record.protocol["name"] == "paper"
            continue
        assert record.protocol["name"] == "custom"
        expected[effect.decision.field.removeprefix("scoring.")] = effect.decision.a
        assert record.protocol["scoring"] == expected
    assert stored[found.base.run_hash].protocol["name"] == "corrected"


def test_images_are_encoded_once_and_nothing_is_repeated(
    planted: DataSpec, counting: Any, run: Measure, options: RunOptions
) -> None:
    first = run(counting, "planted", planted, cache="live")
    assert set(counting.seen.values()) == {1}
    counting.seen.clear()
    second = run(counting, "planted", planted, cache="live")
    assert not counting.seen
    assert first.as_dict() == second.as_dict()
    # Another stream (other padding) finds its features in the cache.
    run(counting, "depth", planted, ProbeSpec(name="linear", steps=2))
    assert set(counting.seen.values()) == {1}


def test_a_run_that_breaks_is_told_and_the_others_go_on(
    planted: DataSpec, counting: Any, run: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = planted_task()
    broken = task.protocols["paper"].scoring | {"broken": "yes"}
    paper = task.protocols["paper"].model_copy(update={"scoring": broken})
    monkeypatch.setitem(all_tasks(), "planted", replace(task, protocols={**task.protocols, "paper": paper}))
    effects = by_name(run(counting, "planted", planted))
    assert effects["scoring.loud"].state == "measured"
    assert effects["scoring.broken"].state == effects[ALL].state == "failed"
    assert "broken on purpose" in effects["scoring.broken"].said


def test_what_cannot_act_says_why(memory_set: DataSpec, counting: Any, run: Measure) -> None:
    effects = by_name(run(counting, "depth", memory_set, ProbeSpec(name="ridge")))
    reasons = {name: effect.said for name, effect in effects.items() if effect.state == "does not apply"}
    for name in ("head.upsampling", "train.shuffle", "scoring.gradient_axes"):
        assert "closed form" in reasons[name]
    assert "asked for (ridge)" in reasons["default_probe"]
    assert "same pixels" in reasons["features.forced_input"] and "same pixels" in reasons["features.pixel_stats"]
    assert "cells are centred" in reasons["features.cell_centres"]
    assert "data is the same" in reasons["images.crop"]
    assert all(effect.difference is None for effect in effects.values() if effect.state == "does not apply")


def moves(effect: Effect) -> bool:
    """Some item's score changed, be it the headline's or another's: few steps leave coarse headlines alone."""
    return effect.state == "measured" or effect.said.startswith("moves ")


def test_a_probe_and_an_encoder_on_which_they_act(memory_set: DataSpec, counting: Any, run: Measure) -> None:
    """DPT reads the resizing; strided cells off their centres and a forced size are read by any probe."""
    layers = (LayerInfo(5, 8, 0.5),) * 4
    counting.info = replace(counting.info, layers=layers, reference_size=(32, 32))
    counting.key = counting.name = "strided"
    effects = by_name(run(counting, "normals", memory_set, ProbeSpec(name="dpt", hidden=4, steps=3)))
    for name in ("head.upsampling", "features.cell_centres", "features.forced_input", "train.shuffle"):
        assert moves(effects[name]), (name, effects[name].said)
    assert "one grid" in effects["head.residual_relu"].said
    assert "no such part" in effects["head.linear_kernel"].said
    assert effects["train.min_steps"].state == effects["train.learning_rates"].state == "does not apply"
    assert effects["train.batch_images"].state == "does not apply" and "one step" in effects["train.batch_images"].said
    masks = by_name(run(counting, "segmentation", memory_set, ProbeSpec(name="linear", steps=3)))
    for name in ("head.batchnorm_at_test", "head.linear_kernel", "scoring.pool"):
        assert moves(masks[name]), (name, masks[name].said)
    assert "void pixels" in masks["scoring.void"].said and masks["scoring.void"].state == "unmoved"
    assert "no such part" in masks["head.upsampling"].said


# Overrides


def spec(**changes: Any) -> RunSpec:
    return RunSpec(model="m", task="synth-depth", **changes)


def test_an_override_changes_one_decision_and_the_name() -> None:
    task = all_tasks()["synth-depth"]
    plain = resolve_protocol(spec(), task)
    changed = resolve_protocol(spec(overrides={"head": {"upsampling": "nearest"}}), task)
    assert changed.name == "custom" and changed.head == HeadRules(upsampling="nearest")
    assert changed.model_copy(update={"name": "corrected", "head": plain.head}) == plain
    same = resolve_protocol(spec(overrides={"head": {"upsampling": "bilinear"}}), task)
    assert same == plain


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        ({"head": {"upsamplin": "nearest"}}, "upsampling"),
        ({"haed": {}}, "head"),
        ({"scoring": {"gradient_axis": "batch"}}, "gradient_axes"),
        ({"head": {"upsampling": "cubic"}}, "head.upsampling"),
        ({"head": "nearest"}, "upsampling"),
        ({"name": "paper"}, "no decision 'name'"),
    ],
)
def test_a_wrong_override_is_told(overrides: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError, match=told):
        resolve_protocol(spec(overrides=overrides), all_tasks()["synth-depth"])


def test_runs_without_overrides_keep_their_names() -> None:
    assert "overrides" not in spec().canonical()
    assert "overrides" in spec(overrides={"head": {"upsampling": "nearest"}}).canonical()


def test_a_stored_toggled_run_can_be_run_again(
    memory_set: DataSpec, counting: Any, run: Measure, options: RunOptions
) -> None:
    found = run(counting, "triplets", memory_set)
    record = by_name(found)["scoring.tie"].record
    assert record is not None and record.folder is not None
    again = load_config(Path(record.folder) / "config.yaml", [], {})
    assert again.overrides == {"scoring": {"tie": "right"}}
    by_hand = load_config(None, ["overrides.scoring.tie=right"], {"models": ["x"], "tasks": ["triplets"]})
    assert by_hand.overrides == again.overrides

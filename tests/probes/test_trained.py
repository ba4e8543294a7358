"""Trained probes: choice of rates, batches, repeatability, independence from the group."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from probe_fakes import CORRECTED, PAPER, FakeSource, headline, items_of, patch_plan, stage_plan, target_of

from midvision.core.errors import DataError
from midvision.core.features import FeaturePlan, Features
from midvision.core.items import DenseItem
from midvision.core.specs import ProbeSpec, Protocol, TrainRules
from midvision.probes.dense import dense_learner
from midvision.probes.problem import DenseProblem
from midvision.probes.train import run_stream
from midvision.probes.trained import TrainedLearner

SIDE = 56
PLAN = patch_plan(SIDE)
SHORT = CORRECTED.model_copy(update={"train": TrainRules(epochs=2, min_steps=0, batch_images=8)})


def _learner(
    kind: str = "depth",
    count: int = 20,
    protocol: Protocol = SHORT,
    spec: ProbeSpec | None = None,
    plan: FeaturePlan = PLAN,
    seed: int = 0,
    **problem: Any,
) -> TrainedLearner:
    items = items_of(kind, count, SIDE, groups=max(1, count // 4))
    spec = spec or ProbeSpec(name="linear")
    learner = dense_learner(DenseProblem(kind, **problem), protocol, spec, plan, items, headline(kind), seed, "cpu")
    assert isinstance(learner, TrainedLearner)
    return learner


def _source(count: int, batch: int = 4, plan: FeaturePlan = PLAN) -> FakeSource:
    return FakeSource(plan, [f"image{number}" for number in range(count)], batch)


def _same(a: TrainedLearner, b: TrainedLearner) -> bool:
    one, other = a.state(), b.state()
    return all(torch.equal(one[name], other[name]) for name in one)


def test_stream_batches_company_and_global_state_leave_the_same_bits() -> None:
    torch.manual_seed(1)
    alone = _learner()
    run_stream(_source(20, 1), [alone], shuffle=True)
    torch.manual_seed(2)
    again = _learner()
    others = [_learner("normals"), _learner("mask", 12), _learner(spec=ProbeSpec(name="multiscale", hidden=8))]
    run_stream(_source(20, 7), [*others, again], shuffle=True)
    assert _same(alone, again) and alone.record() == again.record()
    other_seed = _learner(seed=1)
    run_stream(_source(20, 7), [other_seed], shuffle=True)
    assert not _same(alone, other_seed)


def test_global_random_state_is_neither_used_nor_changed() -> None:
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    learner = _learner("mask", spec=ProbeSpec(name="dpt", hidden=8, steps=2))
    run_stream(_source(20), [learner], shuffle=True)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    assert random.getstate() == states[2]


def test_steps_epochs_and_rest_batches() -> None:
    learner = _learner(count=20)
    run_stream(_source(20), [learner], shuffle=True)
    record = learner.record()
    assert (record["steps"], record["epochs"], learner.epochs) == (6, 2, 2)
    assert record["rate"] == 5e-4 and record["candidates"] == [] and record["train_images"] == 20
    assert record["parameters"] == 48 * 256 + 256
    steps = _learner(spec=ProbeSpec(name="linear", steps=4))
    run_stream(_source(20), [steps], shuffle=True)
    assert steps.record()["steps"] == 4 and steps._step == 4


def test_one_step_is_plain_adamw_at_the_scheduled_rate() -> None:
    """A hand-written step on the same batch gives the same weights."""
    spec = ProbeSpec(name="linear", steps=1)
    start = _learner("normals", 8, spec=ProbeSpec(name="linear", steps=1, constant_rate=0.0))
    learner = _learner("normals", 8, spec=spec)
    source = _source(8)
    run_stream(source, [start, learner], shuffle=True)
    probe = start.readout.probe.train().requires_grad_(True)
    ids = source.served
    maps = [torch.stack(level) for level in zip(*(source.maps[name] for name in ids))]
    targets = [target_of("normals", SIDE, int(name.removeprefix("image"))) for name in ids]
    optimiser = torch.optim.AdamW(probe.parameters(), lr=0.01 * 5e-4, weight_decay=0.01)
    truth, mask = torch.stack([t.values for t in targets]), torch.stack([t.valid for t in targets])
    probe.loss(maps, truth, mask).backward()
    optimiser.step()
    for name, value in learner.state().items():
        torch.testing.assert_close(value, probe.state_dict()[name], atol=1e-9, rtol=0)


def test_the_rate_with_the_best_held_out_score_wins() -> None:
    train = TrainRules(epochs=1, min_steps=0, learning_rates=(1e-4, 5e-4, 5e-2))
    protocol = CORRECTED.model_copy(update={"train": train})
    learner = _learner("mask", 120, protocol)
    source = _source(120)
    run_stream(source, [learner], shuffle=True)
    record = learner.record()
    scores = {entry["rate"]: entry["score"] for entry in record["candidates"]}
    assert set(scores) == {1e-4, 5e-4, 5e-2} and all(0 <= s <= 1 for s in scores.values())
    assert scores[record["rate"]] == max(scores.values())
    assert record["held_out_images"] == 12 and record["train_images"] == 108 and learner.epochs == 2
    assert len(source.served) == 120


def test_ties_take_the_default_rate() -> None:
    items = items_of("mask", 120, SIDE, groups=30)
    protocol = SHORT.model_copy(update={"train": TrainRules(epochs=1, min_steps=0)})
    for score, rate in ((lambda p, t: 1.0, 5e-4), (lambda p, t: float("nan"), 5e-4)):
        learner = dense_learner(DenseProblem("mask"), protocol, ProbeSpec(name="linear"), PLAN, items, score, 0, "cpu")
        run_stream(_source(120), [learner], shuffle=True)
        assert learner.record()["rate"] == rate


def test_two_phases_train_again_at_the_chosen_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("midvision.probes.schedule._DPT_CHOICE_IMAGES", 110)
    spec = ProbeSpec(name="dpt", hidden=4, steps=3)
    learner = _learner("mask", 140, SHORT, spec)
    run_stream(_source(140), [learner], shuffle=True)
    record = learner.record()
    assert len(record["candidates"]) == 3 and record["rate"] in SHORT.train.learning_rates
    assert record["choice_images"] + record["held_out_images"] == 110
    assert record["train_images"] > 120 and record["steps"] == 3


def test_inference_tensors_can_be_learned_from() -> None:
    learner = _learner(count=8)
    with torch.inference_mode():
        maps = tuple(torch.randn(8, layer.channels, *layer.grid.size) for layer in PLAN.layers)
    for epoch in range(learner.epochs):
        learner.feed(epoch, list(learner.wants(epoch)), Features(maps, None))
        learner.end_epoch(epoch)
    out = learner.readout.predict(Features(maps, None), (SIDE, SIDE))
    assert out.shape == (8, 1, SIDE, SIDE) and not out.requires_grad


def test_prediction_does_not_depend_on_the_batch() -> None:
    learner, source = _learner("normals"), _source(20)
    run_stream(source, [learner], shuffle=True)
    maps = tuple(torch.stack(level) for level in zip(*(source.maps[f"image{n}"] for n in range(6))))
    whole = learner.readout.predict(Features(maps, None), (SIDE, SIDE))
    one = torch.cat(
        [learner.readout.predict(Features(tuple(m[n : n + 1] for m in maps), None), (SIDE, SIDE)) for n in range(6)]
    )
    assert torch.equal(whole, one) and learner.readout.batch_images is None


def test_paper_masks_use_the_statistics_of_sixteen_test_images() -> None:
    protocol = PAPER.model_copy(update={"train": TrainRules(epochs=1, min_steps=0, learning_rates=(5e-4,))})
    learner, source = _learner("mask", 20, protocol), _source(20)
    run_stream(source, [learner], shuffle=True)
    assert learner.readout.batch_images == 16
    maps = tuple(torch.stack(level) for level in zip(*(source.maps[f"image{n}"] for n in range(20))))
    whole = learner.readout.predict(Features(maps, None), (SIDE, SIDE))
    first = learner.readout.predict(Features(tuple(m[:16] for m in maps), None), (SIDE, SIDE))
    alone = learner.readout.predict(Features(tuple(m[:1] for m in maps), None), (SIDE, SIDE))
    assert torch.equal(whole[:16], first) and not torch.allclose(whole[:1], alone)
    assert _learner("depth", 20, protocol)._protocol.head.batchnorm_at_test == "batch"


def test_images_without_valid_truth_do_not_break_a_batch() -> None:
    items = items_of("depth", 8, SIDE)
    blank = target_of("depth", SIDE, 0)
    blank.valid[:] = False
    items[3] = DenseItem("blank", "g", "image3", lambda: blank)
    learner = dense_learner(
        DenseProblem("depth"), SHORT, ProbeSpec(name="linear"), PLAN, items, headline("depth"), 0, "cpu"
    )
    run_stream(_source(8), [learner], shuffle=True)
    assert all(torch.isfinite(value).all() for value in learner.state().values())


def test_wrong_truth_is_named() -> None:
    items = [DenseItem("odd", "g", "image0", lambda: target_of("normals", SIDE, 0))]
    learner = dense_learner(
        DenseProblem("depth"), SHORT, ProbeSpec(name="linear"), PLAN, items, headline("depth"), 0, "cpu"
    )
    with pytest.raises(DataError, match="odd"):
        run_stream(_source(1), [learner], shuffle=True)
    with pytest.raises(DataError, match="two training targets"):
        dense_learner(
            DenseProblem("depth"), SHORT, ProbeSpec(name="linear"), PLAN, items * 2, headline("depth"), 0, "cpu"
        )


@pytest.mark.parametrize("kind", ["depth", "normals", "mask"])
def test_the_constant_is_the_best_of_its_candidates(kind: str) -> None:
    learner = _learner(kind)
    constant, score = learner.constant, headline(kind)
    targets = [target_of(kind, SIDE, number) for number in range(20)]

    def mean(value: torch.Tensor) -> float:
        return float(np.nanmean([score(value[:, None, None].expand(t.values.shape), t) for t in targets]))

    assert constant.shape == ((3,) if kind == "normals" else (1,))
    if kind == "mask":
        assert mean(constant) == max(mean(torch.zeros(1)), mean(torch.ones(1)))
    elif kind == "depth":
        pixels = torch.cat([t.values[0][t.valid[0]] for t in targets])
        rivals = [pixels.mean(), pixels.median(), pixels.log().mean().exp()]
        assert any(abs(float(constant - rival)) < 0.02 * float(rival) for rival in rivals)
        assert mean(constant) >= max(mean(rival[None]) for rival in rivals) - 0.01
    else:
        assert float(constant.norm()) == pytest.approx(1) and float(constant[2]) < -0.9


def test_buffers_are_references_to_the_stream() -> None:
    learners = [_learner(seed=seed) for seed in range(12)]
    maps = tuple(torch.randn(4, layer.channels, *layer.grid.size) for layer in PLAN.layers)
    for learner in learners:
        learner.feed(0, list(learner.wants(0))[:4], Features(maps, None))
        for _, kept in learner._buffer:
            assert [k.untyped_storage().data_ptr() for k in kept] == [m.untyped_storage().data_ptr() for m in maps]


@pytest.mark.slow
@pytest.mark.parametrize("plan", [PLAN, stage_plan(SIDE)], ids=["patches", "stages"])
def test_training_the_linear_probe_longer_is_not_worse(plan: FeaturePlan) -> None:
    scores = []
    for steps in (30, 300):
        learner = _learner("depth", 16, CORRECTED, ProbeSpec(name="linear", steps=steps), plan)
        source = _source(16, plan=plan)
        run_stream(source, [learner], shuffle=True)
        score = headline("depth")
        predictions = [
            learner.readout.predict(Features(tuple(m[None] for m in source.maps[f"image{n}"]), None), (SIDE, SIDE))[0]
            for n in range(16)
        ]
        scores.append(np.mean([score(p, target_of("depth", SIDE, n)) for n, p in enumerate(predictions)]))
    assert scores[1] >= scores[0]

"""What names a unit, what is skipped, what shares a stream, and which layers a unit gets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from midvision.core.features import Features
from midvision.core.items import Dataset
from midvision.core.specs import DataSpec, RunSpec
from midvision.data import card as cards
from midvision.encoders.plan import make_plan
from midvision.run.evaluate import feature_spec
from midvision.run.front import evaluate
from midvision.run.guard import Guarded, Joined
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import Unit, expand_runs, group_units, plan_units, resolve_probe, resolve_protocol
from midvision.tasks.task import all_tasks


def units_of(encoder: Any, tasks: list[str], data: DataSpec, protocol: str = "corrected") -> list[Unit]:
    return plan_units(expand_runs([Model(encoder.name, None, encoder)], tasks, protocols=[protocol], data=data))


def test_the_key_names_data_protocol_and_encoder(
    memory_set: DataSpec, counting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key() -> str:
        return units_of(counting, ["depth"], memory_set)[0].key

    first = key()
    assert key() == first
    counting.key = "other weights"
    assert key() != first
    counting.key = "counting"
    known = dict(cards.all_sets())
    card = known["memory"]

    def changed(request: cards.Request) -> Dataset:
        found = card.open(request)
        return replace(found, fingerprint="changed") if request.split == "train" else found

    with monkeypatch.context() as patch:
        known["memory"] = replace(card, open=changed)
        patch.setattr(cards, "all_sets", lambda: known)
        assert key() != first
    task = all_tasks()["depth"]
    newer = {name: protocol.model_copy(update={"version": 99}) for name, protocol in task.protocols.items()}
    with monkeypatch.context() as patch:
        patch.setitem(all_tasks(), "depth", replace(task, protocols=newer))
        assert key() != first
    assert key() == first


def test_each_split_is_opened_as_itself(memory_set: DataSpec, counting: Any) -> None:
    for unit in units_of(counting, ["depth", "normals"], memory_set):
        assert unit.train is not None
        assert (unit.train.split, unit.test.split) == ("train", "test")
        assert not unit.train.images.keys() & unit.test.images.keys()


def test_only_units_that_can_read_one_stream_share_it(memory_set: DataSpec, counting: Any) -> None:
    units = units_of(counting, ["depth", "normals"], memory_set)
    assert [len(group.units) for group in group_units(units)] == [2]
    first, second = units
    train = second.protocol.train.model_copy(update={"shuffle": not second.protocol.train.shuffle})
    features = second.protocol.features.model_copy(update={"fit": "pad"})
    images = second.protocol.images.model_copy(update={"photo_resample": "lanczos"})
    for change in ({"train": train}, {"features": features}, {"images": images}):
        other = replace(second, protocol=second.protocol.model_copy(update=change))
        assert [len(group.units) for group in group_units([first, other])] == [1, 1], change


def test_the_tiny_preset_takes_ridge_unless_asked() -> None:
    task = all_tasks()["synth-depth"]
    for preset, expected in (("tiny", "ridge"), ("small", "linear")):
        spec = RunSpec(model="m", task="synth-depth", data=DataSpec(set="synthetic", preset=preset))
        probe = resolve_probe(spec, task, resolve_protocol(spec, task))
        assert probe is not None and probe.name == expected


def test_the_final_norm_is_asked_for_by_name(memory_set: DataSpec, counting: Any) -> None:
    task = all_tasks()["depth"]
    raw, normed, same = (
        resolve_protocol(RunSpec(model="m", task="depth", data=memory_set, final_norm=wish), task)
        for wish in (None, True, False)
    )
    assert (raw.features.final_norm, normed.features.final_norm) == (False, True)
    assert (raw.name, normed.name, same.name) == ("corrected", "custom", "corrected")
    asked = units_of(counting, ["depth"], memory_set)[0]
    assert feature_spec(replace(asked, protocol=normed)).final_norm
    assert len(group_units([asked, replace(asked, protocol=normed)])) == 2


def test_always_computes_what_is_stored_again(memory_set: DataSpec, counting: Any, live: RunOptions) -> None:
    for overwrite, passes in (("missing", 1), ("never", 0), ("missing", 0), ("always", 1)):
        counting.seen.clear()
        evaluate(counting, "triplets", data=memory_set, options=replace(live, overwrite=overwrite))
        assert set(counting.seen.values()) == ({passes} if passes else set()), overwrite


def test_a_unit_gets_its_own_layers(memory_set: DataSpec, counting: Any) -> None:
    unit = units_of(counting, ["depth"], memory_set)[0]
    joint = make_plan(feature_spec(unit), counting.info)
    assert [layer.index for layer in joint.layers] == [0, 1, 2, 3]
    plan = make_plan(replace(feature_spec(unit), layers=(1, 3)), counting.info)
    maps = tuple(torch.full((1, 5, 8, 8), float(index)) for index in range(4))
    own = Guarded(unit, plan, joint, "cpu").own(Features(maps, torch.zeros(1, 5)))
    assert [float(values.mean()) for values in own.maps] == [1.0, 3.0]
    assert own.pooled is None


def test_a_shared_computation_fails_for_all_its_units(memory_set: DataSpec, counting: Any) -> None:
    class Breaks:
        epochs = 1

        def wants(self, epoch: int) -> list[str]:
            return ["train/00"]

        def feed(self, epoch: int, ids: list[str], features: Features) -> None:
            raise ValueError("singular")

        def end_epoch(self, epoch: int) -> None:
            raise AssertionError("a broken computation is left alone")

    units = units_of(counting, ["depth", "normals"], memory_set)
    plan = make_plan(feature_spec(units[0]), counting.info)
    members = [Guarded(unit, plan, plan, "cpu") for unit in units]
    joined = Joined(Breaks(), members)
    assert joined.wants(0) == ["train/00"]
    joined.feed(0, ["train/00"], Features((torch.zeros(1, 5, 8, 8),) * 4, None))
    joined.end_epoch(0)
    assert [str(member.error) for member in members] == ["singular", "singular"]
    assert joined.epochs == 0 and not joined.wants(0)

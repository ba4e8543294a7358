"""Studies as declarations: what they expand to, what they refuse, what they leave out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from midvision.core.errors import DataError, UsageError
from midvision.core.items import Dataset
from midvision.core.settings import canonical_json
from midvision.core.specs import DataSpec, RunSpec
from midvision.data import card as cards
from midvision.data.photos import spread
from midvision.results.query import Results
from midvision.run import conduct
from midvision.run.conduct import check_weights, declared, look_up, settled
from midvision.run.estimate import estimate, plan_of
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import group_units, plan_units
from midvision.run.studies import paper22
from midvision.run.study import NetworkFacts, all_studies, expand_study, models_of, size_for_grid
from midvision.tasks.task import all_tasks
from midvision.zoo.card import Known, all_cards

VIT, DEEP, RESNET = NetworkFacts(12, 16, 16), NetworkFacts(24, 14, 14), NetworkFacts(5, 32, 32)


def built_in(name: str, **changes: Any) -> Any:
    return declared({"extends": name, "data": "built-in", "preset": "tiny", **changes}, "test")


def test_the_studies_that_were_promised_are_there_and_name_real_tasks_and_models() -> None:
    studies = all_studies()
    assert set(studies) == set("paper22 quick layers resolution probes labels seeds factors invariances".split())
    for study in studies.values():
        assert set(study.tasks) | set(study.benchmarks) <= set(all_tasks()), study.name
        assert all(all_tasks()[task].data_set == "synthetic" for task in study.tasks), study.name
        assert study.question.endswith("?") and study.title, study.name
        listed = [model for model in study.models if "/" not in model]
        assert set(listed) <= set(all_cards()) and all(all_cards()[name].usable for name in listed), study.name


def test_paper22_is_the_comparison() -> None:
    """22 encoders of the six paradigms on two architectures, the two yardsticks, nine settings."""
    paradigms = {name: all_cards()[name].paradigm for name in (*paper22.SELF_SUPERVISED, *paper22.YARDSTICKS)}
    words = [fact.value for fact in paradigms.values() if isinstance(fact, Known)]
    assert len(set(paper22.SELF_SUPERVISED)) == 22 and len(words) == 24
    assert [words.count(word) for word in ("pretext", "instance discrimination", "clustering")] == [2, 3, 4]
    assert [words.count(word) for word in ("contrastive and joint embedding", "masked modelling")] == [10, 3]
    assert words[22:] == ["supervised"] * 2
    assert sum(name.endswith("_vitb16") for name in paradigms) == 6
    runs = expand_study(built_in("paper22"))
    assert len(runs) == 24 * 8 and {spec.data.preset for _, spec in runs} == {"tiny"}
    assert len(declared({"extends": "paper22"}, "test").benchmarks) == 9


def test_expanding_is_pure_and_varies_one_thing() -> None:
    facts = dict.fromkeys(built_in("layers").models, VIT)
    runs = expand_study(built_in("layers"), facts)
    assert runs == expand_study(built_in("layers"), facts)
    of_one = [spec for _, spec in runs if (spec.model, spec.task) == ("dino_vitb16", "synth-seg")]
    assert [spec.layers for spec in of_one] == [(index,) for index in range(12)]
    with pytest.raises(ValueError, match="facts"):
        expand_study(built_in("layers"))
    axes = [spec.data.options.get("axes", {}) for _, spec in expand_study(built_in("factors", tasks=["synth-seg"]))]
    assert len(axes) == 5 * 22 and all(len(one) <= 1 for one in axes)
    assert {next(iter(one)) for one in axes if one} == {
        "texture", "colour", "viewpoint", "lighting", "shape", "clutter", "sensor",
    }  # fmt: skip
    seeds = expand_study(built_in("seeds", models=["control/pixels"], tasks=["synth-seg"]))
    assert [(spec.seed, spec.probe and spec.probe.name) for _, spec in seeds] == [(n, "linear") for n in range(5)]
    probes = expand_study(built_in("probes", models=["control/pixels"], tasks=["synth-seg"]))
    assert [spec.probe and spec.probe.hidden for _, spec in probes] == [512, 512, 128, 512, 128, 512]


@pytest.mark.parametrize("facts", [VIT, DEEP, RESNET])
def test_token_grids_are_equal_whatever_the_stride(facts: NetworkFacts) -> None:
    for cells in (7, 14, 28):
        height, width = size_for_grid(cells, facts)
        assert height == width and height % facts.size_multiple == 0
        assert height // facts.stride == cells


def test_layers_of_one_model_are_one_pass(memory_set: DataSpec) -> None:
    """Every layer by itself, every task: one group, so each image is encoded once."""
    study = built_in("layers", models=["random/vit_tiny_patch16_224"], tasks=["synth-seg", "synth-depth"])
    facts = look_up(models_of(study))
    assert facts == {"random/vit_tiny_patch16_224": VIT}
    runs = [(model, own_data(spec, memory_set)) for model, spec in expand_study(study, facts)]
    groups = group_units(plan_units(runs))
    assert [len(group.units) for group in groups] == [24]


def own_data(spec: RunSpec, data: DataSpec) -> RunSpec:
    task = {"synth-seg": "segmentation", "synth-depth": "depth"}[spec.task]
    return spec.model_copy(update={"task": task, "data": data})


def test_unknown_keys_and_wrong_values_are_errors_with_the_nearest_name() -> None:
    with pytest.raises(UsageError, match=r"(?s)Unknown key 'modles'.*models"):
        declared({"extends": "quick", "modles": ["a"]}, "my.yaml")
    with pytest.raises(UsageError, match=r"(?s)no study.*paper22"):
        declared({"extends": "paper"}, "my.yaml")
    with pytest.raises(UsageError, match=r"preset in my.yaml"):
        declared({"extends": "quick", "preset": "huge"}, "my.yaml")
    with pytest.raises(UsageError, match=r"models in my.yaml"):
        declared({"tasks": ["synth-seg"]}, "my.yaml")
    own = declared({"extends": "quick", "probes": ["linear"], "train-images": [4, None]}, "my.yaml")
    assert own.probes[0].name == "linear" and own.train_images == (4, None)


def test_stand_ins_say_so_in_their_ids() -> None:
    names = ["dino_vitb16", "mocov3_vitb16?weights=momentum", "timm/vit_tiny_patch16_224.augreg", "control/pixels"]
    study = built_in("quick", random_init=True, models=names)
    ids = [model.id for model in models_of(study)]
    assert ids == ["random/dino_vitb16", "random/mocov3_vitb16", "random/vit_tiny_patch16_224", "control/pixels"]
    keys = {model.key() for model in models_of(built_in("paper22", random_init=True))}
    assert len(keys) == 24, "stand-ins of one architecture must not be one encoder"
    with pytest.raises(UsageError, match="brings its own weights"):
        models_of(built_in("quick", random_init=True, models=["file:a.pth?arch=resnet50"]))


def test_missing_weights_are_one_error_that_says_how_to_fetch_them() -> None:
    with pytest.raises(DataError, match=r"(?s)2 of 3 models.*models fetch dino_vitb16 mae_vitb16\n.*--random-init"):
        check_weights([Model("dino_vitb16"), Model("control/pixels"), Model("mae_vitb16")])
    check_weights([Model("random/dino_vitb16"), Model("control/oracle")])


def test_auto_takes_benchmarks_as_far_as_they_are_prepared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path))  # other tests of this process may have prepared some
    study = all_studies()["paper22"]
    chosen, left_out = settled(study)
    assert (chosen.data, left_out) == ("built-in", ())
    monkeypatch.setattr(conduct, "is_prepared", lambda task: task in ("nights", "voc12-seg"))
    chosen, left_out = settled(study)
    assert (chosen.data, chosen.chosen_tasks(), len(left_out)) == ("benchmarks", ("voc12-seg", "nights"), 7)
    assert {spec.task for _, spec in expand_study(chosen)} == {"voc12-seg", "nights"}


def test_run_names_are_what_they_were_before_training_sets_could_be_cut() -> None:
    plain = RunSpec(model="a", task="depth")
    body = plain.model_dump(mode="json")
    assert plain.canonical() == canonical_json(
        {k: v for k, v in body.items() if k not in ("overrides", "train_images")}
    )
    assert plain.model_copy(update={"train_images": 5}).canonical() != plain.canonical()


def test_smaller_training_sets_are_subsets_and_too_many_is_all(
    memory_set: DataSpec, monkeypatch: pytest.MonkeyPatch, counting: Any
) -> None:
    def cut(request: cards.Request) -> Dataset:
        whole = in_memory.open(request)
        kept = spread(whole.items, request.limit, lambda item: item.group)
        words = f"{whole.fingerprint}/{len(kept)}"
        return Dataset("memory", "1", whole.content, whole.split, whole.images, kept, words, whole.frame_size)

    known = dict(cards.all_sets())
    in_memory = known["memory"]
    known["memory"] = cards.DataCard("memory", "1", "", ("depth",), "", "", {}, cut)
    monkeypatch.setattr(cards, "all_sets", lambda: known)
    model = Model("counting", None, counting)
    runs = [
        (model, RunSpec(model="counting", task="depth", data=memory_set, train_images=number))
        for number in (3, 5, 8, 12, 4000, None)
    ]
    units = plan_units(runs)
    trained = [{item.id for item in unit.train.items} for unit in units if unit.train]
    assert [len(ids) for ids in trained] == [3, 5, 8, 12, 12, 12]
    assert trained[0] < trained[1] < trained[2] < trained[3]
    assert len({unit.key for unit in units}) == 4 and {len(unit.test.items) for unit in units} == {12}


def test_estimates_say_what_was_never_measured(tmp_path: Any) -> None:
    options = RunOptions(output=tmp_path, cache_folder=tmp_path / "features", device="cpu")
    study = built_in("quick", models=["control/oracle", "random/vit_tiny_patch16_224"])
    units = plan_of(expand_study(study), Results([]))
    totals = estimate(units, Results([]), options)
    assert (totals["units"], totals["to_do"], totals["groups"]) == (16, 16, 4)
    # Scenes, objects and triplets whole, and the objects once more as crops: 36 + 40 + 40 + 40 frames per encoder.
    assert totals["images_to_encode"] == 2 * 156
    assert totals["total_s"] is None and totals["beside_measured"] == "nothing measured yet"
    assert totals["not_measured"] == ["random/vit_tiny_patch16_224"]
    vit = 4 * 192 * 49 * 2 * 156 / 2**30
    assert vit < totals["feature_disk_gib"] < 1.2 * vit

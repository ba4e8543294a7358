"""The parts of a study's analysis against constructed truth: verdicts, paradigms, shares, variance, metrics, notes."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from study_tables import RESNETS, SSL, SUPERVISED, put, study

from midvision.analysis.facts import ModelFacts, facts_of, facts_of_card, role_of
from midvision.analysis.outcome import TOO_FEW
from midvision.analysis.paradigms import arrangements, permutation_test
from midvision.analysis.resample import paired_difference
from midvision.analysis.shares import mean_over_models
from midvision.analysis.study import analyse
from midvision.results.high_level import HighScore
from midvision.results.query import Results
from midvision.tasks.task import all_tasks
from midvision.zoo.card import all_cards

SEG, DEPTH, NORMALS = "synth-seg", "synth-depth", "synth-normals"


def own(values: dict[str, float], name: str = "own-set") -> list[HighScore]:
    return [HighScore(model, name, value, "made up", "own") for model, value in values.items()]


def test_verdicts_ranks_and_references(tmp_path: Path) -> None:
    quality = {"dino_vitb16": 0.8, "ibot_vitb16": 0.8, "mae_vitb16": 0.5, "control/oracle": 0.95, "control/pixels": 0.2}
    results = study(tmp_path, {SEG: quality}, salt=1)
    found = analyse(results, own({"mae_vitb16": 80.0, "dino_vitb16": 70.0, "ibot_vitb16": 60.0}))
    (group,) = found.groups
    ranks = {one.name: (one.rank, one.worst_rank) for one in group.standings}
    assert ranks["control/oracle"] == (0, 0) and group.standings[0].name == "control/oracle"
    assert ranks["dino_vitb16"] == ranks["ibot_vitb16"] == (1, 2)
    assert ranks["mae_vitb16"] == (3, 3) and ranks["control/pixels"] == (4, 4)
    assert [one.verdict for one in group.pairs] == ["tied", "ordered", "ordered"]
    (against,) = found.against_high
    assert [(one.first, one.second, one.verdict) for one in against.pairs] == [
        ("mae_vitb16", "dino_vitb16", "reversed"),
        ("dino_vitb16", "ibot_vitb16", "tied"),
    ]
    scores = {record.model_id: record.scores() for record in results}
    difference = paired_difference(scores["dino_vitb16"], scores["mae_vitb16"], all_tasks()[SEG].metrics[0], n=1000)
    turned = against.pairs[0].difference
    assert turned.value == pytest.approx(-difference.value) and turned.low == pytest.approx(-difference.ci_high)
    assert against.pairs[0].p == pytest.approx(difference.p_value)


def test_lower_is_better_is_turned(tmp_path: Path) -> None:
    """With an error as the headline, the better model still leads and gains are positive."""
    results = study(tmp_path, {DEPTH: {"dino_vitb16": 0.8, "mae_vitb16": 0.5, "deit_vitb16": 0.9}})
    turned = Results(
        [replace(record, main_metric="rmse", metrics=_error(record)) for record in _error_columns(results)]
    )
    (group,) = analyse(turned).groups
    assert not group.higher_is_better and group.standings[0].model == "deit_vitb16"
    assert all(one.difference.value > 0 and one.verdict == "ordered" for one in group.pairs)
    (share,) = analyse(turned).shares
    by_model = {one.model: one.share.value for one in share.models}
    assert by_model["dino_vitb16"] > by_model["mae_vitb16"] and by_model["dino_vitb16"] < 1


def _error(record):  # type: ignore[no-untyped-def]
    return {"rmse": replace(record.main, unit="m", higher_is_better=False, high=math.inf)}


def _error_columns(results: Results) -> list:
    from midvision.results.record import write

    found = []
    for record in results:
        scores = record.scores()
        column = 1.2 - scores.columns["delta1"]
        assert record.folder is not None
        moved = replace(record, run_hash=f"error-{record.run_hash}", folder=None)
        found.append(write(record.folder.parents[4] / "error", moved, replace(scores, columns={"rmse": column})))
    return found


def test_seeds_are_averaged_and_layers_stand_alone(tmp_path: Path) -> None:
    records = [put(tmp_path, "dino_vitb16", SEG, 0.6, seed=seed, wobble=0.05) for seed in range(3)]
    records += [put(tmp_path, "dino_vitb16", SEG, 0.5, layers=[3]), put(tmp_path, "mae_vitb16", SEG, 0.4)]
    found = analyse(Results(records))
    (group,) = found.groups
    standing = {one.name: one for one in group.standings}
    assert set(standing) == {"dino_vitb16", "dino_vitb16 [layers 3]", "mae_vitb16"}
    assert standing["dino_vitb16"].seeds == (0, 1, 2) and len(standing["dino_vitb16"].run_hashes) == 3
    assert standing["dino_vitb16"].value.value == pytest.approx(np.mean([r.main.value for r in records[:3]]))
    assert found.shares == () and len(found.models) == 2


def test_permutation_p_is_exact_on_a_small_case() -> None:
    y, labels = np.array([1.0, 2.0, 3.5, 10.0, 11.0, 14.0]), ["a", "a", "a", "b", "b", "b"]
    strata = ["one"] * 6
    between = []
    for order in permutations(range(6)):
        dealt = y[list(order)]
        between.append(((dealt[:3].mean() - y.mean()) ** 2 + (dealt[3:].mean() - y.mean()) ** 2) * 3)
    exact = np.mean([value >= between[0] * (1 - 1e-9) for value in between])
    share, p_value = permutation_test(y, labels, strata, shuffles=20000)
    assert p_value == pytest.approx(exact, abs=0.01) and exact == pytest.approx(0.1)
    theirs = stats.f_oneway(y[:3], y[3:])
    assert share == pytest.approx(between[0] / ((y - y.mean()) ** 2).sum())
    assert theirs.statistic == pytest.approx(share / (1 - share) * 4)
    assert arrangements(labels, strata) == 20 and arrangements(labels, ["x", "x", "x", "y", "y", "y"]) == 1


def test_architecture_alone_is_no_paradigm_effect() -> None:
    rng = np.random.default_rng(2)
    strata = ["r"] * 10 + ["v"] * 10
    labels = ["a"] * 8 + ["b"] * 2 + ["b"] * 8 + ["a"] * 2
    y = rng.normal(0, 0.01, 20) + np.array([0.0] * 10 + [1.0] * 10)
    assert permutation_test(y, labels, strata)[1] > 0.05 > permutation_test(y, labels, ["all"] * 20)[1]
    inner = np.concatenate([y[:10] - y[:10].mean(), y[10:] - y[10:].mean()])
    sums = [inner[[label == name for label in labels]].sum() for name in "ab"]
    explained = sum(total**2 / 10 for total in sums) / (inner**2).sum()
    assert permutation_test(y, labels, strata)[0] == pytest.approx(explained)
    assert math.isnan(permutation_test(np.ones(20), labels, strata)[1])


def test_false_positives_of_the_permutation_test() -> None:
    rng = np.random.default_rng(1)
    labels, strata = [str(n % 5) for n in range(22)], ["r"] * 17 + ["v"] * 5
    hits = [permutation_test(rng.exponential(1, 22), labels, strata, n, 199)[1] <= 0.05 for n in range(300)]
    assert np.mean(hits) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 300)


def test_paradigms_with_either_assignment(tmp_path: Path) -> None:
    """DINO and iBOT lead: with the cards' paradigms they are spread, with the other they are a kind of their own."""
    lead = ("dino_resnet50", "dino_vitb16", "ibot_vitb16")
    results = study(tmp_path, {SEG: {model: 0.9 if model in lead else 0.5 for model in SSL}}, scenes=8, each=1)
    main, other = analyse(results).paradigms
    assert (main.assignment, other.assignment, main.n, other.n) == ("main", "other", 22, 22)
    assert other.p < 0.01 and other.share > 0.8 > main.share and main.p > other.p
    assert {one.paradigm for one in other.means} - {one.paradigm for one in main.means} == {"self-distillation"}
    assert other.means[0].paradigm == "self-distillation" and set(other.means[0].models) == set(lead)
    pirl = next(one for one in other.means if "pirl_resnet50" in one.models)
    assert pirl.paradigm == "pretext"


def test_few_models_have_no_paradigm_test(tmp_path: Path) -> None:
    (main, _) = analyse(study(tmp_path, {SEG: {"mae_vitb16": 0.4, "dino_vitb16": 0.6}}, scenes=6, each=1)).paradigms
    assert math.isnan(main.p) and main.note == TOO_FEW


def test_shares_are_exact_without_noise(tmp_path: Path) -> None:
    """0.6 of 0.8 is three quarters; above a floor of 0.4 it is a half."""
    quality = {"dino_vitb16": 0.6, "swav_resnet50": 0.7, "deit_vitb16": 0.8, "supervised_resnet50": 0.7}
    results = study(tmp_path, {SEG: quality}, noise=0.0, floor=0.4, scenes=21)  # type: ignore[arg-type]
    high = own({"dino_vitb16": 56.0, "deit_vitb16": 80.0, "swav_resnet50": 49.0, "supervised_resnet50": 70.0})
    mid, top = analyse(results, high).shares
    scene = results[0].main.value - 0.6
    by_model = {one.model: one for one in mid.models}
    dino = by_model["dino_vitb16"]
    assert dino.yardstick == "deit_vitb16" and by_model["swav_resnet50"].yardstick == "supervised_resnet50"
    assert dino.share.value == pytest.approx((0.6 + scene) / (0.8 + scene)) and mid.floor == "best constant answer"
    assert dino.corrected.value == pytest.approx((0.2 + scene) / (0.4 + scene))
    assert by_model["swav_resnet50"].share.low == pytest.approx(1.0) == by_model["swav_resnet50"].share.high
    assert top.set == "own-set (own numbers)" and {one.model: one.share.value for one in top.models} == {
        "dino_vitb16": pytest.approx(0.7),
        "swav_resnet50": pytest.approx(0.7),
    }
    assert not top.models[0].share.told and mean_over_models([0.5]).note == TOO_FEW


def test_share_of_a_yardstick_at_the_floor_has_no_interval(tmp_path: Path) -> None:
    results = study(tmp_path, {SEG: {"dino_vitb16": 0.6, "deit_vitb16": 0.4}}, floor=0.4)
    ((share,),) = [one.models for one in analyse(results).shares]
    assert share.share.told and not share.corrected.told and "floor" in share.corrected.note


def test_mean_over_models_is_the_t_interval() -> None:
    values = [0.8, 0.9, 0.85, 0.7]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = mean_over_models([*values, math.nan])
    assert (found.low, found.high, found.n) == (pytest.approx(low), pytest.approx(high), 4)


@pytest.mark.slow
def test_planted_variances_come_back(tmp_path: Path) -> None:
    """Models 0.1 apart, seeds 0.02, probes 0.04, scenes 0.03 / sqrt(30): each in its own column."""
    rng = np.random.default_rng(5)
    quality, records = rng.normal(0.6, 0.1, 12), []
    for model, base in zip(SSL, quality):
        for probe in ("linear", "ridge", "dpt"):
            favour = rng.normal(0, 0.04)
            for seed in range(3):
                q = base + favour + rng.normal(0, 0.02)
                records.append(put(tmp_path, model, SEG, q, probe=probe, seed=seed, noise=0.03, each=2))
    (split,) = analyse(Results(records)).variance
    assert (split.n_models, split.n_seeds, split.n_probes, split.note) == (12, 3, 3, "")
    assert math.sqrt(split.models) == pytest.approx(0.1, rel=0.35)
    assert math.sqrt(split.probes) == pytest.approx(0.04, rel=0.3)
    assert math.sqrt(split.seeds) == pytest.approx(0.02, rel=0.25)
    assert math.sqrt(split.items) == pytest.approx(0.03 * math.sqrt(1 + 1 / 6) / math.sqrt(30), rel=0.25)
    (alone,) = analyse(Results([r for r in records if r.seed == 0 and r.probe_name == "ridge"])).variance
    assert alone.note == "only one seed and one probe" and math.isnan(alone.seeds) and math.isnan(alone.probes)


def test_another_metric_may_rank_otherwise(tmp_path: Path) -> None:
    results = study(tmp_path, {SEG: {model: 0.3 + 0.02 * n for n, model in enumerate(SSL[:5])}}, noise=0.0)
    second = list(results[0].metrics)[1]
    turned = []
    for record in results:
        worse = replace(record.metrics[second], value=-record.main.value if record.model_id != SSL[0] else 1.0)
        turned.append(replace(record, metrics={**record.metrics, second: worse}))
    (group,) = analyse(Results(turned)).groups
    (found,) = group.sensitivity
    assert (found.metric, found.n, found.best) == (second, 5, SSL[0])
    assert found.spearman == pytest.approx(-1.0) and found.kendall == pytest.approx(-1.0) and found.largest_move == 4
    (same,) = analyse(results).groups[0].sensitivity
    assert same.spearman == pytest.approx(1.0) and same.largest_move == 0


def test_agreement_and_relations_by_scope(tmp_path: Path) -> None:
    quality = {model: 0.3 + 0.02 * n for n, model in enumerate(SSL)}
    tasks = {SEG: quality, NORMALS: dict(reversed(quality.items())), DEPTH: {m: 1 - q for m, q in quality.items()}}
    high = own({model: 100 * value for model, value in quality.items()})
    found = analyse(study(tmp_path, tasks, scenes=8, each=1, noise=0.0), high)
    values = {(one.a.split("/")[0], one.b.split("/")[0]): one for one in found.agreement}
    assert values[NORMALS, SEG].spearman.value == pytest.approx(1.0) and values[DEPTH, SEG].pearson.value < -0.99
    scopes = {one.scope: one for one in found.relations if one.group.startswith(SEG)}
    assert set(scopes) == {"pooled", "ResNet-50", "ViT-B/16", "given architecture"}
    assert scopes["pooled"].r_squared.low > 0.9 and scopes["pooled"].line is not None
    assert scopes["ResNet-50"].pearson.n == len(RESNETS) == 17 and scopes["ResNet-50"].pearson.told
    few = scopes["ViT-B/16"]
    assert few.pearson.n == 5 and few.pearson.note == few.r_squared.note == TOO_FEW and few.line is None
    assert scopes["given architecture"].pearson.told and len(scopes["pooled"].points) == 22


def test_published_scores_stand_only_beside_their_checkpoint(tmp_path: Path) -> None:
    """These results come from no published file, so a published number is not theirs."""
    results = study(tmp_path, {SEG: dict.fromkeys(SSL, 0.5)}, scenes=6, each=1)
    published = [HighScore(model, "imagenet-linear", 70.0, "made up", "published") for model in SSL]
    assert analyse(results, published).relations == ()


def test_a_high_level_task_of_the_study_is_a_reference(tmp_path: Path) -> None:
    quality = {SEG: dict.fromkeys(SSL[:4], 0.5), "synth-labels": {m: 0.1 * n for n, m in enumerate(SSL[:4], 1)}}
    found = analyse(study(tmp_path, quality, scenes=6, each=1))
    assert {one.set for one in found.relations} == {"synth-labels"}
    assert {group.level for group in found.groups} == {"mid", "high"}
    assert max(point.x for point in found.relations[0].points) == pytest.approx(40, abs=3)


def test_lost_items_limited_runs_and_odd_items_are_noted(tmp_path: Path) -> None:
    records = list(study(tmp_path, {SEG: {"dino_vitb16": 0.6, "mae_vitb16": 0.5, "ibot_vitb16": 0.7}}))
    assert records[0].folder is not None
    (records[0].folder / "items.jsonl").write_text("gone")
    limited = replace(records[2], dataset={**records[2].dataset, "limited": True}, run_hash="limited")
    odd = put(tmp_path, "swav_resnet50", SEG, 0.5, scenes=7)
    found = analyse(Results([*records, limited, odd]))
    assert any("1 limited" in note for note in found.notes) and any("dino_vitb16" in note for note in found.notes)
    assert any("swav_resnet50" in note and "other items" in note for note in found.notes)
    assert {one.model for one in found.groups[0].standings} == {"mae_vitb16", "ibot_vitb16"}


def test_facts_come_from_the_card_or_the_caller() -> None:
    facts = facts_of({"id": "somewhere", "card": "ibot_vitb16"})
    assert (facts.method, facts.paradigm, facts.other_paradigm) == ("iBOT", "masked modelling", "self-distillation")
    assert facts.architecture == "ViT-B/16" and facts.self_supervised and not facts.supervised
    assert facts_of({"id": "dino_vitb16"}).card == "dino_vitb16" and facts_of({"id": "timm/x"}).paradigm == "unknown"
    assert facts_of_card(all_cards()["deit_vitb16"], "stand-in").supervised
    roles = [role_of(id) for id in ("control/oracle", "control/noise", "control/pixels", "random/resnet50", "timm/x")]
    assert roles == ["ceiling", "floor", "control", "control", "model"]


def test_stand_ins_borrow_facts_and_decide_nothing(tmp_path: Path) -> None:
    """A trial study of random networks shows every table; beside a trained model they are baselines again."""
    names = [f"random/{model}" for model in (*SSL, *SUPERVISED)]
    results = study(tmp_path, {SEG: {name: 0.3 + 0.02 * n for n, name in enumerate(names)}}, scenes=6, each=1)
    found = analyse(results)
    assert found.paradigms[0].n == 22 and len(found.shares[0].models) == 22
    assert found.notes[0].startswith("These encoders have random weights")
    assert {one.verdict for one in found.findings} == {"undecided"}
    assert found.findings[0].numbers and "random weights" in found.findings[0].reason
    assert all(one.stand_in and one.role == "model" for one in found.models)
    trained = analyse(Results([*results, put(tmp_path, "dino_vitb16", SEG, 0.5, scenes=6, each=1)]))
    assert {one.role for one in trained.models} == {"model", "control"} and not trained.notes


def test_facts_can_be_given(tmp_path: Path) -> None:
    facts: dict[str, ModelFacts] = {m: facts_of_card(all_cards()[m], f"my/{m}") for m in SSL}
    given = {f"my/{model}": one for model, one in facts.items()}
    found = analyse(study(tmp_path, {SEG: dict.fromkeys(given, 0.5)}, scenes=6, each=1), facts=given)
    assert found.paradigms[0].n == 22
    assert [asdict(one) for one in found.models] == json.loads(
        json.dumps([asdict(given[one.model]) for one in found.models])
    )

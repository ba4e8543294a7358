"""The ridge probe against scikit-learn on the same cells, and what must not move it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from probe_fakes import CORRECTED, FakeSource, headline, items_of, patch_plan, stage_plan, target_of
from sklearn.linear_model import Ridge

from midvision.core.errors import DataError
from midvision.core.features import FeaturePlan, Features
from midvision.core.items import DenseItem, Target
from midvision.core.specs import ProbeSpec
from midvision.probes.closed_form import Design, JoinedRidges, RidgeLearner, fold_of_images, share_design
from midvision.probes.dense import dense_learner
from midvision.probes.gram import GramStore, RowSums, TargetSums, ThinRows
from midvision.probes.problem import DenseProblem
from midvision.probes.solve import PENALTIES, fit_ridges
from midvision.probes.train import run_stream
from midvision.probes.truth import cell_targets

RIDGE = ProbeSpec(name="ridge")


def _learner(kind: str, plan: FeaturePlan, items: list[DenseItem]) -> RidgeLearner:
    learner = dense_learner(DenseProblem(kind), CORRECTED, RIDGE, plan, items, headline(kind), 0, "cpu")
    assert isinstance(learner, RidgeLearner)
    return learner


def _cells(
    learner: RidgeLearner, source: FakeSource, items: list[DenseItem]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, targets, weights and folds, image by image."""
    parts = []
    for item in items:
        x = learner.design.rows([m[None] for m in source.maps[item.image]], 0).double().numpy()
        y, w = cell_targets(learner.problem, item, learner.design.grid)
        parts.append((x, y.numpy(), w.numpy(), np.full(len(x), learner.folds[item.image])))
    x, y, w, fold = (np.concatenate(part) for part in zip(*parts))
    return x, y, w, fold


def _sklearn(x: np.ndarray, y: np.ndarray, w: np.ndarray, penalty: float, new: np.ndarray) -> np.ndarray:
    mean = np.average(x, axis=0, weights=w)
    scale = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    model = Ridge(alpha=penalty * w.sum()).fit((x - mean) / scale, y, sample_weight=w)
    return np.asarray(model.predict((new - mean) / scale)).reshape(len(new), -1)


@pytest.mark.parametrize("kind", ["depth", "normals", "mask"])
@pytest.mark.parametrize("plan", [patch_plan(), stage_plan()], ids=["patches", "stages"])
def test_ridge_is_scikit_learns_with_its_grouped_cross_validation(kind: str, plan: FeaturePlan) -> None:
    items = items_of(kind, 14, groups=7)
    learner, source = _learner(kind, plan, items), FakeSource(plan, [i.image for i in items])
    run_stream(source, [learner], shuffle=True)
    x, y, w, fold = _cells(learner, source, items)
    errors = []
    for penalty in PENALTIES:
        wrong = 0.0
        for held in range(5):
            rest = fold != held
            predicted = _sklearn(x[rest], y[rest], w[rest], penalty, x[~rest])
            wrong += (w[~rest, None] * (y[~rest] - predicted) ** 2).sum()
        errors.append(wrong / w.sum())
    record = learner.record()
    np.testing.assert_allclose([entry["error"] for entry in record["candidates"]], errors, rtol=1e-6)
    assert record["penalty"] == PENALTIES[int(np.argmin(errors))]
    fit = learner.readout.fit
    ours = (torch.from_numpy(x) - fit.mean) / fit.scale @ fit.weights + fit.intercept
    np.testing.assert_allclose(ours.numpy(), _sklearn(x, y, w, record["penalty"], x), atol=1e-6)


@pytest.mark.parametrize("kind", ["depth", "normals"])
def test_fewer_cells_than_channels_give_the_same_fit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small data on a wide network is solved over cells instead of channels; both ways are one regression."""
    plan, items = patch_plan(channels=220), items_of(kind, 10, groups=5)
    thin, wide = _learner(kind, plan, items), _learner(kind, plan, items)
    source = FakeSource(plan, [i.image for i in items])
    run_stream(source, [thin], shuffle=True)
    with monkeypatch.context() as changed:
        changed.setattr("midvision.probes.gram._THIN_SHARE", 0.0)
        run_stream(source, [wide], shuffle=True)
    x, y, w, _ = _cells(thin, source, items)
    assert len(x) < 0.6 * thin.design.channels, "this case must take the way over cells"
    few, many = thin.record(), wide.record()
    assert few["penalty"] == many["penalty"]
    for one, other in zip(few["candidates"], many["candidates"], strict=True):
        assert one["error"] == pytest.approx(other["error"], rel=1e-6)
    expected = _sklearn(x, y, w, few["penalty"], x)
    for learner in (thin, wide):
        fit = learner.readout.fit
        ours = (torch.from_numpy(x) - fit.mean) / fit.scale @ fit.weights + fit.intercept
        np.testing.assert_allclose(ours.numpy(), expected, atol=1e-6)
    torch.testing.assert_close(thin.state()["weights"], wide.state()["weights"], atol=1e-7, rtol=1e-5)


def test_kept_rows_part_where_weights_differ() -> None:
    store = GramStore(40, [1, 1, 1], 2, torch.device("cpu"))
    x, w = torch.randn(6, 40), torch.rand(6, dtype=torch.float64)
    holed = w.clone()
    holed[2] = 0
    store.add(0, x, [w, w, holed], [torch.randn(6, 1, dtype=torch.float64) for _ in range(3)])
    store.finish()
    kept = [slot[0] for slot in store.row_sums]
    assert all(isinstance(rows, ThinRows) for rows in kept)
    assert kept[0] is kept[1] and kept[0] is not kept[2]
    assert [len(rows.x) for rows in kept if isinstance(rows, ThinRows)] == [6, 6, 5]
    dense = RowSums.zeros(40, torch.device("cpu"))
    dense.add(x.double(), holed)
    slope = torch.randn(40, 3, dtype=torch.float64)
    torch.testing.assert_close(kept[2].times(slope), dense.times(slope))
    torch.testing.assert_close(kept[2].diagonal(), dense.diagonal())
    torch.testing.assert_close(kept[2].rows, dense.rows)
    assert kept[2].weight == pytest.approx(dense.weight) and store.row_sums[0][1].weight == 0


def test_readout_resizes_then_links() -> None:
    plan, items = patch_plan(), items_of("depth", 6)
    learner, source = _learner("depth", plan, items), FakeSource(plan, [i.image for i in items])
    run_stream(source, [learner], shuffle=False)
    maps = source.maps["image0"]
    out = learner.readout.predict(Features(tuple(m[None] for m in maps), None), (50, 60))
    fit = learner.readout.fit
    cells = (learner.design.rows([m[None] for m in maps], 0).double() - fit.mean) / fit.scale @ fit.weights
    grid = (cells + fit.intercept).T.reshape(1, 1, 7, 7)
    log_depth = torch.nn.functional.interpolate(grid, size=(50, 60), mode="bilinear", align_corners=False)
    torch.testing.assert_close(out, log_depth.exp().clamp(0.001, 10).float())


def test_cell_targets_of_one_image_by_hand() -> None:
    values = torch.full((1, 32, 32), 2.0)
    values[:, :16, 16:] = 4.0
    values[:, 8:16, 16:] = 8.0
    valid = torch.ones((1, 32, 32), dtype=torch.bool)
    valid[:, 16:, :8] = False
    valid[:, 16:, 16:] = False
    values[:, 16:, 16:] = float("nan")
    item = DenseItem("a", "g", "a", lambda: Target(values, valid))
    design = Design(patch_plan(32), "true")
    y, w = cell_targets(DenseProblem("depth"), item, design.grid)
    np.testing.assert_allclose(y[:, 0].exp().numpy(), [2.0, (4 * 8) ** 0.5, 2.0, 1.0])
    np.testing.assert_allclose(w.numpy(), [1, 1, 0.5, 0])


def test_truth_beyond_the_depth_range_does_not_teach() -> None:
    item = DenseItem("a", "g", "a", lambda: Target(torch.full((1, 32, 32), 5.0), torch.ones(1, 32, 32).bool()))
    grid = Design(patch_plan(32), "true").grid
    assert cell_targets(DenseProblem("depth", depth_range_m=(0.001, 4.0)), item, grid)[1].sum() == 0
    assert cell_targets(DenseProblem("depth"), item, grid)[1].sum() == 4


def test_folds_are_whole_groups_of_equal_number() -> None:
    items = items_of("depth", 40, groups=20)
    folds = fold_of_images(items)
    by_group = {item.group: {folds[i.image] for i in items if i.group == item.group} for item in items}
    assert all(len(found) == 1 for found in by_group.values())
    assert sorted(folds.values()) == sorted(list(range(5)) * 8)
    assert set(fold_of_images(items_of("depth", 3, groups=3)).values()) == {0, 1, 2}
    assert set(fold_of_images(items_of("depth", 8, groups=1)).values()) == {0, 1, 2, 3, 4}


def test_one_image_is_enough() -> None:
    plan, items = patch_plan(), items_of("mask", 1)
    learner = _learner("mask", plan, items)
    source = FakeSource(plan, ["image0"])
    run_stream(source, [learner], shuffle=True)
    assert learner.record()["folds"] == 1 and learner.record()["candidates"] == []
    out = learner.readout.predict(Features(tuple(m[None] for m in source.maps["image0"]), None), (112, 112))
    assert out.min() >= 0 and out.max() <= 1


def test_no_valid_cell_is_an_error() -> None:
    empty = DenseItem("a", "g", "a", lambda: Target(torch.zeros(1, 112, 112), torch.zeros(1, 112, 112).bool()))
    learner = _learner("depth", patch_plan(), [empty])
    with pytest.raises(DataError, match="valid"):
        run_stream(FakeSource(patch_plan(), ["a"]), [learner], shuffle=True)
    with pytest.raises(DataError, match="no items"):
        _learner("depth", patch_plan(), [])


def test_stream_batches_and_company_leave_the_same_bits() -> None:
    plan, states = patch_plan(), []
    items = items_of("depth", 30, groups=10)
    for batch, company in ((1, ()), (7, ("normals",)), (32, ("normals", "mask"))):
        learner = _learner("depth", plan, items)
        others = [_learner(kind, plan, items_of(kind, 30, groups=10)) for kind in company]
        run_stream(FakeSource(plan, [i.image for i in items], batch), [*others, learner], shuffle=True)
        states.append(learner.state())
    for state in states[1:]:
        assert all(torch.equal(state[name], states[0][name]) for name in state)


def test_constant_channels_get_no_weight() -> None:
    plan, items = patch_plan(), items_of("depth", 10)
    source = FakeSource(plan, [i.image for i in items])
    for maps in source.maps.values():
        maps[0][3] = 5.0
    learner = _learner("depth", plan, items)
    run_stream(source, [learner], shuffle=True)
    weights = learner.state()["weights"]
    assert torch.isfinite(weights).all() and float(weights[3].abs().max()) == 0


def _holed(number: int, from_image: int) -> Target:
    target = target_of("normals", 112, number)
    if number >= from_image:
        target.valid[:, 40:80, 40:80] = False
    return target


@pytest.mark.parametrize("from_image", [0, 9, 99])
def test_shared_grams_part_where_weights_differ(from_image: int) -> None:
    """Joined learners give what each gives alone, whether their weights agree always, at first or never."""
    plan = patch_plan()
    depth = items_of("depth", 20)
    normals = [
        DenseItem(i.id, i.group, i.image, lambda n=number: _holed(n, from_image)) for number, i in enumerate(depth)
    ]
    alone, joined = [], [_learner("depth", plan, depth), _learner("normals", plan, normals)]
    for kind, items in (("depth", depth), ("normals", normals)):
        alone.append(_learner(kind, plan, items))
        run_stream(FakeSource(plan, [i.image for i in depth]), [alone[-1]], shuffle=True)
    active = share_design(joined)
    assert len(active) == 1 and isinstance(active[0], JoinedRidges)
    run_stream(FakeSource(plan, [i.image for i in depth], 3), joined, shuffle=True)
    for one, other in zip(alone, joined):
        assert one.record() == other.record()
        for name, value in one.state().items():
            assert torch.equal(other.state()[name], value)


def test_agreeing_slots_hold_one_matrix() -> None:
    store = GramStore(4, [1, 3, 1], 2, torch.device("cpu"))
    x, w = torch.randn(6, 4), torch.rand(6, dtype=torch.float64)
    y = [torch.randn(6, k, dtype=torch.float64) for k in (1, 3, 1)]
    store.add(0, x, [w, w, w], y)
    store.add(1, x, [w, w, 2 * w], y)
    store.finish()
    sums = store.row_sums
    assert sums[0][0] is sums[1][0] is sums[2][0] and sums[0][1] is sums[1][1]
    assert sums[2][1] is not sums[0][1]
    own, shared = sums[2][1], sums[0][1]
    assert isinstance(own, RowSums) and isinstance(shared, RowSums)
    torch.testing.assert_close(own.gram, 2 * shared.gram)


def test_learners_on_other_images_or_maps_stay_apart() -> None:
    a, b = items_of("depth", 10), items_of("depth", 9)
    learners = [
        _learner("depth", patch_plan(), a),
        _learner("depth", patch_plan(), b),
        _learner("depth", stage_plan(), a),
    ]
    assert share_design(learners) == learners


def _bytes(store: GramStore) -> int:
    """All tensors that a store holds, waiting rows included."""
    sums = {id(part): part for slot in store.row_sums for part in slot}.values()
    held = [t for part in sums if isinstance(part, RowSums) for t in (part.gram, part.rows)]
    held += [t for slot in store.target_sums for part in slot for t in (part.cross, part.targets, part.squares)]
    for waiting in store._pending:
        held += waiting.x + [t for group in (waiting.weights, waiting.targets) for parts in group for t in parts]
    return sum({t.data_ptr(): t.untyped_storage().nbytes() for t in held}.values())


def test_memory_does_not_grow_with_the_number_of_images() -> None:
    plan, peaks = patch_plan(channels=40), []
    maps = FakeSource(plan, ["one"]).maps["one"]
    for count in (300, 900):
        items = items_of("depth", count, groups=60)
        learner = _learner("depth", plan, items)
        for item in items:
            learner.feed(0, [item.image], Features(tuple(m[None].clone() for m in maps), None))
            assert learner._store is not None
            peaks.append((count, _bytes(learner._store)))
    few, many = (max(size for count, size in peaks if count == wanted) for wanted in (300, 900))
    assert many < 1.1 * few and max(p.rows for p in learner._store._pending) < 2048


def test_ties_take_the_larger_penalty() -> None:
    """Targets that are all zero fit equally well under every penalty."""
    g = torch.Generator().manual_seed(0)
    rows, targets = [], []
    for _ in range(3):
        x = torch.randn((50, 4), generator=g, dtype=torch.float64)
        rows.append(RowSums.zeros(4, x.device))
        targets.append(TargetSums.zeros(4, 1, x.device))
        rows[-1].add(x, torch.ones(50, dtype=torch.float64))
        targets[-1].add(x, torch.ones(50, dtype=torch.float64), torch.zeros(50, 1, dtype=torch.float64))
    (fit,) = fit_ridges(rows, [targets])
    assert fit.penalty == max(PENALTIES) and float(fit.weights.abs().max()) == 0

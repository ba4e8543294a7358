"""The oracle on constructed worlds: matching finds the true cell, triplets are all right, shuffling knows nothing."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from midvision.core.errors import DataError, UsageError
from midvision.core.features import FeaturePlan, Features, FeatureSpec
from midvision.core.items import (
    Content,
    Dataset,
    DenseItem,
    Homography,
    Image,
    Item,
    KeypointPairItem,
    LabelItem,
    PairItem,
    Surface,
    Target,
    TripletItem,
    View,
)
from midvision.encoders.plan import make_plan
from midvision.extraction.controls import CHANNELS, STRONG, OracleEncoder
from midvision.extraction.nearest import two_nearest
from midvision.extraction.shuffle import other_images
from midvision.geometry.camera import apply_homography, project
from midvision.geometry.lookup import sample_map
from midvision.geometry.pose import apply, compose, invert

SIZE = 224


def dataset(items: Sequence[Item], images: Sequence[str], content: Content, tag: str = "", size: int = SIZE) -> Dataset:
    known = {name: Image(name, lambda: torch.zeros(3, size, size), lambda name=name: name) for name in images}
    return Dataset("made", "1", content, "test", known, items, f"{content}{tag}", (size, size))


def plan_of(encoder: OracleEncoder, size: int = SIZE, layers: tuple[int, ...] | None = None, **fields) -> FeaturePlan:
    return make_plan(FeatureSpec((size, size), layers, **fields), encoder.info)


def features(encoder: OracleEncoder, ids: Sequence[str], plan: FeaturePlan) -> Features:
    with torch.inference_mode():
        found = encoder.encode(ids, torch.zeros(len(ids), 3, *plan.input_size), plan)
    assert all(m.shape == (len(ids), layer.channels, *layer.grid.size) for m, layer in zip(found.maps, plan.layers))
    assert all(torch.isfinite(m.half()).all() for m in found.maps)
    return found


def dense_items(count: int) -> tuple[list[DenseItem], list[DenseItem], list[DenseItem]]:
    generator = torch.Generator().manual_seed(0)
    depth, normals, masks = [], [], []
    for number in range(count):
        metres = 1 + 4 * torch.rand((1, SIZE, SIZE), generator=generator)
        valid = torch.rand((1, SIZE, SIZE), generator=generator) > 0.3
        valid[:, :32, :32] = False
        metres[~valid] = math.nan
        direction = torch.nn.functional.normalize(torch.randn((3, SIZE, SIZE), generator=generator), dim=0)
        mask = (torch.rand((1, SIZE, SIZE), generator=generator) > 0.5).float()
        everywhere = torch.ones_like(valid)
        name, group = f"im{number}", f"g{number // 2}"
        depth.append(DenseItem(f"d{number}", group, name, lambda m=metres, v=valid: Target(m, v)))
        normals.append(DenseItem(f"n{number}", group, name, lambda n=direction, v=valid: Target(n, v)))
        masks.append(DenseItem(f"m{number}", group, name, lambda m=mask, v=everywhere: Target(m, v)))
    return depth, normals, masks


def test_dense_truth_is_the_mean_of_each_cell() -> None:
    depth, normals, masks = dense_items(2)
    names = ["im0", "im1"]
    encoder = OracleEncoder()
    for items, content in ((depth, "depth"), (normals, "normals"), (masks, "segmentation")):
        encoder = encoder.for_dataset(dataset(items, names, content))
    found = features(encoder, names, plan_of(encoder))
    assert len(found.maps) == 4 and torch.equal(found.maps[0], found.maps[2])
    for number in range(2):
        target = depth[number].target()
        for row, column in ((0, 0), (3, 5), (13, 13)):
            cell = (slice(None), slice(16 * row, 16 * row + 16), slice(16 * column, 16 * column + 16))
            metres, valid = target.values[cell], target.valid[cell]
            block = found.maps[0][number, :, row, column] / STRONG
            if valid.any():
                everything = depth[number].target()
                near, far = (pick(everything.values[everything.valid]) for pick in (torch.min, torch.max))
                relative = 0.01 + 0.99 * (metres[valid] - near) / (far - near)
                wanted = [metres[valid].log(), metres[valid], 1 / metres[valid], relative.log()]
                torch.testing.assert_close(block[:4], torch.stack([w.mean() for w in wanted]), rtol=1e-4, atol=1e-4)
                there = valid.expand(3, -1, -1)
                normal = normals[number].target().values[cell].where(there, torch.tensor(0.0)).sum((1, 2)) / valid.sum()
                torch.testing.assert_close(block[5:8], normal, rtol=1e-4, atol=1e-4)
            else:
                # The corner's four cells have no depth; the nearest cells that have some stand in.
                assert block[4] == block[8] == 0
                near_by = {(0, 0): ((0, 2), (2, 0))}[row, column]
                assert any(torch.equal(block[:4], found.maps[0][number, :4, r, c] / STRONG) for r, c in near_by)
            assert float(block[4]) == pytest.approx(float(valid.float().mean()), abs=1e-4)
            assert float(block[9]) == pytest.approx(float(masks[number].target().values[cell].mean()), abs=1e-4)
    assert found.maps[0][:, 11:].abs().max() == 0


def pose(yaw_deg: float, offset: tuple[float, float, float]) -> Tensor:
    c, s = math.cos(math.radians(yaw_deg)), math.sin(math.radians(yaw_deg))
    T = torch.eye(4, dtype=torch.float64)
    T[:3, :3] = torch.tensor([[c, 0, s], [0, 1, 0], [-s, 0, c]], dtype=torch.float64)
    T[:3, 3] = torch.tensor(offset, dtype=torch.float64)
    return T


K = torch.tensor([[200.0, 0, 112], [0, 200, 112], [0, 0, 1]], dtype=torch.float64)


def slanted_view(camera_from_world: Tensor) -> Surface:
    """The plane z + 0.3 x - 0.2 y = 3 of the world, seen by a camera."""
    ys, xs = torch.meshgrid(torch.arange(SIZE) + 0.5, torch.arange(SIZE) + 0.5, indexing="ij")
    rays = torch.stack((xs, ys, torch.ones_like(xs))).double().flatten(1).T @ torch.linalg.inv(K).T
    world_from_camera = invert(camera_from_world)
    normal = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64)
    origin, directions = world_from_camera[:3, 3], rays @ world_from_camera[:3, :3].T
    depth = (3 - normal @ origin) / (directions @ normal)
    depth = depth.reshape(1, SIZE, SIZE)
    return Surface(depth.clamp_min(0).float(), depth > 0, K)


def scene(count: int = 4, world: Tensor | None = None, tag: str = "") -> tuple[Dataset, list[PairItem]]:
    """A chain of views on one plane; `world` moves the frame that each pair calls the world."""
    poses = [pose(6.0 * n, (0.1 * n, 0.05 * n, 0.02 * n)) for n in range(count)]
    views = []
    for number, T in enumerate(poses):
        views.append((f"{tag}v{number}", lambda T=T: slanted_view(T), T))
    items = []
    for number, (a, b) in enumerate(pairwise(views)):
        moved = [T if world is None else T @ invert(world) for _, _, T in (a, b)]
        items.append(
            PairItem(f"{a[0]}-{b[0]}", tag, View(a[0], a[1], moved[0]), View(b[0], b[1], moved[1])),
        )
        world = None if world is None else pose(40.0 * number, (1.0, 2.0, 3.0))
    return dataset(items, [name for name, _, _ in views], "scene-pairs", tag), items


def match_errors_px(found: Features, plan: FeaturePlan, item: PairItem, rows: tuple[int, int]) -> Tensor:
    """Match cell centres of a to all cells of b; error in pixels of b against the true place."""
    grid = plan.layers[-1].grid
    ys, xs = torch.meshgrid(torch.arange(14) * 16 + 8.0, torch.arange(14) * 16 + 8.0, indexing="ij")
    centres = torch.stack((xs, ys), -1).reshape(-1, 2)
    a, b = (sample_map(found.maps[-1][row], grid, centres) for row in rows)
    index, _ = two_nearest(a, b)
    depth = item.a.surface().depth_m.double()
    picked = depth[0, centres[:, 1].long(), centres[:, 0].long()][:, None]
    rays = torch.cat((centres.double(), torch.ones(len(centres), 1)), 1) @ torch.linalg.inv(K).T
    b_from_a = compose(item.b.camera_from_world, invert(item.a.camera_from_world))
    true = project(K, apply(b_from_a, rays * picked))
    inside = ((true > 8) & (true < SIZE - 8)).all(1)
    assert int(inside.sum()) > 100
    return (centres[index[inside, 0]] - true[inside]).abs().amax(1)


@pytest.mark.parametrize("world", [None, pose(0.0, (0.0, 0.0, 0.0))])
def test_matching_finds_the_true_cell(world: Tensor | None) -> None:
    """The found cell holds the true point, also where every pair calls another frame the world."""
    made, items = scene(world=world)
    encoder = OracleEncoder().for_dataset(made)
    plan = plan_of(encoder, layers=(-1,))
    found = features(encoder, list(made.images), plan)
    found = Features(tuple(m.half().float() for m in found.maps), None)
    for number, item in enumerate(items):
        errors = match_errors_px(found, plan, item, (number, number + 1))
        assert float((errors <= 8.8).double().mean()) > 0.97 and float(errors.max()) < 16


def test_matching_is_finer_than_a_cell_on_a_resized_map() -> None:
    made, (item, *_) = scene()
    encoder = OracleEncoder().for_dataset(made)
    plan = plan_of(encoder, layers=(-1,))
    grid = plan.layers[-1].grid
    a, b = features(encoder, ["v0", "v1"], plan).maps[-1]
    ys, xs = torch.meshgrid(torch.arange(56) * 4 + 2.0, torch.arange(56) * 4 + 2.0, indexing="ij")
    points = torch.stack((xs, ys), -1).reshape(-1, 2)
    index, _ = two_nearest(sample_map(a, grid, points), sample_map(b, grid, points))
    depth = item.a.surface().depth_m.double()[0, points[:, 1].long(), points[:, 0].long()][:, None]
    rays = torch.cat((points.double(), torch.ones(len(points), 1)), 1) @ torch.linalg.inv(K).T
    b_from_a = compose(item.b.camera_from_world, invert(item.a.camera_from_world))
    true = project(K, apply(b_from_a, rays * depth))
    inside = ((true > 12) & (true < SIZE - 12)).all(1) & ((points > 12) & (points < SIZE - 12)).all(1)
    errors = (points[index[inside, 0]] - true[inside]).norm(dim=1)
    assert float(errors.median()) < 3.0 and float((errors < 8).double().mean()) > 0.95


def test_planar_pairs_match_in_the_plane() -> None:
    H = torch.tensor([[1.05, 0.08, 5.0], [-0.06, 0.97, 9.0], [1e-4, -5e-5, 1.0]], dtype=torch.float64)
    blank = lambda: Surface(torch.ones(1, SIZE, SIZE), torch.ones(1, SIZE, SIZE, dtype=torch.bool), torch.eye(3))  # noqa: E731
    eye = torch.eye(4, dtype=torch.float64)
    items = [
        PairItem("p", "g", View("b", blank, eye), View("a", blank, eye), Homography(torch.linalg.inv(H))),
        PairItem("q", "g", View("a", blank, eye), View("c", blank, eye), Homography(H)),
    ]
    encoder = OracleEncoder().for_dataset(dataset(items, ["a", "b", "c"], "scene-pairs"))
    plan = plan_of(encoder, layers=(-1,))
    found = features(encoder, ["a", "b", "c"], plan).maps[-1]
    assert torch.nn.functional.cosine_similarity(found[1], found[2], dim=0).min() > 0.999
    ys, xs = torch.meshgrid(torch.arange(14) * 16 + 8.0, torch.arange(14) * 16 + 8.0, indexing="ij")
    centres = torch.stack((xs, ys), -1).reshape(-1, 2)
    grid = plan.layers[-1].grid
    index, _ = two_nearest(sample_map(found[0], grid, centres), sample_map(found[1], grid, centres))
    true = apply_homography(H, centres.double())
    inside = ((true > 8) & (true < SIZE - 8)).all(1)
    errors = (centres[index[inside, 0]] - true[inside]).abs().amax(1)
    assert float((errors <= 8.8).double().mean()) > 0.97


def test_cells_that_show_nothing_are_faint_and_unrelated() -> None:
    empty = lambda: Surface(torch.zeros(1, SIZE, SIZE), torch.zeros(1, SIZE, SIZE, dtype=torch.bool), K)  # noqa: E731
    eye = torch.eye(4, dtype=torch.float64)
    made = dataset([PairItem("p", "g", View("a", empty, eye), View("b", empty, eye))], ["a", "b"], "object-pairs")
    encoder = OracleEncoder().for_dataset(made)
    a, b = features(encoder, ["a", "b"], plan_of(encoder, layers=(-1,))).maps[-1]
    assert 0 < float(a.norm(dim=0).max()) < 0.01
    assert float(torch.nn.functional.cosine_similarity(a, b, dim=0).abs().mean()) < 0.15


def right_share(encoder: OracleEncoder, items: Sequence[TripletItem]) -> float:
    plan = plan_of(encoder, maps=False)
    names = sorted({name for item in items for name in (item.reference, item.left, item.right)})
    pooled = features(encoder, names, plan).pooled
    assert pooled is not None
    vectors = dict(zip(names, torch.nn.functional.normalize(pooled.half().float(), dim=1)))
    right = 0
    for item in items:
        reference = vectors[item.reference]
        chose_right = float(reference @ vectors[item.right]) > float(reference @ vectors[item.left])
        right += chose_right == (item.right_share > 0.5)
    return right / len(items)


def random_triplets(count: int, images: int, seed: int) -> list[TripletItem]:
    """Shared images; the answers follow a hidden order of image pairs, so they do not contradict."""
    rng = random.Random(seed)
    hidden = torch.randn((images, 5), generator=torch.Generator().manual_seed(seed))
    items = []
    for number in range(count):
        r, left, right = rng.sample(range(images), 3)
        share = 1.0 if float(hidden[r] @ hidden[right]) > float(hidden[r] @ hidden[left]) else 0.0
        items.append(TripletItem(f"t{number}", f"g{number}", f"im{r}", f"im{left}", f"im{right}", share))
    return items


@pytest.mark.parametrize(("count", "images"), [(1, 3), (40, 300), (200, 60), (400, 60)])
def test_every_triplet_of_a_random_set_is_answered_rightly(count: int, images: int) -> None:
    items = random_triplets(count, images, count)
    encoder = OracleEncoder().for_dataset(dataset(items, [f"im{n}" for n in range(images)], "triplets"))
    assert right_share(encoder, items) == 1.0


def test_labels_do_not_turn_triplets_and_stay_separable() -> None:
    items = random_triplets(200, 60, 1)
    labels = [LabelItem(f"l{n}", f"g{n}", f"im{n}", n % 7, str(n % 7)) for n in range(60)]
    names = [f"im{n}" for n in range(60)]
    encoder = OracleEncoder().for_dataset(dataset(items, names, "triplets"))
    both = encoder.for_dataset(dataset(labels, names, "labels"))
    assert right_share(both, items) == 1.0
    pooled = features(both, names, plan_of(both, maps=False)).pooled
    assert pooled is not None
    assert (pooled[:, 64:].argmax(1) == torch.arange(60) % 7).all()
    many = [LabelItem(f"l{n}", f"g{n}", f"im{n}", n * 5, str(n)) for n in range(60)]
    encoder = OracleEncoder().for_dataset(dataset(many, names, "labels"))
    codes = features(encoder, names, plan_of(encoder, maps=False, pooled="mean")).pooled
    assert codes is not None and torch.linalg.matrix_rank(codes[:50]) == 50


def test_keypoints_point_to_each_other() -> None:
    xy_a = torch.tensor([[20.0, 30.0], [100.0, 50.0], [200.0, 180.0]])
    xy_b = torch.tensor([[40.0, 35.0], [150.0, 60.0], [30.0, 200.0]])
    item = KeypointPairItem("p", "g", "a", "b", xy_a, xy_b, 200.0)
    encoder = OracleEncoder().for_dataset(dataset([item], ["a", "b"], "keypoint-pairs"))
    plan = plan_of(encoder, layers=(-1,))
    a, b = features(encoder, ["a", "b"], plan).maps[-1]
    grid = plan.layers[-1].grid
    ys, xs = torch.meshgrid(torch.arange(112) * 2 + 1.0, torch.arange(112) * 2 + 1.0, indexing="ij")
    points = torch.stack((xs, ys), -1).reshape(-1, 2)
    index, _ = two_nearest(sample_map(a, grid, xy_a), sample_map(b, grid, points))
    assert float((points[index[:, 0]] - xy_b).norm(dim=1).max()) < 12


def test_shuffled_oracle_knows_nothing() -> None:
    made, items = scene(tag="s")
    other, _ = scene(tag="t")
    both = dataset([*made.items, *other.items], [*made.images, *other.images], "scene-pairs", "both")
    encoder = OracleEncoder("control/shuffled-oracle").for_dataset(both)
    plan = plan_of(encoder, layers=(-1,))
    names = list(made.images)
    found = features(encoder, names, plan)
    for item in items:
        rows = names.index(item.a.image), names.index(item.b.image)
        assert float((match_errors_px(found, plan, item, rows) <= 8.8).double().mean()) < 0.05
    triplets = random_triplets(600, 600, 5)
    images = [f"im{n}" for n in range(600)]
    encoder = OracleEncoder("control/shuffled-oracle").for_dataset(dataset(triplets, images, "triplets"))
    assert abs(right_share(encoder, triplets) - 0.5) < 0.08


def test_shuffling_moves_every_image_to_another_group() -> None:
    depth, _, _ = dense_items(6)
    names = [f"im{n}" for n in range(6)]
    encoder = OracleEncoder("control/shuffled-oracle").for_dataset(dataset(depth, names, "depth"))
    other = encoder._shuffle
    assert sorted(other) == sorted(other.values()) == names
    assert all(int(a[2:]) // 2 != int(b[2:]) // 2 for a, b in other.items())
    plain = OracleEncoder().for_dataset(dataset(depth, names, "depth"))
    plan = plan_of(encoder, layers=(0,))
    shuffled, true = features(encoder, names, plan).maps[0], features(plain, names, plan).maps[0]
    mine, theirs = shuffled[0].flatten(1), true[names.index(other["im0"])].flatten(1)
    assert torch.equal(mine[1].sort().values, theirs[1].sort().values)
    assert not torch.equal(mine, theirs)
    order = [int((cell == mine.T).all(1).nonzero()[0, 0]) for cell in theirs.T[theirs[4] > 0]]
    assert torch.equal(mine[:, order], theirs[:, theirs[4] > 0])
    assert torch.equal(features(encoder, names[:1], plan).maps[0][0], shuffled[0])


@pytest.mark.parametrize("groups", [1, 2, 3, 8])
def test_no_pair_is_given_views_of_one_scene_where_that_can_be(groups: int) -> None:
    """Every image is used once; own groups and shared ones only where there are too few others."""
    images = [f"g{group}/{view}" for group in range(groups) for view in range(4)]
    group_of = {image: image.split("/")[0] for image in images}
    partners = {image: {f"{group_of[image]}/{view}" for view in range(4)} - {image} for image in images}
    source = other_images(images, group_of, partners)
    assert sorted(source) == sorted(source.values()) == sorted(images)
    assert all(image != other for image, other in source.items())
    if groups > 1:
        assert all(group_of[image] != group_of[other] for image, other in source.items())
    if groups == 8:
        assert all(group_of[source[a]] != group_of[source[b]] for a in images for b in partners[a])


def test_binding_keys_and_errors() -> None:
    depth, normals, _ = dense_items(2)
    one, two = dataset(depth, ["im0", "im1"], "depth"), dataset(normals, ["im0", "im1"], "normals")
    encoder = OracleEncoder()
    bound = encoder.for_dataset(one).for_dataset(two)
    assert encoder.datasets == () and len({encoder.key, encoder.for_dataset(one).key, bound.key}) == 3
    assert bound.key == encoder.for_dataset(two).for_dataset(one).key and bound.for_dataset(one) is bound
    assert OracleEncoder("control/shuffled-oracle").for_dataset(one).key != encoder.for_dataset(one).key
    with pytest.raises(DataError, match="knows no truth of image 'zebra'"):
        features(bound, ["zebra"], plan_of(bound))
    with pytest.raises(UsageError):
        OracleEncoder("control/oracel")
    assert bound.info.layers[0].channels == CHANNELS == bound.info.pooled_channels


@pytest.mark.parametrize("size", [112, 224, 448])
def test_any_input_size(size: int) -> None:
    depth, _, _ = dense_items(1)
    encoder = OracleEncoder().for_dataset(dataset(depth, ["im0"], "depth"))
    found = features(encoder, ["im0"], plan_of(encoder, size))
    assert found.maps[0].shape[-1] == size // 16
    assert float(found.maps[0][0, 1, -1, -1]) / STRONG == pytest.approx(3.0, abs=0.5)

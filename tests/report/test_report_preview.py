"""`show`: pictures of a data set, with true matches found by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Photo

from midvision.core.errors import UsageError
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
from midvision.core.specs import Protocol
from midvision.report.preview import ball, write_preview
from midvision.report.preview_facts import dense_facts, dense_words, overlap
from midvision.tasks.seen import seen_by_probe
from midvision.tasks.task import all_tasks

SIZE = (24, 32)
K = torch.tensor([[32.0, 0.0, 16.0], [0.0, 32.0, 12.0], [0.0, 0.0, 1.0]], dtype=torch.float64)


def image(name: str, level: float = 0.5) -> Image:
    return Image(name, lambda: torch.full((3, *SIZE), level), lambda: name)


def dataset(content: Content, *items: Item) -> Dataset:
    images = {name: image(name, 0.2 * place) for place, name in enumerate(("a", "b", "c"))}
    return Dataset("made <up>", "1", content, "test", images, items, "0123456789abcdef", SIZE)


def wall(depth_m: float = 2.0) -> Surface:
    return Surface(torch.full((1, *SIZE), depth_m), torch.ones(1, *SIZE, dtype=torch.bool), K)


def moved(x_m: float) -> torch.Tensor:
    pose = torch.eye(4, dtype=torch.float64)
    pose[0, 3] = -x_m
    return pose


def pair(shift_m: float, b: Surface | None = None) -> PairItem:
    a_side = View("a", wall, torch.eye(4, dtype=torch.float64))
    return PairItem("p", "g", a_side, View("b", lambda: b or wall(), moved(shift_m)))


def test_points_behind_the_other_camera_are_no_matches() -> None:
    """Camera b stands beyond the wall and looks away from it."""
    b = View("b", wall, moved(0.0))
    b.camera_from_world[2, 3] = -5.0
    share, xy_a, xy_b = overlap(PairItem("p", "g", View("a", wall, torch.eye(4, dtype=torch.float64)), b))
    assert share == len(xy_a) == len(xy_b) == 0


def test_a_camera_step_to_the_right_moves_a_wall_to_the_left() -> None:
    share, xy_a, xy_b = overlap(pair(0.25))
    # The wall moves by 4 of 32 columns.
    assert len(xy_a) > 10 and share == pytest.approx(28 / 32, abs=0.01)
    assert np.allclose(xy_b - xy_a, [-32.0 * 0.25 / 2.0, 0.0])
    assert (xy_b >= 0).all() and (xy_b[:, 0] < SIZE[1]).all()


def test_points_hidden_in_the_other_view_are_no_matches() -> None:
    share, xy_a, _ = overlap(pair(0.25, wall(1.0)))
    assert share == len(xy_a) == 0


def test_points_that_the_other_view_did_not_measure_are_no_matches() -> None:
    """The left half of view b is unknown; the wall moves four columns to the left."""
    half = wall()
    half.valid[..., : SIZE[1] // 2] = False
    share, _, xy_b = overlap(pair(0.25, half))
    assert share == pytest.approx(12 / 32, abs=0.01) and (xy_b[:, 0] >= SIZE[1] // 2).all()


def test_planar_pairs_follow_their_homography() -> None:
    shift = torch.eye(3, dtype=torch.float64)
    shift[0, 2] = 5.0
    side = View("a", wall, torch.eye(4, dtype=torch.float64))
    item = PairItem("p", "g", side, View("b", wall, side.camera_from_world), Homography(shift))
    share, xy_a, xy_b = overlap(item)
    assert share == pytest.approx(27 / 32, abs=0.01) and len(xy_a) > 10 and np.allclose(xy_b - xy_a, [5.0, 0.0])


def target() -> Target:
    values = torch.linspace(1, 3, SIZE[0] * SIZE[1]).reshape(1, *SIZE)
    return Target(values, torch.ones(1, *SIZE, dtype=torch.bool))


def towards(x: float, y: float, z: float, known: int = SIZE[1]) -> Target:
    """The same normal everywhere; columns from `known` on are invalid."""
    valid = torch.zeros(1, *SIZE, dtype=torch.bool)
    valid[..., :known] = True
    return Target(torch.tensor([x, y, z]).reshape(3, 1, 1).expand(3, *SIZE), valid)


def test_what_is_said_of_an_image_before_anything_is_measured() -> None:
    depth = target()
    depth.valid[..., :8] = False
    facts = dense_facts("depth", depth)
    assert facts["invalid"] == 0.25 and facts["farthest"] == pytest.approx(3) and 1 < facts["nearest"] < 1.1
    assert dense_words(facts, "m").startswith("25% of the pixels are invalid, depth 1.02 to 3.00 m, median 2.0")
    good, bad = dense_facts("normals", towards(0, -0.9, -0.436, 16)), dense_facts("normals", towards(0, 0.9, 0.436))
    assert good == {"invalid": 0.5, "facing": 1.0, "upwards": 1.0} and bad["facing"] == bad["upwards"] == 0
    assert "WARNING" in dense_words(bad, "m") and "WARNING" not in dense_words(good, "m")
    mask = Target((target().values > 2).float(), torch.ones(1, *SIZE, dtype=torch.bool))
    assert dense_words(dense_facts("segmentation", mask), "m").endswith("50% of the valid ones are foreground")
    nothing = Target(mask.values, torch.zeros_like(mask.valid))
    assert dense_words(dense_facts("segmentation", nothing), "m") == "100% of the pixels are invalid"


def test_the_ball_has_the_colours_of_normals() -> None:
    """Red to the right, green upwards, blue towards the camera."""
    picture = ball(97).astype(int)
    assert picture[48, 48].tolist() == [128, 128, 255] and picture[48, 92, 0] > 230 and picture[48, 4, 0] < 30
    assert picture[4, 48, 1] > 230 and picture[92, 48, 1] < 30 and picture[0, 0].tolist() == [255] * 3


def protocol(task: str, name: str) -> Protocol:
    return all_tasks()[task].protocols[name]


def test_truth_is_drawn_as_the_probe_sees_it() -> None:
    """Void, far depth, relative depth and normals without direction, by the rules of both protocols."""

    def seen(content: Content, truth: Target, task: str, name: str) -> tuple[Target, str]:
        found, unit = seen_by_probe(dataset(content, DenseItem("d", "g", "a", lambda: truth)), protocol(task, name))
        item = found.items[0]
        assert isinstance(item, DenseItem)
        return item.target(), unit

    void = Target(torch.zeros(1, *SIZE), torch.zeros(1, *SIZE, dtype=torch.bool))
    assert seen("segmentation", void, "voc12-seg", "paper")[0].values.mean() == 1
    assert not seen("segmentation", void, "voc12-seg", "corrected")[0].valid.any()
    far = Target(target().values * 5, torch.ones(1, *SIZE, dtype=torch.bool))
    for name in ("paper", "corrected"):
        found, unit = seen("depth", far, "nyu-depth", name)
        assert unit == "m" and torch.equal(found.valid, far.values <= 10)
    relative, unit = seen("object-depth", far, "navi-depth", "paper")
    assert float(relative.values.max()) == pytest.approx(1) and unit == "of the object's range"
    assert seen("object-depth", far, "navi-depth", "corrected")[1] == "m"
    blank = Target(torch.zeros(3, *SIZE), torch.ones(1, *SIZE, dtype=torch.bool))
    assert not seen("normals", blank, "nyu-normals", "corrected")[0].valid.any()
    unknown = towards(0, 0, -1, 0)
    assert seen("normals", unknown, "nyu-normals", "paper")[0].valid.all()
    assert not seen("normals", unknown, "nyu-normals", "corrected")[0].valid.any()
    pairs = dataset("scene-pairs", pair(0.1))
    assert seen_by_probe(pairs, protocol("scannet-pairs", "paper"))[0] is pairs


CASES: tuple[tuple[Content, Item, int, int], ...] = (
    ("depth", DenseItem("d", "g", "a", target), 2, 2),
    ("normals", DenseItem("n", "g", "a", lambda: towards(0, 0, -1)), 2, 2),
    ("scene-pairs", pair(0.1), 1, 2),
    ("triplets", TripletItem("t", "g", "a", "b", "c", 0.8), 3, 3),
    ("labels", LabelItem("l", "g", "a", 3, "mug & <cup>"), 1, 1),
    ("keypoint-pairs", KeypointPairItem("k", "g", "a", "b", torch.ones(2, 2), torch.ones(2, 2) * 3, 9.0), 1, 2),
)


@pytest.mark.parametrize(("content", "item", "pictures", "columns"), CASES, ids=[case[0] for case in CASES])
def test_every_kind_of_item_can_be_drawn(
    content: Content, item: Item, pictures: int, columns: int, tmp_path: Path
) -> None:
    found = dataset(content, item)
    assert len(write_preview(found, tmp_path / "page.html", 5)) == 1
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (
        html.count("<img ") == pictures + (content == "normals") and "<script" not in html and "made &lt;up&gt;" in html
    )
    assert "http" not in html.replace("http-equiv", "")
    write_preview(found, tmp_path / "sheet.png", 5)
    width, height = Photo.open(tmp_path / "sheet.png").size
    # Views that are joined by lines are drawn as large as a tile.
    times = round(360 / SIZE[1]) if content.endswith("pairs") else 1
    assert (width, height) == (columns * times * SIZE[1] + (columns - 1) * 6, times * SIZE[0])


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.html"):
        write_preview(dataset("labels", CASES[4][1]), tmp_path / "page.pdf", 1)

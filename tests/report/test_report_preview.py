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
from midvision.report.preview import true_matches, write_preview

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
    xy_a, xy_b = true_matches(PairItem("p", "g", View("a", wall, torch.eye(4, dtype=torch.float64)), b))
    assert len(xy_a) == len(xy_b) == 0


def test_a_camera_step_to_the_right_moves_a_wall_to_the_left() -> None:
    xy_a, xy_b = true_matches(pair(0.25))
    assert len(xy_a) > 10
    assert np.allclose(xy_b - xy_a, [-32.0 * 0.25 / 2.0, 0.0])
    assert (xy_b >= 0).all() and (xy_b[:, 0] < SIZE[1]).all()


def test_points_hidden_in_the_other_view_are_no_matches() -> None:
    xy_a, _ = true_matches(pair(0.25, wall(1.0)))
    assert len(xy_a) == 0


def test_planar_pairs_follow_their_homography() -> None:
    shift = torch.eye(3, dtype=torch.float64)
    shift[0, 2] = 5.0
    side = View("a", wall, torch.eye(4, dtype=torch.float64))
    xy_a, xy_b = true_matches(PairItem("p", "g", side, View("b", wall, side.camera_from_world), Homography(shift)))
    assert len(xy_a) > 10 and np.allclose(xy_b - xy_a, [5.0, 0.0])


def target() -> Target:
    values = torch.linspace(1, 3, SIZE[0] * SIZE[1]).reshape(1, *SIZE)
    return Target(values, torch.ones(1, *SIZE, dtype=torch.bool))


CASES: tuple[tuple[Content, Item, int, int], ...] = (
    ("depth", DenseItem("d", "g", "a", target), 2, 2),
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
    assert write_preview(found, tmp_path / "page.html", 5) == 1
    html = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.count("<img ") == pictures and "<script" not in html and "made &lt;up&gt;" in html
    assert "http" not in html.replace("http-equiv", "")
    write_preview(found, tmp_path / "sheet.png", 5)
    width, height = Photo.open(tmp_path / "sheet.png").size
    assert (width, height) == (columns * SIZE[1] + (columns - 1) * 6, SIZE[0])


def test_other_kinds_of_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.html"):
        write_preview(dataset("labels", CASES[3][1]), tmp_path / "page.pdf", 1)

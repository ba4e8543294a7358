"""Planar pairs: the map must land where the picture really shows the same point."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import coded, open_set, save, save_numbers
from PIL import Image

from midvision.core.errors import DataError, UsageError
from midvision.core.items import PairItem
from midvision.core.specs import ImageRules
from midvision.data.sets.homography import DATA
from midvision.geometry.camera import apply_homography

SIZE = (160, 200)
B_FROM_A = np.array([[1.1, 0.08, -14.0], [-0.05, 0.95, 9.0], [2e-4, -1e-4, 1.0]])


def warped(centre: float) -> np.ndarray:
    """Image b: each pixel shows, as colour, the coordinate of a that lands on it; `centre` as in the file."""
    height, width = SIZE
    x, y = np.meshgrid(np.arange(width) + centre, np.arange(height) + centre)
    back = np.linalg.inv(B_FROM_A) @ np.stack((x, y, np.ones_like(x))).reshape(3, -1)
    source = (back[:2] / back[2]).reshape(2, height, width) - centre
    picture = np.zeros((height, width, 3), np.uint8)
    inside = (source[0] > 0) & (source[0] < width - 1) & (source[1] > 0) & (source[1] < height - 1)
    picture[..., 0], picture[..., 1] = np.round(source[0]).clip(0, 255), np.round(source[1]).clip(0, 255)
    picture[..., 2] = inside * 255
    return picture


def build(root: Path, centre: float = 0.0, names: tuple[str, str, str] = ("img1.png", "img2.png", "H_1_2.txt")) -> Path:
    save(root / names[0], coded(SIZE))
    save(root / names[1], warped(centre))
    save_numbers(root / names[2], B_FROM_A)
    return root


def disagreement(item: PairItem, images: dict[str, torch.Tensor]) -> torch.Tensor:
    """Mapped minus true position, in source pixels of a: colour of a at x against colour of b at H x."""
    a, b = images[item.a.image] * 255, images[item.b.image] * 255
    height, width = a.shape[1:]
    gaps = []
    for y in range(10, height - 10, 7):
        for x in range(10, width - 10, 7):
            xy = torch.tensor([[x + 0.5, y + 0.5]], dtype=torch.float64)
            there = apply_homography(item.planar.b_from_a, xy)[0]  # type: ignore[union-attr]
            column, row = int(there[0].floor()), int(there[1].floor())
            if not (2 <= column < width - 2 and 2 <= row < height - 2) or b[2, row, column] < 255:
                continue
            # What b shows at that pixel's centre, moved by the slope to the exact place.
            local = b[:2, row, column] + _slope(b, row, column) @ (there - torch.tensor([column, row]) - 0.5).float()
            gaps.append(a[:2, y, x] - local)
    return torch.stack(gaps)


def _slope(b: torch.Tensor, row: int, column: int) -> torch.Tensor:
    dx = (b[:2, row, column + 2] - b[:2, row, column - 2]) / 4
    dy = (b[:2, row + 2, column] - b[:2, row - 2, column]) / 4
    return torch.stack((dx, dy), dim=1)


@pytest.mark.parametrize("size", ["160x200", "128x160"])
@pytest.mark.parametrize("centre", [0.0, 0.5])
def test_the_map_lands_on_the_same_point(tmp_path: Path, size: str, centre: float) -> None:
    data = open_set("homography", build(tmp_path, centre), "scene-pairs", size=size, pixel_centre=centre)
    item = data.items[0]
    assert isinstance(item, PairItem)
    gaps = disagreement(item, {name: image.load() for name, image in data.images.items()})
    assert len(gaps) > 50
    assert float(gaps.mean(0).abs().max()) < 0.15
    assert float(gaps.abs().median()) < 0.5


def test_the_pixel_centre_by_hand(tmp_path: Path) -> None:
    """Doubling keeps the top-left pixel's centre where it is called 0, and moves it where it is called 0.5."""
    build(tmp_path)
    save_numbers(tmp_path / "H_1_2.txt", np.diag([2.0, 2.0, 1.0]))
    corner = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    for centre, expected in ((0.0, 0.5), (0.5, 1.0)):
        item = open_set("homography", tmp_path, "scene-pairs", size="160x200", pixel_centre=centre).items[0]
        assert isinstance(item, PairItem)
        assert item.planar is not None
        assert apply_homography(item.planar.b_from_a, corner).tolist() == [[expected, expected]]
    assert DATA.pixel_centre == 0.0


def test_only_pixels_that_both_show_take_part(tmp_path: Path) -> None:
    save(tmp_path / "img1.png", coded(SIZE))
    save(tmp_path / "img2.png", coded(SIZE))
    save_numbers(tmp_path / "H_1_2.txt", np.array([[1.0, 0, 50], [0, 1, 0], [0, 0, 1]]))
    item = open_set("homography", tmp_path, "scene-pairs", size="160x200").items[0]
    assert isinstance(item, PairItem)
    assert item.a.surface().valid[0, 0].tolist() == [True] * 150 + [False] * 50
    assert item.b.surface().valid[0, 0].tolist() == [False] * 50 + [True] * 150
    everything = open_set("homography", tmp_path, "scene-pairs", size="160x200", takes_part="all").items[0]
    assert isinstance(everything, PairItem)
    assert everything.a.surface().valid.all()


def test_crops_and_two_sizes_move_the_map_along(tmp_path: Path) -> None:
    build(tmp_path)
    Image.open(tmp_path / "img2.png").resize((400, 320), Image.Resampling.NEAREST).save(tmp_path / "img2.png")
    doubled = np.diag([2.0, 2.0, 1.0]) @ B_FROM_A
    save_numbers(tmp_path / "H_1_2.txt", doubled)
    rules = ImageRules(crop="centre_square", image_size=(96, 96))
    item = open_set("homography", tmp_path, "scene-pairs", rules=rules, pixel_centre=0.5).items[0]
    assert isinstance(item, PairItem)
    assert item.planar is not None
    xy = torch.tensor([[110.0, 70.0]], dtype=torch.float64)
    expected = (apply_homography(torch.from_numpy(doubled), xy) - torch.tensor([40.0, 0.0])) * 96 / 320
    found = apply_homography(item.planar.b_from_a, (xy - torch.tensor([20.0, 0.0])) * 96 / 160)
    assert torch.allclose(found, expected)


def test_sequences_of_hpatches(tmp_path: Path) -> None:
    for folder in ("v_a", "v_b"):
        for number in (1, 2, 3):
            save(tmp_path / folder / f"{number}.ppm", coded(SIZE))
        for number in (2, 3):
            save_numbers(tmp_path / folder / f"H_1_{number}", np.eye(3))
    data = open_set("homography", tmp_path, "scene-pairs")
    assert [item.id for item in data.items] == ["v_a/1~v_a/2", "v_a/1~v_a/3", "v_b/1~v_b/2", "v_b/1~v_b/3"]
    assert {item.group for item in data.items} == {"v_a", "v_b"}


def test_other_names_are_declared(tmp_path: Path) -> None:
    build(tmp_path, names=("wall_left.png", "wall_right.png", "left_to_right.mat"))
    data = open_set("homography", tmp_path, "scene-pairs", image="wall_*.png", homography="*_to_*.mat")
    assert [item.id for item in data.items] == ["left~right"]


def test_bad_homographies_are_named(tmp_path: Path) -> None:
    build(tmp_path)
    save_numbers(tmp_path / "H_1_7.txt", np.eye(3))
    with pytest.raises(DataError, match=r"H_1_7\.txt names image '7', which is not there"):
        open_set("homography", tmp_path, "scene-pairs")
    (tmp_path / "H_1_7.txt").unlink()
    for table, says in ((np.eye(2), "shape"), (np.zeros((3, 3)), "cannot be inverted")):
        save_numbers(tmp_path / "H_1_2.txt", table)
        with pytest.raises(DataError, match=rf"H_1_2\.txt.*{says}"):
            open_set("homography", tmp_path, "scene-pairs")
    with pytest.raises(UsageError, match="names no two images"):
        open_set("homography", tmp_path, "scene-pairs", homography="H_1_*.txt")
    with pytest.raises(UsageError, match="No images with homographies"):
        open_set("homography", tmp_path, "scene-pairs", homography="G_*_*.txt")

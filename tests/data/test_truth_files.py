"""Truth out of files: units, conventions, and one clear error per kind of bad file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import K_FILE, coded, coded_depth, save, save_numbers, save_palette, world_from_camera

from midvision.core.errors import DataError
from midvision.core.specs import DataSpec
from midvision.data.options import Options
from midvision.data.truth import (
    DepthRules,
    K_of_numbers,
    MaskRules,
    check_size,
    read_array,
    read_depth,
    read_K,
    read_mask,
    read_normals,
    read_pose,
    stored_size,
)


def npy(path: Path, array: np.ndarray) -> Path:
    np.save(path, array)
    return path


def test_depth_units_of_images_and_arrays(tmp_path: Path) -> None:
    png = save(tmp_path / "d.png", np.array([[1500, 0]], np.uint16))
    array = npy(tmp_path / "d.npy", np.array([[1.5, np.nan]], np.float32))
    for path in (png, array):
        assert read_depth(path, DepthRules()).tolist() == [[1.5, 0.0]]
    assert read_depth(png, DepthRules(scale=5000)).tolist() == [[pytest.approx(0.3), 0.0]]


def test_depth_options(tmp_path: Path) -> None:
    path = save(tmp_path / "d.png", np.array([[500, 1500, 9000, 65535]], np.uint16))
    options = Options(DataSpec(options={"depth_min": "1", "depth_max": 20, "depth_unknown": 65535}))
    assert read_depth(path, DepthRules.of(options)).tolist() == [[0, 1.5, 9.0, 0]]


def test_one_array_in_an_npz(tmp_path: Path) -> None:
    np.savez(tmp_path / "d.npz", depth=np.ones((2, 3)))
    assert stored_size(tmp_path / "d.npz") == (2, 3)
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.ones(2))
    with pytest.raises(DataError, match=r"two\.npz holds 2 arrays"):
        read_array(tmp_path / "two.npz")


@pytest.mark.parametrize("ending", ["npy", "npz"])
@pytest.mark.parametrize("content", [b"", b"\x93NUMPY\x01", b"PK\x03\x04 broken"])
def test_broken_array_files_are_named(tmp_path: Path, ending: str, content: bytes) -> None:
    (tmp_path / f"broken.{ending}").write_bytes(content)
    with pytest.raises(DataError, match=rf"broken\.{ending}"):
        read_depth(tmp_path / f"broken.{ending}", DepthRules())


@pytest.mark.parametrize("bad", [np.inf, -np.inf, -1.0])
def test_infinite_and_negative_depth_is_an_error_unless_declared_unknown(tmp_path: Path, bad: float) -> None:
    path = npy(tmp_path / "bad.npy", np.array([[1.0, bad]]))
    with pytest.raises(DataError, match=r"bad\.npy has \d infinite and \d negative pixels"):
        read_depth(path, DepthRules())
    assert read_depth(path, DepthRules(bad="unknown")).tolist() == [[1.0, 0.0]]


@pytest.mark.parametrize("empty", [np.zeros((2, 2)), np.full((2, 2), np.nan)])
def test_depth_without_a_valid_pixel_is_an_error(tmp_path: Path, empty: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"empty\.npy has no valid pixel"):
        read_depth(npy(tmp_path / "empty.npy", empty), DepthRules())


def test_colour_depth_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"rgb\.png has shape"):
        read_depth(save(tmp_path / "rgb.png", coded()), DepthRules())


def test_voc_masks_are_read_by_index_with_void_apart(tmp_path: Path) -> None:
    """Through the palette, index 255 is as light as an object: the defect of the reference (D08)."""
    path = save_palette(tmp_path / "m.png", np.array([[0, 1, 7, 255]]))
    foreground, void = read_mask([path], MaskRules())
    assert foreground.tolist() == [[False, True, True, True]]
    assert void.tolist() == [[False, False, False, True]]


def test_in_a_mask_of_0_and_255_the_object_is_255(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 255]], np.uint8))
    foreground, void = read_mask([path], MaskRules())
    assert foreground.tolist() == [[False, True]]
    assert not void.any()
    assert read_mask([path], MaskRules(void=255))[1].tolist() == [[False, True]]


def test_declared_foreground_and_void(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.array([[0, 1, 2, 9]], np.uint8))
    rules = MaskRules.of(Options(DataSpec(options={"foreground": "2", "void": 9})))
    foreground, void = read_mask([path], rules)
    assert foreground.tolist() == [[False, False, True, True]]
    assert void.tolist() == [[False, False, False, True]]


def test_instance_files_are_united(tmp_path: Path) -> None:
    parts = [save(tmp_path / f"{n}.png", np.eye(3, dtype=np.uint8)[n : n + 1] * 255) for n in range(2)]
    assert read_mask(parts, MaskRules())[0].tolist() == [[True, True, False]]


def test_a_colour_mask_is_an_error_and_a_grey_one_in_rgb_is_not(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"colour\.png is a colour picture"):
        read_mask([save(tmp_path / "colour.png", coded())], MaskRules())
    grey = np.repeat(np.array([[0, 255]], np.uint8)[..., None], 3, 2)
    assert read_mask([save(tmp_path / "grey.png", grey)], MaskRules())[0].tolist() == [[False, True]]


def test_a_mask_of_another_size_is_an_error_that_names_both(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", np.zeros((4, 5), np.uint8))
    check_size(path, (4, 5), tmp_path / "photo.jpg")
    with pytest.raises(DataError, match=r"m\.png is 5x4 pixels, but photo\.jpg is 4x5"):
        check_size(path, (5, 4), tmp_path / "photo.jpg")


def facing(shape: tuple[int, int] = (4, 5)) -> np.ndarray:
    normals = np.zeros((*shape, 3))
    normals[...] = np.array([0.6, 0.0, -0.8])
    normals[0] = np.array([0.0, -0.6, -0.8])
    return normals


def as_png(normals: np.ndarray) -> np.ndarray:
    return np.round((normals + 1) / 2 * 255).astype(np.uint8)


def test_normals_as_png_and_array_agree(tmp_path: Path) -> None:
    png = save(tmp_path / "n.png", as_png(facing()))
    for path in (png, npy(tmp_path / "a.npy", facing()), npy(tmp_path / "b.npy", facing().transpose(2, 0, 1))):
        found, known = read_normals(path, "right-down-forward")
        assert known.all()
        assert np.abs(found - facing()).max() < 0.006
        assert np.allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-6)


def test_normals_in_the_other_axes_are_turned(tmp_path: Path) -> None:
    path = npy(tmp_path / "n.npy", facing() * [1, -1, -1])
    assert np.allclose(read_normals(path, "right-up-back")[0], facing())


def test_wrongly_declared_axes_are_noticed(tmp_path: Path) -> None:
    path = npy(tmp_path / "n.npy", facing() * [1, -1, -1])
    with pytest.raises(DataError, match=r"n\.npy point away from the camera.*normals_axes"):
        read_normals(path, "right-down-forward")


def test_unknown_normals_are_transparent_black_grey_or_nan(tmp_path: Path) -> None:
    rgba = np.dstack((as_png(facing()), np.full((4, 5), 255, np.uint8)))
    rgba[1, 1, 3] = 0
    assert np.argwhere(~read_normals(save(tmp_path / "a.png", rgba), "right-down-forward")[1]).tolist() == [[1, 1]]
    rgb = as_png(facing())
    rgb[2, 2], rgb[3, 3] = 0, 128
    assert np.argwhere(~read_normals(save(tmp_path / "b.png", rgb), "right-down-forward")[1]).tolist() == [
        [2, 2],
        [3, 3],
    ]
    holes = facing()
    holes[0, 0] = np.nan
    found, known = read_normals(npy(tmp_path / "c.npy", holes), "right-down-forward")
    assert np.argwhere(~known).tolist() == [[0, 0]]
    assert np.isfinite(found).all()


def test_non_unit_and_all_zero_normals_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"long\.npy are not unit vectors"):
        read_normals(npy(tmp_path / "long.npy", facing() * 2), "right-down-forward")
    with pytest.raises(DataError, match=r"zero\.npy has only zero vectors"):
        read_normals(npy(tmp_path / "zero.npy", facing() * 0), "right-down-forward")
    with pytest.raises(DataError, match=r"flat\.npy has shape"):
        read_normals(npy(tmp_path / "flat.npy", facing()[..., 0]), "right-down-forward")


def test_intrinsics_of_every_spelling(tmp_path: Path) -> None:
    wide = np.eye(4)
    wide[:3, :3] = K_FILE
    four = np.array([[180.0, 170.0, 98.5, 77.0]])
    (tmp_path / "d.json").write_text('{"fx": 180, "fy": 170, "cx": 98.5, "cy": 77}')
    paths = [save_numbers(tmp_path / name, table) for name, table in (("a", K_FILE), ("b", wide), ("c", four))]
    expected = torch.from_numpy(K_FILE).clone()
    expected[:2, 2] += 0.5
    for path in [*paths, tmp_path / "d.json"]:
        assert torch.allclose(read_K(path, 0.0, (160, 200)), expected)
        assert torch.allclose(read_K(path, 0.5, (160, 200)), torch.from_numpy(K_FILE))
    assert torch.allclose(K_of_numbers((180, 170, 98.5, 77), 0.0, (160, 200)), expected)


@pytest.mark.parametrize("table", [np.eye(2), np.ones((3, 4)), np.ones((1, 5)), -K_FILE])
def test_intrinsics_of_the_wrong_size_are_errors(tmp_path: Path, table: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"Intrinsics of .*K\.txt"):
        read_K(save_numbers(tmp_path / "K.txt", table), 0.0, (160, 200))


def test_intrinsics_of_another_image_size_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"K\.txt lies outside its 50x40 photograph"):
        read_K(save_numbers(tmp_path / "K.txt", K_FILE), 0.0, (40, 50))


@pytest.mark.parametrize("text", ["", "1 2\n3", "a b c", "\x00\xff"])
def test_files_that_are_no_tables_are_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "K.txt").write_bytes(text.encode("latin-1"))
    with pytest.raises(DataError, match=r"K\.txt"):
        read_K(tmp_path / "K.txt", 0.0, (40, 50))
    with pytest.raises(DataError, match=r"gone\.txt does not exist"):
        read_K(tmp_path / "gone.txt", 0.0, (40, 50))


def test_pose_direction(tmp_path: Path) -> None:
    path = save_numbers(tmp_path / "p.txt", world_from_camera(1.0, 30))
    there, back = (read_pose(path, way) for way in ("world_from_camera", "camera_from_world"))
    assert torch.allclose(there @ back, torch.eye(4, dtype=torch.float64))
    assert torch.allclose(back, torch.from_numpy(world_from_camera(1.0, 30)))
    short = save_numbers(tmp_path / "q.txt", world_from_camera(1.0, 30)[:3])
    assert torch.allclose(read_pose(short, "camera_from_world"), back)


def test_a_pose_that_is_no_rotation_is_an_error(tmp_path: Path) -> None:
    path = save_numbers(tmp_path / "p.txt", np.diag([1.0, 1, -1, 1]))
    with pytest.raises(DataError, match=r"p\.txt is not a rotation"):
        read_pose(path, "world_from_camera")


def test_depth_values_survive_a_png(tmp_path: Path) -> None:
    path = save(tmp_path / "d.png", coded_depth())
    assert np.array_equal(np.round(read_depth(path, DepthRules()) * 1000).astype(np.uint16), coded_depth())

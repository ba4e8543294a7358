"""Decoding of every odd photograph, boxes, and that photo, truth, K and points move together."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from data_builders import coded, coded_depth, save
from PIL import Image
from torch.nn import functional as F

from midvision.core.errors import DataError
from midvision.core.specs import ImageRules
from midvision.data.frames import (
    Box,
    Framing,
    centre_square,
    choose_box,
    file_digest,
    floats_of,
    frame_image,
    frame_target,
    frame_transform,
    object_square,
    photo_size,
    read_depth_png,
    read_frame,
    read_frame_bytes,
    read_photo,
    resize_for_encoder,
)


def test_a_plain_png_comes_back_as_it_is(tmp_path: Path) -> None:
    assert np.array_equal(read_photo(save(tmp_path / "a.png", coded())), coded())


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    grey = coded()[..., 0]
    assert np.array_equal(read_photo(save(tmp_path / "a.png", grey)), np.repeat(grey[..., None], 3, 2))


def test_sixteen_bit_grey_is_scaled_to_eight(tmp_path: Path) -> None:
    grey = coded()[..., 0].astype(np.uint16) * 257
    assert np.array_equal(read_photo(save(tmp_path / "a.png", grey))[..., 1], coded()[..., 0])


def test_cmyk_looks_like_the_rgb_that_it_was(tmp_path: Path) -> None:
    Image.fromarray(coded()).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    found = read_photo(tmp_path / "a.jpg")
    assert found.shape == (160, 200, 3)
    assert np.abs(found.astype(int) - coded()).mean() < 4


def test_a_palette_photograph_keeps_its_colours(tmp_path: Path) -> None:
    Image.fromarray(coded()).quantize(256).save(tmp_path / "a.png")
    assert np.abs(read_photo(tmp_path / "a.png").astype(int) - coded()).mean() < 8


def test_transparency_is_laid_over_black(tmp_path: Path) -> None:
    picture = np.dstack((coded(), np.full((160, 200), 255, np.uint8)))
    picture[:80, :, 3] = 0
    found = read_photo(save(tmp_path / "a.png", picture))
    assert not found[:80].any()
    assert np.array_equal(found[80:], coded()[80:])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_undone(tmp_path: Path, orientation: int) -> None:
    upright = Image.fromarray(coded((60, 90)))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "a.png"), coded((60, 90)))
    assert photo_size(tmp_path / "a.png") == (60, 90)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("share", [0.0, 0.5])
def test_empty_and_truncated_images_are_errors_that_name_the_file(tmp_path: Path, ending: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = save(tmp_path / f"broken.{ending}", noise)
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(DataError, match=rf"broken\.{ending}"):
        read_photo(path)
    with pytest.raises(DataError, match=rf"broken\.{ending}"):
        read_depth_png(path, 1000)


def test_what_is_not_an_image_or_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "note.jpg").write_text("hello")
    for read in (read_photo, photo_size):
        with pytest.raises(DataError, match=r"note\.jpg"):
            read(tmp_path / "note.jpg")
        with pytest.raises(DataError, match=r"gone\.jpg does not exist"):
            read(tmp_path / "gone.jpg")


def test_depth_has_its_declared_scale(tmp_path: Path) -> None:
    path = save(tmp_path / "d.png", np.array([[0, 5000], [2500, 65535]], np.uint16))
    assert read_depth_png(path, 5000).tolist() == [[0.0, 1.0], [0.5, pytest.approx(13.107)]]


def test_the_centre_square_of_nyu_is_columns_80_to_559() -> None:
    assert centre_square((480, 640)) == Box(0, 80, 480, 480)
    assert centre_square((7, 4)) == Box(1, 0, 4, 4)


def mask(rows: slice, columns: slice, size: tuple[int, int] = (20, 30)) -> np.ndarray:
    found = np.zeros(size, bool)
    found[rows, columns] = True
    return found


def test_object_square_by_hand() -> None:
    wide = mask(slice(8, 12), slice(5, 15))
    assert object_square(wide, "inclusive", "x") == Box(5, 5, 10, 10)
    # Exclusive drops the last row and column of the object: 3 x 9, grown to 9 x 9.
    assert object_square(wide, "exclusive", "x") == Box(5, 5, 9, 9)
    assert object_square(mask(slice(0, 2), slice(3, 13)), "inclusive", "x") == Box(0, 3, 10, 10)
    assert object_square(mask(slice(18, 20), slice(3, 13)), "inclusive", "x") == Box(10, 3, 10, 10)


def test_an_object_wider_than_the_photograph_is_tall_keeps_all_rows() -> None:
    assert object_square(mask(slice(2, 4), slice(0, 30)), "inclusive", "x") == Box(0, 0, 20, 30)


def test_an_object_crop_without_an_object_is_an_error() -> None:
    with pytest.raises(DataError, match=r"view\.png"):
        object_square(np.zeros((4, 4), bool), "inclusive", "view.png")


def test_the_two_crop_ends_differ() -> None:
    """What protocols `paper` (exclusive) and `corrected` (inclusive) decide differently."""
    truth = mask(slice(8, 12), slice(5, 15))
    ends = [ImageRules(crop="object", crop_end=end) for end in ("inclusive", "exclusive")]
    assert choose_box(ends[0], (20, 30), truth, "x") != choose_box(ends[1], (20, 30), truth, "x")


BOXES = [Box(0, 0, 160, 200), Box(0, 20, 160, 160), Box(13, 37, 90, 71)]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [(160, 160), (64, 96), (224, 224), (37, 53)])
@pytest.mark.parametrize("resample", ["bilinear", "bicubic", "lanczos", "nearest"])
def test_colours_and_depth_tell_where_they_come_from(box: Box, size: tuple[int, int], resample: str) -> None:
    framing = Framing(box, size, resample)  # type: ignore[arg-type]
    image = framing.image(coded()).double() * 255 + 0.5
    depth = framing.target(coded_depth()).double()[0] - 1000
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    here = torch.stack((x, y), -1).reshape(-1, 2).double()
    for column, row in (
        (image[0], image[1]),
        (torch.div(depth, 200, rounding_mode="floor") + 0.5, depth % 200 + 0.5),
    ):
        back = framing.xy(torch.stack((column, row), -1).reshape(-1, 2).double())
        slack = torch.tensor([max(0.5, 0.5 * size[1] / box.width), max(0.5, 0.5 * size[0] / box.height)])
        # At the very border the wide kernels see only one side, so a ramp bends there.
        reach = torch.tensor([4 * max(1, size[1] / box.width), 4 * max(1, size[0] / box.height)])
        inner = ((here > reach) & (here < torch.tensor([size[1], size[0]]) - reach)).all(1)
        assert ((back - here).abs()[inner] <= slack + 1e-6).all()
        assert ((back - here).abs() <= slack + 0.5).all()
        assert (back - here).mean(0).abs().max() < 0.05


def test_intrinsics_and_points_move_alike() -> None:
    framing = Framing(Box(13, 37, 90, 71), (64, 96))
    xy = torch.tensor([[50.0, 60.0]], dtype=torch.float64)
    K = torch.tensor([[100.0, 0, 50.0], [0, 100, 60], [0, 0, 1]], dtype=torch.float64)
    assert torch.allclose(framing.K(K)[:2, 2], framing.xy(xy)[0])
    moved = frame_transform(framing.box, framing.size) @ torch.tensor([50.0, 60.0, 1.0], dtype=torch.float64)
    assert torch.allclose(moved[:2], framing.xy(xy)[0])


@pytest.mark.parametrize(("old", "new"), [(160, 64), (64, 160), (101, 37), (37, 101), (10, 10)])
def test_nearest_equals_torch_nearest_exact(old: int, new: int) -> None:
    values = np.arange(old * old, dtype=np.float32).reshape(old, old)
    expected = F.interpolate(torch.from_numpy(values)[None, None].double(), (new, new), mode="nearest-exact")
    assert torch.equal(frame_target(values, Box(0, 0, old, old), (new, new)).double(), expected[0])


def test_truth_is_never_mixed() -> None:
    normals = np.random.default_rng(0).normal(size=(30, 40, 3)).astype(np.float32)
    framed = frame_target(normals, Box(3, 4, 20, 20), (64, 32)).flatten(1).T.numpy()
    assert {tuple(row) for row in framed} <= {tuple(row) for row in normals.reshape(-1, 3)}


def test_shrinking_averages_and_nearest_does_not() -> None:
    """A checkerboard of single pixels turns grey when antialiased: the paper's nearest keeps black and white."""
    board = np.repeat(((np.indices((64, 64)).sum(0) % 2) * 255).astype(np.uint8)[..., None], 3, 2)
    whole = Box(0, 0, 64, 64)
    assert float(frame_image(board, whole, (16, 16), "bilinear").std()) < 0.05
    assert set(frame_image(board, whole, (15, 15), "nearest").unique().tolist()) == {0.0, 1.0}


def test_resize_for_encoder_keeps_coordinates_and_equal_sizes() -> None:
    ramp = (torch.arange(96) + 0.5).div(96).expand(1, 3, 64, 96)
    assert resize_for_encoder(ramp, (64, 96)) is ramp
    for size in ((32, 48), (128, 224)):
        found = resize_for_encoder(ramp, size)
        expected = (torch.arange(size[1]) + 0.5) / size[1]
        inner = slice(3, -3)
        assert torch.allclose(found[0, 0, 0, inner], expected[inner], atol=1e-4)


def test_digests_name_pixels_not_paths(tmp_path: Path) -> None:
    first, second = save(tmp_path / "a.png", coded()), save(tmp_path / "b" / "z.png", coded())
    other = save(tmp_path / "c.png", coded(blue=1))
    recipe = Framing(Box(0, 0, 160, 200), (64, 64)).recipe
    assert file_digest(first, recipe) == file_digest(second, recipe) != file_digest(other, recipe)
    crops = {Framing(box, (64, 64)).recipe for box in BOXES} | {Framing(BOXES[0], (64, 96)).recipe}
    crops |= {Framing(BOXES[0], (64, 64), "nearest").recipe}
    assert len({file_digest(first, recipe) for recipe in crops}) == 5


def test_a_changed_file_changes_its_digest(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", coded())
    before = file_digest(path, "r")
    save(path, coded(blue=9))
    os.utime(path, ns=(1, 1))
    assert file_digest(path, "r") != before


@pytest.mark.parametrize("box", [Box(0, 0, 60, 80), Box(5, 10, 40, 33)])
@pytest.mark.parametrize("size", [(60, 80), (32, 48)])
def test_a_frame_read_at_once_is_the_frame_of_the_photograph(tmp_path: Path, box: Box, size: tuple[int, int]) -> None:
    turned = Image.fromarray(np.random.default_rng(3).integers(0, 255, (80, 60, 3), dtype=np.uint8))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "turned.jpg", exif=exif)
    framing = Framing(box, size, "lanczos")
    assert torch.equal(read_frame(tmp_path / "turned.jpg", framing), framing.image(read_photo(tmp_path / "turned.jpg")))


def test_a_picture_of_a_size_out_of_proportion_is_an_error_that_names_it(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))))
    for read in (read_photo, photo_size, lambda path: read_depth_png(path, 1000)):
        with pytest.raises(DataError, match=r"bomb\.png cannot be decoded"):
            read(path)


@pytest.mark.parametrize("box", [Box(0, 0, 40, 60), Box(3, 7, 30, 41)])
@pytest.mark.parametrize("size", [(40, 60), (17, 31), (30, 41)])
def test_bytes_of_a_frame_are_the_same_picture(tmp_path: Path, box: Box, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    path, framing = save(tmp_path / "a.png", noise), Framing(box, size, "bicubic")
    pixels = read_frame_bytes(path, framing)
    assert pixels.dtype == torch.uint8 and tuple(pixels.shape) == (*size, 3)
    floats = floats_of(pixels[None])
    assert torch.equal(floats[0], read_frame(path, framing)) and floats.is_contiguous()
    assert torch.equal(floats[0], framing.image(read_photo(path)))


@pytest.mark.parametrize("size", [(20, 30), (7, 30), (20, 11), (33, 45)])
@pytest.mark.parametrize("channels", [0, 3])
def test_truth_of_every_frame_pixel_is_the_pixel_under_its_centre(size: tuple[int, int], channels: int) -> None:
    truth = np.random.default_rng(1).normal(size=(40, 50, channels) if channels else (40, 50))
    box = Box(5, 8, 20, 30)
    found = frame_target(truth, box, size)
    for y in range(size[0]):
        for x in range(size[1]):
            row, column = 5 + int((y + 0.5) * 20 / size[0]), 8 + int((x + 0.5) * 30 / size[1])
            assert np.array_equal(found[:, y, x].numpy(), np.atleast_1d(truth[row, column]))

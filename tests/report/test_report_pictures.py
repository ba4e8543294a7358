"""Pixels of the pictures, worked out by hand."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from midvision.report.examples import Choice, DenseExample, PairExample, TripletExample, Witness, examples
from midvision.report.pictures import depth_picture, depth_range, encode, mask_picture, normal_picture


def test_a_picture_comes_back_with_its_size_and_colours() -> None:
    pixels = np.zeros((40, 80, 3), dtype=np.uint8)
    pixels[:, 40:] = (250, 120, 10)
    made = encode(pixels, "a label")
    image = Image.open(io.BytesIO(base64.b64decode(made.uri.split(",", 1)[1])))
    assert (made.width, made.height, image.size, image.format) == (80, 40, (80, 40), "WEBP")
    assert np.abs(np.asarray(image)[20, 60].astype(int) - (250, 120, 10)).max() < 12


def test_large_pictures_become_small_and_keep_their_aspect() -> None:
    made = encode(np.zeros((400, 800, 3), dtype=np.uint8), "", longest_px=100)
    assert (made.width, made.height) == (100, 50)


def test_depth_colours_run_from_light_near_to_dark_far_and_grey_is_unknown() -> None:
    depth = np.array([[[1.0, 2.0, 3.0, np.nan]]])
    drawn = depth_picture(depth, (1.0, 3.0), np.array([[True, True, True, False]]))
    light = drawn.astype(int).sum(axis=-1)[0]
    assert light[0] > light[1] > light[2]
    assert tuple(drawn[0, 0]) == (252, 247, 222) and tuple(drawn[0, 2]) == (38, 28, 71)
    assert tuple(drawn[0, 3]) == (128, 128, 128)
    beyond = depth_picture(np.array([[[-5.0, 99.0]]]), (1.0, 3.0))
    assert tuple(beyond[0, 0]) == (252, 247, 222) and tuple(beyond[0, 1]) == (38, 28, 71)


def test_the_depth_range_ignores_what_is_unknown() -> None:
    depth = np.linspace(1, 5, 100).reshape(1, 10, 10)
    valid = np.ones((1, 10, 10), dtype=bool)
    depth[0, 0, 0], valid[0, 0, 0] = 1000.0, False
    low, high = depth_range(depth, valid)
    assert 1.0 < low < 1.2 and 4.8 < high < 5.0
    assert depth_range(depth, np.zeros_like(valid)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("normal", "colour"), [((0, 0, -1), (128, 128, 255)), ((1, 0, 0), (255, 128, 128)), ((0, -1, 0), (128, 255, 128))]
)
def test_normals_facing_viewer_right_and_up(normal: tuple[int, int, int], colour: tuple[int, int, int]) -> None:
    drawn = normal_picture(np.array(normal, dtype=float).reshape(3, 1, 1))
    assert np.abs(drawn[0, 0].astype(int) - colour).max() <= 1


def test_masks_tint_where_they_are_and_leave_the_rest_grey() -> None:
    image = np.full((1, 2, 3), 100, dtype=np.uint8)
    drawn = mask_picture(np.array([[[1.0, 0.0]]]), image)
    assert drawn[0, 0, 0] > drawn[0, 0, 2] + 100
    assert len(set(drawn[0, 1].tolist())) == 1


def test_arguments_are_left_alone() -> None:
    depth, known = np.ones((1, 4, 4)), np.zeros((4, 4), dtype=bool)
    before = depth.copy()
    depth_picture(depth, (0.5, 2.0), known)
    assert np.array_equal(depth, before)


def dense_sample(value: float) -> dict[str, np.ndarray]:
    return {
        "image": np.zeros((8, 8, 3), dtype=np.uint8),
        "target": np.linspace(1, 2, 64).reshape(1, 8, 8),
        "valid": np.ones((1, 8, 8), dtype=bool),
        "prediction": np.full((1, 8, 8), value),
    }


def test_dense_examples_show_image_truth_and_every_encoder_in_order() -> None:
    known = (("b", 1.5), ("a", 1.0))
    witnesses = [Witness(name, "model", {"i": dense_sample(v)}, {"i": f"delta1 {v}"}) for name, v in known]
    (found,) = examples(witnesses, "g")
    assert isinstance(found, DenseExample)
    assert [(shot.kind, shot.title, shot.note) for shot in found.shots] == [
        ("photo", "image", ""),
        ("truth", "truth", ""),
        ("prediction", "b", "delta1 1.5"),
        ("prediction", "a", "delta1 1.0"),
    ]
    assert found.shots[2].picture.uri != found.shots[3].picture.uri


def test_match_lines_start_in_a_end_in_b_and_say_which_are_right() -> None:
    sample = {
        "image_a": np.zeros((50, 100, 3), dtype=np.uint8),
        "image_b": np.zeros((50, 80, 3), dtype=np.uint8),
        "xy_a": np.array([[10.0, 20.0], [30.0, 40.0]]),
        "xy_b": np.array([[11.0, 21.0], [60.0, 5.0]]),
        "error": np.array([0.01, 0.3]),
        "threshold": np.float32(0.02),
    }
    (found,) = examples([Witness("a", "model", {"i": sample}, {})], "g")
    assert isinstance(found, PairExample)
    assert (found.offset, found.width, found.height) == (102, 182, 50)
    assert found.encoders[0].lines == ((30.0, 40.0, 162.0, 5.0, False), (10.0, 20.0, 113.0, 21.0, True))
    assert found.encoders[0].note == "50% right"


def test_no_match_at_all_is_drawn_without_lines() -> None:
    sample = {name: np.zeros((4, 4, 3), dtype=np.uint8) for name in ("image_a", "image_b")}
    sample |= {"xy_a": np.zeros((0, 2)), "xy_b": np.zeros((0, 2)), "error": np.zeros(0), "threshold": np.float32(1)}
    (found,) = examples([Witness("a", "model", {"i": sample}, {})], "g")
    assert isinstance(found, PairExample)
    assert found.encoders[0].lines == () and found.encoders[0].note == "no match"


@pytest.mark.parametrize(
    ("similarity", "right_share", "side", "right"),
    [
        ((0.9, 0.1), 0.0, "left", True),
        ((0.9, 0.1), 1.0, "left", False),
        ((0.1, 0.9), 0.7, "right", True),
        ((0.5, 0.5), 1.0, "tie", False),
    ],
)
def test_triplets_tell_the_choice_and_whether_the_judges_agree(
    similarity: tuple[float, float], right_share: float, side: str, right: bool
) -> None:
    sample = {name: np.zeros((4, 4, 3), dtype=np.uint8) for name in ("reference", "left", "right")}
    sample |= {"similarity": np.array(similarity), "right_share": np.array(right_share)}
    (found,) = examples([Witness("a", "model", {"i": sample}, {})], "g")
    assert isinstance(found, TripletExample)
    assert (found.choices[0].side, found.choices[0].right) == (side, right)


@pytest.mark.parametrize(
    ("similarity", "words"),
    [((0.9, 0.1), "0.900 / 0.100"), ((0.99991, 0.99993), "0.99991 / 0.99993"), ((0.5, 0.5), "0.500 / 0.500")],
)
def test_similarities_have_the_digits_that_tell_them_apart(similarity: tuple[float, float], words: str) -> None:
    assert Choice("a", "left", True, similarity).words == words

"""The stored sample predictions as pictures: dense maps side by side, match lines, triplets with choices.

Every record keeps raw predictions of the same few items, so one item is shown for several encoders. What the item
itself looks like is stored once per item in the page, never once per encoder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from midvision.report.figures import Role
from midvision.report.pictures import (
    Array,
    Picture,
    Pixels,
    depth_picture,
    depth_range,
    encode,
    known_pixels,
    mask_picture,
    normal_picture,
    planes,
)

ITEMS_SHOWN = 3
TRIPLETS_SHOWN = 4
ENCODERS_SHOWN = 9
LINES_SHOWN = 40

Sample = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Witness:
    """One record's samples: who, what it stored per item, and its score on each item as text."""

    label: str
    role: Role
    samples: Mapping[str, Sample]
    score: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Shot:
    """A captioned picture: the photograph, the truth, or one encoder's prediction."""

    kind: Literal["photo", "truth", "prediction"]
    title: str
    note: str
    picture: Picture


@dataclass(frozen=True, slots=True)
class DenseExample:
    item: str
    shots: tuple[Shot, ...]


@dataclass(frozen=True, slots=True)
class MatchLines:
    """One encoder's matches on one pair; a line is (x_a, y_a, x_b, y_b, right?) in picture units."""

    title: str
    note: str
    lines: tuple[tuple[float, float, float, float, bool], ...]


@dataclass(frozen=True, slots=True)
class PairExample:
    """Both views side by side in one coordinate frame of `width` x `height`; b starts at `offset`."""

    item: str
    anchor: str
    a: Picture
    b: Picture
    size_a: tuple[int, int]
    size_b: tuple[int, int]
    offset: int
    width: int
    height: int
    encoders: tuple[MatchLines, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    title: str
    side: Literal["left", "right", "tie"]
    right: bool
    similarity: tuple[float, float]

    @property
    def words(self) -> str:
        """Both similarities with as many decimals as tell them apart, three to six."""
        left, right = self.similarity
        decimals = next((count for count in (3, 4, 5) if round(left, count) != round(right, count)), 6)
        return f"{left:.{3 if left == right else decimals}f} / {right:.{3 if left == right else decimals}f}"


@dataclass(frozen=True, slots=True)
class TripletExample:
    item: str
    left: Picture
    reference: Picture
    right: Picture
    right_share: float
    choices: tuple[Choice, ...]


Example = DenseExample | PairExample | TripletExample


def examples(witnesses: Sequence[Witness], anchor: str, encoders: int = ENCODERS_SHOWN) -> list[Example]:
    """Examples of one comparability group; witnesses come in rank order, the ones to show first."""
    shown = [witness for witness in witnesses if witness.samples][:encoders]
    if not shown:
        return []
    found: list[Example] = []
    for item, sample in shown[0].samples.items():
        together = [witness for witness in shown if item in witness.samples]
        if "prediction" in sample:
            limit = ITEMS_SHOWN
            found.append(_dense(item, together))
        elif "xy_a" in sample:
            limit = ITEMS_SHOWN
            found.append(_pair(item, together, f"{anchor}-pair{len(found)}"))
        elif "similarity" in sample:
            limit = TRIPLETS_SHOWN
            found.append(_triplet(item, together))
        else:
            continue
        if len(found) == limit:
            break
    return found


def _dense(item: str, witnesses: Sequence[Witness]) -> DenseExample:
    first = witnesses[0].samples[item]
    image, target = _photo(first["image"]), planes(first["target"])
    known = known_pixels(target, first["valid"])
    shots = [
        Shot("photo", "image", "", encode(image, f"photograph of {item}")),
        Shot("truth", "truth", "", encode(_draw(target, target, image, known), f"truth of {item}")),
    ]
    for witness in witnesses:
        prediction = planes(witness.samples[item]["prediction"])
        drawn = _draw(prediction, target, image, known, grey_out=False)
        label = f"prediction of {witness.label} for {item}"
        shots.append(Shot("prediction", witness.label, witness.score.get(item, ""), encode(drawn, label)))
    return DenseExample(item, tuple(shots))


def dense_pictures(target: Array, valid: Array, image: Pixels) -> Pixels:
    """The truth of one image in the colours of its kind."""
    truth = planes(target)
    return _draw(truth, truth, image, known_pixels(truth, valid))


def _draw(values: Array, target: Array, image: Pixels, known: np.ndarray, grey_out: bool = True) -> Pixels:
    """The picture of `values`, as normals, a mask or depth according to what the truth is."""
    marked = known if grey_out else None
    truth = planes(target)
    if len(truth) == 3:
        return normal_picture(values, marked)
    inside = truth[0][known]
    # Shares of people between 0 and 1 are masks too; a known depth is never 0.
    if np.isin(inside, (0.0, 1.0)).all() or (inside.min() == 0 and inside.max() <= 1):
        return mask_picture(values, image, marked)
    return depth_picture(values, depth_range(truth, known), marked)


def _pair(item: str, witnesses: Sequence[Witness], anchor: str) -> PairExample:
    first = witnesses[0].samples[item]
    a, b = _photo(first["image_a"]), _photo(first["image_b"])
    gap = max(2, a.shape[1] // 50)
    offset = a.shape[1] + gap
    encoders = []
    for witness in witnesses:
        sample = witness.samples[item]
        xy_a = np.asarray(sample["xy_a"], dtype=np.float64).reshape(-1, 2)
        xy_b = np.asarray(sample["xy_b"], dtype=np.float64).reshape(-1, 2)
        error = np.asarray(sample["error"], dtype=np.float64).ravel()
        threshold = float(np.asarray(sample["threshold"], dtype=np.float64).ravel()[0])
        right = error <= threshold
        rows = np.unique(np.linspace(0, len(xy_a) - 1, LINES_SHOWN).astype(int)) if len(xy_a) else np.zeros(0, int)
        chosen: list[int] = rows.tolist()
        lines = tuple(
            (
                round(float(xy_a[row, 0]), 1),
                round(float(xy_a[row, 1]), 1),
                round(float(xy_b[row, 0]) + offset, 1),
                round(float(xy_b[row, 1]), 1),
                bool(right[row]),
            )
            for row in sorted(chosen, key=lambda row: bool(right[row]))
        )
        note = witness.score.get(item) or (f"{right.mean():.0%} right" if len(right) else "no match")
        encoders.append(MatchLines(witness.label, note, lines))
    return PairExample(
        item,
        anchor,
        encode(a, f"first view of {item}", longest_px=256),
        encode(b, f"second view of {item}", longest_px=256),
        (a.shape[1], a.shape[0]),
        (b.shape[1], b.shape[0]),
        offset,
        offset + b.shape[1],
        max(a.shape[0], b.shape[0]),
        tuple(encoders),
    )


def _triplet(item: str, witnesses: Sequence[Witness]) -> TripletExample:
    first = witnesses[0].samples[item]
    right_share = float(np.asarray(first["right_share"], dtype=np.float64).ravel()[0])
    choices = []
    for witness in witnesses:
        left, right = (float(value) for value in np.asarray(witness.samples[item]["similarity"]).ravel()[:2])
        side: Literal["left", "right", "tie"] = "tie" if left == right else "right" if right > left else "left"
        agrees = side != "tie" and (side == "right") == (right_share > 0.5)
        choices.append(Choice(witness.label, side, agrees, (left, right)))
    left_picture, reference, right_picture = (
        encode(_photo(first[name]), f"{name} of {item}") for name in ("left", "reference", "right")
    )
    return TripletExample(item, left_picture, reference, right_picture, right_share, tuple(choices))


def _photo(values: Array) -> Pixels:
    """Photographs are `uint8 [H, W, 3]`; anything else is brought there."""
    array: np.ndarray = np.asarray(values)
    if array.ndim == 3 and array.shape[0] == 3 and array.shape[-1] != 3:
        array = np.moveaxis(array, 0, -1)
    if array.dtype != np.uint8:
        array = np.clip(np.nan_to_num(array.astype(np.float64)) * 255, 0, 255).astype(np.uint8)
    photo: Pixels = array
    return photo

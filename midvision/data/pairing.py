"""Pairs of posed frames: listed in a table, or sampled by viewpoint change and overlap."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import torch

from midvision.core.errors import DataError
from midvision.core.items import PairItem, Surface
from midvision.core.seeds import hashed_order
from midvision.core.specs import ImageRules
from midvision.data.card import Request
from midvision.data.options import Options
from midvision.data.patterns import Found, resolve
from midvision.data.photos import Framed, need_items, spread
from midvision.data.shots import Shot, depth_of, frame_of, has_object, view_of
from midvision.data.tables import read_rows
from midvision.geometry.pose import compose, invert, relative_angle_deg
from midvision.geometry.surface import covisibility

BIN_EDGES_DEG = (0.0, 15.0, 30.0, 60.0, 90.0, 120.0, 180.1)
MOST_FRAMES = 300
OBJECT_PIXELS = 200
_COLUMNS = (("frame0", "frame1"), ("image0", "image1"), ("a", "b"), ("image_a", "image_b"), ("src", "trg"))


def pair_items(
    shots: Sequence[Shot], size: tuple[int, int], request: Request, options: Options, root: Path
) -> tuple[list[PairItem], list[Shot], list[Framed]]:
    """The pairs of a data set, with the shots that they use and their frames.

    Pairs need no training, so all are in the test split unless folders declare otherwise.
    """
    shots = [shot for shot in shots if (shot.photo.split or "test") == request.split]
    need_items(shots, request, "Pairs need no training; they are all in the test split.")
    table = _table(root, request, options)
    chosen = listed(table, shots) if table else sampled(shots, request, options)
    kept = spread(chosen, request.limit, lambda pair: angle_bin(pair[2]["angle_deg"]), lambda pair: pair[0].photo.group)
    frames: dict[str, Framed] = {}
    used: dict[str, Shot] = {}
    for shot in itertools.chain.from_iterable((a, b) for a, b, _ in kept):
        used[shot.photo.id] = shot
        frames.setdefault(shot.photo.id, frame_of(shot, size, request.rules))
    items = []
    for a, b, tags in kept:
        views = view_of(a, frames[a.photo.id]), view_of(b, frames[b.photo.id])
        items.append(PairItem(f"{a.photo.id}~{b.photo.id}", a.photo.group, views[0], views[1], None, tags))
    return items, list(used.values()), list(frames.values())


Pair = tuple[Shot, Shot, dict[str, float]]


def _table(root: Path, request: Request, options: Options) -> Path | None:
    name = options.text("pairs")
    if name == "none":
        return None
    if name is not None:
        path = root / name
        if not path.is_file():
            raise DataError(f"Pair list {path} does not exist.", "A CSV with columns frame0, frame1 was expected.")
        return path
    usual = root / "pairs.csv"
    return usual if usual.is_file() and request.content == "scene-pairs" else None


def listed(table: Path, shots: Sequence[Shot]) -> list[Pair]:
    """The pairs of a CSV; a column with `overlap` in its name becomes the pair's overlap tag."""
    rows = read_rows(table)
    names = next((pair for pair in _COLUMNS if rows and set(pair) <= set(rows[0])), None)
    if names is None:
        raise DataError(f"Pair list {table} has no columns frame0 and frame1.", f"It has: {', '.join(rows[0])}.")
    by_found = {Found(shot.photo.path, shot.photo.key): shot for shot in shots}
    overlap = next((column for column in rows[0] if "overlap" in column), None)
    pairs = []
    for row in rows:
        a, b = (by_found[resolve(row[name], list(by_found), table)] for name in names)
        tags = {"angle_deg": relative_angle_deg(a.pose, b.pose)}
        if overlap is not None:
            tags["overlap"] = _number(row[overlap], table)
        pairs.append((a, b, tags))
    return pairs


def _number(text: str, table: Path) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{table} has {text!r} where a number was expected.") from error


def angle_bin(angle_deg: float) -> int:
    return sum(angle_deg >= edge for edge in BIN_EDGES_DEG[1:-1])


def sampled(shots: Sequence[Shot], request: Request, options: Options) -> list[Pair]:
    """Pairs of frames of one sequence, equally many per angle bin, whose views share enough surface.

    Candidates come in a hashed order of the frames' places. Overlap is measured both ways at a
    coarse resolution; the smaller share counts.
    """
    per_bin = options.count("pairs_per_bin", 40)
    least, min_angle = options.number("min_overlap", 0.1), options.number("min_angle", 0.0)
    sequences: dict[str, list[Shot]] = {}
    for shot in shots:
        sequences.setdefault(f"{shot.photo.split}/{shot.photo.sequence}", []).append(shot)
    surfaces = _Coarse()
    counts = [0] * (len(BIN_EDGES_DEG) - 1)
    chosen: list[tuple[int, Pair]] = []
    for number, a, b in _candidates(list(sequences.values()), request.content == "object-pairs"):
        angle = relative_angle_deg(a.pose, b.pose)
        place = angle_bin(angle)
        if counts[place] >= per_bin or angle < min_angle:
            continue
        b_from_a = compose(b.pose, invert(a.pose))
        overlap = covisibility(surfaces(a), surfaces(b), b_from_a)
        if overlap >= least:
            overlap = min(overlap, covisibility(surfaces(b), surfaces(a), invert(b_from_a)))
        if overlap >= least:
            counts[place] += 1
            chosen.append((number, (a, b, {"angle_deg": angle, "overlap": overlap})))
    pairs = [pair for _, pair in sorted(chosen, key=lambda entry: entry[0])]
    return need_items(pairs, request, f"No two frames share {least:.0%} of their surface: lower min_overlap.")


def _candidates(sequences: list[list[Shot]], of_object: bool) -> list[tuple[int, Shot, Shot]]:
    """All pairs within a sequence (of at most 300 of its frames), in hashed order, with their plain number."""
    pairs: list[tuple[Shot, Shot]] = []
    for shots in sequences:
        places = sorted(map(int, hashed_order((str(n) for n in range(len(shots))), "own-data", "frames")[:MOST_FRAMES]))
        seen = [shots[n] for n in places]
        seen = [shot for shot in seen if has_object(shot, OBJECT_PIXELS)] if of_object else seen
        pairs += itertools.combinations(seen, 2)
    order = hashed_order((str(number) for number in range(len(pairs))), "own-data", "pairs")
    return [(int(number), *pairs[int(number)]) for number in order]


class _Coarse:
    """Surfaces of about 80 pixels a side, read once each."""

    def __init__(self) -> None:
        self._kept: dict[str, Surface] = {}

    def __call__(self, shot: Shot) -> Surface:
        if shot.photo.id not in self._kept:
            height, width = shot.photo.size
            step = max(1, round(min(height, width) / 80))
            frame = frame_of(shot, (height // step, width // step), ImageRules())
            framing = frame.framing()
            depth = framing.target(depth_of(shot))
            self._kept[shot.photo.id] = Surface(depth.to(torch.float32), depth > 0, framing.K(shot.camera))
        return self._kept[shot.photo.id]

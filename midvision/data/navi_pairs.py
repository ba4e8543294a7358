"""Which two views of an object make a pair, in NAVI: drawn by viewpoint change, or out of the official lists."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
import torch
from torch import Tensor

from midvision.core.errors import DataError
from midvision.core.seeds import hashed_order, reference_generator

MOST_DEG = 120.0
REFERENCE_SEED = 8
Pair = tuple[str, str, float]


def by_scene(ids: Sequence[str]) -> dict[str, list[str]]:
    scenes: dict[str, list[str]] = {}
    for id in ids:
        scenes.setdefault(id.rpartition("/")[0], []).append(id)
    return scenes


def angles_deg(poses: Sequence[Tensor]) -> np.ndarray:
    """Relative rotation of every two poses `[n, n]`, exact near 0 and near 180."""
    R = torch.stack([pose[:3, :3] for pose in poses]).double().reshape(len(poses), 9).numpy()
    cosine = (R @ R.T - 1) / 2
    sine = np.linalg.norm(R[:, None] - R[None], axis=-1) / (2 * np.sqrt(2.0))
    angle: np.ndarray = np.degrees(2 * np.arctan2(sine, np.sqrt(np.clip((1 + cosine) / 2, 0, None))))
    return angle


def drawn(ids: Sequence[str], poses: Mapping[str, Tensor]) -> list[Pair]:
    """A partner for every image: another of its scene, turned by at most 120 degrees, chosen by hashes of ids."""
    pairs = []
    for members in by_scene(ids).values():
        angle = angles_deg([poses[id] for id in members])
        place = {id: number for number, id in enumerate(members)}
        for row, id in enumerate(members):
            near = [other for other in members if other != id and angle[row, place[other]] <= MOST_DEG]
            if near:
                partner = hashed_order(near, "navi", "partner", id)[0]
                pairs.append((id, partner, float(angle[row, place[partner]])))
    return pairs


def drawn_as_reference(
    ids: Sequence[str], poses: Mapping[str, Tensor], wxyz: Mapping[str, tuple[float, ...]]
) -> list[Pair]:
    """The reference's rule in sorted order: seed 8, one multinomial draw per image, angles in single precision.

    Rounding lets about a fifth of the images be their own candidate, as there. Its listing order is not
    known, so its very pairs cannot be repeated.
    """
    draw = reference_generator(REFERENCE_SEED)
    pairs = []
    for members in by_scene(ids).values():
        R = rotations_in_single(torch.tensor([wxyz[id] for id in members], dtype=torch.float32))
        exact = angles_deg([poses[id] for id in members])
        cosine = ((R[:, None] @ R[None].transpose(-1, -2)).diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
        angle = torch.rad2deg(torch.arccos(cosine.clamp(-1, 1)))
        allowed = ((angle > 0) & (angle <= MOST_DEG)).float()
        for row, id in enumerate(members):
            if bool(allowed[row].any()):
                other = int(torch.multinomial(allowed[row], 1, generator=draw))
                pairs.append((id, members[other], float(exact[row, other])))
    return pairs


def rotations_in_single(wxyz: Tensor) -> Tensor:
    """`[n, 3, 3]` float32 of quaternions `[n, 4]`, with that precision's rounding."""
    w, x, y, z = wxyz.unbind(1)
    s = 2.0 / (wxyz * wxyz).sum(1)
    rows = (
        (1 - s * (y * y + z * z), s * (x * y - z * w), s * (x * z + y * w)),
        (s * (x * y + z * w), 1 - s * (x * x + z * z), s * (y * z - x * w)),
        (s * (x * z - y * w), s * (y * z + x * w), 1 - s * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, 1) for row in rows], 1)


def listed(text: str, what: str, known: Sequence[str], poses: Mapping[str, Tensor]) -> list[Pair]:
    """Pairs of an official list: path, path, angle per line. Angles are computed, not taken."""
    there = set(known)
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = [word for word in re.split(r"[,;\s]+", line.strip()) if word]
        if not words or words[0].startswith("#"):
            continue
        ends = [id_of(word) for word in words[:2]]
        if len(ends) < 2 or not set(ends) <= there:
            odd = next((word for word, end in zip(words, ends, strict=False) if end not in there), line)
            raise DataError(
                f"Line {number} of {what} names {odd!r}, which is no image of the copy.",
                "Two image paths per line were expected.",
                "Get the list of the release that was prepared.",
            )
        a, b = ends
        if a != b:
            pairs.append((a, b, float(angles_deg([poses[a], poses[b]])[0, 1])))
    return pairs


def id_of(path: str) -> str:
    """`OBJECT/SCENE/images/000.jpg`, with whatever before it, as an id."""
    parts = [part for part in PurePosixPath(path).parts if part != "images"]
    if len(parts) < 3:
        return path
    stem = parts[-1].rsplit(".", 1)[0].removeprefix("downsampled_")
    return f"{parts[-3]}/{parts[-2].replace('-', '_')}/{stem}"

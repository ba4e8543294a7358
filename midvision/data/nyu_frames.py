"""One frame of a prepared copy of NYUv2: which files it has, its depth and its normals in our camera axes."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Literal

import numpy as np

from midvision.core.errors import DataError
from midvision.data.manifest import Copy
from midvision.data.nyu_files import SIGNS_FILE, SIZE, check_metres, check_units, geonet_depth, geonet_normals
from midvision.data.truth import plane, read_array

LABELLED = re.compile(r"\d{4}")
# GeoNet's frames are named SCENE_r-TIME-TICKS.
SCENE = re.compile(r"(.+?)_r-[-\d.]+")
SCENES_FILE = "labelled/scenes.json"
REPACKAGED = {"images": "_image.png", "depths": "_depth.npy", "normals": "_norm.npy"}


@dataclass(frozen=True, slots=True)
class Frame:
    """A labelled frame (id of four digits), or a training frame by the stem of its files."""

    copy: Copy
    id: str
    kind: Literal["labelled", "geonet", "repackaged"]

    @staticmethod
    def of(copy: Copy, id: str) -> Frame:
        if LABELLED.fullmatch(id):
            return Frame(copy, id, "labelled")
        return Frame(copy, id, "repackaged" if copy.manifest.facts["training"] == "repackaged" else "geonet")

    @property
    def scene(self) -> str:
        """The scene that the frame was filmed in; frames without a scene in their name stand alone."""
        if self.kind == "labelled":
            return _scenes(self.copy.path(SCENES_FILE), self.copy.manifest.content)[self.id]
        match = SCENE.fullmatch(self.id)
        return match[1] if match else self.id

    @property
    def picture(self) -> str:
        return {
            "labelled": f"labelled/images/{self.id}.png",
            "geonet": f"train/{self.id}.png",
            "repackaged": f"train/images/{self.id}{REPACKAGED['images']}",
        }[self.kind]

    def truth_files(self, content: str) -> list[str]:
        """The files that depth or normals are read from; normals count where depth is known."""
        if self.kind == "geonet":
            return [f"train/{self.id}.mat"]
        names = [self._depth_file] if content == "depth" else [self._depth_file, self._normal_file]
        return [*names, SIGNS_FILE] if content == "normals" and self.kind == "labelled" else names

    @property
    def _depth_file(self) -> str:
        if self.kind == "labelled":
            return f"labelled/depths/{self.id}.npz"
        return f"train/depths/{self.id}{REPACKAGED['depths']}"

    @property
    def _normal_file(self) -> str:
        if self.kind == "labelled":
            return f"labelled/normals/{self.id}.npy"
        return f"train/normals/{self.id}{REPACKAGED['normals']}"

    def depth_m(self) -> np.ndarray:
        """float32 `[480, 640]`, 0 where missing."""
        if self.kind == "geonet":
            path = self.copy.path(f"train/{self.id}.mat")
            return geonet_depth(_opened(path), str(path))
        path = self.copy.path(self._depth_file)
        return check_metres(window_of(path, 2), str(path))

    def normals(self) -> np.ndarray:
        """float32 `[480, 640, 3]`: x right, y down, z forward; zero vectors where unknown."""
        if self.kind == "geonet":
            path = self.copy.path(f"train/{self.id}.mat")
            stored = geonet_normals(_opened(path), str(path))
        else:
            path = self.copy.path(self._normal_file)
            stored = check_units(window_of(path, 3), str(path)).astype(np.float32)
        turned: np.ndarray = stored * np.array(self.signs, np.float32)
        return turned

    @property
    def signs(self) -> tuple[int, ...]:
        """What turns the axes of the files into ours, as it was measured when the copy was made."""
        if self.kind == "labelled":
            return _signs(self.copy.path(SIGNS_FILE), self.copy.manifest.content)
        return tuple(self.copy.manifest.facts["training_signs"])


def window_of(path: Path, ndim: int) -> np.ndarray:
    """An array of 480 rows and 640 columns; three numbers per pixel may come first or last."""
    array = plane(read_array(path))
    if array.ndim == 3 and array.shape[0] == 3:
        array = array.transpose(1, 2, 0)
    if array.shape != ((*SIZE, 3) if ndim == 3 else SIZE) or array.dtype.kind != "f":
        raise DataError(
            f"{path} is {array.dtype} of shape {array.shape}.",
            f"Floats of {SIZE[0]} rows and {SIZE[1]} columns were expected: its axes were swapped, or it is another.",
            "Make or fetch it again.",
        )
    return array


def _opened(path: Path) -> IO[bytes]:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", "", "Prepare the set again.") from error


@lru_cache(maxsize=4)
def _scenes(path: Path, content: str) -> dict[str, str]:
    return {id: names[0] for id, names in json.loads(path.read_text(encoding="utf-8")).items()}


@lru_cache(maxsize=4)
def _signs(path: Path, content: str) -> tuple[int, ...]:
    return tuple(json.loads(path.read_text(encoding="utf-8"))["signs"])

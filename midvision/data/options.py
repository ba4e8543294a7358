"""Options of a reader: typed access, with an error that names the option."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from midvision.core.errors import DataError, UsageError, nearest
from midvision.core.specs import DataSpec

FRAME_OPTIONS = {
    "size": "frame size: short side in pixels (default 224, rounded with the long side to multiples of 32), or HxW",
    "test_share": "share of the groups that are the test split (default 0.3)",
    "test": "glob of the image ids that are the test split; all others train",
    "group": "what resampling and splitting treat as one unit: image, folder or block (ten runs of neighbouring "
    "frames); default: folder where there are several, else image (rgbd: block)",
    "tiles": "RxC: cut every photograph into R rows and C columns; each tile is a frame and a group of its own",
}
DEPTH_OPTIONS = {
    "depth": "pattern of the depth files (integer PNG, .npy, .npz)",
    "depth_scale": "stored units per metre: default 1000 for integer images, 1 for arrays (TUM: 5000)",
    "depth_min": "depths below this many metres are unknown",
    "depth_max": "depths above this many metres are unknown",
    "depth_unknown": "a stored number that means unknown, beside 0 and NaN (for example 65535)",
    "depth_bad": "what infinite or negative depth is: error (default) or unknown",
}
NORMAL_OPTIONS = {
    "normals": "pattern of the normal maps: RGB(A) PNG with n = 2 value / 255 - 1, or .npy",
    "normals_axes": "camera axes of the files: right-down-forward (default) or right-up-back",
    "normals_radius": "half width in frame pixels of the window for normals out of depth (default 2)",
}
CAMERA_OPTIONS = {
    "intrinsics": "pattern of 3x3 text files or JSON, or four numbers fx fy cx cy",
    "pixel_centre": "where the intrinsics put the centre of the top-left pixel: 0 or 0.5",
}


class Options:
    """A reader's options; values may come as text from the command line or typed from YAML."""

    def __init__(self, data: DataSpec) -> None:
        self._reader = data.set
        self._values: Mapping[str, Any] = data.options

    def has(self, name: str) -> bool:
        return self._values.get(name) is not None

    def text(self, name: str, default: str | None = None) -> str | None:
        value = self._values.get(name)
        return default if value is None else str(value)

    def number(self, name: str, default: float) -> float:
        value = self._values.get(name)
        if value is None:
            return default
        try:
            return float(value)
        except (TypeError, ValueError) as error:
            raise self.wrong(name, "A number was expected.") from error

    def positive(self, name: str, default: float) -> float:
        value = self.number(name, default)
        if not value > 0:
            raise self.wrong(name, "A number above 0 was expected.")
        return value

    def count(self, name: str, default: int) -> int:
        value = self.number(name, default)
        if value != int(value) or value < 0:
            raise self.wrong(name, "A whole number was expected.")
        return int(value)

    def choice(self, name: str, known: tuple[str, ...], default: str) -> str:
        value = self.text(name, default) or default
        if value not in known:
            raise self.wrong(name, nearest(value, known))
        return value

    def centre(self, default: float) -> float:
        """The files' pixel centre; adding `0.5 - centre` to coordinates makes them ours."""
        value = self.number("pixel_centre", default)
        if value not in (0.0, 0.5):
            raise self.wrong("pixel_centre", "0 or 0.5 was expected.")
        return value

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """A list of numbers, or text with commas or spaces between them."""
        value = self._values.get(name)
        if value is None:
            return None
        parts = value if isinstance(value, list | tuple) else str(value).replace(",", " ").split()
        try:
            return tuple(float(part) for part in parts)
        except (TypeError, ValueError) as error:
            raise self.wrong(name, "A list of numbers was expected.") from error

    def size(self, name: str) -> tuple[int, int] | None:
        """`RxC` or `HxW`; None where the option is absent or a single number."""
        value = self._values.get(name)
        if value is None:
            return None
        parts = list(value) if isinstance(value, list | tuple) else str(value).lower().split("x")
        try:
            numbers = [int(part) for part in parts]
        except (TypeError, ValueError) as error:
            raise self.wrong(name, "Whole numbers were expected.") from error
        if len(numbers) == 1 and name == "size":
            return None
        if len(numbers) != 2 or min(numbers) < 1:
            raise self.wrong(name, "Two whole numbers such as 2x3 were expected.")
        return numbers[0], numbers[1]

    def wrong(self, name: str, expected: str) -> UsageError:
        return UsageError(
            f"Option {name}={self._values.get(name)!r} of reader {self._reader!r} is not usable.", expected
        )


def root_of(data: DataSpec) -> Path:
    """The existing file or folder that `READER:PATH` names."""
    if not data.path:
        raise UsageError(f"Reader {data.set!r} needs a path.", "", f"Write --data {data.set}:FOLDER.")
    root = Path(data.path).expanduser()
    if not root.exists():
        raise DataError(f"{root} does not exist.", f"A folder or file for reader {data.set!r} was expected.")
    return root

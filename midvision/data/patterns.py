"""File patterns: which file is the depth, mask or pose of which photograph.

A pattern is a path below the data folder with `*` for any text inside one name. What the stars of
the image pattern stand for is the image's key; it fills the stars of the other patterns from the
left: `rgb/*.jpg` and `depth/*.png` pair `rgb/7.jpg` with `depth/7.png`. A last `.*` is any ending.
Stars beyond the key match any name (`masks/*/*.png`: one file per instance), and a pattern without
stars is one file for all.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from midvision.core.errors import DataError, UsageError

IMAGE_ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
TRUTH_ENDINGS = (".npy", ".npz", ".pfm", ".txt", ".json")


@dataclass(frozen=True, slots=True)
class Found:
    """A file with its key: what the stars stood for, without the ending."""

    path: Path
    key: tuple[str, ...]

    @property
    def id(self) -> str:
        return "/".join(self.key) if self.key else self.path.name.split(".")[0]


def natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key with digits as numbers: frame-2 before frame-10."""
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in re.split(r"(\d+)", text))


def find(root: Path, pattern: str) -> list[Found]:
    """All files of `pattern` below `root`, in natural order; hidden files never."""
    expression = _expression(pattern)
    found = []
    for path in sorted(root.glob(pattern.strip("/"))):
        name = path.relative_to(root).as_posix()
        match = expression.fullmatch(name)
        if match is None or path.name.startswith(".") or not path.is_file():
            continue
        if pattern.endswith(".*") and path.suffix.lower() not in IMAGE_ENDINGS + TRUTH_ENDINGS:
            continue
        found.append(Found(path, match.groups()))
    return sorted(found, key=lambda entry: (natural(entry.id), natural(entry.path.as_posix())))


def find_images(root: Path, pattern: str, leave_out: Iterable[Path] = ()) -> list[Found]:
    """Photographs of `pattern`, less the files in `leave_out`; two with one key are an error."""
    skip = set(leave_out)
    images: dict[tuple[str, ...], Found] = {}
    for entry in find(root, pattern):
        if entry.path in skip or entry.path.suffix.lower() not in IMAGE_ENDINGS:
            continue
        if entry.key in images:
            raise DataError(
                f"{images[entry.key].path} and {entry.path} have the same name before their endings.",
                "Each photograph needs its own.",
                "Declare a narrower pattern (image=...).",
            )
        images[entry.key] = entry
    return list(images.values())


def matching(root: Path, pattern: str, key: Sequence[str]) -> list[Path]:
    """The files that `pattern` names for the image with `key`."""
    parts = _split(pattern)
    stars = iter(key)
    filled = "".join(part if part != "*" else next((glob.escape(s) for s in stars), "*") for part in parts)
    if pattern.endswith(".*"):
        filled += ".*"
    if not glob.has_magic(filled):
        path = root / filled
        return [path] if path.is_file() else []
    # Pathlib takes an escaped name as it is; sorting keeps instance files in one order everywhere.
    return [path for path in sorted(root.glob(filled)) if path.is_file() and not path.name.startswith(".")]


def one_of(root: Path, pattern: str, key: Sequence[str], kind: str) -> Path | None:
    """The one file that `pattern` names for `key`, None if there is none, an error if there are several."""
    paths = matching(root, pattern, key)
    if len(paths) > 1:
        raise DataError(
            f"{len(paths)} {kind} files belong to image {'/'.join(key)!r}: {paths[0]}, {paths[1]}.",
            "One was expected.",
            f"Declare a narrower pattern ({kind}=...).",
        )
    return paths[0] if paths else None


def detect(root: Path, kind: str, candidates: Sequence[str]) -> str:
    """The first candidate pattern with files; an error that lists them all if none has any."""
    for pattern in candidates:
        if any(entry.path.suffix.lower() in IMAGE_ENDINGS for entry in find(root, pattern)):
            return pattern
    raise UsageError(
        f"No {kind} files were found in {root}.",
        f"Looked for: {', '.join(candidates)}.",
        f"Declare where they are, for example {kind}={candidates[0]!r}.",
    )


def detect_beside(root: Path, kind: str, candidates: Sequence[str], keys: Sequence[tuple[str, ...]]) -> str | None:
    """The one candidate that has a file for at least one image; None if none has; an error if two have."""
    hits = [pattern for pattern in candidates if any(matching(root, pattern, key) for key in keys[:200])]
    named = {path for pattern in hits for path in matching(root, pattern, keys[0])} if keys else set()
    if len(hits) > 1 and len(named) > 1:
        raise UsageError(
            f"Several patterns in {root} could be the {kind}: {', '.join(hits)}.",
            "One must be chosen.",
            f"Declare it: {kind}={hits[0]!r}.",
        )
    return hits[0] if hits else None


def resolve(name: str, frames: Sequence[Found], source: Path) -> Found:
    """The frame that a list calls `name`: its id, file name, or file name without ending."""
    wanted = name.strip().strip("/")
    spellings = [_names(frame) for frame in frames]
    for place in range(len(spellings[0]) if spellings else 0):
        hits = [frame for frame, names in zip(frames, spellings) if names[place] == wanted]
        if len(hits) == 1:
            return hits[0]
    known = ", ".join(frame.id for frame in frames[:3])
    raise DataError(f"{source} names frame {name!r}, which is not there.", f"Frames are called like: {known}.")


def _split(pattern: str) -> list[str]:
    body = pattern.strip("/")
    body = body[:-2] if body.endswith(".*") else body
    return [part for part in re.split(r"(\*)", body) if part]


def _expression(pattern: str) -> re.Pattern[str]:
    body = "".join("([^/]*)" if part == "*" else re.escape(part) for part in _split(pattern))
    return re.compile(body + (r"\.[^./]*" if pattern.endswith(".*") else ""))


def _names(frame: Found) -> tuple[str, ...]:
    """What a list may call a frame, most definite first."""
    path = frame.path
    last = frame.key[-1] if frame.key else path.stem
    return frame.id, path.as_posix(), path.name, path.stem, path.name.split(".")[0], last

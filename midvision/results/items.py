"""Files beside a record: per-item scores as JSON lines, sample predictions as arrays without pickle."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from midvision.core.errors import DataError
from midvision.core.scores import Scores

WORDS = {"inf": math.inf, "-inf": -math.inf, None: math.nan}


def checksum(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_items(path: Path, scores: Scores) -> None:
    """One line per item: `{"id", "group", "columns"}`; NaN as null, infinities as "inf" and "-inf"."""
    names = list(scores.columns)
    table = [np.asarray(scores.columns[name], dtype=np.float64) for name in names]
    with open(path, "w", encoding="utf-8") as stream:
        for row, (name, group) in enumerate(zip(scores.ids, scores.groups, strict=True)):
            columns = {column: _word(float(values[row])) for column, values in zip(names, table, strict=True)}
            stream.write(json.dumps({"id": name, "group": group, "columns": columns}, allow_nan=False) + "\n")


def read_items(path: Path, sha256: str) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, np.ndarray]]:
    """Ids, groups and columns; every number comes back bit for bit."""
    lines = [json.loads(line) for line in _checked(path, sha256).decode("utf-8").splitlines()]
    names = list(lines[0]["columns"]) if lines else []
    columns = {name: np.array([_number(line["columns"][name]) for line in lines], dtype=np.float64) for name in names}
    return tuple(line["id"] for line in lines), tuple(line["group"] for line in lines), columns


def write_samples(path: Path, samples: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Arrays of a handful of items in one compressed file; ids are data, since they may hold slashes."""
    arrays = {
        f"{number}.{name}": np.asarray(array)
        for number, item in enumerate(samples.values())
        for name, array in item.items()
    }
    with open(path, "wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, ids=np.array(list(samples), dtype=np.str_), **arrays)


def read_samples(path: Path, sha256: str) -> dict[str, dict[str, np.ndarray]]:
    """Item id -> name -> array."""
    _checked(path, sha256)
    with np.load(path, allow_pickle=False) as archive:
        samples: dict[str, dict[str, np.ndarray]] = {str(name): {} for name in archive["ids"]}
        order = list(samples)
        for key in archive.files:
            number, dot, name = key.partition(".")
            if dot:
                samples[order[int(number)]][name] = archive[key]
    return samples


def _word(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _number(value: float | str | None) -> float:
    return WORDS[value] if value is None or isinstance(value, str) else float(value)


def _checked(path: Path, sha256: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise _damaged(path, str(error)) from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise _damaged(path, "its checksum differs from the record's")
    return data


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(
        f"Cannot use {path}: {reason}.",
        "The file that was written with the result was expected.",
        "Delete the result's folder and run it again.",
    )

"""What one result holds, and how it becomes a folder on disk: complete or absent, written once."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError, UsageError
from midvision.core.places import cannot_write, write_text
from midvision.core.scores import Estimate, Scores
from midvision.core.settings import stable_hash
from midvision.results.items import checksum, read_items, read_samples, write_items, write_samples

if TYPE_CHECKING:
    from torch import Tensor

SCHEMA_VERSION = 1
RESULT, FAILURE, ITEMS, SAMPLES = "result.json", "failure.json", "items.jsonl", "samples.npz"
PROBE, CONFIG, LOG = "probe.safetensors", "config.yaml", "log.jsonl"
STALE_SECONDS = 3600.0
LONGEST_NAME = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultRecord:
    """What `result.json` holds. Fields are only ever added; those of a later version end up in `extra`.

    `model`: id, revision, weights_sha256, params, patch_size, key.  `protocol`: name, version and every
    resolved setting.  `dataset`: name, version, split, n_items, fingerprint, limited, and `train` with
    the same fields where a probe was fitted.  `features`: layers, image_size, pooling_requested,
    pooling_resolved.  `plan`: `FeaturePlan.as_dict()`.  `cost`: what one image costs the whole encoder at
    this input size (`run/cost.py`).  `run`: the RunSpec.  `baselines`: "constant" or
    "chance" -> metric -> estimate.  `items`, `samples`: path, sha256, n; filled in by `write`.
    `folder` is where the record was read from or written to; it is not stored.
    """

    run_hash: str
    task: str
    main_metric: str
    model: Mapping[str, Any]
    protocol: Mapping[str, Any]
    dataset: Mapping[str, Any]
    features: Mapping[str, Any]
    metrics: Mapping[str, Estimate]
    plan: Mapping[str, Any] = field(default_factory=dict)
    run: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    probe: Mapping[str, Any] | None = None
    learner: Mapping[str, Any] = field(default_factory=dict)
    baselines: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)
    timing: Mapping[str, Any] = field(default_factory=dict)
    cost: Mapping[str, Any] = field(default_factory=dict)
    hardware: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)
    git: Mapping[str, Any] | None = None
    command: str = ""
    created_at: str = ""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    items: Mapping[str, Any] = field(default_factory=dict)
    samples: Mapping[str, Any] | None = None
    status: str = "ok"
    schema_version: int = SCHEMA_VERSION
    extra: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = field(default=None, compare=False)

    @property
    def main(self) -> Estimate:
        """The headline metric."""
        return self.metrics[self.main_metric]

    @property
    def model_id(self) -> str:
        return str(self.model["id"])

    @property
    def probe_name(self) -> str:
        """The probe's name, or an empty text for tasks that fit nothing."""
        return str(self.probe.get("name", "")) if self.probe else ""

    def as_dict(self) -> dict[str, Any]:
        """Strict JSON values (no NaN, no infinity): what `result.json` holds."""
        known = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del known["folder"], known["extra"]
        body: dict[str, Any] = plain({**self.extra, **known})
        return body

    def scores(self) -> Scores:
        """The per-item scores beside the record, checked against its checksums."""
        folder = self._where()
        ids, groups, columns = read_items(folder / self.items["path"], self.items["sha256"])
        samples = read_samples(folder / self.samples["path"], self.samples["sha256"]) if self.samples else {}
        return Scores(ids, groups, columns, samples)

    def probe_state(self) -> dict[str, Tensor]:
        """The fitted probe's tensors; empty for tasks that fit nothing."""
        path = self._where() / PROBE
        if not path.is_file():
            return {}
        from safetensors.torch import load_file

        tensors: dict[str, Tensor] = load_file(path)
        return tensors

    def _where(self) -> Path:
        if self.folder is None:
            raise UsageError(f"The result {self.run_hash} was never written.", "", "Give evaluate() an output folder.")
        return self.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureRecord:
    """A run that ended with an error; a later success of the same run replaces it."""

    run_hash: str
    task: str
    model: Mapping[str, Any]
    protocol: Mapping[str, Any]
    error: str
    message: str
    exit_code: int = 1
    run: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    traceback: str = ""
    created_at: str = ""
    status: str = "failed"
    schema_version: int = SCHEMA_VERSION
    extra: Mapping[str, Any] = field(default_factory=dict)
    folder: Path | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        known = {entry.name: getattr(self, entry.name) for entry in fields(self)}
        del known["folder"], known["extra"]
        body: dict[str, Any] = plain({**self.extra, **known})
        return body


Record = ResultRecord | FailureRecord


def plain(value: Any) -> Any:
    """JSON values only: numpy scalars and tuples unpacked, estimates as dicts, not-finite numbers as null."""
    if isinstance(value, Estimate):
        return plain(value.as_dict())
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(entry) for entry in value]
    if hasattr(value, "tolist") and not isinstance(value, str | bytes):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return str(value)


def estimate(body: Mapping[str, Any]) -> Estimate:
    """An estimate from JSON, where null means not finite."""

    def number(name: str, missing: float) -> float:
        return missing if body.get(name) is None else float(body[name])

    low, high = number("low", -math.inf), number("high", math.inf)
    value, ci_low, ci_high = (number(name, math.nan) for name in ("value", "ci_low", "ci_high"))
    counts = int(body["n"]), int(body.get("groups", body["n"]))
    better, chance = bool(body["higher_is_better"]), body.get("chance")
    return Estimate(value, ci_low, ci_high, *counts, str(body["unit"]), better, low, high, chance)


def parse(text: str, path: Path) -> Record:
    """The record in a `result.json` or `failure.json`; `DataError` where it is not one of ours."""
    try:
        body = json.loads(text)
        version = body["schema_version"]
    except (ValueError, TypeError, KeyError) as error:
        raise _unreadable(path, f"it is not a midvision record ({error!r})") from error
    if version != SCHEMA_VERSION:
        raise _unreadable(path, f"its schema_version is {version!r}, this midvision reads {SCHEMA_VERSION}")
    kind: Any = FailureRecord if body.get("status") == "failed" else ResultRecord
    names = {entry.name for entry in fields(kind)} - {"folder", "extra"}
    known = {name: entry for name, entry in body.items() if name in names}
    extra = {name: entry for name, entry in body.items() if name not in names}
    try:
        if kind is ResultRecord:
            known["metrics"] = {name: estimate(entry) for name, entry in body["metrics"].items()}
            known["baselines"] = {
                floor: {name: estimate(entry) for name, entry in metrics.items()}
                for floor, metrics in body.get("baselines", {}).items()
            }
        record: Record = kind(**known, extra=extra, folder=path.parent)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _unreadable(path, f"a field is missing or of the wrong kind ({error})") from error
    return record


def read(path: Path) -> Record:
    """The record in a file, or in a run's folder."""
    path = path / RESULT if path.is_dir() else path
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, str(error)) from error


def _unreadable(path: Path, reason: str) -> DataError:
    return DataError(
        f"Cannot read the result {path}: {reason}.",
        "A record written by this or an earlier version was expected.",
        "Delete its folder to compute it again, or update midvision.",
    )


def safe_name(text: str) -> str:
    """A folder name for any id: `/` becomes `__`, other unsafe characters `%XX`, long names end in a hash."""
    name = re.sub(
        r"[^A-Za-z0-9._=+,@-]",
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")),
        text.replace("/", "__"),
    )
    name = f"%2E{name[1:]}" if name.startswith(".") else name or "%"
    if len(name) > LONGEST_NAME:
        name = f"{name[: LONGEST_NAME - 17]}-{stable_hash(text)}"
    return name


def record_folder(output: Path, record: Record) -> Path:
    """`MODEL/REVISION/TASK/PROTOCOL/RUN_HASH` below the results folder."""
    protocol = f"{record.protocol['name']}@{record.protocol['version']}"
    parts = (record.model["id"], record.model.get("revision") or "default", record.task, protocol, record.run_hash)
    return output.joinpath(*(safe_name(str(part)) for part in parts))


def write(
    output: Path,
    record: ResultRecord,
    scores: Scores,
    probe_state: Mapping[str, Tensor] | None = None,
    config_yaml: str = "",
    *,
    log_jsonl: str = "",
    overwrite: bool = False,
) -> ResultRecord:
    """Write one run's folder; it appears with everything in it, or not at all.

    A run that is already stored stays as it is (equal runs have equal scores) unless `overwrite`.
    Returns the record as stored, with its folder.
    """
    final = record_folder(Path(output), record)
    if not overwrite and (final / RESULT).is_file():
        return _stored(final)
    with _disk(final), _temporary_folder(final) as draft:
        sums = {"path": ITEMS, "sha256": _save(draft / ITEMS, lambda path: write_items(path, scores))}
        pictures = None
        if scores.samples:
            digest = _save(draft / SAMPLES, lambda path: write_samples(path, scores.samples))
            pictures = {"path": SAMPLES, "sha256": digest, "n": len(scores.samples)}
        if probe_state:
            _save(draft / PROBE, lambda path: path.write_bytes(_tensors(probe_state)))
        for name, text in ((CONFIG, config_yaml), (LOG, log_jsonl)):
            if text:
                _save(draft / name, lambda path, text=text: path.write_text(text, encoding="utf-8"))  # type: ignore[misc]
        stored = replace(record, items={**sums, "n": len(scores.ids)}, samples=pictures, folder=final)
        body = json.dumps(stored.as_dict(), indent=1, allow_nan=False)
        _save(draft / RESULT, lambda path: path.write_text(body + "\n", encoding="utf-8"))
        return stored if _publish(draft, final, overwrite) else _stored(final)


def write_failure(output: Path, failure: FailureRecord) -> Path:
    """Note a failed run where its result would be; never beside a result that is there."""
    final = record_folder(Path(output), failure)
    if not (final / RESULT).is_file():
        write_text(final / FAILURE, json.dumps(failure.as_dict(), indent=1, allow_nan=False) + "\n")
    return final


def record_paths(output: Path) -> Iterator[Path]:
    """Every `result.json`, or `failure.json` where there is no result, below a folder, sorted."""
    for place, folders, files in os.walk(output):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in (RESULT, FAILURE):
            if name in files:
                yield Path(place, name)
                folders.clear()
                break


def stored_runs(output: Path) -> dict[str, Path]:
    """Run hash -> folder of every finished run; what resuming looks at. Reads names only."""
    return {path.parent.name: path.parent for path in record_paths(output) if path.name == RESULT}


def _stored(final: Path) -> ResultRecord:
    found = read(final / RESULT)
    if not isinstance(found, ResultRecord):
        raise _unreadable(final / RESULT, "it holds a failure")
    return found


def _tensors(state: Mapping[str, Tensor]) -> bytes:
    """Safetensors bytes; the library's own file writing hides disk errors from `OSError`."""
    from safetensors.torch import save

    data: bytes = save({name: value.detach().cpu().contiguous() for name, value in state.items()})
    return data


def _save(path: Path, fill: Callable[[Path], object]) -> str:
    """Write a file, flush it to disk, return its SHA-256."""
    fill(path)
    with open(path, "rb") as written:
        os.fsync(written.fileno())
    return checksum(path)


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_write(path, error) from error


@contextlib.contextmanager
def _temporary_folder(final: Path) -> Iterator[Path]:
    """A hidden folder beside the final one, gone afterwards; old ones of killed processes go too."""
    final.parent.mkdir(parents=True, exist_ok=True)
    for left in final.parent.glob(".*.part"):
        with contextlib.suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    draft = final.with_name(f".{final.name}.{os.getpid()}.{time.monotonic_ns()}.part")
    draft.mkdir()
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _publish(draft: Path, final: Path, overwrite: bool) -> bool:
    """Rename the draft into place; False where another writer was first."""
    while True:
        try:
            draft.rename(final)
            return True
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        if not overwrite and (final / RESULT).is_file():
            return False
        aside = draft.with_suffix(".old.part")
        with contextlib.suppress(FileNotFoundError):
            final.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

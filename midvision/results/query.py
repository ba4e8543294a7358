"""Results as a list that can be filtered, grouped into comparable ones, and turned into rows."""

from __future__ import annotations

import fnmatch
import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from midvision.core.errors import DataError, UsageError, nearest
from midvision.core.settings import stable_hash
from midvision.results.index import refresh
from midvision.results.record import FailureRecord, ResultRecord, parse


@dataclass(frozen=True, slots=True)
class Comparable:
    """What two results must share to stand in one ranking; `reason` says it for people."""

    task: str
    protocol: str
    protocol_version: int
    settings: str
    dataset: str
    fingerprint: str
    probe: str
    limited: bool

    @property
    def reason(self) -> str:
        limited = ", limited" if self.limited else ""
        probe = f", {self.probe} probe" if self.probe else ""
        data = f"{self.dataset} {self.fingerprint[:8]}{limited}"
        return f"{self.task}, {self.protocol} v{self.protocol_version}{probe}, {data}"


def comparable(record: ResultRecord) -> Comparable:
    """Results with equal keys differ in the encoder, its layers and the seed only."""
    wish = {"image_size": record.run.get("image_size")}
    probe = json.dumps(record.as_dict()["probe"], sort_keys=True)
    train = record.dataset.get("train") or {}
    return Comparable(
        task=record.task,
        protocol=str(record.protocol["name"]),
        protocol_version=int(record.protocol["version"]),
        settings=stable_hash(json.dumps([record.as_dict()["protocol"], wish, probe], sort_keys=True)),
        dataset=str(record.dataset["name"]),
        fingerprint=stable_hash(str(record.dataset["fingerprint"]), str(train.get("fingerprint", ""))),
        probe=record.probe_name,
        limited=bool(record.dataset.get("limited", False)),
    )


class Results(Sequence[ResultRecord]):
    """Result records in a fixed order, with the failures and the unreadable files found beside them.

    `results["synth-depth"]` is the only record of that task; `results[0]` the first of all.
    """

    def __init__(
        self,
        records: Iterable[ResultRecord],
        failures: Iterable[FailureRecord] = (),
        unreadable: Iterable[DataError] = (),
    ) -> None:
        self.records = tuple(records)
        self.failures = tuple(failures)
        self.unreadable = tuple(unreadable)

    def __len__(self) -> int:
        return len(self.records)

    def __iter__(self) -> Iterator[ResultRecord]:
        return iter(self.records)

    @overload
    def __getitem__(self, which: int | str) -> ResultRecord: ...

    @overload
    def __getitem__(self, which: slice) -> Results: ...

    def __getitem__(self, which: int | str | slice) -> ResultRecord | Results:
        if isinstance(which, slice):
            return Results(self.records[which], self.failures, self.unreadable)
        if isinstance(which, int):
            return self.records[which]
        found = [record for record in self.records if record.task == which]
        if len(found) != 1:
            known = nearest(which, self.tasks()) if not found else "Exactly one was expected."
            wrong = f"There are {len(found)} results of task {which!r}."
            raise UsageError(wrong, known, "Choose with .where(model=..., protocol=..., probe=...).")
        return found[0]

    def __repr__(self) -> str:
        return f"Results({len(self.records)} results of {len(self.models())} models, {len(self.failures)} failures)"

    def models(self) -> list[str]:
        return list(dict.fromkeys(record.model_id for record in self.records))

    def tasks(self) -> list[str]:
        return list(dict.fromkeys(record.task for record in self.records))

    def where(
        self,
        *,
        model: str | None = None,
        task: str | None = None,
        protocol: str | None = None,
        probe: str | None = None,
        dataset: str | None = None,
        seed: int | None = None,
        limited: bool | None = None,
        test: Callable[[ResultRecord], bool] | None = None,
    ) -> Results:
        """The records that match every condition given; names are globs. Failures are filtered too."""

        def keeps(record: ResultRecord) -> bool:
            return (
                _like(model, record.model_id)
                and _like(task, record.task)
                and _like(protocol, str(record.protocol["name"]))
                and _like(probe, record.probe_name)
                and _like(dataset, str(record.dataset["name"]))
                and (seed is None or record.seed == seed)
                and (limited is None or bool(record.dataset.get("limited", False)) == limited)
                and (test is None or test(record))
            )

        failures = [lost for lost in self.failures if _like(model, str(lost.model["id"])) and _like(task, lost.task)]
        return Results(filter(keeps, self.records), failures, self.unreadable)

    def comparable_groups(self) -> dict[Comparable, Results]:
        """Records that may stand in one ranking, by what they share."""
        groups: dict[Comparable, list[ResultRecord]] = {}
        for record in self.records:
            groups.setdefault(comparable(record), []).append(record)
        return {key: Results(records) for key, records in groups.items()}

    def best(self) -> dict[Comparable, ResultRecord]:
        """The best record by the headline metric in each comparable group; not-a-number never wins."""

        def merit(record: ResultRecord) -> float:
            value = record.main.value if record.main.higher_is_better else -record.main.value
            return value if value == value else float("-inf")

        return {key: max(group, key=merit) for key, group in self.comparable_groups().items()}

    def table(self) -> list[dict[str, Any]]:
        """One plain row per record and metric; needs no other library."""
        return [row for record in self.records for row in _rows(record)]

    def to_frame(self) -> Any:
        """The rows of `table()` as a pandas DataFrame."""
        try:
            pandas = importlib.import_module("pandas")
        except ImportError as error:
            raise UsageError(
                "to_frame() needs pandas, which is not installed.",
                "The same rows come as plain dicts from .table().",
                "Install it with: pip install pandas",
            ) from error
        return pandas.DataFrame(self.table())


def load_results(folder: str | Path, *, strict: bool = False) -> Results:
    """Every record below a results folder, sorted by path.

    Damaged files are listed in `.unreadable`; with `strict` the first of them is raised.
    """
    output = Path(folder).expanduser()
    if not output.is_dir():
        raise DataError(
            f"There is no results folder {output}.",
            "A folder that a run has written was expected.",
            "Make one with: midvision run --output FOLDER, or check the path.",
        )
    records: list[ResultRecord] = []
    failures: list[FailureRecord] = []
    unreadable: list[DataError] = []
    for path, text in refresh(output):
        try:
            found = parse(text, path)
        except DataError as error:
            if strict:
                raise
            unreadable.append(error)
            continue
        if isinstance(found, ResultRecord):
            records.append(found)
        else:
            failures.append(found)
    return Results(records, failures, unreadable)


def _like(wish: str | None, value: str) -> bool:
    return wish is None or fnmatch.fnmatchcase(value, wish)


def _rows(record: ResultRecord) -> Iterator[dict[str, Any]]:
    shared = {
        "model": record.model_id,
        "task": record.task,
        "protocol": record.protocol["name"],
        "protocol_version": record.protocol["version"],
        "dataset": record.dataset["name"],
        "split": record.dataset.get("split"),
        "limited": bool(record.dataset.get("limited", False)),
        "probe": record.probe_name,
        "seed": record.seed,
    }
    for name, estimate in record.metrics.items():
        yield {
            **shared,
            "metric": name,
            "main": name == record.main_metric,
            **estimate.as_dict(),
            "run_hash": record.run_hash,
        }

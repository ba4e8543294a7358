"""A study from its declaration to records and a report: settle, look up, expand, run, tell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError, MidvisionError, UsageError, nearest
from midvision.core.specs import RunSpec
from midvision.run.local import Outcome, run_units
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.orders import Executor, Product
from midvision.run.plan import RunGroup
from midvision.run.study import NetworkFacts, Study, all_studies, expand_study, models_of

if TYPE_CHECKING:
    from midvision.core.features import ImageEncoder

REPORT = "study-report"
ANALYSIS = "analysis.json"
STAND_IN_TITLE = " (stand-ins with random weights: no statement about these models)"


@dataclass(frozen=True, slots=True)
class Conducted:
    """What a study came to. `left_out`: benchmark tasks whose data is not on this machine."""

    study: Study
    outcome: Outcome
    left_out: tuple[str, ...]
    report: Path | None = None


def declared(values: Mapping[str, Any], origin: str) -> Study:
    """A study from plain values: a whole one, or changes to the built-in one that `extends` names.

    Unknown keys, and values of the wrong kind, are errors that name them.
    """
    from pydantic import ValidationError

    given = {str(name).replace("-", "_"): value for name, value in values.items()}
    parent = given.pop("extends", None)
    known = all_studies()
    if parent is not None and parent not in known:
        raise UsageError(f"{origin} extends {parent!r}, which is no study.", nearest(str(parent), known))
    body = (
        known[parent].model_dump() if parent is not None else {"name": Path(origin).stem, "title": "", "question": ""}
    )
    if unknown := next((name for name in given if name not in Study.model_fields), None):
        raise UsageError(f"Unknown key {unknown!r} in {origin}.", nearest(unknown, [*Study.model_fields, "extends"]))
    try:
        return Study.model_validate({**body, **given})
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"{path} in {origin}: {first['msg']}, got {first['input']!r}.") from error


def settled(study: Study) -> tuple[Study, tuple[str, ...]]:
    """The study with its data chosen, and the benchmark tasks that `auto` leaves out because they are not prepared."""
    if study.data != "auto":
        return study, ()
    ready = tuple(task for task in study.benchmarks if is_prepared(task))
    if not ready:
        return study.model_copy(update={"data": "built-in"}), ()
    chosen = study.model_copy(update={"data": "benchmarks", "benchmarks": ready})
    return chosen, tuple(task for task in study.benchmarks if task not in ready)


def is_prepared(task: str) -> bool:
    """Whether the benchmark copy that a task reads is on this machine."""
    from midvision.core.catalog import pick
    from midvision.core.specs import DataSpec
    from midvision.data.card import all_sets
    from midvision.data.manifest import open_copy
    from midvision.tasks.task import all_tasks

    name = pick("task", task, all_tasks()).data_set
    card = all_sets().get(name or "")
    if card is None or card.benchmark is None:
        return True
    try:
        open_copy(card, DataSpec(set=card.name))
    except DataError:
        return False
    return True


def check_weights(models: Sequence[Model]) -> None:
    """One error for all weights that are not on this machine, before anything is computed; asks no network."""
    from midvision.zoo.obtain import stock

    missing = [model.id for model in models if _fetchable(model) and stock(model.id).state == "to fetch"]
    if missing:
        raise DataError(
            f"The weights of {len(missing)} of {len(models)} models are not on this machine.",
            "A study starts when all are there, so that it does not stop in the middle.",
            f"Fetch them: midvision models fetch {' '.join(missing)}\n"
            "  Or try the study on random weights of the same architectures: --random-init",
        )


def _fetchable(model: Model) -> bool:
    from midvision.zoo.ids import parse_id

    if model.given is not None or model.weights is not None:
        return False
    return parse_id(model.id).kind not in ("control", "random", "file", "python")


def look_up(models: Sequence[Model]) -> dict[str, NetworkFacts]:
    """Facts of every network by model id. Listed models are built without their weights."""
    return {model.id: facts_of_network(model) for model in models}


def facts_of_network(model: Model) -> NetworkFacts:
    info = untrained(model).info
    return NetworkFacts(len(info.layers), info.layers[-1].stride, info.size_multiple)


def untrained(model: Model) -> ImageEncoder:
    """An encoder of the model's architecture: with random weights where the id is enough for that."""
    from midvision.zoo.ids import parse_id
    from midvision.zoo.load import load_model

    if model.given is None and parse_id(model.id).kind in ("card", "timm", "torchvision"):
        return load_model(model.id, random_init=True)
    return model.open("cpu")


def runs_of(study: Study) -> list[tuple[Model, RunSpec]]:
    """Every run of a settled study."""
    models = models_of(study)
    for model in models:
        _check_id(model)
    return expand_study(study, look_up(models) if study.needs_facts else {})


def _check_id(model: Model) -> None:
    """Raise for an id that nobody knows; needs no weights."""
    from midvision.zoo.ids import parse_id

    parse_id(model.id)


def conduct(study: Study, options: RunOptions, executor: Executor | None = None) -> Conducted:
    """Compute what is missing, and write the report of all that is there.

    Every finished group is on disk at once, so a study that is stopped anywhere goes on from there, and one that is
    given another model computes that model only.
    """
    chosen, left_out = settled(study)
    check_weights(models_of(chosen))
    outcome = run_units(runs_of(chosen), options, executor)
    return Conducted(chosen, outcome, left_out, write_report_of(chosen, outcome, options.output))


def gather(study: Study, options: RunOptions) -> Conducted:
    """The report of what is there, without computing anything."""
    chosen, left_out = settled(study)
    outcome = run_units(runs_of(chosen), options, Nothing())
    return Conducted(chosen, outcome, left_out, write_report_of(chosen, outcome, options.output))


class Nothing:
    """The executor that carries nothing out."""

    def run(self, groups: Sequence[RunGroup], options: RunOptions) -> Iterator[tuple[RunGroup, Sequence[Product]]]:
        return iter(())


def write_report_of(study: Study, outcome: Outcome, output: Path) -> Path | None:
    """The study's pages and its analysis as JSON, in the results folder; None where there is no record yet."""
    from midvision.analysis.study import analyse
    from midvision.core.places import write_text
    from midvision.report.study.site import write_study_report
    from midvision.results.high_level import high_scores
    from midvision.results.query import Results

    if not outcome.records:
        return None
    analysis = analyse(Results(outcome.records), high_scores(Path(study.high_level) if study.high_level else None))
    folder = output / REPORT
    write_text(folder / ANALYSIS, json.dumps(analysis.as_dict(), indent=1, allow_nan=False) + "\n")
    title = study.title + (STAND_IN_TITLE if study.random_init else "")
    return write_study_report(outcome.records, analysis, folder, failures=outcome.failures, title=title)


def executor_of(
    options: RunOptions, ray: str | None, jobs: int | None, memory_bytes: int | None = None
) -> Executor | None:
    """Ray where an address is given, processes where more than one is wanted, else None: this process."""
    if ray is not None:
        from midvision.run.cluster import DEFAULT_BYTES, Cluster

        if jobs is not None:
            raise UsageError("--jobs counts processes on this machine.", "Ray decides by what its machines have.")
        return Cluster(ray, memory_bytes=memory_bytes or DEFAULT_BYTES)
    from midvision.run.processes import executor_for

    return executor_for(options, jobs)


def code_of(conducted: Conducted) -> int:
    """The exit code that `midvision run` would give."""
    failures = conducted.outcome.failures
    codes = {f.error.exit_code if isinstance(f.error, MidvisionError) else 1 for f in failures}
    if not failures:
        return 0
    return codes.pop() if len(codes) == 1 and not conducted.outcome.records else 1

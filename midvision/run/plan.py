"""From a wish to units of work: expand, resolve, open the data, drop what is stored, group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

from midvision.core.catalog import expand, pick
from midvision.core.errors import DataError, UsageError, nearest
from midvision.core.items import Dataset
from midvision.core.progress import SILENT, Progress
from midvision.core.settings import stable_hash
from midvision.core.specs import DataSpec, ImageRules, ProbeSpec, Protocol, RunSpec
from midvision.data.card import Request, open_data
from midvision.run.models import Model
from midvision.run.overrides import overridden
from midvision.tasks.task import Task, all_tasks


@dataclass(frozen=True, slots=True)
class Unit:
    """One result to be, with everything resolved but the encoder."""

    spec: RunSpec
    model: Model
    task: Task
    protocol: Protocol
    probe: ProbeSpec | None
    train: Dataset | None
    test: Dataset
    key: str


@dataclass(frozen=True, slots=True)
class RunGroup:
    """Units that share encoder, data, input size and stream order: each image is encoded once for all."""

    model: Model
    units: tuple[Unit, ...]


def task_names(patterns: Sequence[str]) -> list[str]:
    """Task names for what a person wrote: names, comma lists, globs; `synth` means all built-in tasks."""
    known = all_tasks()
    words = [word.strip() for text in patterns for word in text.split(",")]
    return expand("task", ["synth-*" if word == "synth" else word for word in words], known)


def expand_runs(
    models: Sequence[Model],
    tasks: Sequence[str],
    *,
    protocols: Sequence[str] = ("corrected",),
    data: DataSpec | None = None,
    probes: Sequence[ProbeSpec | None] = (None,),
    seeds: Sequence[int] = (0,),
    template: RunSpec | None = None,
) -> list[tuple[Model, RunSpec]]:
    """Every combination asked for, as run descriptions; `template` carries the settings that all share."""
    shared = (template or RunSpec(model="", task="")).model_dump()
    runs = []
    for model in models:
        for name in task_names(tasks):
            task = all_tasks()[name]
            for protocol in protocols:
                pick("protocol", protocol, dict(task.protocols))
                for probe in probes if task.learner is not None else (None,):
                    for seed in seeds if task.learner is not None else (0,):
                        changes = {
                            "model": model.id,
                            "task": name,
                            "protocol": protocol,
                            "data": task_data(task, data),
                            "probe": probe,
                            "seed": seed,
                        }
                        runs.append((model, RunSpec.model_validate({**shared, **changes})))
    return runs


def task_data(task: Task, data: DataSpec | None) -> DataSpec:
    if task.data_set is None:
        if data is None or data.path is None:
            raise UsageError(
                f"Task {task.name!r} needs your data.",
                f"It reads {task.content} through --data READER:PATH.",
                "See the readers: midvision list data",
            )
        return data
    if data is not None and data.path is not None and data.set != task.data_set:
        raise UsageError(
            f"Task {task.name!r} brings its own data.",
            f"With your own data use the bare task id, such as {task.content!r}.",
        )
    if task.data_set != "synthetic":
        # A benchmark: its prepared copy, wherever that lies, with the options that a person set for it.
        own = data if data is not None and data.set == task.data_set else DataSpec(set=task.data_set)
        return own.model_copy(update={"preset": None, "difficulty": None})
    built_in = data or DataSpec(set=task.data_set)
    return built_in.model_copy(
        update={
            "set": task.data_set,
            "preset": built_in.preset or "small",
            "difficulty": built_in.difficulty or "base",
        }
    )


def resolve_protocol(spec: RunSpec, task: Task) -> Protocol:
    """The named protocol with this run's own overrides, which make it `custom`."""
    protocol: Protocol = pick("protocol", spec.protocol, dict(task.protocols))
    if spec.image_size is not None:
        images = protocol.images.model_copy(update={"image_size": spec.image_size})
        protocol = protocol.model_copy(update={"images": images, "name": "custom"})
    if spec.final_norm is not None and spec.final_norm != protocol.features.final_norm:
        features = protocol.features.model_copy(update={"final_norm": spec.final_norm})
        protocol = protocol.model_copy(update={"features": features, "name": "custom"})
    if spec.overrides:
        protocol = overridden(protocol, spec.overrides)
    if spec.layers is not None:
        protocol = protocol.model_copy(update={"name": "custom"})
    return protocol


def resolve_probe(spec: RunSpec, task: Task, protocol: Protocol) -> ProbeSpec | None:
    """The probe asked for; else the protocol's, but ridge on the tiny preset, where training would dominate."""
    if task.learner is None:
        return None
    if spec.probe is not None:
        return spec.probe
    if protocol.default_probe is None:
        return None
    return ProbeSpec(name="ridge" if spec.data.preset == "tiny" else protocol.default_probe)


def plan_units(
    runs: Iterable[tuple[Model, RunSpec]],
    *,
    workers: int = 0,
    progress: Progress = SILENT,
    on_error: Callable[[RunSpec, Exception], None] | None = None,
) -> list[Unit]:
    """Open the data of every run (generating the built-in suite if need be) and name each unit by its content.

    A run whose data cannot be opened raises, or goes to `on_error` where that is given.
    """
    opened: dict[tuple[str, ...], Dataset] = {}
    keys: dict[str, str] = {}

    def open_once(spec: RunSpec, task: Task, rules: ImageRules, split: str, limit: int | None) -> Dataset:
        request = Request(
            content=task.content,
            split="train" if split == "train" else "test",
            data=spec.data,
            rules=rules,
            limit=limit,
            workers=workers,
            progress=progress,
        )
        name = (task.content, split, spec.data.canonical(), rules.canonical(), str(limit))
        if name not in opened:
            opened[name] = open_data(request)
            if not opened[name].items:
                raise DataError(
                    f"The {split} split of {spec.data.set!r} has no {task.content}.",
                    "At least one item is needed.",
                    "Check the path, the reader's options and --limit.",
                )
        return opened[name]

    units = []
    for model, spec in runs:
        try:
            task: Task = all_tasks()[spec.task]
            protocol = resolve_protocol(spec, task)
            probe = resolve_probe(spec, task, protocol)
            train = open_once(spec, task, protocol.images, "train", spec.limit) if task.learner else None
            spec = spec.model_copy(update={"train_images": fewer(spec, train)})
            if spec.train_images is not None:
                train = open_once(spec, task, protocol.images, "train", spec.train_images)
            test = open_once(spec, task, protocol.images, "test", spec.limit)
            if model.id not in keys:
                keys[model.id] = model.key()
            prints = (train.fingerprint if train else "", test.fingerprint)
            settled = spec.model_copy(update={"probe": probe})
            key = stable_hash(
                settled.model_copy(update={"model": ""}).canonical(), protocol.canonical(), keys[model.id], *prints
            )
            units.append(Unit(settled, model, task, protocol, probe, train, test, key))
        except Exception as error:
            if on_error is None:
                raise
            on_error(spec, error)
    return units


def fewer(spec: RunSpec, train: Dataset | None) -> int | None:
    """The training images asked for, where the data has more; so that asking for too many is asking for all."""
    wanted = spec.train_images
    return wanted if train is not None and wanted is not None and wanted < len(train.items) else None


def group_units(units: Iterable[Unit]) -> list[RunGroup]:
    """Units of one encoder that can read the same stream, in order of first appearance."""
    groups: dict[tuple[str, ...], list[Unit]] = {}
    for unit in units:
        rules = unit.protocol.features
        size = unit.protocol.images.image_size or unit.test.frame_size
        name = (
            unit.model.id,
            unit.spec.data.canonical(),
            unit.protocol.images.canonical(),
            str(size),
            unit.spec.precision,
            unit.spec.feature_dtype,
            rules.pixel_stats,
            rules.fit,
            str(rules.final_norm),
            rules.forced_input,
            rules.blocks,
            str(unit.protocol.train.shuffle),
        )
        groups.setdefault(name, []).append(unit)
    return [RunGroup(members[0].model, tuple(members)) for members in groups.values()]


def parse_data(text: str) -> DataSpec:
    """`READER:PATH` or `READER:PATH?option=value&option=value` as a data description."""
    reader, colon, rest = text.partition(":")
    path, mark, query = rest.partition("?")
    if not colon or not path:
        from midvision.data.card import all_sets

        raise UsageError(
            f"--data {text!r} is not READER:PATH.", nearest(reader, all_sets()), "See: midvision list data"
        )
    if not mark or Path(rest).expanduser().exists():
        return DataSpec(set=reader, path=rest)
    options = dict(parse_qsl(query, keep_blank_values=True))
    if not options:
        raise UsageError(
            f"--data {text!r} has a ? without options.", "option=value pairs with & between them are expected."
        )
    return DataSpec(set=reader, path=path, options=options)

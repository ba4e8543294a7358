"""Records that differ in one thing of a run only: the layer, the number of training images, a difficulty, the size."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from midvision.report.groups import title_and_question
from midvision.report.rows import role_of, set_apart
from midvision.results.record import ResultRecord

FEWEST_STEPS = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """What varies: `step` gives a record's place on the axis, or None where it has none."""

    name: str
    title: str
    axis: str
    step: Callable[[ResultRecord], float | None]
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Sweep:
    """One curve per model: (place on the axis, record) in order."""

    kind: Kind
    task: str
    title: str
    setting: str
    lines: Mapping[str, tuple[tuple[float, ResultRecord], ...]]

    @property
    def first(self) -> ResultRecord:
        return next(iter(self.lines.values()))[0][1]


def layer_of(record: ResultRecord) -> float | None:
    """The layer of a run that read exactly one by wish."""
    wish = record.run.get("layers")
    if not isinstance(wish, list | tuple) or len(wish) != 1:
        return None
    read = (record.features.get("layers") or wish) if isinstance(record.features, Mapping) else wish
    chosen = wish[0] if isinstance(wish[0], int) and wish[0] >= 0 else read[0]
    return float(chosen) if isinstance(chosen, int | float) else None


def training_images(record: ResultRecord) -> float | None:
    train = record.dataset.get("train")
    return float(train["n_items"]) if isinstance(train, Mapping) and train.get("n_items") else None


def input_side(record: ResultRecord) -> float | None:
    """The longer side of what the encoder saw, in pixels."""
    size = record.features.get("image_size") or record.run.get("image_size")
    return float(max(size)) if isinstance(size, list | tuple) and size else None


def axes_of(record: ResultRecord) -> dict[str, int]:
    """Difficulty axes of the built-in data that were moved from their level."""
    data = record.run.get("data")
    options = data.get("options") if isinstance(data, Mapping) else None
    axes = options.get("axes") if isinstance(options, Mapping) else None
    return {str(name): int(level) for name, level in axes.items()} if isinstance(axes, Mapping) else {}


def varied(record: ResultRecord) -> bool:
    """Whether the record belongs to a curve rather than to a table of encoders as they are meant to be read."""
    wishes = (record.run.get(name) for name in ("layers", "train_images", "image_size"))
    return any(wish is not None for wish in wishes) or bool(axes_of(record))


def plain_records(records: Sequence[ResultRecord]) -> list[ResultRecord]:
    """Records that no curve asked for; all of them for a task that has no other."""
    whole = {record.task for record in records if not varied(record)}
    return [record for record in records if not varied(record) or record.task not in whole]


LAYERS = Kind("layers", "Layer by layer", "layer", layer_of)
LABELS = Kind("labels", "How many training images a probe needs", "training images", training_images, True)
SIZES = Kind("sizes", "Size of the input", "longer side in pixels", input_side)
BASE_LEVEL = 2


def sweeps(records: Iterable[ResultRecord]) -> list[Sweep]:
    """Every curve that these records hold with two places on its axis or more."""
    usable = [record for record in records if not set_apart(record)]
    found: list[Sweep] = []
    found += _family(LAYERS, usable, "layers")
    found += _family(LABELS, usable, "train_images")
    found += _family(SIZES, usable, "image_size")
    for axis in sorted({axis for record in usable for axis in axes_of(record)}):
        found += _family(_factor(axis), [one for one in usable if set(axes_of(one)) <= {axis}], "axes")
    return found


def _factor(axis: str) -> Kind:
    def step(record: ResultRecord) -> float | None:
        return float(axes_of(record).get(axis, BASE_LEVEL))

    return Kind(f"factor-{axis}", f"Difficulty: {axis}", f"level of {axis} (2 is the base)", step)


def _family(kind: Kind, records: Sequence[ResultRecord], varies: str) -> list[Sweep]:
    groups: dict[str, list[ResultRecord]] = {}
    for record in records:
        if kind.step(record) is not None:
            groups.setdefault(_same_but(record, varies), []).append(record)
    found = []
    for members in groups.values():
        if not any(_wished(record, varies) for record in members):
            continue
        lines: dict[str, dict[float, ResultRecord]] = {}
        for record in sorted(members, key=lambda one: one.seed):
            place = kind.step(record)
            if place is not None:
                lines.setdefault(record.model_id, {}).setdefault(place, record)
        kept = {model: tuple(sorted(line.items())) for model, line in lines.items() if len(line) >= FEWEST_STEPS}
        if kept:
            one = members[0]
            setting = f"{one.protocol['name']} v{one.protocol['version']}"
            setting += f", {one.probe_name} probe" if one.probe_name else ""
            found.append(Sweep(kind, one.task, title_and_question(one)[0], setting, _judged_first(kept)))
    return found


def _judged_first(
    lines: Mapping[str, tuple[tuple[float, ResultRecord], ...]],
) -> dict[str, tuple[tuple[float, ResultRecord], ...]]:
    """Models before controls, the best at its best place first."""

    def order(model: str) -> tuple[bool, float]:
        values = [record.main.value for _, record in lines[model]]
        sign = -1.0 if lines[model][0][1].main.higher_is_better else 1.0
        return role_of(model) != "model", min(sign * value for value in values)

    return {model: lines[model] for model in sorted(lines, key=order)}


def _wished(record: ResultRecord, varies: str) -> bool:
    return bool(axes_of(record)) if varies == "axes" else record.run.get(varies) is not None


def _same_but(record: ResultRecord, varies: str) -> str:
    """What the records of one curve share: everything that `comparable` asks for, apart from what varies."""
    train: Mapping[str, Any] = record.dataset.get("train") or {}
    parts: dict[str, Any] = {
        "task": record.task,
        "protocol": record.as_dict()["protocol"],
        "probe": record.as_dict()["probe"],
        "set": record.dataset["name"],
        "test": str(record.dataset["fingerprint"]),
        "train": str(train.get("fingerprint", "")),
        "layers": record.run.get("layers"),
        "train_images": record.run.get("train_images"),
        "image_size": record.run.get("image_size"),
        "axes": axes_of(record),
    }
    dropped = {
        "layers": ("layers",),
        "train_images": ("train_images", "train"),
        "image_size": ("image_size",),
        "axes": ("axes", "test", "train"),
    }[varies]
    return json.dumps({name: value for name, value in parts.items() if name not in dropped}, sort_keys=True)

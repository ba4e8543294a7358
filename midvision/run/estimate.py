"""What a study would take: units, images, disk, memory, time. Opens no data, computes nothing, writes nothing.

Speeds come from cost cards that earlier runs (or `midvision models cost`) left on this machine for the same
architecture, size and device; the work beside the encoder from groups of the same kind in the results folder. What was
never measured is said to be so, and a total that lacks a part is given as None.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midvision.core.features import FeatureSpec
from midvision.core.specs import RunSpec
from midvision.extraction.budget import bytes_needed
from midvision.results.query import Results
from midvision.results.record import ResultRecord
from midvision.run.models import Model
from midvision.run.options import RunOptions
from midvision.run.plan import resolve_probe, resolve_protocol
from midvision.tasks.task import Task, all_tasks

if TYPE_CHECKING:
    from midvision.core.features import EncoderInfo, FeaturePlan, ImageEncoder

GIBIBYTE = 2**30
RIDGE_MATRICES = 8
"""Square matrices of all channels that a ridge probe holds at most: five folds, their sum, and two at work."""


@dataclass(frozen=True, slots=True)
class PlannedUnit:
    """One run with its task and resolved probe; `stored` where the output folder has its result."""

    model: Model
    spec: RunSpec
    task: Task
    probe: str | None
    stored: bool

    def as_dict(self) -> dict[str, Any]:
        state = "stored" if self.stored else "to do"
        return {**self.spec.model_dump(mode="json"), "probe_name": self.probe, "state": state}


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """Units that one pass of one encoder serves. `images` is None where only the data could tell."""

    units: tuple[PlannedUnit, ...]
    images: int | None

    @property
    def model(self) -> Model:
        return self.units[0].model

    @property
    def size(self) -> tuple[int, int] | None:
        spec, task = self.units[0].spec, self.units[0].task
        return resolve_protocol(spec, task).images.image_size or _preset_size(spec)


def plan_of(runs: Iterable[tuple[Model, RunSpec]], stored: Results) -> list[PlannedUnit]:
    """The runs as units, told apart from those that are stored."""
    known = {_identity(RunSpec.model_validate(dict(one.run)), one.protocol["version"]) for one in stored if one.run}
    units = []
    for model, spec in runs:
        task = all_tasks()[spec.task]
        protocol = resolve_protocol(spec, task)
        probe = resolve_probe(spec, task, protocol)
        settled = spec.model_copy(update={"probe": probe})
        found = _identity(settled, protocol.version) in known
        units.append(PlannedUnit(model, settled, task, probe.name if probe else None, found))
    return units


def estimate(units: Sequence[PlannedUnit], stored: Results, options: RunOptions) -> dict[str, Any]:
    """Totals over what is to do."""
    todo = [unit for unit in units if not unit.stored]
    groups = _groups(todo)
    encoders: dict[str, ImageEncoder] = {}
    rows = [_weigh(group, _encoder(group.model, encoders), options) for group in groups]
    beside, groups_seen = _beside_encoder_s(stored)
    known = [row["encode_s"] for row in rows if row["encode_s"] is not None]
    images = [group.images for group in groups]
    complete = len(known) == len(rows) and beside is not None
    return {
        "units": len(units),
        "stored": len(units) - len(todo),
        "to_do": len(todo),
        "groups": len(groups),
        "images_to_encode": sum(filter(None, images)) if None not in images else None,
        "feature_disk_gib": _gib(row["disk_bytes"] for row in rows),
        "memory_gib": round(max((row["memory_bytes"] for row in rows), default=0) / GIBIBYTE, 2),
        "encode_s": round(sum(known)) if known else None,
        "encode_measured": f"{len(known)} of {len(rows)} groups",
        "beside_encoder_s": round(beside * len(groups)) if beside is not None else None,
        "beside_measured": f"on {groups_seen} stored groups" if groups_seen else "nothing measured yet",
        "total_s": round(sum(known) + (beside or 0.0) * len(groups)) if complete else None,
        "not_measured": sorted({row["model"] for row in rows if row["encode_s"] is None}),
    }


def _identity(spec: RunSpec, version: Any) -> tuple[str, str]:
    return spec.canonical(), str(version)


def _groups(units: Sequence[PlannedUnit]) -> list[PlannedGroup]:
    """As `group_units` will find them, as far as that is known before data is opened."""
    found: dict[tuple[str, ...], list[PlannedUnit]] = {}
    for unit in units:
        protocol = resolve_protocol(unit.spec, unit.task)
        names = (unit.model.id, unit.spec.data.canonical(), protocol.images.canonical())
        found.setdefault((*names, protocol.features.canonical(), str(protocol.train.shuffle)), []).append(unit)
    return [PlannedGroup(tuple(members), _images(members)) for members in found.values()]


def _images(units: Sequence[PlannedUnit]) -> int | None:
    """Distinct frames of the built-in suite that these units read, at most; None for other data."""
    frames: dict[tuple[str, str], int] = {}
    for unit in units:
        parts = _parts(unit)
        if parts is None:
            return None
        frames.update(parts)
    return sum(frames.values())


def _parts(unit: PlannedUnit) -> Mapping[tuple[str, str], int] | None:
    from midvision.synth.suite import PRESETS

    if unit.spec.data.set != "synthetic" or unit.spec.limit is not None:
        return None
    preset = PRESETS[unit.spec.data.preset or "small"]
    names: Mapping[str, tuple[str, ...]] = {
        "segmentation": preset.masks_from,
        "depth": ("scene",),
        "object-depth": ("object",),
        "normals": ("scene", "object"),
        "object-pairs": ("object",),
        "scene-pairs": ("scene",),
        "triplets": ("triplet",),
        "labels": ("object",),
    }
    splits = ("train", "test") if unit.task.learner is not None else ("test",)
    sizes = {name: part for name, part in preset.parts.items() if name in names[unit.task.content]}
    return {(name, split): part[split].frames for name, part in sizes.items() for split in splits if split in part}  # type: ignore[index]


def _preset_size(spec: RunSpec) -> tuple[int, int] | None:
    from midvision.synth.suite import PRESETS

    return PRESETS[spec.data.preset or "small"].size if spec.data.set == "synthetic" else None


def _encoder(model: Model, known: dict[str, ImageEncoder]) -> ImageEncoder | None:
    """An untrained network of the model's architecture, built once per architecture; None for what is no network."""
    from midvision.run.conduct import untrained
    from midvision.run.models import ORACLES
    from midvision.zoo.card import FromFile, all_cards

    if model.id in ORACLES:
        return None
    card = all_cards().get(model.id.removeprefix("random/").partition("?")[0])
    route = card.route if card is not None else None
    name = f"{route.network} {dict(route.options)}" if isinstance(route, FromFile) else model.id
    if name not in known:
        known[name] = untrained(model)
    return known[name]


def _weigh(group: PlannedGroup, encoder: ImageEncoder | None, options: RunOptions) -> dict[str, Any]:
    """Disk, memory and encoding time of one group, with None for what is not known."""
    row: dict[str, Any] = {"model": group.model.id, "disk_bytes": None, "memory_bytes": 0, "encode_s": None}
    if encoder is None:
        return {**row, "encode_s": 0.0, "disk_bytes": 0}
    if group.size is None:
        return row
    from midvision.run.cost import kept_card

    plan = _plan(group, encoder.info, group.size)
    card = kept_card(encoder, plan.input_size, options.cache_folder.with_name("costs"), options.torch_device())
    peak_mib = (card.count.peak_mib or card.count.weights_mib) if card is not None else _weights_mib(encoder.info)
    channels = sum(layer.channels for layer in plan.layers) if plan.maps else 0
    ridge = RIDGE_MATRICES * 8 * channels**2 if any(unit.probe == "ridge" for unit in group.units) else 0
    speed = card.speed.images_per_s if card is not None and card.speed is not None else None
    return {
        **row,
        "memory_bytes": int(peak_mib * 2**20) + ridge,
        "disk_bytes": bytes_needed(plan, group.images) if group.images is not None else None,
        "encode_s": group.images / speed if speed and group.images is not None else None,
    }


def _plan(group: PlannedGroup, info: EncoderInfo, size: tuple[int, int]) -> FeaturePlan:
    """The widest plan among the group's units, which stands for the joint one."""
    from midvision.encoders.plan import make_plan

    plans = [
        make_plan(
            FeatureSpec(size, (unit.spec.layers or unit.task.layers) if unit.task.maps else None, unit.task.maps), info
        )
        for unit in group.units
    ]
    return max(plans, key=lambda plan: sum(layer.channels for layer in plan.layers) if plan.maps else 0)


def _weights_mib(info: EncoderInfo) -> float:
    return 4 * info.parameters / 2**20


def _beside_encoder_s(stored: Results) -> tuple[float | None, int]:
    """Mean seconds of a stored group outside its encoder, and the number of groups it rests on."""
    seen: dict[tuple[Any, ...], ResultRecord] = {}
    for record in stored:
        timing = record.timing
        if "train_s" in timing and "eval_s" in timing:
            seen.setdefault((record.model_id, timing["train_s"], timing["eval_s"], timing["group_images"]), record)
    rests = []
    for record in seen.values():
        speed = record.cost.get("images_per_s")
        if speed:
            total = float(record.timing["train_s"]) + float(record.timing["eval_s"])
            rests.append(max(0.0, total - float(record.timing["group_images"]) / float(speed)))
    return (sum(rests) / len(rests) if rests else None), len(rests)


def _gib(sizes: Iterable[int | None]) -> float | None:
    known = list(sizes)
    return None if None in known else round(sum(size or 0 for size in known) / GIBIBYTE, 3)

"""Why a decision cannot act on a run: known from probe, encoder and data, before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass

from midvision.core.features import EncoderInfo, FeaturePlan, Grid
from midvision.core.items import DenseItem
from midvision.core.specs import Protocol
from midvision.encoders.plan import make_plan
from midvision.run.evaluate import feature_spec
from midvision.run.plan import Unit

TRAINED = ("linear", "multiscale", "dpt")
DECODER_FIELDS = {
    "head.linear_kernel": ("linear", "multiscale"),
    "head.upsampling": ("multiscale", "dpt"),
    "head.residual_relu": ("dpt",),
    "head.batchnorm_at_test": TRAINED,
}


@dataclass(frozen=True, slots=True)
class Side:
    """A run under one decision: its unit with data opened, and what the encoder will be asked."""

    unit: Unit
    plan: FeaturePlan

    @staticmethod
    def of(unit: Unit, info: EncoderInfo) -> Side:
        return Side(unit, make_plan(feature_spec(unit), info))


def cannot_act(field: str, base: Side, toggled: Side, probe_asked: bool) -> str:
    """The reason why both runs must give the same scores; empty where the decision may act."""
    room, _, _ = field.partition(".")
    if field == "default_probe":
        return _probe_is_chosen(base.unit, probe_asked)
    if room == "images":
        return _same_data(base.unit, toggled.unit)
    if field == "features.cell_centres":
        return _cells_are_equal(base.plan)
    if room == "features":
        return "" if base.plan != toggled.plan else "this encoder reads the same pixels and layers under both."
    return _about_training(field, base, toggled) if base.unit.probe else ""


def _probe_is_chosen(unit: Unit, asked: bool) -> str:
    name = unit.probe.name if unit.probe else "none"
    if asked:
        return f"the probe was asked for ({name})."
    return f"preset tiny takes the {name} probe under both." if unit.spec.data.preset == "tiny" else ""


def _same_data(base: Unit, toggled: Unit) -> str:
    prints = [(u.train.fingerprint if u.train else "", u.test.fingerprint, u.test.frame_size) for u in (base, toggled)]
    return "this data is the same under both." if prints[0] == prints[1] else ""


def _cells_are_equal(plan: FeaturePlan) -> str:
    if not plan.maps:
        return "no map is read."
    equal = all(layer.grid == Grid.uniform(layer.grid.size, layer.grid.extent) for layer in plan.layers)
    return "this encoder's cells are centred, so both place them alike." if equal else ""


def _about_training(field: str, base: Side, toggled: Side) -> str:
    assert base.unit.probe is not None
    name = base.unit.probe.name
    trains = field.startswith(("head.", "train.")) or field == "scoring.gradient_axes"
    if trains and name not in TRAINED:
        return f"the {name} probe has a closed form, without decoder, loss or steps (see --probe)."
    readers = DECODER_FIELDS.get(field)
    if readers is not None and name not in readers:
        return f"the {name} probe has no such part; {' and '.join(readers)} have (see --probe)."
    if field == "head.residual_relu" and len({layer.grid.size for layer in base.plan.layers}) == 1:
        return "all maps have one grid, and for such encoders DPT has its ReLUs elsewhere."
    if field in ("train.min_steps", "train.learning_rates") and _same_training(base.unit, toggled.unit.protocol):
        return "with these images and this probe both train the same steps at the same rate."
    if field == "train.batch_images" and _all_in_one_step(base.unit, toggled.unit.protocol):
        return "there are so few training images that all of them make one step under both."
    return ""


def _all_in_one_step(unit: Unit, other: Protocol) -> bool:
    assert unit.train is not None
    return len(unit.train.images) <= min(rules.train.batch_images for rules in (unit.protocol, other))


def _same_training(unit: Unit, other: Protocol) -> bool:
    from midvision.probes.schedule import plan_phases

    assert unit.train is not None and unit.probe is not None
    items = [item for item in unit.train.items if isinstance(item, DenseItem)]
    rules = (unit.protocol.train, other.train)
    phases = [plan_phases(items, rule, unit.probe, unit.spec.seed) for rule in rules]
    return phases[0] == phases[1]

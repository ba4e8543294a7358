"""What two protocols of one task decide differently: pure description, nothing is run.

A decision is a field of the resolved protocol. `DEFECTS` are the numbers that a published reading of the
reference's code gives its defects (D01 to D77); decisions without one are choices, not defects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from midvision.core.specs import Protocol
from midvision.tasks.task import Task

NOT_DECISIONS = ("name", "version")


@dataclass(frozen=True, slots=True)
class Decision:
    """What a field decides, and where that can be seen.

    `acts` completes "acts on ...". `defects`: the value of the reference -> numbers of its defects, with ""
    for every value; `by_data` has numbers that belong to one benchmark's data.
    """

    meaning: str
    acts: str
    defects: Mapping[str, str] = field(default_factory=dict)
    by_data: Mapping[str, str] = field(default_factory=dict)

    def defect(self, value: Any, data_set: str | None) -> str:
        """Numbers such as `D22, D23`; empty where the decision repairs nothing."""
        return self.by_data.get(data_set or "", "") or self.defects.get(str(value), self.defects.get("", ""))


@dataclass(frozen=True, slots=True)
class Differing:
    """One field on which two protocols of a task differ, with both values as plain data."""

    field: str
    a: Any
    b: Any
    meaning: str
    acts: str
    defect: str

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def _one(number: str) -> Mapping[str, str]:
    return {"": number}


DECISIONS: Mapping[str, Decision] = {
    "default_probe": Decision("the probe that is fitted where none is asked for", "runs that name no probe"),
    "images.crop": Decision(
        "which part of a photograph is the frame", "photographs that are not square, or objects off the middle"
    ),
    "images.crop_end": Decision(
        "whether the crop to an object holds its last row and column", "crops to objects", _one("D45")
    ),
    "images.photo_resample": Decision(
        "how photographs are brought to the frame size",
        "photographs that are not of the frame's size already",
        {"nearest": "D73", "lanczos": "D12"},
    ),
    "images.image_size": Decision("the size of the frame", "photographs of another size"),
    "images.selection": Decision(
        "which images of a benchmark take part",
        "benchmarks whose official lists the reference does not follow",
        by_data={"voc12": "D07", "nyu": "D16", "navi": "D41, D42"},
    ),
    "images.normals_centre": Decision(
        "which point of the image normals out of depth take for the camera's axis",
        "data whose normals are computed from depth (NAVI)",
        _one("D39"),
    ),
    "images.normals_beside_missing": Decision(
        "normals of pixels beside missing depth", "data whose normals are computed from depth (NAVI)", _one("D40")
    ),
    "features.pixel_stats": Decision(
        "colour statistics that images are normalised with",
        "encoders trained with other statistics",
        {"half": "D34", "none": "D32"},
    ),
    "features.fit": Decision(
        "how a frame meets the encoder's size multiple: resized, or zeros around it",
        "frames whose sides the patch size does not divide",
        _one("D31"),
    ),
    "features.forced_input": Decision(
        "whether some networks see 224 or 480 pixels whatever the task asks",
        "encoders that the reference forces to one input size (MoCo v3, MaskFeat, BEiT v2, three ResNet-50)",
        _one("D22, D23"),
    ),
    "features.blocks": Decision(
        "whether the blocks named are read, or those one before", "encoders that the reference reads early (MAE)",
        _one("D24"),
    ),
    "features.cell_centres": Decision(
        "where the cells of a map lie: where the network's strides put them, or on equal cells",
        "networks of strided convolutions (ResNet)",
    ),
    "head.linear_kernel": Decision("kernel of the linear and multiscale probes", "the linear and multiscale probes"),
    "head.upsampling": Decision(
        "how the decoder raises its maps", "the multiscale and DPT probes", _one("D18")
    ),
    "head.residual_relu": Decision(
        "whether the ReLU of a residual unit also rectifies its identity", "DPT on the stages of a ResNet", _one("D19")
    ),
    "head.batchnorm_at_test": Decision(
        "whether the mask head normalises test logits by their own batch", "masks of trained probes", _one("D03")
    ),
    "train.batch_images": Decision("images per optimiser step", "trained probes", _one("D68")),
    "train.min_steps": Decision("the fewest optimiser steps of a training", "trained probes on few images"),
    "train.learning_rates": Decision(
        "learning rates that a held-out tenth chooses from", "trained probes on 100 images or more"
    ),
    "train.shuffle": Decision("whether training images are shuffled", "trained probes", _one("D05")),
    "scoring.void": Decision(
        "what void pixels count as, in training and in the metric",
        "masks with void pixels (VOC's object borders)",
        _one("D08"),
    ),
    "scoring.pool": Decision(
        "whether IoU belongs to an image, or to a batch of 16 test images with their pixels pooled",
        "masks of two test images or more",
        _one("D09"),
    ),
    "scoring.f_beta2": Decision("the squared beta of `f_beta`", "the metric f_beta", _one("D11")),
    "scoring.epsilon": Decision("what is added to the denominators of mask scores", "images or batches without object"),
    "scoring.target": Decision(
        "depth in metres, or rescaled per image to the object's range", "depth of objects"
    ),
    "scoring.range_m": Decision(
        "limits of the depth that can be predicted and counts", "depth beyond the reference's fixed limits"
    ),
    "scoring.gradient_axes": Decision(
        "which neighbours the gradient term of the depth loss compares: pixels, or images of the batch",
        "trained depth probes",
        _one("D17"),
    ),
    "scoring.aligned_clip": Decision(
        "whether predictions are clipped to the range after alignment", "the `_aligned` metrics of depth", _one("D62")
    ),
    "scoring.empty_image": Decision(
        "what an image without a scored pixel counts as", "test images without a valid pixel"
    ),
    "scoring.pixels": Decision(
        "which pixels' normals are scored", "normals that the data set gives but calls not valid", _one("D60")
    ),
    "scoring.tie": Decision("what two equal similarities count as", "triplets with equal similarities", _one("D33")),
    "scoring.block_sample": Decision(
        "which pixel stands for a block of 4 x 4", "matching of views", _one("D74")
    ),
    "scoring.ray_at": Decision("where the depth of a block is unprojected", "matching of views", _one("D74")),
    "scoring.features_at": Decision("where in a block features are read", "matching of views", _one("D74")),
    "scoring.pixel_unit": Decision(
        "whether thresholds are pixels of the frame, or of a quarter of it", "2D thresholds of matches", _one("D36")
    ),
    "scoring.self_pairs": Decision(
        "whether an image may be paired with itself", "lists that pair an image with itself", _one("D43")
    ),
}  # fmt: skip

LARGEST: Mapping[str, str] = {
    "D03": "head.batchnorm_at_test",
    "D05": "train.shuffle",
    "D08": "scoring.void",
    "D09": "scoring.pool",
    "D17": "scoring.gradient_axes",
    "D18": "head.upsampling",
    "D22": "features.forced_input",
    "D24": "features.blocks",
    "D34": "features.pixel_stats",
    "D39": "images.normals_centre",
    "cell centre of ResNet": "features.cell_centres",
}
"""The decisions from which the largest effect is expected, and the fields that take them."""


def flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Fields by dotted name, in the order of the settings."""
    for name, entry in settings.items():
        if isinstance(entry, Mapping):
            yield from flat(entry, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", entry


def decided(protocol: Protocol) -> dict[str, Any]:
    """Every decision of a protocol by dotted name."""
    return {name: value for name, value in flat(protocol.model_dump(mode="json")) if name not in NOT_DECISIONS}


def differences(task: Task, a: Protocol, b: Protocol) -> list[Differing]:
    """Every decision on which the two protocols differ, in the order of their fields."""
    left, right = decided(a), decided(b)
    found = []
    for name in dict.fromkeys((*left, *right)):
        values = left.get(name), right.get(name)
        if values[0] == values[1]:
            continue
        known = DECISIONS.get(name, Decision("", "the runs that read it"))
        told = next((text for text in (known.defect(value, task.data_set) for value in values) if text), "")
        found.append(Differing(name, *values, known.meaning, known.acts, told))
    return found


def elsewhere(found: list[Differing]) -> dict[str, str]:
    """Of the decisions expected to matter most, those on which these protocols agree, and where they act."""
    here = {one.field for one in found}
    return {name: DECISIONS[field].acts for name, field in LARGEST.items() if field not in here}


def as_overrides(field: str, value: Any) -> dict[str, Any]:
    """One decision as `RunSpec.overrides` has it: `head.upsampling` -> `{"head": {"upsampling": ...}}`."""
    part, _, name = field.rpartition(".")
    return {part: {name: value}} if part else {name: value}

"""Decisions that several tasks share in the two named protocols.

`paper` repeats the reference code of arXiv 2411.17474 wherever it can be repeated; `corrected` is
what a careful tool does. Random photo augmentation of the reference is not repeated (features of
the frozen encoder are computed once), so both protocols state `augment: none`. The reference takes
colour statistics from the data set, pads to whole patches and treats every grid as uniform.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from midvision.core.features import PixelStats
from midvision.core.settings import Settings
from midvision.core.specs import FeatureRules, HeadRules, ImageRules, ProbeName, Protocol, TrainRules

if TYPE_CHECKING:
    from midvision.core.specs import ProbeSpec

VERSION = 1
OBJECT_FRAME = (512, 512)
BORDERS_PX = ((0, 2), (2, 6), (6, 16), (16, 48))
"""Distances to a boundary, in steps from pixel to pixel, under which errors are told apart."""

PAPER_HEAD = HeadRules(linear_kernel=3, upsampling="nearest", residual_relu="in_place")


class DenseScoring(Settings):
    """Scoring decisions of every trained dense task.

    `batch_images`: how many test images are predicted (and, for masks, pooled) together, in the
    data set's order. `augment`: random changes of training photos.
    """

    batch_images: int = 16
    augment: Literal["none"] = "none"


def reference_objects(size: tuple[int, int] | None) -> ImageRules:
    """How the reference frames photographs of objects and takes normals from their depth."""
    return ImageRules(
        crop="object_in_square",
        crop_end="exclusive",
        photo_resample="nearest",
        image_size=size,
        selection="reference",
        normals_centre="crop_corner",
        normals_beside_missing="far",
    )


def paper_features(pixel_stats: PixelStats, maps: bool) -> FeatureRules:
    """Statistics of the data set, zero padding to whole patches; equal cells where cells are read at all."""
    centres: Literal["true", "uniform"] = "uniform" if maps else "true"
    return FeatureRules(
        pixel_stats=pixel_stats, fit="pad", cell_centres=centres, forced_input="reference", blocks="reference"
    )


def paper_training(batch_images: int, shuffle: bool) -> TrainRules:
    """Ten epochs at one fixed rate, however few steps that is."""
    return TrainRules(batch_images=batch_images, min_steps=0, learning_rates=(5e-4,), shuffle=shuffle)


def protocol_pair(
    *,
    paper_images: ImageRules,
    paper_stats: PixelStats,
    paper_scoring: Settings,
    corrected_scoring: Settings,
    corrected_images: ImageRules | None = None,
    paper_head: HeadRules | None = None,
    paper_train: TrainRules | None = None,
    maps: bool = True,
) -> Mapping[str, Protocol]:
    """The two named protocols of a task; a task without training leaves head and training as they are."""
    trained = paper_train is not None
    probes: tuple[ProbeName | None, ProbeName | None] = ("dpt", "linear") if trained else (None, None)
    return {
        "paper": Protocol(
            name="paper",
            version=VERSION,
            images=paper_images,
            features=paper_features(paper_stats, maps),
            head=paper_head or HeadRules(),
            train=paper_train or TrainRules(),
            default_probe=probes[0],
            scoring=paper_scoring.model_dump(mode="json"),
        ),
        "corrected": Protocol(
            name="corrected",
            version=VERSION,
            images=corrected_images or ImageRules(),
            default_probe=probes[1],
            scoring=corrected_scoring.model_dump(mode="json"),
        ),
    }


def chosen_probe(probe: ProbeSpec | None, protocol: Protocol) -> ProbeSpec:
    """The probe of the run, else the protocol's own."""
    from midvision.core.specs import ProbeSpec

    return probe or ProbeSpec(name=protocol.default_probe or "linear")

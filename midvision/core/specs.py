"""Frozen settings of a run: the protocol's decisions, the probe, the data, the run itself."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from midvision.core.features import Blocks, FeatureDtype, Fit, ForcedInput, LayerWish, PixelStats
from midvision.core.settings import Settings, canonical_json

ProbeName = Literal["ridge", "linear", "multiscale", "dpt"]
Resample = Literal["bilinear", "bicubic", "lanczos", "nearest"]


class ImageRules(Settings):
    """How a photograph and its truth become the frame that everything else sees.

    `image_size` None takes the data set's own frame size. `object` crops to the square around the
    true object (oracle crop), `object_in_square` does so within the middle square; `centre_square` keeps
    the middle columns or rows. `selection` says which images of a benchmark take part: its official
    lists, or the reference's own choice (another split, every fourth image, sampled pairs), as the set's
    card explains. Normals that are computed from depth use the camera's principal point, or the reference's
    (the corner of the crop); pixels beside missing depth fit the surface that is known, or (`far`)
    difference against 1000 km, as the reference does.
    """

    crop: Literal["none", "centre_square", "object", "object_in_square"] = "none"
    crop_end: Literal["inclusive", "exclusive"] = "inclusive"
    photo_resample: Resample = "bilinear"
    image_size: tuple[int, int] | None = None
    selection: Literal["official", "reference"] = "official"
    normals_centre: Literal["principal_point", "crop_corner"] = "principal_point"
    normals_beside_missing: Literal["fit", "far"] = "fit"


class FeatureRules(Settings):
    """How pixels enter an encoder and what is read from it.

    Two fields repeat what the reference code does to single encoders: with `forced_input="reference"` some
    networks see 224 or 480 pixels whatever the task asks, with `blocks="reference"` MAE is read one block early.
    """

    pixel_stats: PixelStats = "checkpoint"
    fit: Fit = "resize"
    final_norm: bool = False
    cell_centres: Literal["true", "uniform"] = "true"
    forced_input: ForcedInput = "none"
    blocks: Blocks = "named"


class HeadRules(Settings):
    """Decisions inside the decoders and their tops."""

    linear_kernel: Literal[1, 3] = 1
    upsampling: Literal["bilinear", "nearest"] = "bilinear"
    residual_relu: Literal["separate", "in_place"] = "separate"
    batchnorm_at_test: Literal["running", "batch"] = "running"


class TrainRules(Settings):
    """Optimisation of a trained probe: AdamW, linear warm-up, quarter-cosine decay to 0.01."""

    batch_images: int = 16
    epochs: int = 10
    min_steps: int = 300
    warmup_share: float = 0.15
    learning_rates: tuple[float, ...] = (1e-4, 5e-4, 2e-3)
    default_rate: float = 5e-4
    weight_decay: float = 0.01
    shuffle: bool = True


class Protocol(Settings):
    """Every decision that can change a task's number, resolved. `scoring` is the task's own.

    Scoring fields are listed in the task's file, where each is explained.
    """

    name: Literal["paper", "corrected", "custom"]
    version: int
    images: ImageRules = ImageRules()
    features: FeatureRules = FeatureRules()
    head: HeadRules = HeadRules()
    train: TrainRules = TrainRules()
    default_probe: ProbeName | None = None
    scoring: dict[str, Any] = Field(default_factory=dict)


class ProbeSpec(Settings):
    """A probe by name; `hidden` is for multiscale and DPT, `steps` overrides the training length."""

    name: ProbeName
    hidden: int = 512
    steps: int | None = None
    constant_rate: float | None = None


class DataSpec(Settings):
    """Which data. `set` is a card's name, `path` a folder or file for the readers of a person's own data.

    `preset` and `difficulty` belong to the built-in suite; `options` to the reader.
    """

    set: str = "synthetic"
    path: str | None = None
    preset: Literal["tiny", "small", "base"] | None = None
    difficulty: Literal["easy", "base", "hard"] | None = None
    options: dict[str, Any] = Field(default_factory=dict)


class RunSpec(Settings):
    """One result to be: encoder, task, protocol, data, probe, seed.

    Batch size, workers and device are not here: they may not change a score. `final_norm` None is the
    protocol's choice; both named protocols read raw block outputs. `overrides` changes single decisions by their place
    in the protocol, such as `{"head": {"upsampling": "nearest"}}`, and makes it `custom`.
    `limit` keeps that many items of every split; `train_images` keeps so many training items and leaves the test alone.
    """

    model: str
    task: str
    protocol: str = "corrected"
    data: DataSpec = DataSpec()
    probe: ProbeSpec | None = None
    seed: int = 0
    layers: tuple[LayerWish, ...] | None = None
    image_size: tuple[int, int] | None = None
    final_norm: bool | None = None
    limit: int | None = None
    feature_dtype: FeatureDtype = "float16"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    overrides: dict[str, Any] = Field(default_factory=dict)
    train_images: int | None = Field(default=None, gt=0)

    def canonical(self) -> str:
        """Without overrides and with all training images the text, and so the run's name, is what it was before."""
        later: dict[str, Any] = {"overrides": {}, "train_images": None}
        body = self.model_dump(mode="json")
        return canonical_json({name: value for name, value in body.items() if later.get(name, body) != value})

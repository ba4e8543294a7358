"""The words for features: what is asked, what a network is, what will happen, what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.items import Dataset

Pooled = Literal["none", "native", "mean"]
PixelStats = Literal["checkpoint", "imagenet", "half", "none"]
Fit = Literal["resize", "pad"]
FeatureDtype = Literal["float16", "float32"]
ForcedInput = Literal["none", "reference"]
Blocks = Literal["named", "reference"]
LayerWish = int | float


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """What a run asks of any encoder.

    `layers=None` means the four layers of the field's protocol; an int is a zero-based block or a
    stage number, a negative int counts from the end, a float in (0, 1] is a relative depth.
    `image_size` (H, W) is the size wished for; the plan rounds it to the network's multiple.
    `forced_input="reference"` and `blocks="reference"` repeat what the reference code does to single
    encoders: `EncoderInfo.reference_size` and `reference_shift`.
    """

    image_size: tuple[int, int]
    layers: tuple[LayerWish, ...] | None = None
    maps: bool = True
    pooled: Pooled = "native"
    pixel_stats: PixelStats = "checkpoint"
    fit: Fit = "resize"
    final_norm: bool = False
    dtype: FeatureDtype = "float16"
    forced_input: ForcedInput = "none"
    blocks: Blocks = "named"


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One readable layer. `stride` and `first_centre_px` hold for both axes, in encoder input pixels."""

    channels: int
    stride: int
    first_centre_px: float


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What a network is. `layers` lists every readable layer, shallow to deep.

    `kind` tells which default layers and pooling apply: blocks of a transformer, or stages.
    `stem_layers` is 1 where layer 0 is a stem in front of the four stages (ResNet), else 0.
    `reference_shift` and `reference_size` are what the code of arXiv 2411.17474 does to this encoder
    alone: it reads other blocks than it names (-1: one early), or forces one input size.
    """

    layers: tuple[LayerInfo, ...]
    kind: Literal["transformer", "stages"]
    stem_layers: int
    pooled_channels: int
    has_class_token: bool
    register_tokens: int
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    size_multiple: int
    parameters: int
    reference_shift: int = 0
    reference_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """Where the cells of a map lie on the image: size (h, w), stride and first centre (y, x).

    Pixels are those of an image of `extent` (H, W); a pixel's centre is at a half integer.
    """

    size: tuple[int, int]
    stride: tuple[float, float]
    first_centre: tuple[float, float]
    extent: tuple[float, float]

    @staticmethod
    def uniform(size: tuple[int, int], extent: tuple[float, float]) -> Grid:
        """Equal cells that tile the whole extent, each centred in its cell."""
        stride = (extent[0] / size[0], extent[1] / size[1])
        return Grid(size, stride, (stride[0] / 2, stride[1] / 2), extent)


@dataclass(frozen=True, slots=True)
class PlannedLayer:
    """One layer of a plan: index in `EncoderInfo.layers`, channels, and its true grid on the unpadded image."""

    index: int
    channels: int
    grid: Grid


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """What will happen: a pure function of FeatureSpec and EncoderInfo, stored with every result.

    `input_size` is the resized image; `padding` (top, left, bottom, right) is added after it
    (only where the spec says `fit="pad"`). `pixel_mean`/`pixel_std` are the statistics applied.
    `pooled_layer` is the layer after which pooled features are read; None is the last.
    """

    layers: tuple[PlannedLayer, ...]
    maps: bool
    pooled: Pooled
    pooled_channels: int
    input_size: tuple[int, int]
    padding: tuple[int, int, int, int]
    pixel_mean: tuple[float, float, float]
    pixel_std: tuple[float, float, float]
    final_norm: bool
    dtype: FeatureDtype
    pooled_layer: int | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Features:
    """`maps`: one `[B, C, h, w]` per planned layer, shallow to deep; `pooled`: `[B, C]` or None."""

    maps: tuple[Tensor, ...]
    pooled: Tensor | None

    def select(self, rows: Sequence[int]) -> Features:
        """The same features for a subset of the batch."""
        chosen = list(rows)
        return Features(tuple(m[chosen] for m in self.maps), None if self.pooled is None else self.pooled[chosen])


class ImageEncoder(Protocol):
    """Anything that turns images into features: a frozen network, a control, the oracle.

    `key` names the function computed (architecture, weights checksum, options), not the object.
    """

    key: str
    info: EncoderInfo

    def for_dataset(self, dataset: Dataset) -> ImageEncoder:
        """This encoder, told which data set it will see. Only the oracle needs it."""
        ...

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        """Features of `images [B, 3, H, W]` in [0, 1], already of `plan.input_size`."""
        ...

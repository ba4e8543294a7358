"""ConvNeXt V2 as pretrained by masked modelling (FCMAE), without fine-tuning."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, TIMM, Family, arxiv, from_timm
from midvision.zoo.card import IMAGENET, Known, Unknown

_AT = "github.com/facebookresearch/ConvNeXt-V2 README.md"
_FCMAE = Family(
    method="ConvNeXt V2 FCMAE",
    objective="masked modelling of pixels with sparse convolutions",
    at=_AT,
    licence=Known("CC-BY-NC (weights)", _AT),
    training_data=Known("ImageNet-1K", _AT),
    paradigm=Known("masked modelling", _AT),
    pixels=Known(IMAGENET, TIMM),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2301.00808", _AT),
)
_FINE_TUNED = Known("timm's names with fcmae_ft are fine-tuned with labels; the reference's one is such.", TIMM)
_SIZES = ("atto", "femto", "pico", "nano", "tiny", "base", "large", "huge")

CARDS = tuple(
    from_timm(
        _FCMAE,
        f"convnextv2_{size}_fcmae",
        size,
        f"convnextv2_{size}.fcmae",
        positions=Unknown("a convolutional network has no positions"),
        oddities=(_FINE_TUNED,),
    )
    for size in _SIZES
)

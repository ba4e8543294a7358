"""Hiera as pretrained by MAE, without fine-tuning."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, OWN_COPY, TIMM, Family, from_timm
from midvision.zoo.card import IMAGENET, Known

_AT = "github.com/facebookresearch/hiera README.md"
_HIERA = Family(
    method="Hiera MAE",
    objective="masked modelling of pixels",
    at=_AT,
    licence=Known("CC-BY-NC 4.0 (weights)", _AT),
    training_data=Known("ImageNet-1K", _AT),
    paradigm=Known("masked modelling", _AT),
    pixels=Known(IMAGENET, TIMM),
    gated=OWN_COPY,
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
)
_SIZES = {
    "tiny": "Hiera-T",
    "small": "Hiera-S",
    "base": "Hiera-B",
    "base_plus": "Hiera-B+",
    "large": "Hiera-L",
    "huge": "Hiera-H",
}

CARDS = tuple(
    from_timm(
        _HIERA,
        f"hiera_{size}_mae",
        f"{words}, four stages",
        f"hiera_{size}_224.mae",
        oddities=(Known("Tokens are kept in unrolled order inside; maps are put back in order.", TIMM),),
    )
    for size, words in _SIZES.items()
)

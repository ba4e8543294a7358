"""EVA-02: masked modelling of CLIP's features."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, OWN_COPY, TIMM, Family, from_timm
from midvision.zoo.card import CLIP, Known, Unknown

_AT = "github.com/baaivision/EVA EVA-02/asuka/README.md"
_EVA02 = Family(
    method="EVA-02",
    objective="masked modelling of CLIP's features",
    at=_AT,
    licence=Known("MIT", "github.com/baaivision/EVA LICENSE"),
    training_data=Known("ImageNet-21K", _AT),
    pixels=Known(CLIP, TIMM),
    gated=OWN_COPY,
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
)
_NORM = Known("The masked-modelling weights end in timm's fc_norm; there is no norm before it.", TIMM, "inferred")
_ROWS = (
    ("eva02_vitt14", "ViT-Ti/14", "eva02_tiny_patch14_224.mim_in22k", 240),
    ("eva02_vits14", "ViT-S/14", "eva02_small_patch14_224.mim_in22k", 240),
    ("eva02_vitb14", "ViT-B/14", "eva02_base_patch14_224.mim_in22k", 150),
    ("eva02_vitl14", "ViT-L/14", "eva02_large_patch14_224.mim_in22k", 150),
    ("eva02_vitl14_m38m", "ViT-L/14, Merged-38M", "eva02_large_patch14_224.mim_m38m", 56),
)

CARDS = tuple(
    from_timm(
        _EVA02,
        id,
        f"{words}, rotary positions beside a table, SwiGLU",
        name,
        epochs=Known(epochs, _AT),
        training_data=Known("Merged-38M", _AT) if name.endswith("m38m") else _EVA02.training_data,
        positions=Unknown("rotary positions beside a table, both as timm does"),
        oddities=(_NORM,),
    )
    for id, words, name, epochs in _ROWS
)

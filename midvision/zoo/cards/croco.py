"""CroCo: completion of a masked view from a second view of the same scene."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, Family, arxiv, from_file, unavailable
from midvision.zoo.card import IMAGENET, FromFile, Known, Source, Unknown

_AT = "github.com/naver/croco README.MD"
_FILES = "https://download.europe.naverlabs.com/ComputerVision/CroCo"
_CROCO = Family(
    method="CroCo",
    objective="cross-view completion of masked patches",
    at=_AT,
    licence=Known("CC BY-NC-SA 4.0", _AT),
    training_data=Known("views rendered in Habitat", _AT),
    pixels=Known(IMAGENET, "github.com/naver/croco"),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2210.10716", _AT),
)
_ROTARY = (
    "its encoder has two-dimensional rotary positions of its own kind, which no network of timm or transformers has"
)

CARDS = (
    from_file(
        _CROCO,
        "croco_vitb16",
        "ViT-B/16, no class token",
        # CroCo's encoder ends in a norm of its own and pools nothing.
        FromFile("vit_base_patch16_224", "croco", {"class_token": False, "global_pool": "avg", "fc_norm": False}),
        Source(url=f"{_FILES}/CroCo.pth"),
        Known(
            "torch pickle; model with encoder, decoder and stored sines; croco_kwargs",
            "github.com/naver/croco",
            "verified",
        ),
        positions=Unknown("the stored table is resampled as timm does"),
    ),
    *(
        unavailable(
            f"crocov2_{id}",
            f"CroCo v2 {words}",
            _ROTARY,
            "github.com/naver/croco",
            licence=Known("CC BY-NC-SA 4.0", _AT),
            training_data=Known("views rendered in Habitat, and real ones", _AT),
            **arxiv("2211.10408", _AT),
        )
        for id, words in (
            ("vitb_small", "ViT-B/16, small decoder"),
            ("vitb_base", "ViT-B/16, base decoder"),
            ("vitl_base", "ViT-L/16, base decoder"),
        )
    ),
)

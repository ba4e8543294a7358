"""Masked modelling as OpenMMLab trained it: PixMIM, MILAN and an EVA in MAE's manner; and MILAN's own file."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, Family, arxiv, from_file
from midvision.zoo.card import IMAGENET, Card, FromFile, Known, Source, Unknown
from midvision.zoo.sources import IN1K, hash_in_name

_AT = "github.com/open-mmlab/mmselfsup"
_FILES = "https://download.openmmlab.com/mmselfsup/1.x"
_STORED = Unknown("the stored table is resampled as timm does")


def _family(method: str, objective: str, folder: str, number: str) -> Family:
    readme = f"{_AT} configs/selfsup/{folder}/README.md"
    return Family(
        method=method,
        objective=objective,
        at=readme,
        licence=Known("Apache-2.0", _AT),
        training_data=Known(IN1K, readme),
        paradigm=Known("masked modelling", readme),
        pixels=Known(IMAGENET, _AT),
        knn_top1=NO_KNN,
        **(arxiv(number, readme) if number else {}),
    )


_PIXMIM = _family("PixMIM", "masked modelling of low-frequency pixels", "pixmim", "2303.02416")
_MILAN = _family("MILAN", "masked modelling of CLIP's features", "milan", "")
_EVA = _family("EVA, in MAE's manner", "masked modelling of CLIP's features", "eva", "2211.07636")


def _card(family: Family, id: str, folder: str, run: str, ending: str, epochs: int, linear: float) -> Card:
    return from_file(
        family,
        id,
        "ViT-B/16",
        FromFile("vit_base_patch16_224", "openmmlab"),
        Source(url=f"{_FILES}/{folder}/{run}/{run}_{ending}.pth"),
        Known(
            "torch pickle; state_dict, OpenMMLab's names after backbone., beside neck and head", family.at, "inferred"
        ),
        sha256=hash_in_name(ending.partition("-")[2], _AT),
        epochs=Known(epochs, family.at),
        linear_top1=Known(linear, family.at),
        positions=Known("bicubic", f"{_AT}: its transformers are those of github.com/open-mmlab/mmpretrain"),
    )


_MILAN_AT = "github.com/zejiangh/MILAN README.md"
_OFFICIAL_MILAN = Family(
    method="MILAN",
    objective="masked modelling of CLIP's features",
    at=_MILAN_AT,
    licence=Unknown("the repository holds no licence file"),
    training_data=Known(IN1K, _MILAN_AT),
    paradigm=Known("masked modelling", _MILAN_AT),
    pixels=Unknown("not stated where the source was read; its code is built on MAE's"),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2208.06049", _MILAN_AT),
)

CARDS = (
    _card(
        _PIXMIM,
        "pixmim_vitb16",
        "pixmim",
        "pixmim_vit-base-p16_8xb512-amp-coslr-800e_in1k",
        "20230322-e8137924",
        800,
        67.5,
    ),
    _card(
        _PIXMIM,
        "pixmim_vitb16_300ep",
        "pixmim",
        "pixmim_vit-base-p16_8xb512-amp-coslr-300e_in1k",
        "20230322-3304a88c",
        300,
        63.3,
    ),
    _card(
        _MILAN,
        "milan_vitb16_openmmlab",
        "milan",
        "milan_vit-base-p16_16xb256-amp-coslr-400e_in1k",
        "20221129-180922e8",
        400,
        78.9,
    ),
    _card(
        _EVA,
        "eva_mae_style_vitb16",
        "eva",
        "eva-mae-style_vit-base-p16_16xb256-coslr-400e_in1k",
        "20221226-26d90f07",
        400,
        69.02,
    ),
    from_file(
        _OFFICIAL_MILAN,
        "milan_vitb16",
        "ViT-B/16",
        FromFile("vit_base_patch16_224", "mae"),
        Source(url="https://drive.google.com/uc?id=18UYGG_1r5SJyAgj1ykOfoqECdVBoFLoz"),
        Known("torch pickle; model, beside decoder_* and mask_token", _MILAN_AT, "inferred"),
        pixels=_OFFICIAL_MILAN.pixels,
        positions=_STORED,
    ),
)

"""Supervised yardsticks."""

from __future__ import annotations

from midvision.zoo.card import HALF, Card, FromLibrary, Known, Source, Unknown
from midvision.zoo.sources import (
    NOT_CHECKED_ACCURACY,
    NOT_CHECKED_PAPER,
    NOT_CHECKED_YEAR,
    NOT_FETCHED,
    OPEN_FILE,
    PAPER_LIST,
    Publisher,
    Told,
    card_of,
    file_at,
    hash_in_name,
)

_TORCHVISION = "github.com/pytorch/vision"
_DEIT = "github.com/facebookresearch/deit"
_TIMM = "github.com/huggingface/pytorch-image-models"
_VISION = Publisher(repository=_TORCHVISION, licence=Known("BSD-3-Clause", _TORCHVISION))
_FACEBOOK = Publisher(repository=_DEIT, licence=Known("Apache-2.0", _DEIT))

CARDS = (
    card_of(
        _VISION,
        Told(
            id="supervised_resnet50",
            method="supervised",
            paradigm="supervised",
            objective="supervised",
            layout="bare",
            container=Known("torch pickle; a bare state dict with classifier fc", _TORCHVISION),
            file=file_at(_VISION, "https://download.pytorch.org/models/resnet50-0676ba61.pth"),
            sha256=hash_in_name("0676ba61", _TORCHVISION),
            oddities=(
                Known(
                    "torchvision's first weights (v1), comparable with self-supervised models of 2020.", _TORCHVISION
                ),
            ),
        ),
    ),
    card_of(
        _FACEBOOK,
        Told(
            id="deit_vitb16",
            method="DeiT",
            paradigm="supervised",
            objective="supervised",
            layout="deit",
            container=Known("torch pickle; model, bare names with classifier head", _DEIT),
            file=file_at(_FACEBOOK, "https://dl.fbaipublicfiles.com/deit/deit_base_patch16_224-b5f2ef4d.pth"),
            transformer=True,
            positions=Known("bicubic", f"{_DEIT} main.py, for fine-tuning at other sizes"),
            oddities=(Known("Distilled variants have a second token and are other models.", _DEIT),),
        ),
    ),
    Card(
        id="augreg_vitb16",
        title="AugReg ViT-B/16",
        route=FromLibrary("timm/vit_base_patch16_224.augreg_in21k_ft_in1k"),
        method=Known("AugReg", _TIMM),
        paradigm=Known("supervised", PAPER_LIST),
        objective=Known("supervised", _TIMM),
        architecture=Known("ViT-B/16", _TIMM),
        training_data=Known("ImageNet-21K, fine-tuned on ImageNet-1K", _TIMM),
        year=NOT_CHECKED_YEAR,
        source=Known(Source(page=f"https://{_TIMM}"), _TIMM),
        revision=Unknown("the library names none"),
        sha256=NOT_FETCHED,
        container=Known("timm's own", _TIMM),
        pixels=Known(HALF, _TIMM),
        licence=Known("Apache-2.0", _TIMM),
        gated=OPEN_FILE,
        paper=NOT_CHECKED_PAPER,
        linear_top1=NOT_CHECKED_ACCURACY,
        knn_top1=NOT_CHECKED_ACCURACY,
        oddities=(Known("Other pixel statistics than every other ViT-B/16 of the comparison.", _TIMM),),
    ),
)

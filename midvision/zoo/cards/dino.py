"""DINO: self-distillation of a student by a momentum teacher over crops."""

from __future__ import annotations

from midvision.zoo.card import IMAGENET, Card, FromFile, Known, Source
from midvision.zoo.sources import (
    IN1K,
    NO_REVISION,
    NOT_CHECKED_ACCURACY,
    NOT_CHECKED_PAPER,
    NOT_CHECKED_YEAR,
    NOT_FETCHED,
    OPEN_FILE,
    PAPER_LIST,
    VITB16,
)

_REPOSITORY = "github.com/facebookresearch/dino"
_FILES = "https://dl.fbaipublicfiles.com/dino"

CARDS = (
    Card(
        id="dino_vitb16",
        title="DINO ViT-B/16",
        route=FromFile("vit_base_patch16_224", "bare"),
        method=Known("DINO", _REPOSITORY),
        paradigm=Known("contrastive and joint embedding", PAPER_LIST),
        border_paradigm=Known("self-distillation", PAPER_LIST),
        objective=Known("self-distillation", _REPOSITORY),
        architecture=Known(VITB16, f"{_REPOSITORY} vision_transformer.py: vit_base", "verified"),
        training_data=Known(IN1K, PAPER_LIST),
        year=NOT_CHECKED_YEAR,
        source=Known(
            Source(url=f"{_FILES}/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth", page=f"https://{_REPOSITORY}"),
            _REPOSITORY,
        ),
        revision=NO_REVISION,
        sha256=NOT_FETCHED,
        container=Known("bare state dict, 150 tensors under timm's names", _REPOSITORY, "inferred"),
        pixels=Known(IMAGENET, _REPOSITORY),
        licence=Known("Apache-2.0", _REPOSITORY),
        gated=OPEN_FILE,
        paper=NOT_CHECKED_PAPER,
        linear_top1=NOT_CHECKED_ACCURACY,
        knn_top1=NOT_CHECKED_ACCURACY,
        positions=Known("dino", f"{_REPOSITORY} vision_transformer.py: interpolate_pos_encoding", "verified"),
    ),
)

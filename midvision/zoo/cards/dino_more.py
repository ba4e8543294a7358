"""DINO's other transformers."""

from __future__ import annotations

from midvision.zoo.beyond import Family, arxiv, from_file
from midvision.zoo.card import FromFile, Known, Source
from midvision.zoo.sources import IN1K, PAPER_LIST

_AT = "github.com/facebookresearch/dino README.md"
_FILES = "https://dl.fbaipublicfiles.com/dino"
_DINO = Family(
    method="DINO",
    objective="self-distillation",
    at=_AT,
    licence=Known("Apache-2.0", "github.com/facebookresearch/dino"),
    training_data=Known(IN1K, _AT),
    paradigm=Known("contrastive and joint embedding", PAPER_LIST),
    **arxiv("2104.14294", _AT),
)
_ROWS = (
    ("dino_vits16", "ViT-S/16", "vit_small_patch16_224", "dino_deitsmall16_pretrain", 74.5, 77.0),
    ("dino_vits8", "ViT-S/8", "vit_small_patch8_224", "dino_deitsmall8_pretrain", 78.3, 79.7),
    ("dino_vitb8", "ViT-B/8", "vit_base_patch8_224", "dino_vitbase8_pretrain", 77.4, 80.1),
)

CARDS = tuple(
    from_file(
        _DINO,
        id,
        words,
        FromFile(network, "dino"),
        Source(url=f"{_FILES}/{file}/{file}.pth"),
        Known("torch pickle; a bare state dict under timm's names", _AT, "inferred"),
        border_paradigm=Known("self-distillation", PAPER_LIST),
        knn_top1=Known(knn, _AT),
        linear_top1=Known(linear, _AT),
        positions=Known("dino", "github.com/facebookresearch/dino vision_transformer.py", "verified"),
    )
    for id, words, network, file, knn, linear in _ROWS
)

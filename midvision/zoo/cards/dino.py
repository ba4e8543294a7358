"""DINO: self-distillation of a student by a momentum teacher over crops."""

from __future__ import annotations

from midvision.zoo.card import Known
from midvision.zoo.sources import FORCED_480, Publisher, Told, card_of, file_at

_AT = "github.com/facebookresearch/dino"
_DINO = Publisher(repository=_AT, licence=Known("Apache-2.0", _AT))
_FILES = "https://dl.fbaipublicfiles.com/dino"

CARDS = (
    card_of(
        _DINO,
        Told(
            id="dino_resnet50",
            method="DINO",
            paradigm="contrastive and joint embedding",
            border_paradigm="self-distillation",
            objective="self-distillation",
            layout="dino",
            container=Known("torch pickle; a bare state dict without classifier", _AT, "inferred"),
            file=file_at(_DINO, f"{_FILES}/dino_resnet50_pretrain/dino_resnet50_pretrain.pth"),
            reference_reading=FORCED_480,
        ),
    ),
    card_of(
        _DINO,
        Told(
            id="dino_vitb16",
            method="DINO",
            paradigm="contrastive and joint embedding",
            border_paradigm="self-distillation",
            objective="self-distillation",
            layout="dino",
            container=Known("torch pickle; a bare state dict, 150 tensors under timm's names", _AT, "inferred"),
            file=file_at(_DINO, f"{_FILES}/dino_vitbase16_pretrain/dino_vitbase16_pretrain.pth"),
            transformer=True,
            positions=Known("dino", f"{_AT} vision_transformer.py", "verified"),
        ),
    ),
)

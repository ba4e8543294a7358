"""iBOT in other sizes, with random masks, and on ImageNet-22K."""

from __future__ import annotations

from midvision.zoo.beyond import Family, arxiv, from_file
from midvision.zoo.card import Card, FromFile, Known, Source, Unknown
from midvision.zoo.sources import IN1K, PAPER_LIST

_AT = "github.com/bytedance/ibot README.md"
_FILES = "https://lf3-nlp-opensource.bytetos.com/obj/nlp-opensource/archive/2022/ibot"
_IBOT = Family(
    method="iBOT",
    objective="self-distillation + masked modelling",
    at=_AT,
    licence=Known("Apache-2.0", "github.com/bytedance/ibot LICENSE"),
    training_data=Known(IN1K, _AT),
    paradigm=Known("masked modelling", PAPER_LIST),
    **arxiv("2111.07832", _AT),
)
_STUDENT = Known("The file holds the student, other than the files of ImageNet-1K; its masked_embed is dropped.", _AT)
_NETWORKS = {
    "s": ("vit_small_patch16_224", "ViT-S/16"),
    "b": ("vit_base_patch16_224", "ViT-B/16"),
    "l": ("vit_large_patch16_224", "ViT-L/16"),
}


def _card(id: str, size: str, file: str, words: str, knn: float, linear: float, wide: bool = False) -> Card:
    network, name = _NETWORKS[size]
    return from_file(
        _IBOT,
        id,
        name + words,
        FromFile(network, "ibot"),
        Source(url=f"{_FILES}/{file}"),
        Known("torch pickle; state_dict, bare names", _AT, "inferred"),
        training_data=Known("ImageNet-22K", _AT) if wide else _IBOT.training_data,
        knn_top1=Known(knn, _AT),
        linear_top1=Known(linear, _AT),
        positions=Known("dino", "github.com/bytedance/ibot models/vision_transformer.py"),
        border_paradigm=Known("self-distillation", PAPER_LIST)
        if not wide
        else Unknown("named for the models of ImageNet-1K alone"),
        oddities=(_STUDENT,) if wide else (),
    )


CARDS = (
    _card("ibot_vits16", "s", "vits_16/checkpoint_teacher.pth", "", 75.2, 77.9),
    _card("ibot_vitl16", "l", "vitl_16/checkpoint_teacher.pth", "", 78.0, 81.0),
    _card("ibot_vitb16_rand", "b", "vitb_16_rand_mask/checkpoint_teacher.pth", ", random masks", 77.3, 79.8),
    _card("ibot_vitl16_rand", "l", "vitl_16_rand_mask/checkpoint_teacher.pth", ", random masks", 77.7, 81.3),
    _card("ibot_vitb16_in22k", "b", "vitb_16_pt22k/checkpoint_student.pth", ", ImageNet-22K", 71.1, 79.0, wide=True),
    _card("ibot_vitl16_in22k", "l", "vitl_16_pt22k/checkpoint_student.pth", ", ImageNet-22K", 72.9, 82.3, wide=True),
)

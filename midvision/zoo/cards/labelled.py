"""Yardsticks with labels or masks, and networks distilled from several teachers: DeiT III, SAM, RADIO."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, OWN_COPY, TIMM, Family, arxiv, from_timm
from midvision.zoo.card import CLIP, IMAGENET, Known, Unknown
from midvision.zoo.sources import IN1K

_DEIT_AT = "github.com/facebookresearch/deit README_revenge.md"
_DEIT3 = Family(
    method="DeiT III",
    objective="supervised",
    at=_DEIT_AT,
    licence=Known("Apache-2.0", "github.com/facebookresearch/deit LICENSE"),
    training_data=Known(IN1K, _DEIT_AT),
    paradigm=Known("supervised", _DEIT_AT),
    pixels=Known(IMAGENET, TIMM),
    linear_top1=Unknown("trained with these labels end to end"),
    knn_top1=NO_KNN,
    **arxiv("2204.07118", _DEIT_AT),
)
_NO_ROW = Known("The class token has no row in the table of positions.", TIMM, "verified")
_DEIT_ROWS = (
    ("deit3_vits16", "ViT-S/16", "deit3_small_patch16_224", 83.1, 81.4),
    ("deit3_vitb16", "ViT-B/16", "deit3_base_patch16_224", 85.7, 83.8),
    ("deit3_vitl16", "ViT-L/16", "deit3_large_patch16_224", 87.0, 84.9),
    ("deit3_vith14", "ViT-H/14", "deit3_huge_patch14_224", 87.2, 85.2),
)

_SAM_AT = "github.com/huggingface/pytorch-image-models"
_SAM = Family(
    method="SAM",
    objective="masks from prompts",
    at=_SAM_AT,
    licence=Known("Apache-2.0", TIMM),
    training_data=Known("SA-1B", f"{TIMM}: by the name"),
    pixels=Known(IMAGENET, TIMM),
)

_RADIO_AT = "github.com/NVlabs/RADIO README.md"
_RADIO = Family(
    method="C-RADIOv3",
    objective="distillation of several vision models into one",
    at=_RADIO_AT,
    licence=Known("NVIDIA Open Model License", _RADIO_AT),
    training_data=Unknown("not stated where the source was read"),
    pixels=Known(CLIP, TIMM),
    gated=OWN_COPY,
    **arxiv("2412.07679", _RADIO_AT),
)
_RADIO4 = Family(
    method="C-RADIOv4",
    objective="distillation of SigLIP 2, DINOv3 and SAM 3 into one",
    at=_RADIO_AT,
    licence=_RADIO.licence,
    training_data=_RADIO.training_data,
    pixels=Known(CLIP, TIMM),
    gated=OWN_COPY,
    **arxiv("2601.17237", _RADIO_AT),
)
_TOKENS = Known("Several summary tokens and registers precede the patches; none enters maps.", TIMM)

CARDS = (
    *(
        from_timm(
            _DEIT3,
            id,
            words,
            f"{name}.fb_in1k",
            oddities=(_NO_ROW, Known(f"Top-1 accuracy as trained: {alone} %.", _DEIT_AT)),
        )
        for id, words, name, _, alone in _DEIT_ROWS
    ),
    *(
        from_timm(
            _DEIT3,
            f"{id}_in21k",
            f"{words}, ImageNet-21K first",
            f"{name}.fb_in22k_ft_in1k",
            training_data=Known("ImageNet-21K, then ImageNet-1K", _DEIT_AT),
            oddities=(_NO_ROW, Known(f"Top-1 accuracy as trained: {more} %.", _DEIT_AT)),
        )
        for id, words, name, more, _ in _DEIT_ROWS
    ),
    *(
        from_timm(
            _SAM,
            f"sam_vit{size}16",
            f"ViT-{size.upper()}/16, 1024 px, windowed, relative positions",
            f"samvit_{name}_patch16.sa1b",
            positions=Unknown("a table and relative positions, both as timm does"),
        )
        for size, name in (("b", "base"), ("l", "large"), ("h", "huge"))
    ),
    *(
        from_timm(_RADIO, f"radio_v3_{id}", words, f"{name}_radio_v3.c_radio", oddities=(_TOKENS,))
        for id, words, name in (
            ("vitb16", "ViT-B/16", "vit_base_patch16"),
            ("vitl16", "ViT-L/16", "vit_large_patch16"),
            ("vith16", "ViT-H/16", "vit_huge_patch16"),
            ("vitg16", "ViT-g/16", "vit_giant_patch16"),
        )
    ),
    *(
        from_timm(_RADIO4, f"radio_v4_{id}", words, f"{name}_radio_v4.c_radio", oddities=(_TOKENS,))
        for id, words, name in (
            ("so400m16", "SoViT-400M/16", "vit_so400m_patch16"),
            ("vith16", "ViT-H/16", "vit_huge_patch16"),
        )
    ),
)

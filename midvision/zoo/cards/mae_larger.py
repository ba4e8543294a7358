"""MAE in its larger sizes, and networks trained by its code on other data."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, TIMM, Family, arxiv, from_file, from_timm
from midvision.zoo.card import IMAGENET, FromFile, Known, ReferenceReading, Source, Unknown
from midvision.zoo.sources import IN1K, PAPER_LIST, PROBE_CODE

_AT = "github.com/facebookresearch/mae README.md"
_TABLE = "github.com/facebookresearch/mae FINETUNE.md: linear probing, this repository"
_MAE = Family(
    method="MAE",
    objective="masked modelling",
    at=_AT,
    licence=Known("CC-BY-NC 4.0", "github.com/facebookresearch/mae LICENSE"),
    training_data=Known(IN1K, _AT),
    paradigm=Known("masked modelling", PAPER_LIST),
    pixels=Known(IMAGENET, TIMM),
    **arxiv("2111.06377", _AT),
)
_POSITIONS = Known("bicubic", "github.com/facebookresearch/mae util/pos_embed.py, of the stored table for fine-tuning")
_EARLY = Known(ReferenceReading(block_shift=-1), f"{PROBE_CODE} mae.py:217")

_VC1_AT = "github.com/facebookresearch/eai-vc MODEL_CARD.md"
_VC1 = Family(
    method="VC-1",
    objective="masked modelling (MAE)",
    at=_VC1_AT,
    licence=Known("CC-BY-NC", "github.com/facebookresearch/eai-vc README.md"),
    training_data=Known("over 4,000 hours of egocentric video from seven sources, and ImageNet", _VC1_AT),
    paradigm=Known("masked modelling", f"{_VC1_AT}: trained by masked auto-encoding"),
    pixels=Known(IMAGENET, "github.com/facebookresearch/eai-vc vc_models/src/vc_models/transforms/__init__.py"),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2303.18240", _VC1_AT),
)
_VC1_FILES = "https://dl.fbaipublicfiles.com/eai-vc"

CARDS = (
    from_timm(
        _MAE,
        "mae_vitl16",
        "ViT-L/16",
        "vit_large_patch16_224.mae",
        linear_top1=Known(76.0, _TABLE),
        knn_top1=NO_KNN,
        reference_reading=_EARLY,
        positions=_POSITIONS,
    ),
    from_timm(
        _MAE,
        "mae_vith14",
        "ViT-H/14",
        "vit_huge_patch14_224.mae",
        linear_top1=Known(77.2, _TABLE),
        knn_top1=NO_KNN,
        reference_reading=_EARLY,
        positions=_POSITIONS,
    ),
    *(
        from_file(
            _VC1,
            f"vc1_vit{size}16",
            f"ViT-{size.upper()}/16",
            FromFile(f"vit_{name}_patch16_224", "mae"),
            Source(url=f"{_VC1_FILES}/vc1_vit{size}.pth"),
            Known("torch pickle; model, bare encoder; a full file adds decoder_* and mask_token", _VC1_AT, "inferred"),
            epochs=Known(182, _VC1_AT),
            positions=Unknown("the stored table is resampled as timm does, never recomputed"),
        )
        for size, name in (("b", "base"), ("l", "large"))
    ),
)

"""CroCo: completion of a masked view from a second view of the same scene; DUSt3R and MASt3R, which began from it."""

from __future__ import annotations

from dataclasses import replace

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, Family, arxiv, from_file
from midvision.zoo.card import HALF, IMAGENET, Card, FromFile, Known, Source, Unknown

_AT = "github.com/naver/croco README.MD"
_SERVER = "https://download.europe.naverlabs.com/ComputerVision"
_FILES = f"{_SERVER}/CroCo"
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
_V2 = replace(
    _CROCO,
    method="CroCo v2",
    training_data=Known("views rendered in Habitat, and real ones", _AT),
    **arxiv("2211.10408", _AT),
)
_DUST3R = Family(
    method="DUSt3R",
    objective="supervised regression of point maps from two views, from CroCo v2's weights",
    at="github.com/naver/dust3r README.md",
    licence=Known("CC BY-NC-SA 4.0, and the terms of the training data", "github.com/naver/dust3r README.md"),
    training_data=Known(
        "Habitat, BlendedMVS, MegaDepth, ARKitScenes, CO3D, StaticThings3D, ScanNet++ and a set that is not released",
        "github.com/naver/dust3r README.md, the commands of its own training",
    ),
    pixels=Known(HALF, "github.com/naver/dust3r dust3r/utils/image.py:23"),
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2312.14132", "github.com/naver/dust3r README.md"),
)
_MAST3R = replace(
    _DUST3R,
    method="MASt3R",
    objective="supervised regression of point maps and matching of local features, from DUSt3R's weights",
    at="github.com/naver/mast3r README.md",
    licence=Known("CC BY-NC-SA 4.0, and the terms of the training data", "github.com/naver/mast3r CHECKPOINTS_NOTICE"),
    training_data=Known("DUSt3R's, and those of CHECKPOINTS_NOTICE", "github.com/naver/mast3r CHECKPOINTS_NOTICE"),
    **arxiv("2406.09756", "github.com/naver/mast3r README.md"),
)
_TWO_DECODERS = "torch pickle; model with CroCo v2's encoder, two decoders and their heads; args"
# A class token and the order of columns before rows are those of timm's own checkpoints.
_ROTARY = {
    "class_token": False,
    "global_pool": "avg",
    "use_fc_norm": False,
    "rope_grid_indexing": "ij",
}
_NO_TABLE = Unknown("rotary positions by whole cells, which have no table to resample")


def _rotary(family: Family, id: str, words: str, size: str, url: str, container: str) -> Card:
    return from_file(
        family,
        id,
        f"{words}, no class token, rotary positions",
        FromFile(f"vit_{size}_patch16_rope_224", "croco-rotary", _ROTARY),
        Source(url=url),
        Known(container, family.at, "verified"),
        positions=_NO_TABLE,
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
        positions=Known("bicubic", "github.com/naver/croco models/pos_embed.py: interpolate_pos_embed"),
    ),
    *(
        _rotary(
            _V2,
            f"crocov2_{id}",
            words,
            size,
            f"{_FILES}/CroCo_V2_{file}.pth",
            "torch pickle; model with encoder and decoder, no stored positions; croco_kwargs",
        )
        for id, words, size, file in (
            ("vitb_small", "ViT-B/16, small decoder", "base", "ViTBase_SmallDecoder"),
            ("vitb_base", "ViT-B/16, base decoder", "base", "ViTBase_BaseDecoder"),
            ("vitl_base", "ViT-L/16, base decoder", "large", "ViTLarge_BaseDecoder"),
        )
    ),
    _rotary(
        _DUST3R,
        "dust3r_vitl16",
        "ViT-L/16, 512 px, point head on dense features",
        "large",
        f"{_SERVER}/DUSt3R/DUSt3R_ViTLarge_BaseDecoder_512_dpt.pth",
        _TWO_DECODERS,
    ),
    _rotary(
        _MAST3R,
        "mast3r_vitl16",
        "ViT-L/16, 512 px, point head on dense features, head of local features",
        "large",
        f"{_SERVER}/MASt3R/MASt3R_ViTLarge_BaseDecoder_512_catmlpdpt_metric.pth",
        _TWO_DECODERS,
    ),
)

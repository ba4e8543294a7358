"""Networks trained with text: CLIP of two publishers, SigLIP and SigLIP 2, Perception Encoder."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, OWN_COPY, TIMM, Family, arxiv, from_timm
from midvision.zoo.card import CLIP, HALF, Known, Unknown

_OPENAI = Family(
    method="CLIP",
    objective="image and text contrast",
    at="github.com/huggingface/pytorch-image-models",
    licence=Known("Apache-2.0, as timm states", TIMM),
    training_data=Unknown("not stated where the source was read"),
    pixels=Known(CLIP, TIMM),
    gated=OWN_COPY,
)
_LAION = Family(
    method="OpenCLIP",
    objective="image and text contrast",
    at="github.com/huggingface/pytorch-image-models",
    licence=Known("Apache-2.0, as timm states", TIMM),
    training_data=Known("LAION-2B", f"{TIMM}: by the name"),
    pixels=Known(CLIP, TIMM),
    gated=OWN_COPY,
)
_QUICK = Known(
    "OpenAI trained with QuickGELU: timm's names without quickgelu load the same file into another function.", TIMM
)
_BEFORE = Known("A norm precedes the first block; patches are embedded without bias.", TIMM, "verified")


def _siglip(method: str, paper_checked: str) -> Family:
    return Family(
        method=method,
        objective="image and text contrast with a sigmoid loss",
        at="github.com/huggingface/pytorch-image-models",
        licence=Known("Apache-2.0", TIMM),
        training_data=Known("WebLI", f"{TIMM}: by the name"),
        pixels=Known(HALF, TIMM),
        gated=OWN_COPY,
        paper=Unknown(paper_checked),
    )


_SIGLIP = _siglip("SigLIP", "the publisher's page was not opened")
_SIGLIP2 = _siglip("SigLIP 2", "the publisher's page was not opened")
_SIGLIP_ROWS = (
    ("vitb16", "ViT-B/16", "vit_base_patch16_siglip_224"),
    ("vitb16_512", "ViT-B/16, 512 px", "vit_base_patch16_siglip_512"),
    ("vitl16_256", "ViT-L/16, 256 px", "vit_large_patch16_siglip_256"),
    ("so400m14", "SoViT-400M/14", "vit_so400m_patch14_siglip_224"),
)
_POOLING = Known("No class token; an attention pooling follows the blocks and is not read.", TIMM)

_PE_AT = "github.com/facebookresearch/perception_models README.md"
_PE = Family(
    method="Perception Encoder",
    objective="image and text contrast, then alignment of intermediate features",
    at=_PE_AT,
    licence=Known("Apache-2.0", _PE_AT),
    training_data=Unknown("not stated where the source was read"),
    pixels=Known(HALF, TIMM),
    gated=OWN_COPY,
    linear_top1=NO_LINEAR,
    knn_top1=NO_KNN,
    **arxiv("2504.13181", _PE_AT),
)
_PE_ROWS = (
    ("pe_core_vitt16", "Core, ViT-T/16, 384 px", "vit_pe_core_tiny_patch16_384.fb"),
    ("pe_core_vits16", "Core, ViT-S/16, 384 px", "vit_pe_core_small_patch16_384.fb"),
    ("pe_core_vitb16", "Core, ViT-B/16", "vit_pe_core_base_patch16_224.fb"),
    ("pe_core_vitl14", "Core, ViT-L/14, 336 px", "vit_pe_core_large_patch14_336.fb"),
    ("pe_core_vitg14", "Core, ViT-G/14, 448 px", "vit_pe_core_gigantic_patch14_448.fb"),
    ("pe_lang_vitl14", "Lang, ViT-L/14, 448 px", "vit_pe_lang_large_patch14_448.fb"),
    ("pe_lang_vitg14", "Lang, ViT-G/14, 448 px", "vit_pe_lang_gigantic_patch14_448.fb"),
    ("pe_spatial_vitt16", "Spatial, ViT-T/16, 512 px", "vit_pe_spatial_tiny_patch16_512.fb"),
    ("pe_spatial_vits16", "Spatial, ViT-S/16, 512 px", "vit_pe_spatial_small_patch16_512.fb"),
    ("pe_spatial_vitb16", "Spatial, ViT-B/16, 512 px", "vit_pe_spatial_base_patch16_512.fb"),
    ("pe_spatial_vitl14", "Spatial, ViT-L/14, 448 px", "vit_pe_spatial_large_patch14_448.fb"),
    ("pe_spatial_vitg14", "Spatial, ViT-G/14, 448 px", "vit_pe_spatial_gigantic_patch14_448.fb"),
)

CARDS = (
    *(
        from_timm(_OPENAI, id, words, name, oddities=(_QUICK, _BEFORE))
        for id, words, name in (
            ("clip_vitb16", "ViT-B/16", "vit_base_patch16_clip_quickgelu_224.openai"),
            ("clip_vitl14", "ViT-L/14", "vit_large_patch14_clip_quickgelu_224.openai"),
            ("clip_vitl14_336", "ViT-L/14, 336 px", "vit_large_patch14_clip_quickgelu_336.openai"),
        )
    ),
    from_timm(_LAION, "openclip_vitb16", "ViT-B/16", "vit_base_patch16_clip_224.laion2b", oddities=(_BEFORE,)),
    from_timm(
        _LAION,
        "openclip_vitl14",
        "ViT-L/14",
        "vit_large_patch14_clip_224.laion2b",
        pixels=Known(HALF, TIMM),
        oddities=(_BEFORE, Known("Other pixel statistics than CLIP's and its own smaller sibling's.", TIMM)),
    ),
    *(
        from_timm(
            family, f"{family.method.lower().replace(' ', '')}_{id}", words, f"{name}.{tag}", oddities=(_POOLING,)
        )
        for family, tag in ((_SIGLIP, "webli"), (_SIGLIP2, "v2_webli"))
        for id, words, name in _SIGLIP_ROWS
    ),
    *(
        from_timm(
            _PE,
            id,
            words,
            name,
            positions=Unknown("rotary positions beside a table, both as timm does"),
            oddities=(Known("timm gives the spatial networks no final norm.", TIMM),) if "spatial" in id else (),
        )
        for id, words, name in _PE_ROWS
    ),
)

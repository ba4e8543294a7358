"""DINOv3: transformers with rotary positions and ConvNeXts distilled from one large teacher."""

from __future__ import annotations

from midvision.zoo.beyond import TIMM, Family, arxiv, from_timm
from midvision.zoo.card import IMAGENET, Known, Pixels, Unknown

_AT = "github.com/facebookresearch/dinov3 README.md"
_SATELLITE = Pixels((0.430, 0.411, 0.296), (0.213, 0.156, 0.143))
_DINOV3 = Family(
    method="DINOv3",
    objective="self-distillation + masked modelling of features",
    at=_AT,
    licence=Known("DINOv3 License", "github.com/facebookresearch/dinov3 LICENSE.md"),
    gated=Known(True, f"{_AT}: the originals are sent after a request; timm's copies were not checked"),
    training_data=Known("LVD-1689M, web images", _AT),
    pixels=Known(IMAGENET, TIMM),
    **arxiv("2508.10104", _AT),
)
_BIAS = Known(
    "timm's plain variant leaves out the biases of queries and values; the _qkvb variant of timm keeps them.",
    TIMM,
    "verified",
)
_ROTARY = Unknown("rotary positions, which have no table to resample")
_TRANSFORMERS = {
    "s": ("small", "ViT-S/16, distilled"),
    "splus": ("small_plus", "ViT-S+/16, distilled"),
    "b": ("base", "ViT-B/16, distilled"),
    "l": ("large", "ViT-L/16, distilled"),
    "hplus": ("huge_plus", "ViT-H+/16, distilled"),
    "7b": ("7b", "ViT-7B/16"),
}
_CONVNEXTS = {"tiny": "ConvNeXt-T", "small": "ConvNeXt-S", "base": "ConvNeXt-B", "large": "ConvNeXt-L"}

CARDS = (
    *(
        from_timm(
            _DINOV3,
            f"dinov3_vit{size}16",
            f"{words}, four registers, rotary positions",
            f"vit_{name}_patch16_dinov3.lvd1689m",
            positions=_ROTARY,
            oddities=(_BIAS,),
        )
        for size, (name, words) in _TRANSFORMERS.items()
    ),
    *(
        from_timm(
            _DINOV3,
            f"dinov3_vit{size}16_sat",
            f"{words}, four registers, rotary positions, satellite images",
            f"vit_{name}_patch16_dinov3.sat493m",
            training_data=Known("SAT-493M, satellite images", _AT),
            pixels=Known(_SATELLITE, TIMM),
            positions=_ROTARY,
        )
        for size, (name, words) in _TRANSFORMERS.items()
        if size in ("l", "7b")
    ),
    *(
        from_timm(
            _DINOV3,
            f"dinov3_convnext_{size}",
            f"{words}, distilled",
            f"convnext_{size}.dinov3_lvd1689m",
            positions=Unknown("a convolutional network has no positions"),
        )
        for size, words in _CONVNEXTS.items()
    ),
)

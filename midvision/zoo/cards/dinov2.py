"""DINOv2: self-distillation and masked modelling on curated web images; with and without registers."""

from __future__ import annotations

from midvision.zoo.beyond import TIMM, Family, arxiv, from_timm
from midvision.zoo.card import IMAGENET, Card, Known, Unknown

_AT = "github.com/facebookresearch/dinov2 README.md"
_OFFSET = "github.com/facebookresearch/dinov2 dinov2/hub/backbones.py"
_DINOV2 = Family(
    method="DINOv2",
    objective="self-distillation + masked modelling of features",
    at=_AT,
    licence=Known("Apache-2.0", "github.com/facebookresearch/dinov2 LICENSE"),
    training_data=Known("LVD-142M, 142 million web images", _AT),
    pixels=Known(IMAGENET, TIMM),
    **arxiv("2304.07193", _AT),
)
# Size, kNN and linear accuracy without registers, then with them.
_SIZES = {
    "s": ("small", "ViT-S/14, distilled", (79.0, 81.1), (79.1, 80.9)),
    "b": ("base", "ViT-B/14, distilled", (82.1, 84.5), (82.0, 84.6)),
    "l": ("large", "ViT-L/14, distilled", (83.5, 86.3), (83.8, 86.7)),
    "g": ("giant", "ViT-g/14", (83.5, 86.5), (83.7, 87.1)),
}


def _card(size: str, registers: bool) -> Card:
    name, words, without, with_registers = _SIZES[size]
    knn, linear = with_registers if registers else without
    own = Unknown(
        "the publisher's rule has no offset and antialiases (dinov2/hub/backbones.py), as the shared one does"
    )
    kept = Known(
        "Four register tokens lie between class token and patches; they never enter maps. timm adds the class token's "
        "position to the class token itself.",
        TIMM,
        "verified",
    )
    return from_timm(
        _DINOV2,
        f"dinov2_vit{size}14{'_reg' if registers else ''}",
        words + (", four registers" if registers else ""),
        f"vit_{name}_patch14_{'reg4_' if registers else ''}dinov2.lvd142m",
        knn_top1=Known(knn, _AT),
        linear_top1=Known(linear, _AT),
        positions=own if registers else Known("dino", f"{_OFFSET}: interpolate_offset 0.1, no antialiasing"),
        oddities=(kept,) if registers else (),
    )


CARDS = tuple(_card(size, registers) for registers in (False, True) for size in _SIZES)

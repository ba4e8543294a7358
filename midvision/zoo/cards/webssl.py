"""Web-SSL: DINOv2 and MAE on billions of web images."""

from __future__ import annotations

from typing import Any

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, Family, arxiv, from_transformers
from midvision.zoo.card import IMAGENET, Known, Unknown
from midvision.zoo.sources import PAPER_LIST

_AT = "github.com/facebookresearch/webssl README.md"
_SHARED: dict[str, Any] = {
    "at": _AT,
    "licence": Known("CC-BY-NC 4.0", "github.com/facebookresearch/webssl LICENSE"),
    "gated": Known(False, f"{_AT}: plain links to the same weights"),
    "pixels": Known(IMAGENET, _AT),
    "linear_top1": NO_LINEAR,
    "knn_top1": NO_KNN,
    **arxiv("2504.01017", _AT),
}
_TWO_BILLION = Known("MC-2B, two billion web images seen", _AT)
_DINO = Family(
    method="Web-DINO",
    objective="self-distillation + masked modelling (DINOv2)",
    training_data=_TWO_BILLION,
    **_SHARED,
)
_MAE = Family(
    method="Web-MAE",
    objective="masked modelling (MAE)",
    training_data=_TWO_BILLION,
    paradigm=Known("masked modelling", f"{PAPER_LIST}: the paradigm of MAE"),
    **_SHARED,
)

CARDS = (
    *(
        from_transformers(
            _DINO,
            f"webssl_dino{size}",
            f"ViT/14, {size.upper()} parameters",
            f"facebook/webssl-dino{size}-full2b-224",
        )
        for size in ("300m", "1b", "2b", "3b", "5b")
    ),
    *(
        from_transformers(
            _DINO,
            f"webssl_dino7b{ending}",
            f"ViT/14, 7B parameters, {pixels} px",
            f"facebook/webssl-dino7b-full8b-{pixels}",
            training_data=Known("MC-2B, eight billion web images seen", _AT),
        )
        for pixels, ending in ((224, ""), (378, "_378"), (518, "_518"))
    ),
    *(
        from_transformers(
            _MAE,
            f"webssl_mae{size}",
            f"ViT/{16 if size == '300m' else 14}, {size.upper()} parameters",
            f"facebook/webssl-mae{size}-full2b-224",
            positions=Unknown("transformers' own rule is used"),
        )
        for size in ("300m", "700m", "1b", "2b", "3b")
    ),
)

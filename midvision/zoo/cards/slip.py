"""SLIP: image and text contrast joined with contrast of views; its CLIP and SimCLR on the same pictures."""

from __future__ import annotations

from typing import Any

from midvision.zoo.beyond import NO_KNN, Family, arxiv, from_file
from midvision.zoo.card import Card, FromFile, Known, Source
from midvision.zoo.sources import PAPER_LIST

_AT = "github.com/facebookresearch/SLIP README.md"
_SHARED: dict[str, Any] = {
    "at": _AT,
    "licence": Known("MIT", "github.com/facebookresearch/SLIP LICENSE"),
    "training_data": Known("YFCC15M", _AT),
    "knn_top1": NO_KNN,
    **arxiv("2112.12750", _AT),
}
_FAMILIES = {
    "slip": Family(method="SLIP", objective="image and text contrast, and contrast of views", **_SHARED),
    "clip": Family(method="CLIP (SLIP's)", objective="image and text contrast", **_SHARED),
    "simclr": Family(
        method="SimCLR (SLIP's)",
        objective="contrast of views",
        paradigm=Known("contrastive and joint embedding", f"{PAPER_LIST}: the paradigm of SimCLR"),
        **_SHARED,
    ),
}
_SIZES: dict[str, tuple[str, str, str, dict[str, int]]] = {
    "s": ("small", "ViT-S/16, twelve heads", "vit_small_patch16_224", {"num_heads": 12}),
    "b": ("base", "ViT-B/16", "vit_base_patch16_224", {}),
    "l": ("large", "ViT-L/16", "vit_large_patch16_224", {}),
}
_FILE = Known(
    "torch pickle; state_dict with the image network after module.visual.; args", "github.com/facebookresearch/SLIP"
)
_ROWS = (
    ("slip", "s", 100, 68.3),
    ("slip", "b", 100, 73.6),
    ("slip", "l", 100, 75.1),
    ("clip", "s", 25, 59.3),
    ("clip", "b", 25, 66.5),
    ("clip", "l", 25, 70.5),
    ("simclr", "s", 25, 58.1),
    ("simclr", "b", 25, 64.0),
    ("simclr", "l", 25, 66.7),
)


def _card(method: str, size: str, epochs: int, linear: float) -> Card:
    name, words, network, options = _SIZES[size]
    return from_file(
        _FAMILIES[method],
        f"slip_vit{size}16" if method == "slip" else f"slip_{method}_vit{size}16",
        words,
        FromFile(network, "slip", options),
        Source(url=f"https://dl.fbaipublicfiles.com/slip/{method}_{name}_{epochs}ep.pt"),
        _FILE,
        epochs=Known(epochs, _AT),
        linear_top1=Known(linear, _AT),
    )


CARDS = tuple(_card(*row) for row in _ROWS)

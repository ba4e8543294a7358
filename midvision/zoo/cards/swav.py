"""SwAV, and the improved SeLa and DeepCluster of its repository: clustering with swapped assignments or k-means."""

from __future__ import annotations

from midvision.zoo.card import Known, Pixels
from midvision.zoo.sources import Publisher, Told, card_of, file_at

_AT = "github.com/facebookresearch/swav"
_SWAV = Publisher(
    repository=_AT,
    licence=Known("CC-BY-NC 4.0", _AT),
    pixels=Pixels((0.485, 0.456, 0.406), (0.228, 0.224, 0.225)),
)
_FILES = "https://dl.fbaipublicfiles.com/deepcluster"
_FLAT = Known(
    "torch pickle; the state dict itself, names after module., beside projection_head and prototypes",
    f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
    "inferred",
)
_STATISTICS = Known("The deviation of red is 0.228 in training and evaluation, not ImageNet's 0.229.", _AT)
_PADDING = Known(
    "The official network pads by 1 in a layer of its own and by 2 in conv1: the same numbers as padding 3.",
    f"{_AT} src/resnet50.py",
    "verified",
)


def _told(id: str, method: str, objective: str, epochs: int, file: str, *oddities: Known[str]) -> Told:
    return Told(
        id=id,
        method=method,
        paradigm="clustering",
        objective=objective,
        layout="swav",
        container=_FLAT,
        file=file_at(_SWAV, f"{_FILES}/{file}"),
        epochs=epochs,
        oddities=(_STATISTICS, _PADDING, *oddities),
    )


CARDS = (
    card_of(_SWAV, _told("swav_resnet50", "SwAV", "clustering", 800, "swav_800ep_pretrain.pth.tar")),
    card_of(
        _SWAV,
        _told("deepclusterv2_resnet50", "DeepCluster-v2", "clustering", 800, "deepclusterv2_800ep_pretrain.pth.tar"),
    ),
    card_of(
        _SWAV,
        _told(
            "selav2_resnet50",
            "SeLa-v2",
            "clustering",
            400,
            "selav2_400ep_pretrain.pth.tar",
            Known("Crops are 2 of 160 px and 4 of 96 px.", _AT),
        ),
    ),
)

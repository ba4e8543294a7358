"""VICReg and VICRegL: variance, invariance and covariance of two views, for whole images and for places in them."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, Family, arxiv, from_file, unavailable
from midvision.zoo.card import Card, FromFile, Known, Source, Unknown
from midvision.zoo.sources import IN1K, RESNET50

_AT = "github.com/facebookresearch/vicreg README.md"
_VICREG = Family(
    method="VICReg",
    objective="variance, invariance and covariance of two views",
    at=_AT,
    licence=Known("MIT", "github.com/facebookresearch/vicreg"),
    training_data=Unknown("not stated where the source was read"),
    knn_top1=NO_KNN,
    **arxiv("2105.04906", _AT),
)
_LOCAL_AT = "github.com/facebookresearch/VICRegL README.md"
_VICREGL = Family(
    method="VICRegL",
    objective="variance, invariance and covariance of two views and of places in them",
    at=_LOCAL_AT,
    licence=Known("CC-BY-NC 4.0", "github.com/facebookresearch/VICRegL LICENSE"),
    training_data=Known(IN1K, _LOCAL_AT),
    knn_top1=NO_KNN,
    **arxiv("2210.01571", _LOCAL_AT),
)
_NO_POSITIONS = Unknown("a convolutional network has no positions")
# Their networks have no layer scale.
_UNSCALED = {"ls_init_value": None}
_TWICE = "every layer is twice as wide, which no network of timm or torchvision is"


def _local(network: str, words: str, alpha: str, linear: float, data: str = IN1K) -> Card:
    resnet = network == "resnet50"
    file = network if resnet else f"convnext_{network}"
    return from_file(
        _VICREGL,
        f"vicregl_{file}_a{alpha}",
        f"{words}, alpha {alpha}",
        FromFile("resnet50", "bare") if resnet else FromFile(f"convnext_{network}", "convnext", _UNSCALED),
        Source(url=f"https://dl.fbaipublicfiles.com/vicregl/{file}_alpha{alpha}.pth"),
        Known("torch pickle; a bare state dict", "github.com/facebookresearch/VICRegL hubconf.py"),
        training_data=Known(data, _LOCAL_AT),
        linear_top1=Known(linear, _LOCAL_AT),
        positions=_NO_POSITIONS,
    )


CARDS = (
    from_file(
        _VICREG,
        "vicreg_resnet50",
        RESNET50,
        FromFile("resnet50", "bare"),
        Source(url="https://dl.fbaipublicfiles.com/vicreg/resnet50.pth"),
        Known("torch pickle; a bare state dict without classifier", _AT, "inferred"),
        linear_top1=Known(73.2, f"{_AT}, its column of accuracy"),
        positions=_NO_POSITIONS,
    ),
    _local("resnet50", "ResNet-50", "0.9", 71.2),
    _local("resnet50", "ResNet-50", "0.75", 70.4),
    _local("small", "ConvNeXt-S", "0.9", 75.9),
    _local("small", "ConvNeXt-S", "0.75", 74.6),
    _local("base", "ConvNeXt-B", "0.9", 77.1),
    _local("base", "ConvNeXt-B", "0.75", 76.3),
    _local("xlarge", "ConvNeXt-XL", "0.75", 79.4, "ImageNet-22K"),
    unavailable("vicreg_resnet50_x2", "VICReg ResNet-50 (x2)", _TWICE, "github.com/facebookresearch/vicreg"),
    unavailable("vicreg_resnet200_x2", "VICReg ResNet-200 (x2)", _TWICE, "github.com/facebookresearch/vicreg"),
)

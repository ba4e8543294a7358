"""Models of a child's view: DINO, Mugs and MAE on head-camera video of one or three children, with their twins."""

from __future__ import annotations

from midvision.zoo.beyond import NO_KNN, NO_LINEAR, Family, arxiv, from_file, unavailable
from midvision.zoo.card import IMAGENET, Card, Fact, FromFile, Known, Paradigm, PositionRule, Source, Unknown
from midvision.zoo.sources import PAPER_LIST

_AT = "github.com/eminorhan/silicon-menagerie README.md"
_CODE = "github.com/eminorhan/silicon-menagerie utils.py"
_NETWORKS: dict[str, tuple[str, str, dict[str, int]]] = {
    "resnext50": ("ResNeXt-50 32x4d", "resnext50_32x4d", {}),
    "vits16": ("ViT-S/16", "vit_small_patch16_224", {}),
    "vitb16": ("ViT-B/16", "vit_base_patch16_224", {}),
    "vitb14": ("ViT-B/14", "vit_base_patch16_224", {"patch_size": 14}),
    "vitl16": ("ViT-L/16", "vit_large_patch16_224", {}),
}
_SEEN = {
    "say": "SAYCam, all three children",
    "s": "SAYCam, child S",
    "a": "SAYCam, child A",
    "y": "SAYCam, child Y",
    "sfp": "named sfp by the publisher",
    "imagenet100": "ImageNet, all of the training set",
    "imagenet10": "ImageNet, a tenth of the training set",
    "imagenet1": "ImageNet, a hundredth of the training set",
    "kinetics-200h": "200 hours of Kinetics-700",
    "ego4d-200h": "200 hours of Ego4D",
}
_METHODS: dict[str, tuple[str, str, Fact[Paradigm]]] = {
    "dino": (
        "DINO",
        "self-distillation",
        Known("contrastive and joint embedding", f"{PAPER_LIST}: the paradigm of DINO"),
    ),
    "mugs": ("Mugs", "contrast at several granularities", Unknown("not among the comparison's methods")),
    "mae": ("MAE", "masked modelling", Known("masked modelling", f"{PAPER_LIST}: the paradigm of MAE")),
}
_FAMILIES = {
    method: Family(
        method=f"{title} (SAYCam)",
        objective=objective,
        at=_AT,
        licence=Known("MIT (code); the weights have no statement of their own", f"{_AT}, LICENSE"),
        training_data=Unknown("set for every model"),
        paradigm=paradigm,
        pixels=Known(IMAGENET, _CODE),
        gated=Known(False, f"{_CODE}: fetched without a token"),
        linear_top1=NO_LINEAR,
        knn_top1=NO_KNN,
        **arxiv("2305.15372", _AT),
    )
    for method, (title, objective, paradigm) in _METHODS.items()
}
_TEACHER = Known("torch pickle; teacher and student, names after module., backbone. or encoder., beside heads", _CODE)
_ENCODER = Known("torch pickle; model, beside a decoder", _CODE)
_CHILDREN = ("say", "s", "a", "y")
# Every combination that the publisher's list of available models names.
_MODELS = (
    *(("dino", data, "vitb14") for data in _SEEN),
    *(("dino", data, "resnext50") for data in (*_CHILDREN, "sfp")),
    *(
        (method, data, network)
        for method in ("dino", "mugs", "mae")
        for network in ("vitl16", "vitb16", "vits16")
        for data in _CHILDREN
    ),
)


def _card(method: str, data: str, network: str) -> Card:
    words, architecture, options = _NETWORKS[network]
    name = f"{method}_{data}_{network}"
    return from_file(
        _FAMILIES[method],
        f"saycam_{name}",
        words,
        FromFile(architecture, "mae" if method == "mae" else "saycam", options),
        Source(repository=f"eminorhan/{name}", filename=f"{name}.pth"),
        _ENCODER if method == "mae" else _TEACHER,
        title=f"{_FAMILIES[method].method} {words}, {_SEEN[data]}",
        training_data=Known(_SEEN[data], _AT),
        positions=_positions(method, network),
        weights_options=() if method == "mae" else ("teacher", "student"),
    )


def _positions(method: str, network: str) -> Fact[PositionRule]:
    if network == "resnext50":
        return Unknown("a convolutional network has no positions")
    if method == "mae":
        return Unknown("the stored table is resampled as timm does")
    return Known("dino", "github.com/eminorhan/silicon-menagerie vision_transformer_dino_mugs.py")


CARDS = (
    *(_card(*model) for model in _MODELS),
    *(
        unavailable(
            f"saycam_gpt_{name}",
            f"VQGAN-GPT {name} (SAYCam)",
            "a generative model over discrete codes in classes of the publisher's own, not a network over images",
            "github.com/eminorhan/silicon-menagerie",
            **arxiv("2305.15372", _AT),
        )
        for name in ("alef", "bet", "gimel", "dalet")
    ),
)

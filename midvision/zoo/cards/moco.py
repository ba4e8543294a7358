"""MoCo v2 and v3: contrast against a momentum copy."""

from __future__ import annotations

from midvision.zoo.card import Known, Unknown
from midvision.zoo.sources import FORCED_224, FORCED_480, PROBE_CODE, Publisher, Told, card_of, file_at

_V2 = "github.com/facebookresearch/moco"
_V3 = "github.com/facebookresearch/moco-v3"
_MOCO = Publisher(repository=_V2, licence=Known("CC-BY-NC 4.0 (README); newer branches carry an MIT LICENSE", _V2))
_MOCO3 = Publisher(repository=_V3, licence=Known("CC-BY-NC 4.0", _V3))
_FILES = "https://dl.fbaipublicfiles.com"
_BOTH = Known(
    "torch pickle; state_dict, names after module.base_encoder. and module.momentum_encoder., which differ in value",
    f"{_V3} moco/builder.py",
    "verified",
)
_MOMENTUM = Known(
    "The reference strips both prefixes one after the other, so that momentum weights win; "
    "the official linear evaluation takes the base encoder, as this card does. "
    "?weights=momentum takes the reference's.",
    f"{PROBE_CODE} mocov3.py, mocov3_res50.py",
    "verified",
)

CARDS = (
    card_of(
        _MOCO,
        Told(
            id="mocov2_resnet50",
            method="MoCo v2",
            paradigm="contrastive and joint embedding",
            objective="contrastive",
            layout="moco",
            container=Known(
                "torch pickle; state_dict, names after module.encoder_q., with a two-layer fc",
                f"{_V2}, and two third-party loaders that load strictly",
                "inferred",
            ),
            file=file_at(_MOCO, f"{_FILES}/moco/moco_checkpoints/moco_v2_800ep/moco_v2_800ep_pretrain.pth.tar"),
            epochs=800,
            oddities=(
                Known(
                    "The released file probably lacks the momentum copy that a training file holds; either is read.",
                    _V2,
                    "inferred",
                ),
            ),
        ),
    ),
    card_of(
        _MOCO3,
        Told(
            id="mocov3_resnet50",
            method="MoCo v3",
            paradigm="contrastive and joint embedding",
            objective="contrastive",
            layout="mocov3",
            container=_BOTH,
            file=file_at(_MOCO3, f"{_FILES}/moco-v3/r-50-1000ep/r-50-1000ep.pth.tar"),
            epochs=1000,
            reference_reading=FORCED_480,
            oddities=(_MOMENTUM,),
            weights_options=("base", "momentum"),
        ),
    ),
    card_of(
        _MOCO3,
        Told(
            id="mocov3_vitb16",
            method="MoCo v3",
            paradigm="contrastive and joint embedding",
            objective="contrastive",
            layout="mocov3",
            container=_BOTH,
            file=file_at(_MOCO3, f"{_FILES}/moco-v3/vit-b-300ep/vit-b-300ep.pth.tar"),
            transformer=True,
            epochs=300,
            positions=Unknown("the publisher gives none; the stored table is resampled as timm does"),
            reference_reading=FORCED_224,
            oddities=(
                _MOMENTUM,
                Known(
                    "The fixed sin-cos table is stored, its row for the class token is zero, and its first half "
                    "holds the row coordinate: MAE's is its transpose.",
                    f"{_V3} vits.py",
                    "verified",
                ),
            ),
            weights_options=("base", "momentum"),
        ),
    ),
)

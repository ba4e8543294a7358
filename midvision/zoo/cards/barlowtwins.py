"""Barlow Twins: redundancy reduction between two views."""

from __future__ import annotations

from midvision.zoo.card import Known
from midvision.zoo.sources import FORCED_480, Publisher, Told, card_of, file_at, hash_in_name

_OFFICIAL = "github.com/facebookresearch/barlowtwins"
_AT = "github.com/open-mmlab/mmselfsup"
_MM = Publisher(repository=_AT, licence=Known("Apache-2.0", _AT))
_FACEBOOK = Publisher(repository=_OFFICIAL, licence=Known("MIT", _OFFICIAL))
_RUN = "barlowtwins_resnet50_8xb256-coslr-300e_in1k"
_FILES = "https://dl.fbaipublicfiles.com/barlowtwins"

CARDS = (
    card_of(
        _MM,
        Told(
            id="barlowtwins_resnet50",
            method="Barlow Twins",
            paradigm="contrastive and joint embedding",
            objective="redundancy reduction (joint embedding)",
            layout="openmmlab",
            container=Known(
                "torch pickle; state_dict, names after backbone., beside neck and head; meta, message_hub",
                f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
                "inferred",
            ),
            file=file_at(
                _MM, f"https://download.openmmlab.com/mmselfsup/1.x/barlowtwins/{_RUN}/{_RUN}_20220825-57307488.pth"
            ),
            epochs=300,
            sha256=hash_in_name("57307488", _AT),
            reference_reading=FORCED_480,
            oddities=(
                Known("Retrained by OpenMMLab for 300 epochs; the official file is barlowtwins_resnet50_1000ep.", _AT),
            ),
        ),
    ),
    card_of(
        _FACEBOOK,
        Told(
            id="barlowtwins_resnet50_1000ep",
            method="Barlow Twins",
            paradigm="contrastive and joint embedding",
            objective="redundancy reduction (joint embedding)",
            layout="barlow",
            container=Known(
                "torch pickle; a bare state dict; a training file holds model, names after module.backbone.", _OFFICIAL
            ),
            file=file_at(
                _FACEBOOK,
                f"{_FILES}/ljng/resnet50.pth",
                f"{_FILES}/ep1000_bs2048_lrw0.2_lrb0.0048_lambd0.0051/resnet50.pth",
            ),
            epochs=1000,
            oddities=(
                Known("Not the file of the comparison, which is barlowtwins_resnet50.", _OFFICIAL),
                Known("README and hubconf name different addresses; both are tried.", _OFFICIAL),
            ),
        ),
    ),
)

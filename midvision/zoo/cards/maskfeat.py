"""MaskFeat: prediction of HOG features of masked patches."""

from __future__ import annotations

from midvision.zoo.card import Known
from midvision.zoo.sources import FORCED_224, Publisher, Told, card_of, file_at, hash_in_name

_AT = "github.com/open-mmlab/mmselfsup"
_MM = Publisher(repository=_AT, licence=Known("Apache-2.0", _AT))
_RUN = "maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k"

CARDS = (
    card_of(
        _MM,
        Told(
            id="maskfeat_vitb16",
            method="MaskFeat",
            paradigm="masked modelling",
            objective="masked modelling (HOG)",
            layout="openmmlab",
            container=Known(
                "torch pickle; state_dict, OpenMMLab's names after backbone., beside neck and target_generator",
                f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
                "inferred",
            ),
            file=file_at(
                _MM, f"https://download.openmmlab.com/mmselfsup/1.x/maskfeat/{_RUN}/{_RUN}_20221101-6dfc8bf3.pth"
            ),
            transformer=True,
            epochs=300,
            sha256=hash_in_name("6dfc8bf3", _AT),
            positions=Known("bicubic", "github.com/open-mmlab/mmpretrain vision_transformer.py", "verified"),
            reference_reading=FORCED_224,
            oddities=(
                Known(
                    "Learned absolute positions, class token, final norm applied in pre-training; no relative "
                    "positions and no mean pooling.",
                    _AT,
                ),
                Known("The original authors' file is an MViT and is not this model.", _AT),
            ),
        ),
    ),
)

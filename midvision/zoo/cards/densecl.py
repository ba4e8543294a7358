"""DenseCL: contrast of dense features."""

from __future__ import annotations

from midvision.zoo.card import Known, Source, Unknown
from midvision.zoo.sources import Publisher, Told, card_of

_AT = "github.com/WXinlong/DenseCL"
_DENSECL = Publisher(repository=_AT, licence=Known("GPL-3.0", _AT))

CARDS = (
    card_of(
        _DENSECL,
        Told(
            id="densecl_resnet50",
            method="DenseCL",
            paradigm="contrastive and joint embedding",
            objective="dense contrastive",
            layout="densecl",
            container=Known(
                "torch pickle; state_dict, bare names without classifier, and author",
                f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
                "inferred",
            ),
            file=Source(
                repository="xinlongwang/DenseCL",
                filename="densecl_r50_imagenet_200ep.pth",
                page=_DENSECL.page,
            ),
            epochs=200,
            revision=Unknown("the hub repository's commit was not read; recorded on first download"),
            oddities=(Known("OpenMMLab's retraining has other weights and another layout.", _AT),),
        ),
    ),
)

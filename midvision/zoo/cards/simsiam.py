"""SimSiam: self-distillation without negatives or momentum."""

from __future__ import annotations

from midvision.zoo.card import Known
from midvision.zoo.sources import Publisher, Told, card_of, file_at, hash_in_name

_OFFICIAL = "github.com/facebookresearch/simsiam"
_AT = "github.com/open-mmlab/mmselfsup"
_MM = Publisher(repository=_AT, licence=Known("Apache-2.0", _AT))
_FACEBOOK = Publisher(repository=_OFFICIAL, licence=Known("CC-BY-NC", _OFFICIAL))
_RUN = "simsiam_resnet50_8xb32-coslr-200e_in1k"

CARDS = (
    card_of(
        _MM,
        Told(
            id="simsiam_resnet50",
            method="SimSiam",
            paradigm="contrastive and joint embedding",
            objective="self-distillation (no negatives)",
            layout="openmmlab",
            container=Known(
                "torch pickle; state_dict, names after backbone., beside neck and head; meta, message_hub",
                f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
                "inferred",
            ),
            file=file_at(
                _MM, f"https://download.openmmlab.com/mmselfsup/1.x/simsiam/{_RUN}/{_RUN}_20220825-efe91299.pth"
            ),
            epochs=200,
            sha256=hash_in_name("efe91299", _AT),
            oddities=(
                Known("Retrained by OpenMMLab for 200 epochs; the official file is simsiam_resnet50_100ep.", _AT),
            ),
        ),
    ),
    card_of(
        _FACEBOOK,
        Told(
            id="simsiam_resnet50_100ep",
            method="SimSiam",
            paradigm="contrastive and joint embedding",
            objective="self-distillation (no negatives)",
            layout="simsiam",
            container=Known("torch pickle; state_dict, names after module.encoder., with fc; predictor", _OFFICIAL),
            file=file_at(
                _FACEBOOK, "https://dl.fbaipublicfiles.com/simsiam/models/100ep/pretrain/checkpoint_0099.pth.tar"
            ),
            epochs=100,
            oddities=(Known("Not the file of the comparison, which is simsiam_resnet50.", _OFFICIAL),),
        ),
    ),
)

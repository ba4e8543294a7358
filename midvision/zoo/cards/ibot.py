"""iBOT: self-distillation and masked modelling together."""

from __future__ import annotations

from midvision.zoo.card import Known
from midvision.zoo.sources import Publisher, Told, card_of, file_at

_AT = "github.com/bytedance/ibot"
_IBOT = Publisher(repository=_AT, licence=Known("Apache-2.0", _AT))
_FILES = "https://lf3-nlp-opensource.bytetos.com/obj/nlp-opensource/archive/2022/ibot"

CARDS = (
    card_of(
        _IBOT,
        Told(
            id="ibot_vitb16",
            method="iBOT",
            paradigm="masked modelling",
            border_paradigm="self-distillation",
            objective="self-distillation + masked modelling",
            layout="ibot",
            container=Known("torch pickle; state_dict, bare names", _AT, "inferred"),
            file=file_at(_IBOT, f"{_FILES}/vitb_16/checkpoint_teacher.pth"),
            transformer=True,
            positions=Known("dino", f"{_AT} models/vision_transformer.py", "verified"),
            oddities=(
                Known("Only the file's name says that it holds the teacher.", _AT),
                Known("Another file, vitb_16_rand_mask, was trained with random instead of block masks.", _AT),
            ),
        ),
    ),
)

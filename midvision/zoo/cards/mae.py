"""MAE: reconstruction of masked patches' pixels."""

from __future__ import annotations

from midvision.zoo.card import Known, ReferenceReading
from midvision.zoo.sources import PROBE_CODE, Publisher, Told, card_of, file_at

_AT = "github.com/facebookresearch/mae"
_MAE = Publisher(repository=_AT, licence=Known("CC-BY-NC 4.0", _AT))
_FILES = "https://dl.fbaipublicfiles.com/mae"

CARDS = (
    card_of(
        _MAE,
        Told(
            id="mae_vitb16",
            method="MAE",
            paradigm="masked modelling",
            objective="masked modelling",
            layout="mae",
            container=Known(
                "torch pickle; model, bare encoder; a full file adds decoder_* and mask_token", _AT, "inferred"
            ),
            file=file_at(_MAE, f"{_FILES}/pretrain/mae_pretrain_vit_base.pth"),
            transformer=True,
            epochs=1600,
            positions=Known("bicubic", f"{_AT} util/pos_embed.py, of the stored table for fine-tuning", "verified"),
            reference_reading=Known(ReferenceReading(block_shift=-1), f"{PROBE_CODE} mae.py:217"),
            oddities=(
                Known("The final norm was trained with the class token present.", _AT),
                Known(
                    "The fixed sin-cos table is stored, its first half holds the column coordinate: "
                    "MoCo v3's is its transpose.",
                    _AT,
                    "verified",
                ),
                Known(
                    "The reference reads the list of hidden states, whose first entry is the embedding: one block "
                    "early, the last block never. It also computes a fresh table for other sizes, which no protocol "
                    "here repeats.",
                    f"{PROBE_CODE} mae.py:217, mae.py:74-90",
                ),
            ),
        ),
    ),
)

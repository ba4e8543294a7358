"""BYOL: self-distillation of an online network by its momentum target."""

from __future__ import annotations

from midvision.zoo.card import Known
from midvision.zoo.sources import Publisher, Told, card_of, file_at

_AT = "github.com/yaox12/BYOL-PyTorch"
_BYOL = Publisher(repository=_AT, licence=Known("MIT", _AT))

CARDS = (
    card_of(
        _BYOL,
        Told(
            id="byol_resnet50",
            method="BYOL",
            paradigm="contrastive and joint embedding",
            objective="self-distillation",
            layout="byol",
            container=Known(
                "torch pickle; online_backbone, names after module., beside projection, predictor and target",
                f"{_AT}, midvision-probe and ssl_eval_protocols, which load strictly",
                "inferred",
            ),
            file=file_at(_BYOL, "https://drive.google.com/uc?id=1TLZHDbV-qQlLjkR8P0LZaxzwEE6O_7g1"),
            epochs=300,
            oddities=(
                Known("An unofficial PyTorch training; DeepMind's JAX weights are another model.", _AT),
                Known(
                    "The README says names differ slightly from torchvision's while the first 318 entries keep its "
                    "order; strict loaders only strip the prefix. Both are read.",
                    _AT,
                    "inferred",
                ),
                Known(
                    "The current code saves another layout (model, online_network.encoder.0 ...), read as well.", _AT
                ),
            ),
        ),
    ),
)

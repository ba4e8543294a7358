"""A small frozen network that writes one line per image it encodes, for runs in other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from midvision.core.features import FeaturePlan, Features
from midvision.encoders.encoder import Encoder
from midvision.zoo.load import load_model


class Counted(Encoder):
    """Appends the ids of every batch to the file named by `COUNTED_FILE`; `COUNTED_PAUSE` slows it down."""

    def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
        features = super().encode(ids, images, plan)
        time.sleep(float(os.environ.get("COUNTED_PAUSE", "0")) * len(ids))
        with Path(os.environ["COUNTED_FILE"]).open("a", encoding="utf-8") as stream:
            stream.write("".join(f"{name}\n" for name in ids))
        return features


def make() -> Counted:
    inner = load_model("random/vit_tiny_patch16_224")
    assert isinstance(inner, Encoder)
    return Counted(inner.backbone, f"counted-{inner.key}", "counted")

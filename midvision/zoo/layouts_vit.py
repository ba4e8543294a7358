"""Layouts in which transformers are published, and OpenMMLab's, which holds either kind of network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from midvision.zoo.layouts import Layout, State, below, inside, only, tensors

_PATCHES = "patch_embed.proj.weight"
_BLOCK = re.compile(r"layers\.(\d+)\.(.+)")
# OpenMMLab's transformer to timm's: whole first parts of a name inside a block.
_IN_BLOCK = {"ln1.": "norm1.", "ln2.": "norm2.", "ffn.layers.0.0.": "mlp.fc1.", "ffn.layers.1.": "mlp.fc2."}
_OUTSIDE = {"patch_embed.projection.": "patch_embed.proj.", "ln1.": "norm."}


def dino(content: Mapping[str, Any]) -> dict[str, State]:
    """DINO: the bare backbone (the released teacher), or the full file with student and teacher."""
    state = tensors(content)
    if {"conv1.weight", _PATCHES} & set(state):
        return only("teacher", below(state, "", ("fc.", "head.")))
    return both_networks(content)


def ibot(content: Mapping[str, Any]) -> dict[str, State]:
    """iBOT: the extracted backbone under `state_dict`, or the full file with student and teacher.

    The file does not say whether it holds the teacher or the student; the card does.
    """
    state = tensors(content.get("state_dict"))
    if _PATCHES in state:
        return only("teacher", below(state, "", ("head.", "masked_embed")))
    return both_networks(content)


def both_networks(content: Mapping[str, Any]) -> dict[str, State]:
    """Student and teacher side by side, each a backbone and a head, wrapped for parallel training or not."""
    found = {}
    for choice in ("teacher", "student"):
        state = tensors(content.get(choice))
        for prefix in ("module.backbone.", "backbone."):
            if entry := below(state, prefix, ("fc.", "head.", "masked_embed")):
                found[choice] = entry
    return found


def mae(content: Mapping[str, Any]) -> dict[str, State]:
    """MAE: the encoder under `model`; the full file has the decoder and the mask token beside it."""
    return _model(content, ("decoder_", "mask_token"))


def deit(content: Mapping[str, Any]) -> dict[str, State]:
    """DeiT: a classifier under `model`."""
    return _model(content, ("head.",))


def openmmlab(content: Mapping[str, Any]) -> dict[str, State]:
    """OpenMMLab: the backbone beside neck, head and target networks; its transformers have names of their own."""
    state = below(tensors(content.get("state_dict")), "backbone.")
    if "patch_embed.projection.weight" in state:
        state = {openmmlab_vit_name(name): value for name, value in state.items() if name != "mask_token"}
    return only("", state)


def openmmlab_vit_name(name: str) -> str:
    """OpenMMLab's name in timm's words; a block's `ffn.layers` is not taken for a block."""
    if found := _BLOCK.fullmatch(name):
        return f"blocks.{found[1]}.{_first_part(found[2], _IN_BLOCK)}"
    return _first_part(name, _OUTSIDE)


def _first_part(name: str, renames: Mapping[str, str]) -> str:
    for old, new in renames.items():
        if name.startswith(old):
            return new + name.removeprefix(old)
    return name


def _model(content: Mapping[str, Any], drop: tuple[str, ...]) -> dict[str, State]:
    state = tensors(inside(content, "model"))
    return only("", below(state, "", drop)) if _PATCHES in state else {}


LAYOUTS = (
    Layout("dino", "A DINO checkpoint", dino, ("teacher", "student")),
    Layout("ibot", "An iBOT checkpoint", ibot, ("teacher", "student")),
    Layout("mae", "An MAE checkpoint", mae),
    Layout("deit", "A DeiT checkpoint", deit),
    Layout("openmmlab", "An OpenMMLab checkpoint", openmmlab),
)

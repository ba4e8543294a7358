"""Layouts of publishers beyond the comparison: JEPA and MSN, BEiT and its kin, CroCo, SLIP, VICRegL, SAYCam."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from midvision.zoo.layouts import Layout, State, below, inside, only, tensors

_PATCHES = "patch_embed.proj.weight"
_SHARED_BIAS = "rel_pos_bias.relative_position_bias_table"
_BLOCK = re.compile(r"blocks\.(\d+)\.")
_CONVNEXT_BLOCK = re.compile(r"stages\.(\d+)\.(\d+)\.(.+)")
_IN_CONVNEXT_BLOCK = {"dwconv.": "conv_dw.", "pwconv1.": "mlp.fc1.", "pwconv2.": "mlp.fc2."}
# Channels of an attention head in every CroCo.
_HEAD = 64
_CROCO = {"enc_blocks.": "blocks.", "enc_norm.": "norm.", "patch_embed.": "patch_embed."}
# What the networks themselves are made of, in either kind of network.
_OWN_PARTS = ("cls_token", "pos_embed", "patch_embed.", "blocks.", "norm.", "conv1.", "bn1.", "layer")
_WRAPPERS = ("module.", "backbone.", "encoder.")


def target_encoder(content: Mapping[str, Any]) -> dict[str, State]:
    """I-JEPA and MSN: the momentum copy (`target`), which is evaluated, and the trained encoder (`context`)."""
    found = {}
    for choice, name in (("target", "target_encoder"), ("context", "encoder")):
        state = below(tensors(content.get(name)), "module.", ("fc.", "pred."))
        if _PATCHES in state:
            found[choice] = state
    return found


def beit(content: Mapping[str, Any]) -> dict[str, State]:
    """BEiT and BEiT v2 as pretrained: one table of relative positions, heads over visual words beside the network."""
    state = tensors(content.get("model"))
    return only("", _with_own_bias(state)) if _SHARED_BIAS in state else {}


def simmim(content: Mapping[str, Any]) -> dict[str, State]:
    """SimMIM's transformer: BEiT's network under `encoder.`, beside the decoder."""
    state = below(tensors(content.get("model")), "encoder.")
    return only("", _with_own_bias(state)) if _SHARED_BIAS in state else {}


def croco(content: Mapping[str, Any]) -> dict[str, State]:
    """CroCo with stored sines: the encoder out of an encoder and a decoder over two views."""
    state = tensors(content.get("model"))
    if "enc_pos_embed" not in state:
        return {}
    return only("", {**_croco_encoder(state), "pos_embed": state["enc_pos_embed"][None]})


def croco_rotary(content: Mapping[str, Any]) -> dict[str, State]:
    """CroCo v2, and DUSt3R and MASt3R, which grew out of it: the encoder, whose positions are rotary."""
    state = tensors(content.get("model")) or tensors(content)
    if "enc_norm.weight" not in state or "enc_pos_embed" in state:
        return {}
    encoder = {name: _in_pairs(name, value) for name, value in _croco_encoder(state).items()}
    # timm's network scales what every block adds; by one, here.
    scales = {
        f"blocks.{found[1]}.{scale}": torch.ones_like(value)
        for name, value in encoder.items()
        if name.endswith(".norm1.weight") and (found := _BLOCK.match(name))
        for scale in ("gamma_1", "gamma_2")
    }
    return only("", {**encoder, **scales})


def _croco_encoder(state: State) -> State:
    return {
        new + name.removeprefix(old): value
        for name, value in state.items()
        for old, new in _CROCO.items()
        if name.startswith(old)
    }


def _in_pairs(name: str, value: Tensor) -> Tensor:
    """Queries and keys in the order of timm's rotation, which turns neighbours.

    CroCo gives one half of a head to rows and one to columns, and turns channel i of a half with channel i + 16.
    Products of queries and keys do not depend on their common order, so this changes no feature.
    """
    if ".attn.qkv." not in name or value.shape[0] % (3 * _HEAD):
        return value
    border = value.shape[0] // 3 * 2
    both, values = value[:border], value[border:]
    rest = value.shape[1:]
    halves = both.reshape(-1, 2, 2, _HEAD // 4, *rest)  # heads, axis, part of the pair, pair
    return torch.cat([halves.transpose(2, 3).reshape(both.shape), values])


def slip(content: Mapping[str, Any]) -> dict[str, State]:
    """SLIP, and its CLIP and SimCLR: the image network beside text network, projections and heads."""
    state = tensors(content.get("state_dict"))
    return only("", below(state, "module.visual.") or below(state, "visual."))


def convnext(content: Mapping[str, Any]) -> dict[str, State]:
    """A ConvNeXt under its authors' names, at the top or under `model`; or one extracted under timm's."""
    for table in (content, inside(content, "model")):
        state = tensors(table)
        if "downsample_layers.0.0.weight" in state:
            return only("", {convnext_name(name): value for name, value in below(state, "", ("head.",)).items()})
    state = tensors(content)
    return only("", below(state, "", ("head.fc.",))) if "stem.0.weight" in state else {}


def convnext_name(name: str) -> str:
    """An authors' name in timm's words."""
    if found := _CONVNEXT_BLOCK.fullmatch(name):
        part = found[3]
        for old, new in _IN_CONVNEXT_BLOCK.items():
            part = new + part.removeprefix(old) if part.startswith(old) else part
        return f"stages.{found[1]}.blocks.{found[2]}.{part}"
    if name.startswith("downsample_layers.0."):
        return "stem." + name.removeprefix("downsample_layers.0.")
    if name.startswith("downsample_layers."):
        stage, _, rest = name.removeprefix("downsample_layers.").partition(".")
        return f"stages.{stage}.downsample.{rest}"
    return f"head.{name}" if name.startswith("norm.") else name


def saycam(content: Mapping[str, Any]) -> dict[str, State]:
    """The SAYCam models of DINO and Mugs: teacher and student in wrappers, beside heads of several kinds.

    Their loader takes the network's own parts and leaves out whatever else there is; so does this.
    """
    found = {}
    for choice in ("teacher", "student"):
        state: State = {}
        for name, value in tensors(content.get(choice)).items():
            if (own := _unwrapped(name)).startswith(_OWN_PARTS):
                if own in state:
                    return {}
                state[own] = value
        if state:
            found[choice] = state
    return found


def _with_own_bias(state: State) -> State:
    """A network whose blocks share a table of relative positions, with a copy of it in every block."""
    table: Tensor = state[_SHARED_BIAS]
    drop = ("rel_pos_bias.", "mask_token", "lm_head.", "cls_pt_")
    kept = {name: value for name, value in below(state, "", drop).items() if "relative_position_index" not in name}
    blocks = {found[1] for name in kept if (found := _BLOCK.match(name))}
    return {**kept, **{f"blocks.{block}.attn.relative_position_bias_table": table for block in sorted(blocks)}}


def _unwrapped(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.partition(".")[2]
    return name


LAYOUTS = (
    Layout("target-encoder", "An I-JEPA or MSN checkpoint", target_encoder, ("target", "context")),
    Layout("beit", "A pretrained BEiT checkpoint", beit),
    Layout("simmim", "A SimMIM checkpoint of a transformer", simmim),
    Layout("croco", "A CroCo checkpoint of the first version", croco),
    Layout("croco-rotary", "A checkpoint of CroCo v2, DUSt3R or MASt3R", croco_rotary),
    Layout("slip", "A checkpoint of the SLIP repository", slip),
    Layout("convnext", "A ConvNeXt under its authors' names", convnext),
    Layout("saycam", "A SAYCam checkpoint of DINO or Mugs", saycam, ("teacher", "student")),
)

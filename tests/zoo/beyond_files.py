"""Files of publishers beyond the comparison, fabricated: every tensor is one number of its own over its full shape.

No real file was opened for this. Given a network's names and shapes, each writer tells how its publisher calls them,
and what else lies beside. Nothing of midvision is used.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]
Shapes = Mapping[str, tuple[int, ...]]


def number(name: str, shape: tuple[int, ...], other: int = 0) -> Tensor:
    """A tensor of one stored number that its name decides."""
    if name.endswith("num_batches_tracked"):
        return torch.tensor(7 + other)
    value = 0.01 + zlib.crc32(f"{name} {other}".encode()) % 1000 / 10000
    return torch.full((1,), value).expand(shape) if shape else torch.tensor(value)


def numbers(shapes: Shapes, other: int = 0) -> State:
    return {name: number(name, shape, other) for name, shape in shapes.items()}


def _under(prefix: str, state: Mapping[str, Tensor]) -> State:
    return {prefix + name: value for name, value in state.items()}


def target_encoder(shapes: Shapes) -> Any:
    fc = {"fc.fc1.weight": number("fc", (2048, 384)), "fc.bn1.weight": number("bn", (2048,))}
    return {
        "encoder": _under("module.", {**numbers(shapes, other=1), **fc}),
        "target_encoder": _under("module.", {**numbers(shapes), **fc}),
        "predictor": {"module.predictor_embed.weight": number("p", (384, 384))},
        "prototypes": number("prototypes", (1024, 256)),
        "opt": {"state": {}},
        "epoch": 300,
    }


def _one_table(shapes: Shapes) -> State:
    """A BEiT whose blocks share what timm keeps once per block."""
    ending = "attn.relative_position_bias_table"
    state = numbers({name: shape for name, shape in shapes.items() if not name.endswith(ending)})
    table = next(shape for name, shape in shapes.items() if name.endswith(ending))
    state["rel_pos_bias.relative_position_bias_table"] = number("shared table", table)
    state["rel_pos_bias.relative_position_index"] = torch.zeros(197, 197, dtype=torch.long)
    return {**state, "mask_token": number("mask", tuple(shapes["cls_token"]))}


def beit(shapes: Shapes) -> Any:
    width = shapes["cls_token"][-1]
    heads = {"lm_head.weight": number("lm", (8192, width)), "lm_head.bias": number("lmb", (8192,))}
    return {"model": {**_one_table(shapes), **heads}}


def beitv2(shapes: Shapes) -> Any:
    width = shapes["cls_token"][-1]
    extra = {"cls_pt_layers.0.norm1.weight": number("cls", (width,)), "cls_pt_norm.weight": number("n", (width,))}
    return {"model": {**beit(shapes)["model"], **extra}}


def simmim(shapes: Shapes) -> Any:
    decoder = {"decoder.0.weight": number("d", (768, 768, 1, 1)), "decoder.0.bias": number("db", (768,))}
    return {"model": {**_under("encoder.", _one_table(shapes)), **decoder}, "epoch": 799}


def croco(shapes: Shapes) -> Any:
    renames = {"blocks.": "enc_blocks.", "norm.": "enc_norm."}
    state: State = {}
    for name, value in numbers(shapes).items():
        new = next((to + name.removeprefix(old) for old, to in renames.items() if name.startswith(old)), name)
        state[new] = value
    state["enc_pos_embed"] = state.pop("pos_embed")[0]
    beside = {
        "mask_token": number("m", (1, 1, 512)),
        "dec_pos_embed": number("dp", (196, 512)),
        "decoder_embed.weight": number("de", (512, 768)),
        "dec_blocks.0.cross_attn.projq.weight": number("q", (512, 512)),
        "dec_norm.weight": number("dn", (512,)),
        "prediction_head.weight": number("ph", (768, 512)),
    }
    return {"model": {**state, **beside}, "croco_kwargs": {"enc_depth": 12, "pos_embed": "cosine"}}


def croco_rotary(shapes: Shapes) -> Any:
    """Without stored positions; the order of queries and keys is CroCo's own, which one number per tensor hides."""
    content = croco({**shapes, "pos_embed": (1, 196, 768)})
    absent = ("pos_embed", ".gamma_")
    content["model"] = {n: value for n, value in content["model"].items() if not any(word in n for word in absent)}
    return {**content, "croco_kwargs": {"enc_depth": 12, "pos_embed": "RoPE100"}}


def dust3r(shapes: Shapes) -> Any:
    model = croco_rotary(shapes)["model"]
    beside = {
        "dec_blocks2.0.cross_attn.projq.weight": number("q2", (768, 768)),
        "downstream_head1.dpt.act_postprocess.0.0.weight": number("h1", (96, 1024, 1, 1)),
    }
    return {"args": argparse.Namespace(model="AsymmetricCroCo3DStereo(...)"), "model": {**model, **beside}, "epoch": 90}


def slip(shapes: Shapes) -> Any:
    beside = {
        "module.image_projection": number("ip", (768, 512)),
        "module.logit_scale": number("ls", ()),
        "module.transformer.resblocks.0.ln_1.weight": number("t", (512,)),
        "module.image_mlp.layer1.weight": number("mlp", (4096, 768)),
    }
    return {"epoch": 100, "state_dict": {**_under("module.visual.", numbers(shapes)), **beside}, "args": _arguments()}


def convnext(shapes: Shapes) -> Any:
    return {_authors_name(name): value for name, value in numbers(shapes).items()}


def _authors_name(name: str) -> str:
    for old, new in (("stem.", "downsample_layers.0."), ("head.norm.", "norm.")):
        if name.startswith(old):
            return new + name.removeprefix(old)
    parts = name.split(".")
    if parts[2] == "downsample":
        return ".".join(["downsample_layers", parts[1], *parts[3:]])
    inside = ".".join(parts[4:])
    for old, new in (("conv_dw.", "dwconv."), ("mlp.fc1.", "pwconv1."), ("mlp.fc2.", "pwconv2.")):
        inside = inside.replace(old, new)
    return ".".join([*parts[:2], parts[3], inside])


def saycam_mugs(shapes: Shapes) -> Any:
    heads = {
        "module.instance_head.mlp.0.weight": number("i", (2048, 384)),
        "module.group_head.last_layer.weight_v": number("g", (8192, 256)),
        "module.relation_blocks.0.norm1.weight": number("r", (384,)),
    }
    return {
        "teacher": {**_under("module.backbone.", numbers(shapes)), **heads},
        "student": {**_under("module.backbone.", numbers(shapes, other=1)), **heads},
        "epoch": 100,
        "args": _arguments(),
    }


def saycam_dino(shapes: Shapes) -> Any:
    head = {"head.mlp.0.weight": number("h", (2048, 768)), "head.last_layer.weight_g": number("l", (65536, 1))}
    return {
        "teacher": {**_under("module.encoder.", numbers(shapes)), **_under("module.", head)},
        "student": {**_under("module.encoder.", numbers(shapes, other=1)), **_under("module.", head)},
    }


def mae(shapes: Shapes) -> Any:
    decoder = {"decoder_embed.weight": number("d", (512, 768)), "mask_token": number("m", (1, 1, 512))}
    return {"model": {**numbers(shapes), **decoder}, "optimizer": {}, "args": _arguments()}


def _arguments() -> argparse.Namespace:
    return argparse.Namespace(lr=0.1, arch="vit")


# A model id per layout, the writer of its file, and the name of the weights that must not be taken.
FILES: dict[str, Callable[[Shapes], Any]] = {
    "msn_vits16": target_encoder,
    "beit_vitb16": beit,
    "beitv2_vitb16": beitv2,
    "simmim_vitb16": simmim,
    "croco_vitb16": croco,
    "crocov2_vitb_base": croco_rotary,
    "dust3r_vitl16": dust3r,
    "slip_vits16": slip,
    "vicregl_convnext_small_a0.9": convnext,
    "saycam_mugs_say_vits16": saycam_mugs,
    "saycam_dino_say_vitb14": saycam_dino,
    "saycam_dino_s_resnext50": saycam_dino,
    "saycam_mae_s_vits16": mae,
    "vc1_vitb16": mae,
}

"""Publishers' transformers, and OpenMMLab's networks, built by their own code from a checkout on the path."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import torch
from reference import Found, Reference, blocks, hooked
from torch import Tensor, nn


def dino_vit(source: Path, model: str) -> Reference:
    from vision_transformer import vit_base

    network = vit_base(patch_size=16)
    return Reference(
        network, network.state_dict, partial(_dino_like, network), "vit_base.get_intermediate_layers(x, 12), blocks"
    )


def ibot(source: Path, model: str) -> Reference:
    from models.vision_transformer import vit_base

    network = vit_base(patch_size=16, return_all_tokens=True)

    def run(pixels: Tensor) -> Found:
        return [*_dino_like(network, pixels), (11, True, network(pixels))]

    called = "vit_base(return_all_tokens=True).forward, get_intermediate_layers(x, 12), blocks"
    return Reference(network, lambda: {"state_dict": network.state_dict()}, run, called)


def _dino_like(network: Any, pixels: Tensor) -> Found:
    kept, normed = hooked(list(network.blocks), lambda: network.get_intermediate_layers(pixels, 12))
    found = [(layer, False, values) for layer, values in enumerate(kept)]
    return [*found, *((layer, True, values) for layer, values in enumerate(normed))]


def mae(source: Path, model: str) -> Reference:
    """At 224 the pre-training class without masks; at other sizes the fine-tuning class and its interpolation."""
    from models_mae import mae_vit_base_patch16
    from models_vit import vit_base_patch16
    from util.pos_embed import interpolate_pos_embed

    whole = mae_vit_base_patch16()

    def unmasked(pixels: Tensor) -> Tensor:
        latent, _, restore = whole.forward_encoder(pixels, 0.0)
        order = restore.unsqueeze(-1).expand(-1, -1, latent.shape[-1])
        return torch.cat([latent[:, :1], torch.gather(latent[:, 1:], 1, order)], dim=1)

    def run(pixels: Tensor) -> Found:
        size = pixels.shape[-1]
        tuned = vit_base_patch16(img_size=size, num_classes=0, global_pool=False).eval()
        state = {name: value for name, value in whole.state_dict().items() if name in tuned.state_dict()}
        interpolate_pos_embed(tuned, state)
        tuned.load_state_dict(state, strict=True)
        found = blocks(tuned, pixels, tuned.forward_features)
        return [*found, (11, True, unmasked(pixels))] if size == 224 else found

    return Reference(
        whole,
        lambda: {"model": whole.state_dict()},
        run,
        "models_vit.vit_base_patch16 (forward_features, blocks) with util.pos_embed.interpolate_pos_embed; at 224 "
        "also models_mae.forward_encoder(x, 0.0), order restored",
        keep=("pos_embed",),
    )


def croco(source: Path, model: str) -> Reference:
    """The class at each size, which takes one; stored sines by the publisher's interpolation, rotary positions anew."""
    from models.croco import CroCoNet
    from models.pos_embed import interpolate_pos_embed

    positions = "cosine" if model == "croco_vitb16" else "RoPE100"
    whole = CroCoNet(pos_embed=positions)

    def run(pixels: Tensor) -> Found:
        sized = CroCoNet(pos_embed=positions, img_size=pixels.shape[-1]).eval()
        state = dict(whole.state_dict())
        interpolate_pos_embed(sized, state)
        sized.load_state_dict(state, strict=True)
        kept, (normed, _, _) = hooked(list(sized.enc_blocks), lambda: sized._encode_image(pixels))
        return [*((layer, False, values) for layer, values in enumerate(kept)), (len(kept) - 1, True, normed)]

    return Reference(
        whole,
        lambda: {"model": whole.state_dict(), "croco_kwargs": {"pos_embed": positions}},
        run,
        "CroCoNet._encode_image, enc_blocks",
        keep=("pos_embed",),
    )


def deit(source: Path, model: str) -> Reference:
    """The class at each size. Its own code enlarges tables in the middle of `main.py`; the same call stands here."""
    from models import deit_base_patch16_224

    network = deit_base_patch16_224()

    def run(pixels: Tensor) -> Found:
        size = pixels.shape[-1]
        sized = deit_base_patch16_224(img_size=size).eval()
        state = network.state_dict()
        grid = state["pos_embed"][:, 1:].unflatten(1, (14, 14)).permute(0, 3, 1, 2)
        if size != 224:
            grid = nn.functional.interpolate(grid, size=(size // 16, size // 16), mode="bicubic", align_corners=False)
        rows = grid.permute(0, 2, 3, 1).flatten(1, 2)
        sized.load_state_dict({**state, "pos_embed": torch.cat([state["pos_embed"][:, :1], rows], dim=1)}, strict=True)
        return blocks(sized, pixels, sized.forward_features)

    called = "deit_base_patch16_224.forward_features (class token), blocks"
    return Reference(network, lambda: {"model": network.state_dict()}, run, called)


def openmmlab(source: Path, model: str) -> Reference:
    """The whole algorithm from OpenMMLab's configuration, with its preprocessor (0 to 255, BGR turned into RGB)."""
    from mmengine.config import Config
    from mmpretrain.registry import MODELS
    from mmpretrain.utils import register_all_modules

    register_all_modules()
    names = {
        "simsiam_resnet50": "simsiam/simsiam_resnet50_8xb32-coslr-200e_in1k.py",
        "barlowtwins_resnet50": "barlowtwins/barlowtwins_resnet50_8xb256-coslr-300e_in1k.py",
        "maskfeat_vitb16": "maskfeat/maskfeat_vit-base-p16_8xb256-amp-coslr-300e_in1k.py",
    }
    config = Config.fromfile(source / "configs" / names[model])
    vit = model == "maskfeat_vitb16"
    if not vit:
        # Synchronised statistics need a GPU in training; what they hold and do in evaluation is the same.
        config.model.backbone.norm_cfg = {"type": "BN"}
        config.model.backbone.out_indices = (0, 1, 2, 3)
    whole = MODELS.build({**config.model, "data_preprocessor": config.data_preprocessor})
    backbone = whole.backbone
    # A copy: the network is filled with random numbers, and its own preprocessor's statistics with it.
    preprocessor = deepcopy(whole.data_preprocessor)

    def preprocess(images: Tensor) -> Tensor:
        pixels: Tensor = preprocessor({"inputs": [images[:, [2, 1, 0]] * 255], "data_samples": None})["inputs"][0]
        return pixels

    def run(pixels: Tensor) -> Found:
        if not vit:
            return [(layer, False, values) for layer, values in enumerate(backbone(pixels), 1)]
        return blocks(backbone, pixels, lambda x: backbone(x, None)[-1], backbone.layers)

    return Reference(
        whole,
        lambda: {"meta": {"epoch": 1}, "state_dict": whole.state_dict()},
        run,
        "MaskFeatViT.forward(x, None), layers" if vit else "ResNet(depth=50, out_indices=(0, 1, 2, 3)).forward",
        preprocess=preprocess,
    )

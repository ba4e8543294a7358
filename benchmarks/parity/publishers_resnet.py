"""Publishers' ResNets, built by their own code; the imports inside are from a checkout on the path."""

from __future__ import annotations

import types
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from reference import SWAV, Found, Reference, blocks, hooked, prefixed, stages
from torch import Tensor


def vissl(source: Path, model: str) -> Reference:
    from vissl.config import AttrDict
    from vissl.models.trunks.resnext import ResNeXt

    resnets = {
        "DEPTH": 50,
        "WIDTH_MULTIPLIER": 1,
        "NORM": "BatchNorm",
        "GROUPS": 1,
        "ZERO_INIT_RESIDUAL": False,
        "WIDTH_PER_GROUP": 64,
        "LAYER4_STRIDE": 2,
        "GROUPNORM_GROUPS": 32,
        "STANDARDIZE_CONVOLUTIONS": False,
    }
    checkpointing = {"USE_ACTIVATION_CHECKPOINTING": False, "NUM_ACTIVATION_CHECKPOINTING_SPLITS": 2}
    config = {"INPUT_TYPE": "rgb", "ACTIVATION_CHECKPOINTING": checkpointing, "TRUNK": {"RESNETS": resnets}}
    trunk = ResNeXt(AttrDict(config), "resnet")

    def content() -> Any:
        if model == "npid_resnet50":
            arrays = {name: value.numpy() for name, value in trunk.state_dict().items()}
            fc = {"fc.weight": np.zeros((128, 2048), np.float32), "fc.bias": np.zeros(128, np.float32)}
            return {"model_state_dict": {**arrays, **fc}}
        heads = {"0.clf.0.weight": torch.zeros(128, 2048)}
        return {
            "classy_state_dict": {"base_model": {"model": {"trunk": trunk.state_dict(), "heads": heads}}},
            "phase_idx": 1,
        }

    keys = ["res2", "res3", "res4", "res5"]
    return Reference(
        trunk,
        content,
        lambda pixels: [(layer, False, value) for layer, value in enumerate(trunk(pixels, keys), 1)],
        "ResNeXt.forward(x, [res2, res3, res4, res5])",
    )


def swav(source: Path, model: str) -> Reference:
    from src.resnet50 import resnet50

    heads = 3000 if model == "swav_resnet50" else [3000] * 3
    trained = resnet50(output_dim=128, hidden_mlp=2048, nmb_prototypes=heads, normalize=True)
    reader = resnet50(output_dim=0, eval_mode=True)

    def run(pixels: Tensor) -> Found:
        own = {name: value for name, value in trained.state_dict().items() if name in reader.state_dict()}
        reader.load_state_dict(own, strict=True)
        return stages(reader, pixels, reader.forward_backbone)

    content = partial(prefixed, trained, "module.")
    return Reference(trained, content, run, "resnet50(eval_mode=True).forward_backbone", SWAV, also=[reader])


def moco(source: Path, model: str) -> Reference:
    from moco.builder import MoCo

    whole = MoCo(torchvision.models.resnet50, dim=128, K=256, mlp=True)
    return Reference(
        whole,
        lambda: {"epoch": 800, "arch": "resnet50", "state_dict": prefixed(whole, "module.")},
        partial(stages, whole.encoder_q),
        "MoCo.encoder_q",
    )


def mocov3(source: Path, model: str) -> Reference:
    from moco.builder import MoCo_ResNet, MoCo_ViT

    resnet = model == "mocov3_resnet50"
    if resnet:
        whole: Any = MoCo_ResNet(partial(torchvision.models.resnet50, zero_init_residual=True), 256, 4096, 1.0)
    else:
        import vits

        whole = MoCo_ViT(partial(vits.vit_base, stop_grad_conv1=True), 256, 4096, 1.0)
    base = whole.base_encoder
    read = partial(stages, base) if resnet else partial(blocks, base, last=base.forward_features)
    return Reference(
        whole,
        lambda: {"epoch": 300, "arch": "vit_base", "state_dict": prefixed(whole, "module.")},
        lambda pixels: read(pixels=pixels),
        "MoCo_ResNet.base_encoder" if resnet else "MoCo_ViT.base_encoder.forward_features (class token), blocks",
        keep=("pos_embed",),
    )


def simsiam(source: Path, model: str) -> Reference:
    from simsiam.builder import SimSiam

    whole = SimSiam(torchvision.models.resnet50, 2048, 512)
    return Reference(
        whole,
        lambda: {"epoch": 100, "arch": "resnet50", "state_dict": prefixed(whole, "module.")},
        partial(stages, whole.encoder),
        "SimSiam.encoder",
    )


def barlow(source: Path, model: str) -> Reference:
    from main import BarlowTwins

    whole = BarlowTwins(types.SimpleNamespace(projector="512-512-512", batch_size=8, lambd=0.005))
    return Reference(whole, whole.backbone.state_dict, partial(stages, whole.backbone), "BarlowTwins.backbone")


def byol(source: Path, model: str) -> Reference:
    from model.byol_model import BYOLModel

    sides = {"input_dim": 2048, "hidden_dim": 4096, "output_dim": 256}
    parts = {"projection": sides, "predictor": {**sides, "input_dim": 256}}
    whole = BYOLModel({"model": {"backbone": {"type": "resnet50", "pretrained": False}, **parts}})
    encoder = whole.online_network.encoder

    def run(pixels: Tensor) -> Found:
        kept, _ = hooked([encoder[place] for place in (4, 5, 6, 7)], lambda: encoder(pixels))
        return [(layer, False, values) for layer, values in enumerate(kept, 1)]

    return Reference(
        whole,
        lambda: {"epoch": 300, "steps": 1, "model": prefixed(whole, "module.")},
        run,
        "EncoderwithProjection.encoder, parts 4 to 7",
    )


def densecl(source: Path, model: str) -> Reference:
    from openselfsup.models.backbones.resnet import ResNet

    network = ResNet(depth=50, in_channels=3, out_indices=[1, 2, 3, 4], norm_cfg={"type": "BN"})
    return Reference(
        network,
        lambda: {"state_dict": network.state_dict(), "author": "DenseCL"},
        lambda pixels: [(layer, False, values) for layer, values in enumerate(network(pixels), 1)],
        "ResNet(depth=50, out_indices=[1, 2, 3, 4]).forward",
    )


def dino_resnet(source: Path, model: str) -> Reference:
    from hubconf import dino_resnet50

    network = dino_resnet50(pretrained=False)
    return Reference(network, network.state_dict, partial(stages, network), "hubconf.dino_resnet50")


def torchvision_resnet(source: Path, model: str) -> Reference:
    network = torchvision.models.resnet50()
    return Reference(network, network.state_dict, partial(stages, network), "torchvision.models.resnet50")

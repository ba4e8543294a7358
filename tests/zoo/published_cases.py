"""Every container of the comparison's checkpoints, filled at random: the 22, two yardsticks, and other layouts of them.

Like the modules it builds on, this uses nothing of midvision.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from published_files import Case, HistoryBuffer, Published
from published_tensors import State, resnet50_tensors, shaped, shaped_norm, twin, vitb16_tensors


def under(prefix: str, state: Mapping[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in state.items()}


def _spelt(prefix: str, state: State) -> dict[str, str]:
    return {name: prefix + name for name in state}


def _optimizer(*shapes: tuple[int, ...]) -> dict[str, Any]:
    state = {number: {"momentum_buffer": shaped(*shape)} for number, shape in enumerate(shapes)}
    return {"state": state, "param_groups": [{"lr": 0.03, "momentum": 0.9, "params": list(state)}]}


def _log(epoch: int) -> dict[str, Any]:
    """What OpenMMLab adds to every file."""
    return {
        "meta": {"epoch": epoch, "iter": epoch * 5004, "cfg": "model = dict(type='X')\n", "time": "20220825_120000"},
        "message_hub": {
            "log_scalars": OrderedDict({"train/loss": HistoryBuffer([0.5, 0.25]), "train/lr": HistoryBuffer([0.1])}),
            "runtime_info": OrderedDict({"epoch": epoch, "max_iters": 1_000_200}),
            "resumed_keys": OrderedDict({"train/loss": True}),
        },
    }


# One function per container. `seed` names the model, so that no two models share weights.


def vissl(seed: str, counters: bool, head: int = 1000, prefix: str = "_feature_blocks.") -> Published:
    state = resnet50_tensors(seed, counters)
    trunk = OrderedDict(under(prefix, state))
    heads = OrderedDict({"0.clf.0.weight": shaped(head, 2048), "0.clf.0.bias": shaped(head)})
    model = {"model": {"trunk": trunk, "heads": heads}, "meta": {"input_shape": [3, 224, 224]}}
    classy = {
        "base_model": model,
        "meters": {},
        "optimizer": {"optim": _optimizer((64, 3, 7, 7))},
        "phase_idx": 104,
        "train": True,
    }
    content = {
        "phase_idx": 104,
        "iteration": 525_000,
        "loss": {},
        "iteration_num": 524_999,
        "train_phase_idx": 104,
        "classy_state_dict": classy,
    }
    where = ("classy_state_dict", "base_model", "model", "trunk")
    return Published(content, state, where, _spelt(prefix, state))


def vissl_numpy(seed: str, counters: bool) -> Published:
    state = resnet50_tensors(seed, counters)
    table = {name: value.numpy() for name, value in under("_feature_blocks.", state).items()}
    head = {"fc.weight": np.full((128, 2048), 0.01, np.float32), "fc.bias": np.zeros(128, np.float32)}
    content = {"model_state_dict": {**table, **head}}
    return Published(content, state, ("model_state_dict",), _spelt("_feature_blocks.", state))


def swav(seed: str, counters: bool, prototypes: int = 0) -> Published:
    state = resnet50_tensors(seed, counters)
    several = {f"module.prototypes.prototypes{n}.weight": shaped(3000, 128) for n in range(prototypes)}
    content = OrderedDict(
        {
            **under("module.", state),
            "module.projection_head.0.weight": shaped(2048, 2048),
            "module.projection_head.0.bias": shaped(2048),
            **shaped_norm("module.projection_head.1", 2048),
            "module.projection_head.3.weight": shaped(128, 2048),
            "module.projection_head.3.bias": shaped(128),
            **(several or {"module.prototypes.weight": shaped(3000, 128)}),
        }
    )
    return Published(content, state, (), _spelt("module.", state))


def moco_v2(seed: str, counters: bool) -> Published:
    state = resnet50_tensors(seed, counters)
    table: dict[str, Any] = {}
    for prefix, values in (("module.encoder_q.", state), ("module.encoder_k.", twin(state))):
        head = {"fc.0.weight": shaped(2048, 2048), "fc.0.bias": shaped(2048)}
        table |= under(prefix, {**values, **head, "fc.2.weight": shaped(128, 2048), "fc.2.bias": shaped(128)})
    table |= {"module.queue": shaped(128, 65536), "module.queue_ptr": torch.zeros(1, dtype=torch.long)}
    content = {"epoch": 800, "arch": "resnet50", "state_dict": OrderedDict(table), "optimizer": _optimizer((64,))}
    return Published(content, state, ("state_dict",), _spelt("module.encoder_q.", state), twin(state))


def moco_v3(seed: str, counters: bool, vit: bool) -> Published:
    state = vitb16_tensors(seed, "rows first") if vit else resnet50_tensors(seed, counters)
    head = "head" if vit else "fc"
    sizes = ((768, 4096), (4096, 4096), (4096, 256)) if vit else ((2048, 4096), (4096, 256))
    projector: State = {}
    for number, (before, after) in enumerate(sizes):
        last = number == len(sizes) - 1
        projector[f"{head}.{3 * number}.weight"] = shaped(after, before)
        projector |= shaped_norm(f"{head}.{3 * number + 1}", after, affine=not last)
    predictor = {"0.weight": shaped(4096, 256), **shaped_norm("1", 4096), "3.weight": shaped(256, 4096)}
    predictor |= shaped_norm("4", 256, affine=False) if vit else {}
    table = {
        **under("module.base_encoder.", {**state, **projector}),
        **under("module.momentum_encoder.", {**twin(state), **projector}),
        **under("module.predictor.", predictor),
    }
    content = {
        "epoch": 300,
        "arch": "vit_base" if vit else "resnet50",
        "state_dict": OrderedDict(table),
        "optimizer": _optimizer((768,)),
        "scaler": {"scale": 65536.0, "growth_factor": 2.0},
    }
    return Published(content, state, ("state_dict",), _spelt("module.base_encoder.", state), twin(state))


def openmmlab_resnet(seed: str, counters: bool, method: str) -> Published:
    state = resnet50_tensors(seed, counters)
    table = under("backbone.", state)
    widths = {"simsiam": (2048, 2048, 2048), "barlowtwins": (8192, 8192, 8192), "densecl": (2048, 128)}[method]
    for number, (before, after) in enumerate(zip((2048, *widths), widths)):
        table[f"neck.fc{number}.weight"] = shaped(after, before)
        table |= shaped_norm(f"neck.bn{number}", after)
    if method == "simsiam":
        table |= {"head.predictor.fc0.weight": shaped(512, 2048), "head.predictor.fc1.weight": shaped(2048, 512)}
        table |= {**shaped_norm("head.predictor.bn0", 512), "head.predictor.fc1.bias": shaped(2048)}
    if method == "barlowtwins":
        table |= shaped_norm("head.bn", 8192, affine=False)
    table |= {"data_preprocessor.mean": shaped(3, 1, 1), "data_preprocessor.std": shaped(3, 1, 1)}
    content = {**_log(200), "state_dict": OrderedDict(table)}
    return Published(content, state, ("state_dict",), _spelt("backbone.", state))


def simsiam_official(seed: str, counters: bool) -> Published:
    state = resnet50_tensors(seed, counters)
    heads = {"fc.0.weight": shaped(2048, 2048), **shaped_norm("fc.1", 2048), "fc.6.weight": shaped(2048, 2048)}
    table = {
        **under("module.encoder.", {**state, **heads}),
        "module.predictor.0.weight": shaped(512, 2048),
        **shaped_norm("module.predictor.1", 512),
        "module.predictor.3.weight": shaped(2048, 512),
        "module.predictor.3.bias": shaped(2048),
    }
    content = {"epoch": 100, "arch": "resnet50", "state_dict": OrderedDict(table), "optimizer": _optimizer((64,))}
    return Published(content, state, ("state_dict",), _spelt("module.encoder.", state))


def barlow_full(seed: str, counters: bool) -> Published:
    state = resnet50_tensors(seed, counters)
    table = {
        **under("module.backbone.", state),
        "module.projector.0.weight": shaped(8192, 2048),
        **shaped_norm("module.projector.1", 8192),
        **shaped_norm("module.bn", 8192, affine=False),
    }
    content = {"epoch": 1000, "model": OrderedDict(table), "optimizer": _optimizer((64,))}
    return Published(content, state, ("model",), _spelt("module.backbone.", state))


def byol(seed: str, counters: bool) -> Published:
    state = resnet50_tensors(seed, counters)
    rest = {"module.fc.weight": shaped(1000, 2048), "module.fc.bias": shaped(1000)}
    content = {
        "epoch": 300,
        "online_backbone": OrderedDict({**under("module.", state), **rest}),
        "online_projection": {"module.l1.weight": shaped(4096, 2048), "module.l2.weight": shaped(256, 4096)},
        "predictor": {"module.l1.weight": shaped(4096, 256)},
        "target_backbone": OrderedDict({**under("module.", twin(state)), **rest}),
        "target_projection": {"module.l1.weight": shaped(4096, 2048)},
        "optimizer": _optimizer((64,)),
    }
    return Published(content, state, ("online_backbone",), _spelt("module.", state), twin(state))


def byol_numbered(seed: str, counters: bool) -> Published:
    """The publisher's present code: parts of the backbone by number, and a misspelt projection."""
    state = resnet50_tensors(seed, counters)
    numbers = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}

    def numbered(prefix: str) -> dict[str, str]:
        parts = {name: name.partition(".") for name in state}
        return {name: f"{prefix}{numbers[first]}.{rest}" for name, (first, _, rest) in parts.items()}

    online, target = numbered("module.online_network.encoder."), numbered("module.target_network.encoder.")
    table = {online[name]: value for name, value in state.items()}
    table |= {target[name]: value for name, value in twin(state).items()}
    table |= {
        "module.online_network.projetion.l1.weight": shaped(4096, 2048),
        "module.predictor.predictor.l1.weight": shaped(4096, 256),
    }
    content = {"epoch": 300, "model": OrderedDict(table), "optimizer": _optimizer((64,)), "amp": {}}
    return Published(content, state, ("model",), online, twin(state))


def byol_other_names(seed: str, counters: bool) -> Published:
    """Slightly different names in the usual order, as the publisher describes the older file."""
    state = resnet50_tensors(seed, True)
    spelt = {name: f"module.{name.replace('layer', 'stage').replace('.bn', '.norm')}" for name in state}
    table = OrderedDict((spelt[name], value) for name, value in state.items())
    return Published({"online_backbone": table, "epoch": 300}, state, ("online_backbone",), spelt)


def extracted(seed: str, counters: bool) -> Published:
    state = resnet50_tensors(seed, counters)
    return Published({"state_dict": dict(state), "author": "DenseCL"}, state, ("state_dict",), _spelt("", state))


def bare(seed: str, counters: bool, vit: bool = False, classes: int = 0) -> Published:
    state = vitb16_tensors(seed, classes=classes) if vit else resnet50_tensors(seed, counters, classes)
    network = {name: value for name, value in state.items() if not name.startswith(("fc.", "head."))}
    return Published(OrderedDict(state), network, (), _spelt("", network))


def student_teacher(seed: str, counters: bool, vit: bool, wrapped: bool = False, ibot: bool = False) -> Published:
    """Training state of DINO or iBOT; the teacher is the network. `wrapped`: the teacher too under `module.`."""
    state = vitb16_tensors(seed) if vit else resnet50_tensors(seed, counters)
    width = 768 if vit else 2048
    head = {f"head.mlp.{n}.weight": shaped(2048, width if n == 0 else 2048) for n in (0, 2, 4)}
    head |= {"head.last_layer.weight_g": shaped(65536, 1), "head.last_layer.weight_v": shaped(65536, 256)}
    if ibot:
        head |= {"head.last_layer2.weight_g": shaped(8192, 1), "head.last_layer2.weight_v": shaped(8192, 256)}
    masked = {"module.backbone.masked_embed": shaped(1, 768)} if ibot else {}
    prefix = "module.backbone." if wrapped else "backbone."
    content = {
        "student": OrderedDict({**under("module.backbone.", twin(state)), **masked, **under("module.", head)}),
        "teacher": OrderedDict({**under(prefix, state), **under("module." if wrapped else "", head)}),
        "optimizer": _optimizer((width,)),
        "epoch": 400,
        "args": argparse.Namespace(arch="vit_base", patch_size=16, lr=5e-4, global_crops_scale=(0.25, 1.0)),
        "dino_loss": OrderedDict(center=shaped(1, 65536)),
        "fp16_scaler": {"scale": 65536.0},
    }
    return Published(content, state, ("teacher",), _spelt(prefix, state), twin(state))


def ibot_teacher(seed: str, counters: bool, heads: bool = False, masked: bool = False) -> Published:
    state = vitb16_tensors(seed)
    table = dict(state)
    if heads:
        table |= {"head.mlp.0.weight": shaped(2048, 768), "head.last_layer.weight_g": shaped(8192, 1)}
    if masked:
        table["masked_embed"] = shaped(1, 768)
    return Published({"state_dict": OrderedDict(table)}, state, ("state_dict",), _spelt("", state))


def under_model(seed: str, counters: bool, decoder: bool = False, classes: int = 0) -> Published:
    """MAE's and DeiT's `model`; `decoder`: the whole masked autoencoder with its training state."""
    full = vitb16_tensors(seed, "learned" if classes else "columns first", classes)
    state = {name: value for name, value in full.items() if not name.startswith("head.")}
    extra: State = {}
    if decoder:
        extra = {"mask_token": shaped(1, 1, 512), "decoder_pos_embed": shaped(1, 197, 512)}
        extra |= {"decoder_embed.weight": shaped(512, 768), "decoder_embed.bias": shaped(512)}
        for block in range(8):
            extra |= {f"decoder_blocks.{block}.attn.qkv.weight": shaped(1536, 512)}
            extra |= {f"decoder_blocks.{block}.norm1.weight": shaped(512)}
        extra |= {"decoder_norm.weight": shaped(512), "decoder_pred.weight": shaped(768, 512)}
    content: dict[str, Any] = {"model": {**full, **extra}}
    if decoder:
        content |= {"optimizer": _optimizer((768,)), "epoch": 1599, "scaler": {"scale": 65536.0}}
        content["args"] = argparse.Namespace(model="mae_vit_base_patch16", mask_ratio=0.75, norm_pix_loss=True)
    return Published(content, state, ("model",), _spelt("", state))


def openmmlab_vit(seed: str, counters: bool) -> Published:
    state = vitb16_tensors(seed)
    table = {_openmmlab_name(name): value for name, value in state.items()}
    table["backbone.mask_token"] = shaped(1, 1, 768)
    table |= {"neck.fc.weight": shaped(108, 768), "neck.fc.bias": shaped(108)}
    table |= {"target_generator.weight_x": shaped(3, 1, 3, 3), "target_generator.weight_y": shaped(3, 1, 3, 3)}
    table |= {"target_generator.gaussian_kernel": shaped(16, 16), "data_preprocessor.mean": shaped(3, 1, 1)}
    content = {**_log(300), "state_dict": OrderedDict(table)}
    return Published(content, state, ("state_dict",), {name: _openmmlab_name(name) for name in state})


def _openmmlab_name(name: str) -> str:
    parts = name.split(".")
    if parts[0] == "patch_embed":
        parts[1] = "projection"
    if parts[0] == "norm":
        parts[0] = "ln1"
    if parts[0] == "blocks":
        inner = {"norm1": "ln1", "norm2": "ln2", "mlp.fc1": "ffn.layers.0.0", "mlp.fc2": "ffn.layers.1"}
        middle = ".".join(parts[2:-1])
        parts = ["layers", parts[1], inner.get(middle, middle), parts[-1]]
    return ".".join(["backbone", *parts])


def _case(name: str, build: Callable[..., Published], of: str = "", /, **facts: Any) -> Case:
    """`of`: the public id, where the case is another layout of a model that is listed already."""
    notes = {key: str(facts.pop(key)) for key in ("pixels", "positions") if key in facts}
    return Case(name, of or name, partial(build, name, **facts), notes)


_SWAV: dict[str, Any] = {"pixels": "swav"}
_OFFSET: dict[str, Any] = {"positions": "offset"}
_CELLS: dict[str, Any] = {"positions": "cells"}

# The 22 of the comparison and two supervised yardsticks, each in its publisher's own container.
MODELS = (
    _case("jigsaw_resnet50", vissl, head=100),
    _case("rotnet_resnet50", vissl, head=4),
    _case("npid_resnet50", vissl_numpy),
    _case("npid_pp_resnet50", vissl, head=128),
    _case("pirl_resnet50", vissl, head=128),
    _case("clusterfit_resnet50", vissl, head=16000),
    _case("simclr_resnet50", vissl, head=128),
    _case("selav2_resnet50", swav, prototypes=3, **_SWAV),
    _case("deepclusterv2_resnet50", swav, prototypes=3, **_SWAV),
    _case("swav_resnet50", swav, **_SWAV),
    _case("mocov2_resnet50", moco_v2),
    _case("simsiam_resnet50", openmmlab_resnet, method="simsiam"),
    _case("barlowtwins_resnet50", openmmlab_resnet, method="barlowtwins"),
    _case("byol_resnet50", byol),
    _case("densecl_resnet50", extracted),
    _case("dino_resnet50", bare),
    _case("dino_vitb16", bare, vit=True, **_OFFSET),
    _case("mocov3_resnet50", moco_v3, vit=False),
    _case("mocov3_vitb16", moco_v3, vit=True),
    _case("ibot_vitb16", ibot_teacher, **_OFFSET),
    _case("mae_vitb16", under_model, **_CELLS),
    _case("maskfeat_vitb16", openmmlab_vit, **_CELLS),
    _case("supervised_resnet50", bare, classes=1000),
    _case("deit_vitb16", under_model, classes=1000, **_CELLS),
)

# The same models in the other containers in which they are found.
ALTERNATIVES = (
    _case("vissl linear evaluation", vissl, "simclr_resnet50", prefix="base_model._feature_blocks."),
    _case("vissl retrained npid", vissl, "npid_resnet50", head=128),
    _case("byol numbered parts", byol_numbered, "byol_resnet50"),
    _case("byol other names", byol_other_names, "byol_resnet50"),
    _case("simsiam official", simsiam_official, "simsiam_resnet50_100ep"),
    _case("barlow twins official", bare, "barlowtwins_resnet50_1000ep"),
    _case("barlow twins official training", barlow_full, "barlowtwins_resnet50_1000ep"),
    _case("dino resnet training", student_teacher, "dino_resnet50", vit=False),
    _case("dino vit training", student_teacher, "dino_vitb16", vit=True, **_OFFSET),
    _case("dino vit training, wrapped", student_teacher, "dino_vitb16", vit=True, wrapped=True, **_OFFSET),
    _case("ibot training", student_teacher, "ibot_vitb16", vit=True, ibot=True, **_OFFSET),
    _case("ibot with heads and mask token", ibot_teacher, "ibot_vitb16", heads=True, masked=True, **_OFFSET),
    _case("mae training", under_model, "mae_vitb16", decoder=True, **_CELLS),
)

# Other trainings of the same methods: no model's own file, so refused under its id.
STRANGERS = (
    _case("vissl supervised", vissl, "supervised_resnet50"),
    _case("densecl of openmmlab", openmmlab_resnet, "densecl_resnet50", method="densecl"),
    _case("simsiam official", simsiam_official, "simsiam_resnet50"),
    _case("moco v2", moco_v2, "mocov3_resnet50"),
    _case("swav", swav, "byol_resnet50"),
)

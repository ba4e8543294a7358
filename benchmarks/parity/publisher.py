"""One publisher's own network, filled with random numbers: its checkpoint and its features, for `__main__.py`.

Runs in a process of its own, which never imports midvision, because publishers' code needs other libraries than it
does. Nothing of that code is here: it is imported from a checkout, unchanged. What old code lacks in today's numpy and
torch is supplied from outside (`supply`).

    python publisher.py MODEL,MODEL SOURCE OUT SIZE ...

writes per model `checkpoint.pth` in the container in which the publisher saves it, and for each size `features_SIZE.pt`
below `OUT/MODEL`: the images `[1, 3, H, W]` in [0, 1], and a list of (layer, normed, values), where values are maps
`[1, C, h, w]`, all tokens of a block `[1, 1 + N, C]`, or one vector `[1, C]`. Where the publisher brings a
preprocessor, `prepared` is a second such list, from the pixels that it makes, and `pixels` how far they are from those
of the first. A size that the publisher's code refuses is reported.
"""

from __future__ import annotations

import collections.abc
import importlib.abc
import importlib.machinery
import importlib.util
import json
import math
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import publishers_resnet
import publishers_vit
import torch
import torchvision
from reference import Reference
from torch import Tensor, nn

BUILDERS: dict[str, Callable[[Path, str], Reference]] = {
    **dict.fromkeys(
        ("jigsaw_resnet50", "rotnet_resnet50", "npid_resnet50", "npid_pp_resnet50"), publishers_resnet.vissl
    ),
    **dict.fromkeys(("pirl_resnet50", "clusterfit_resnet50", "simclr_resnet50"), publishers_resnet.vissl),
    **dict.fromkeys(("selav2_resnet50", "deepclusterv2_resnet50", "swav_resnet50"), publishers_resnet.swav),
    "mocov2_resnet50": publishers_resnet.moco,
    **dict.fromkeys(("simsiam_resnet50", "barlowtwins_resnet50", "maskfeat_vitb16"), publishers_vit.openmmlab),
    "byol_resnet50": publishers_resnet.byol,
    "densecl_resnet50": publishers_resnet.densecl,
    "dino_resnet50": publishers_resnet.dino_resnet,
    "dino_vitb16": publishers_vit.dino_vit,
    **dict.fromkeys(("mocov3_resnet50", "mocov3_vitb16"), publishers_resnet.mocov3),
    "ibot_vitb16": publishers_vit.ibot,
    "mae_vitb16": publishers_vit.mae,
    **dict.fromkeys(("croco_vitb16", "crocov2_vitb_base"), publishers_vit.croco),
    "supervised_resnet50": publishers_resnet.torchvision_resnet,
    "deit_vitb16": publishers_vit.deit,
    "simsiam_resnet50_100ep": publishers_resnet.simsiam,
    "barlowtwins_resnet50_1000ep": publishers_resnet.barlow,
}

# Imported at the top of publishers' packages, for training and tables; no part of any network or of its forward.
ABSENT = ("fairscale", "augly", "markdown", "submitit", "tensorboard")


def fill(network: nn.Module, seed: str, keep: Sequence[str]) -> None:
    """Numbers that keep activations near one and leave no tensor at a value that could hide a mistake.

    Tensors whose names end with one of `keep` stay as the publisher's code made them (tables of sines).
    """
    generator = torch.Generator().manual_seed(crc32(seed.encode()))
    done: set[int] = set()
    for module in network.modules():
        normalises = isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm)
        own = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
        for name, value in own:
            if (name.endswith(tuple(keep)) and keep) or id(value) in done or not value.is_floating_point():
                continue
            done.add(id(value))
            noise = torch.randn(value.shape, generator=generator)
            with torch.no_grad():
                value.copy_(_numbers(name, noise, normalises, isinstance(module, nn.Conv2d)))


def _numbers(name: str, noise: Tensor, normalises: bool, convolves: bool) -> Tensor:
    if name == "running_var":
        return 0.5 + noise.abs()
    if normalises and name == "weight":
        return 1 + 0.1 * noise
    if name.endswith("weight") and noise.ndim > 1:
        return noise * math.sqrt((2 if convolves else 1) / (noise.numel() / len(noise)))
    return (0.1 if name in ("bias", "running_mean") else 0.2) * noise


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Empty modules for packages of `ABSENT` that are not installed; every name in them is an empty class."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(name, self, is_package=True) if name.split(".")[0] in ABSENT else None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        module: Any = types.ModuleType(spec.name)
        module.__getattr__ = lambda name: _empty(name)
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        """Nothing to run."""


def _empty(name: str) -> type:
    if name.startswith("__"):
        raise AttributeError(name)
    return type(name, (), {})


def supply() -> None:
    """What code of 2020 to 2022 imports, and newer numpy and torch (or a checkout that was never installed) lack."""
    if not hasattr(np, "float"):
        setattr(np, "float", float)  # noqa: B010
    six: Any = types.ModuleType("torch._six")
    six.container_abcs, six.inf, six.string_classes = collections.abc, math.inf, (str, bytes)
    sys.modules.setdefault("torch._six", six)
    version: Any = types.ModuleType("openselfsup.version")
    version.__version__ = version.short_version = "0"
    sys.modules["openselfsup.version"] = version
    sys.meta_path.append(StandIns())


def sample_images(size: int) -> Tensor:
    """Random images `[1, 3, size, size]` in [0, 1] with structure at coarse and fine scale."""
    generator = torch.Generator().manual_seed(size)
    coarse = torch.rand(1, 3, 7, 7, generator=generator)
    fine = torch.rand(1, 3, size, size, generator=generator)
    return (nn.functional.interpolate(coarse, size=(size, size), mode="bilinear") + fine) / 2


def normalised(reference: Reference, images: Tensor) -> Tensor:
    pixels: Tensor = torchvision.transforms.functional.normalize(images, *map(list, reference.statistics))
    return pixels


def features(reference: Reference, images: Tensor) -> dict[str, Any]:
    pixels = normalised(reference, images)
    with torch.no_grad():
        found: dict[str, Any] = {"found": reference.run(pixels)}
        if reference.preprocess is not None:
            prepared = reference.preprocess(images)
            found |= {"prepared": reference.run(prepared), "pixels": float((prepared - pixels).abs().max())}
    return found


def publish(model: str, source: Path, out: Path, sizes: Sequence[str]) -> None:
    """One model's checkpoint, features and report."""
    reference = BUILDERS[model](source, model)
    fill(reference.network, model, reference.keep)
    for network in (reference.network, *reference.also):
        network.eval()
    out.mkdir()
    torch.save(reference.content(), out / "checkpoint.pth")
    report: dict[str, Any] = {"called": reference.called, "refused": {}}
    for size in sizes:
        images = sample_images(int(size))
        try:
            found = features(reference, images)
        except (AssertionError, RuntimeError) as refusal:
            report["refused"][size] = str(refusal).splitlines()[0]
            continue
        torch.save({"images": images, **found}, out / f"features_{size}.pt")
    (out / "report.json").write_text(json.dumps(report), encoding="utf-8")


def main(models: str, source: str, out: str, *sizes: str) -> None:
    supply()
    if source:
        sys.path.insert(0, source)
    for model in models.split(","):
        publish(model, Path(source), Path(out) / model, sizes)


if __name__ == "__main__":
    main(*sys.argv[1:])

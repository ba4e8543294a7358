"""Layouts in which ResNets are published. Recipes were read in official code or inferred from strict loaders."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from midvision.zoo.layouts import Layout, State, below, inside, only, tensors

_VISSL = "_feature_blocks."
# torch.nn.Sequential(*resnet.children()) numbers conv1, bn1, relu, maxpool, layer1..4.
_NUMBERED = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
_RESNET50_BLOCKS = (3, 4, 6, 3)


def vissl(content: Mapping[str, Any]) -> dict[str, State]:
    """VISSL: a trunk deep inside, beside its heads; or converted, flat, perhaps as numpy arrays.

    Checkpoints of a linear evaluation carry `base_model.` in front.
    """
    trunk = tensors(inside(content, "classy_state_dict", "base_model", "model", "trunk"))
    flat = tensors(content.get("model_state_dict"))
    for state in (trunk, flat):
        for prefix in (_VISSL, f"base_model.{_VISSL}"):
            if found := below(state, prefix):
                return only("", found)
    return {}


def swav(content: Mapping[str, Any]) -> dict[str, State]:
    """SwAV, DeepCluster-v2, SeLa-v2: one flat dict with projection and prototypes beside the network."""
    state = tensors(content)
    if "module.conv1.weight" not in state:
        return {}
    return only("", below(state, "module.", ("projection_head.", "prototypes.")))


def moco(content: Mapping[str, Any]) -> dict[str, State]:
    """MoCo v1 and v2: query encoder, its momentum copy (`key`), queue."""
    state = tensors(content.get("state_dict"))
    found = {choice: below(state, f"module.encoder_{choice[0]}.", ("fc.",)) for choice in ("query", "key")}
    return {choice: entry for choice, entry in found.items() if entry}


def mocov3(content: Mapping[str, Any]) -> dict[str, State]:
    """MoCo v3: base encoder and its momentum copy, which hold different values; for ResNets and transformers."""
    state = tensors(content.get("state_dict"))
    found = {choice: below(state, f"module.{choice}_encoder.", ("fc.", "head.")) for choice in ("base", "momentum")}
    return {choice: entry for choice, entry in found.items() if entry}


def simsiam(content: Mapping[str, Any]) -> dict[str, State]:
    """The official SimSiam file: an encoder whose classifier is the projection."""
    return only("", below(tensors(content.get("state_dict")), "module.encoder.", ("fc.",)))


def barlow(content: Mapping[str, Any]) -> dict[str, State]:
    """Barlow Twins: the bare network, or the full training file."""
    if found := below(tensors(content.get("model")), "module.backbone."):
        return only("", found)
    state = tensors(content)
    return only("", below(state, "", ("fc.",))) if "conv1.weight" in state else {}


def byol(content: Mapping[str, Any]) -> dict[str, State]:
    """The PyTorch BYOL: networks side by side (released file), or one model with numbered parts (current code)."""
    released = {
        choice: _named(_unwrapped(tensors(content.get(f"{choice}_backbone")))) for choice in ("online", "target")
    }
    if any(released.values()):
        return {choice: entry for choice, entry in released.items() if entry}
    state = tensors(content.get("model"))
    found = {}
    for choice in ("online", "target"):
        for prefix in (f"module.{choice}_network.encoder.", f"{choice}_network.encoder."):
            if entry := below(state, prefix):
                found[choice] = {_renumbered(name): value for name, value in entry.items()}
    return found


def densecl(content: Mapping[str, Any]) -> dict[str, State]:
    """DenseCL: the network extracted by OpenMMLab's tool, with an author's note."""
    state = tensors(content.get("state_dict"))
    return only("", state) if "conv1.weight" in state else {}


def _unwrapped(state: State) -> State:
    """Without the wrapper of parallel training, where there is one, and without a classifier."""
    return below(state, "module.", ("fc.",)) or below(state, "", ("fc.",))


def _renumbered(name: str) -> str:
    number, dot, rest = name.partition(".")
    return f"{_NUMBERED.get(number, number)}{dot}{rest}"


def _named(state: State) -> State:
    """Names as they are where most are a ResNet's; else, for exactly its tensors in its order, by position.

    The publisher says that names differ slightly while the order is that of a ResNet-50. A few names
    that differ are damage, not another way of naming, and stay for the strict match to refuse.
    """
    expected = list(resnet50_names())
    if len(state) != len(expected) or 2 * len(set(state) & set(expected)) > len(expected):
        return state
    kinds = [name.rpartition(".")[2] for name in state]
    if kinds != [name.rpartition(".")[2] for name in expected]:
        return state
    return dict(zip(expected, state.values()))


def resnet50_names() -> Iterator[str]:
    """The 318 names of a ResNet-50 without classifier, in torchvision's order."""
    yield from ("conv1.weight", *_norm("bn1"))
    for stage, blocks in enumerate(_RESNET50_BLOCKS, 1):
        for block in range(blocks):
            place = f"layer{stage}.{block}"
            for part in (1, 2, 3):
                yield from (f"{place}.conv{part}.weight", *_norm(f"{place}.bn{part}"))
            if block == 0:
                yield from (f"{place}.downsample.0.weight", *_norm(f"{place}.downsample.1"))


def _norm(place: str) -> tuple[str, ...]:
    return tuple(f"{place}.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked"))


LAYOUTS = (
    Layout("vissl", "A VISSL checkpoint", vissl),
    Layout("swav", "A checkpoint of the SwAV repository", swav),
    Layout("moco", "A MoCo v1 or v2 checkpoint", moco, ("query", "key")),
    Layout("mocov3", "A MoCo v3 checkpoint", mocov3, ("base", "momentum")),
    Layout("simsiam", "The official SimSiam checkpoint", simsiam),
    Layout("barlow", "An official Barlow Twins checkpoint", barlow),
    Layout("byol", "A checkpoint of BYOL-PyTorch", byol, ("online", "target")),
    Layout("densecl", "The DenseCL backbone", densecl),
)

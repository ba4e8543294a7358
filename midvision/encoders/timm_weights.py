"""timm's names, where its weights are published, and its networks with random, published or given weights."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import timm
from timm.models import get_pretrained_cfg
from torch import Tensor, nn

from midvision.core.errors import DataError, UsageError, nearest
from midvision.encoders.timm_backbone import Statistics, TimmBackbone, build_network


@dataclass(frozen=True, slots=True)
class WeightSource:
    """A published file: the first of `filenames` in a hub `repository` (`ORG/NAME[@revision]`), else at `url`."""

    repository: str
    filenames: tuple[str, ...]
    url: str


_LIST = "See: midvision list models 'timm/*'"
_JOINT_BIAS = "qkv.bias"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def timm_names(pretrained: bool = False) -> list[str]:
    """All architectures, or all names with weights."""
    return list(timm.list_models(pretrained=pretrained))


def check_timm_name(name: str) -> None:
    """`UsageError` with the nearest names where timm does not know `name` (`arch` or `arch.tag`)."""
    arch, _, tag = name.partition(".")
    if not timm.is_model(arch):
        raise UsageError(f"timm has no architecture {arch!r}.", nearest(arch, timm_names()), _LIST)
    tags = [full for full in timm_names(pretrained=True) if full.startswith(f"{arch}.")]
    if tag and name not in tags:
        raise UsageError(f"timm has no weights {name!r}.", nearest(name, tags), _LIST)


def is_timm(arch: str) -> bool:
    return bool(timm.is_model(arch.partition(".")[0]))


def open_random(
    arch: str,
    statistics: Statistics | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    positions: str = "",
    draw: str = "",
) -> TimmBackbone:
    """An architecture with seeded random weights, others for another `draw`; touches no network."""
    check_timm_name(arch)
    purpose = ("random weights", draw) if draw else ("random weights",)
    network = build_network(arch, purpose=purpose, options=options)
    return TimmBackbone(network, arch, statistics, options=options, positions=positions)


def open_with_tensors(
    arch: str,
    fit: Callable[[nn.Module], dict[str, Tensor]],
    statistics: Statistics | None,
    *,
    options: Mapping[str, Any] | None = None,
    positions: str = "",
) -> TimmBackbone:
    """An architecture filled with what `fit` makes for the empty network; statistics None are timm's own."""
    check_timm_name(arch)
    network = build_network(arch, options=options, filled=False)
    fill(network, fit(network))
    return TimmBackbone(network, arch, statistics, options=options, positions=positions)


def fill(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Make the tensors of `state` those of the network, strictly, without a copy where type and layout agree."""
    wanted = network.state_dict()
    own = {name: value.to(wanted[name].dtype).contiguous() for name, value in state.items()}
    network.load_state_dict(own, strict=True, assign=True)


def renamed(network: nn.Module, table: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A publisher's table in timm's words, by timm's own reader of such files; empty where it has none for it.

    timm's readers also resample weights of another patch size or grid, and leave out biases that a network lacks.
    Either makes another function than the publisher's, so such a table counts as not known.
    """
    reader = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if reader is None:
        return {}
    try:
        with redirect_stdout(io.StringIO()):
            found = dict(reader(dict(table), network))
    except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        return {}  # a table that the reader was not written for
    given = {value.untyped_storage().data_ptr() for value in table.values()}
    made = {name for name, value in found.items() if value.untyped_storage().data_ptr() not in given}
    # The class token may have taken in its own position; whatever else is new was resampled or invented.
    if any(name != "cls_token" and not name.startswith("head.") for name in made):
        return {}
    lost = (_lost_bias(name, value, found) for name, value in table.items() if name.endswith(_JOINT_BIAS))
    return {} if any(bool(part.any()) for part in lost) else found


def _lost_bias(name: str, bias: Tensor, found: Mapping[str, Tensor]) -> Tensor:
    """The part of a bias of queries, keys and values that a renamed table does not hold."""
    if name in found:
        return bias[:0]
    # timm's separate biases have none of the keys.
    keys = bias.chunk(3)[1]
    return keys if name.removesuffix(_JOINT_BIAS) + "q_bias" in found else bias


def open_pretrained(name: str) -> TimmBackbone:
    """`arch.tag`, or `hf-hub:ORG/NAME`, with its published weights, which must be on this machine already."""
    network = build_network(name, pretrained=True)
    config: Any = getattr(network, "pretrained_cfg", {})
    return TimmBackbone(network, str(config.get("architecture") or name))


def weight_source(name: str) -> WeightSource:
    """Where the weights of `arch.tag` or `hf-hub:ORG/NAME` are published."""
    if name.startswith("hf-hub:"):
        return WeightSource(name.removeprefix("hf-hub:"), _HUB_FILES, "")
    check_timm_name(name)
    config = get_pretrained_cfg(name, allow_unregistered=False)
    if config is None or not (config.hf_hub_id or config.url):
        raise DataError(f"timm has no weights for {name}.", "A name with weights is needed.", f"Use random/{name}.")
    filenames = (str(config.hf_hub_filename),) if config.hf_hub_filename else _HUB_FILES
    return WeightSource(str(config.hf_hub_id or ""), filenames, str(config.url or ""))

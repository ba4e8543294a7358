"""timm's names and where its weights lie: looked up here first, fetched only when asked."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import Tensor

from midvision.core.errors import DataError, UsageError, nearest
from midvision.encoders.timm_backbone import Statistics, TimmBackbone, build_network

_LIST = "See: midvision list models 'timm/*'"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


def timm_names(pretrained: bool = False) -> list[str]:
    """All architectures, or all names with weights."""
    return list(timm.list_models(pretrained=pretrained))


def check_timm_name(name: str) -> None:
    """`UsageError` with the nearest names where timm does not know `name` (`arch` or `arch.tag`)."""
    arch, _, tag = name.partition(".")
    if not timm.is_model(arch):
        raise UsageError(
            f"timm has no architecture {arch!r}.", nearest(arch, timm_names()), "See: midvision list models 'timm/*'"
        )
    tags = [full for full in timm_names(pretrained=True) if full.startswith(f"{arch}.")]
    if tag and name not in tags:
        raise UsageError(f"timm has no weights {name!r}.", nearest(name, tags), _LIST)


def is_timm(arch: str) -> bool:
    return bool(timm.is_model(arch.partition(".")[0]))


def open_random(arch: str) -> TimmBackbone:
    """An architecture with seeded random weights; touches no network."""
    check_timm_name(arch)
    return TimmBackbone(build_network(arch), arch)


def open_random_hub(name: str) -> TimmBackbone:
    """The architecture that a hub repository describes, if its description is in the local cache."""
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = name.removeprefix("hf-hub:").partition("@")
    found = try_to_load_from_cache(repository, "config.json", revision=revision or None)
    if not isinstance(found, str):
        raise _not_here(name, "the description of its architecture is not in the local cache")
    arch = str(json.loads(Path(found).read_text(encoding="utf-8"))["architecture"])
    return open_random(arch)


def open_with_tensors(
    arch: str, fit: Callable[[Mapping[str, Tensor]], dict[str, Tensor]], statistics: Statistics | None
) -> TimmBackbone:
    """An architecture filled with what `fit` makes for its names and shapes; statistics None are timm's own."""
    check_timm_name(arch)
    network = build_network(arch)
    network.load_state_dict(fit(network.state_dict()), strict=True)
    return TimmBackbone(network, arch, statistics)


def open_pretrained(name: str) -> TimmBackbone:
    """`arch.tag`, or `hf-hub:ORG/NAME`, with its published weights."""
    pretrained_file(name)
    try:
        network = build_network(name, pretrained=True)
    except (OSError, RuntimeError, ValueError, URLError) as error:
        raise _not_here(name, str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    config: Any = getattr(network, "pretrained_cfg", {})
    return TimmBackbone(network, str(config.get("architecture") or name))


def pretrained_file(name: str) -> Path:
    """The weights' file on this machine; fetched where it is missing and the network may be used."""
    if name.startswith("hf-hub:"):
        return _hub_file(name, name.removeprefix("hf-hub:"), None)
    check_timm_name(name)
    config = get_pretrained_cfg(name, allow_unregistered=False)
    if config is None or not (config.hf_hub_id or config.url):
        raise DataError(f"timm has no weights for {name}.", "A name with weights is needed.", f"Use random/{name}.")
    if config.hf_hub_id:
        return _hub_file(name, config.hf_hub_id, config.hf_hub_filename)
    return fetched(name, str(config.url))


def _hub_file(name: str, repository: str, filename: str | None) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = repository.partition("@")
    wanted = (filename,) if filename else _HUB_FILES
    problem = "it is not in the local cache"
    try:
        for candidate in wanted:
            found = try_to_load_from_cache(repository, candidate, revision=revision or None)
            if isinstance(found, str):
                return Path(found)
        if not offline():
            for candidate in wanted:
                try:
                    return Path(hf_hub_download(repository, candidate, revision=revision or None))
                except (OSError, RuntimeError, ValueError) as error:
                    problem = str(error).splitlines()[0] if str(error) else type(error).__name__
    except HFValidationError as error:
        raise UsageError(f"{repository!r} is no hub repository.", "ORG/NAME is expected.") from error
    raise _not_here(name, problem)


def fetched(name: str, url: str) -> Path:
    """The file of `url` in torch's own cache; fetched where it is missing and the network may be used."""
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if not path.is_file():
        if offline():
            raise _not_here(name, f"{path.name} is not in {path.parent}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=False)
        except (OSError, RuntimeError) as error:
            raise _not_here(name, str(error)) from error
    return path


def offline() -> bool:
    """Whether the network may not be used, by the Hugging Face convention."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def _not_here(name: str, problem: str) -> DataError:
    instead = "" if name.startswith("hf-hub:") else f", or use random/{name.rpartition('/')[2]}"
    return DataError(
        f"The weights of {name} are not on this machine and cannot be fetched: {problem}.",
        "They must be in the cache (HF_HOME, TORCH_HOME), or the network must be reachable.",
        f"Fetch them where there is a network (HF_HUB_OFFLINE unset), or give a file (--weights){instead}.",
    )

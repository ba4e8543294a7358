"""Weights' files on this machine: found in the libraries' own caches, fetched only where the network may be used."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from midvision.core.errors import DataError, UsageError

if TYPE_CHECKING:
    from midvision.encoders.timm_weights import WeightSource


def weights_path(name: str, source: WeightSource) -> Path:
    """The file behind `source`; `name` is the id that errors speak of."""
    if source.repository:
        return hub_file(name, source.repository, source.filenames)
    return url_file(name, source.url)


def hub_file(name: str, repository: str, filenames: Sequence[str]) -> Path:
    """The first of `filenames` that a repository `ORG/NAME[@revision]` of the Hugging Face hub has."""
    from huggingface_hub import hf_hub_download

    found = cached_hub_file(repository, filenames)
    problem = "it is not in the local cache"
    if found is None and not offline():
        repository, _, revision = repository.partition("@")
        for filename in filenames:
            try:
                return Path(hf_hub_download(repository, filename, revision=revision or None))
            except (OSError, RuntimeError, ValueError) as error:
                problem = str(error).splitlines()[0] if str(error) else type(error).__name__
    if found is None:
        raise not_here(name, problem)
    return found


def cached_hub_file(repository: str, filenames: Sequence[str]) -> Path | None:
    """As `hub_file`, but never through the network."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    repository, _, revision = repository.partition("@")
    try:
        for filename in filenames:
            found = try_to_load_from_cache(repository, filename, revision=revision or None)
            if isinstance(found, str):
                return Path(found)
    except HFValidationError as error:
        raise UsageError(f"{repository!r} is no hub repository.", "ORG/NAME is expected.") from error
    return None


def url_file(name: str, url: str) -> Path:
    """The file of `url` in torch's own cache, where timm and torchvision look for it too."""
    import torch

    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if path.is_file():
        return path
    if offline():
        raise not_here(name, f"{path.name} is not in {path.parent}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), progress=False)
    except (OSError, RuntimeError) as error:
        raise not_here(name, str(error)) from error
    return path


def offline() -> bool:
    """Whether the network may not be used, by the Hugging Face convention."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def not_here(name: str, problem: str) -> DataError:
    known = name.startswith(("timm/", "torchvision/"))
    instead = f", or use random/{name.partition('/')[2].partition('.')[0]}" if known else ""
    return DataError(
        f"The weights of {name} are not on this machine and cannot be fetched: {problem}.",
        "They must be in the cache (HF_HOME, TORCH_HOME), or the network must be reachable.",
        f"Fetch them where there is a network (HF_HUB_OFFLINE unset), or give a file (--weights){instead}.",
    )

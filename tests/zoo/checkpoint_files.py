"""Checkpoint files as publishers write them, made small."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from midvision.encoders.timm_backbone import build_network


def resnet_state(purpose: str = "published") -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in build_network("resnet18", purpose=(purpose,)).state_dict().items()}


def prefixed(state: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {prefix + name: value for name, value in state.items()}


def saved(path: Path, content: Any, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path

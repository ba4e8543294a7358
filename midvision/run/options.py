"""How a run is carried out: nothing here may change a score."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from midvision.core.places import cache_dir, output_dir
from midvision.core.progress import SILENT, Progress

if TYPE_CHECKING:
    from midvision.run.trackers import Tracker

GIBIBYTE = 2**30


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Folders, sizes, devices and manners.

    `cache="auto"` keeps features on disk while they fit the limit and the free space, else encodes live.
    `overwrite`: "missing" also repeats failed units, "never" leaves them, "always" repeats everything.
    `log_to`: trackers that get the numbers too, by name or as objects (`run/trackers.py`).
    """

    output: Path = field(default_factory=output_dir)
    cache_folder: Path = field(default_factory=lambda: cache_dir() / "features")
    cache: Literal["auto", "cached", "live"] = "auto"
    cache_limit_bytes: int = 20 * GIBIBYTE
    batch_size: int = 16
    workers: int = 0
    device: str = "auto"
    overwrite: Literal["never", "missing", "always"] = "missing"
    fail_fast: bool = False
    command: str = ""
    progress: Progress = SILENT
    log_to: tuple[str | Tracker, ...] = ()

    def torch_device(self) -> str:
        """The device that `auto` stands for on this machine."""
        if self.device != "auto":
            return self.device
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"

"""Cost cards: found on disk, or counted and kept, once per architecture, image size and device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from midvision.core.errors import DataError
from midvision.core.features import ImageEncoder
from midvision.core.places import write_text
from midvision.core.settings import stable_hash
from midvision.encoders.cost import Count, Speed, Stopwatch, count, device_of, structure_key
from midvision.run.provenance import hardware

SCHEMA = "1"
Source = Literal["timed", "extraction"]


@dataclass(frozen=True, slots=True)
class CostCard:
    """What one architecture costs at one image size on one device.

    `speed_source`: "timed" by `midvision models cost` on batches of its own, or met on the way in an
    "extraction" (inside the encoder, without reading images); None where it was never seen at work.
    """

    count: Count
    speed: Speed | None
    speed_source: Source | None
    hardware: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """What a record holds."""
        speed = self.speed.as_dict() if self.speed else {"images_per_s": None, "images": 0, "batch_size": None}
        return {**self.count.as_dict(), **speed, "speed_source": self.speed_source, "hardware": self.hardware}


def cost_card(
    encoder: ImageEncoder,
    size: tuple[int, int],
    folder: Path,
    speed: Speed | None = None,
    source: Source = "extraction",
) -> CostCard:
    """The card, from `folder` where it is there. A new speed replaces a slower one, or any that was not timed.

    A busy machine makes an encoder look slower and never faster, so of several extractions the fastest counts.
    """
    machine = hardware(str(device_of(encoder)))
    path = folder / f"{_name(encoder, size, machine)}.json"
    found = _read(path)
    card = found or CostCard(count(encoder, size), None, None, machine)
    if speed is not None and _better(speed, source, card):
        card = CostCard(card.count, speed, source, machine)
    if card != found:
        _keep(path, card)
    return card


def kept_card(encoder: ImageEncoder, size: tuple[int, int], folder: Path, device: str) -> CostCard | None:
    """The card that earlier work on `device` left in `folder`; nothing is counted or written."""
    return _read(folder / f"{_name(encoder, size, hardware(device))}.json")


def cost_of(encoder: ImageEncoder, size: tuple[int, int], folder: Path, watch: Stopwatch) -> dict[str, Any]:
    """A run's cost as its record holds it. Whatever goes wrong here is noted and costs the run nothing."""
    try:
        return cost_card(encoder, size, folder, watch.speed()).as_dict()
    except Exception as error:
        return {"problem": f"{type(error).__name__}: {error}"}


def _better(speed: Speed, source: Source, card: CostCard) -> bool:
    if card.speed is None or source != card.speed_source:
        return card.speed is None or source == "timed"
    return source == "timed" or speed.images_per_s > card.speed.images_per_s


def _name(encoder: ImageEncoder, size: tuple[int, int], machine: dict[str, Any]) -> str:
    device = json.dumps(machine, sort_keys=True)
    return stable_hash("cost", SCHEMA, structure_key(encoder), str(size), device, torch.__version__)


def _read(path: Path) -> CostCard | None:
    """A kept card; one that cannot be read is made again."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        counted = Count(**{**body["count"], "size": tuple(body["count"]["size"])})
        speed = Speed(**body["speed"]) if body["speed"] else None
        return CostCard(counted, speed, body["speed_source"], body["hardware"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(path: Path, card: CostCard) -> None:
    speed = card.speed.as_dict() if card.speed else None
    body = {"count": card.count.as_dict(), "speed": speed, "speed_source": card.speed_source, "hardware": card.hardware}
    try:
        write_text(path, json.dumps(body, indent=1) + "\n")
    except DataError:
        # A folder that cannot be written costs a second of counting next time, not a run.
        return

"""The files behind any model id: where they come from, whether they are here, and getting them. Loads torch late."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from midvision.core.errors import DataError
from midvision.core.progress import SILENT, Progress
from midvision.zoo.card import Card, FromFile, FromLibrary, Unavailable, all_cards
from midvision.zoo.ids import ModelId, parse_id

State = Literal["here", "to fetch", "nothing to fetch", "fetched"]
_MAIN_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Stock:
    """What an id needs on disk. `source` is an address or a hub repository; `path` is where the file is, once known."""

    id: str
    state: State
    source: str = ""
    path: Path | None = None
    sha256: str = ""
    get: Callable[[Progress], Path] | None = field(default=None, compare=False)

    def as_dict(self) -> dict[str, Any]:
        size = self.path.stat().st_size if self.path is not None and self.path.is_file() else None
        return {
            "id": self.id,
            "state": self.state,
            "source": self.source or None,
            "path": str(self.path) if self.path else None,
            "bytes": size,
            "sha256": self.sha256 or None,
        }


def fetchable_ids() -> list[str]:
    """Every card that has a file or a library route."""
    return [card.id for card in all_cards().values() if card.usable]


def stock(model_id: str) -> Stock:
    """What `model_id` needs and whether it is here; touches no network.

    Raises `UsageError` with the nearest ids for an unknown one, `DataError` for a card without weights.
    """
    card = all_cards().get(model_id.partition("?")[0])
    if card is not None:
        return _of_card(card, model_id)
    return _of_library(parse_id(model_id), model_id)


def obtain(wanted: Stock, progress: Progress = SILENT) -> Stock:
    """The same with its files on this machine and the hash of the main one; `DataError` where they cannot be had."""
    from midvision.zoo.read import file_sha256

    if wanted.get is None:
        return wanted
    path = wanted.get(progress)
    state: State = "here" if wanted.state == "here" else "fetched"
    return Stock(wanted.id, state, wanted.source, path, file_sha256(path), wanted.get)


def _of_card(card: Card, model_id: str) -> Stock:
    from midvision.zoo.fetch import card_file, card_place, card_source

    match card.route:
        case Unavailable(reason):
            raise DataError(f"{card.id} has no weights to fetch: {reason}.", "", "See: midvision list models")
        case FromLibrary(id=library_id):
            return _of_library(parse_id(library_id), model_id)
        case FromFile():
            source, place = card_source(card), card_place(card)
            where = source.url or f"{source.repository}/{source.filename}"
            state: State = "here" if place.is_file() else "to fetch"
            return Stock(model_id, state, where, place, get=lambda progress: card_file(card, progress))


def _of_library(model: ModelId, model_id: str) -> Stock:
    if model.kind in ("timm", "hf-hub"):
        from midvision.encoders.timm_weights import weight_source

        source = weight_source(f"hf-hub:{model.name}" if model.kind == "hf-hub" else model.name)
        if not source.repository:
            return _of_url(model_id, source.url)
        beside = ("config.json",) if model.kind == "hf-hub" else ()
        return _of_repository(model_id, source.repository, source.filenames, beside)
    if model.kind == "torchvision":
        from midvision.encoders.torchvision_backbone import torchvision_url

        return _of_url(model_id, torchvision_url(model.name))
    if model.kind == "transformers":
        folder = Path(model.name).expanduser()
        if folder.is_dir():
            return Stock(model_id, "nothing to fetch", path=folder)
        return _of_transformers(model_id, model.name)
    return Stock(model_id, "nothing to fetch")


def _of_url(model_id: str, url: str) -> Stock:
    from midvision.zoo.fetch import torch_place, url_file

    place = torch_place(url)
    state: State = "here" if place.is_file() else "to fetch"
    return Stock(model_id, state, url, place, get=lambda progress: url_file(model_id, url, progress))


def _of_repository(model_id: str, repository: str, filenames: tuple[str, ...], beside: tuple[str, ...]) -> Stock:
    """Weights, and the description of the network where timm has none of its own."""
    from midvision.zoo.fetch import cached_hub_file, hub_file

    found = cached_hub_file(repository, filenames)

    def get(progress: Progress) -> Path:
        for filename in beside:
            hub_file(model_id, repository, [filename])
        return hub_file(model_id, repository, filenames)

    return Stock(model_id, "here" if found else "to fetch", repository, found, get=get)


def _of_transformers(model_id: str, repository: str) -> Stock:
    """Description, preprocessing and weights; large weights lie in several files named by an index."""
    from midvision.zoo.fetch import cached_hub_file, hub_file

    def get(progress: Progress) -> Path:
        hub_file(model_id, repository, ["config.json"])
        main = hub_file(model_id, repository, _MAIN_FILES)
        if main.suffix == ".json":
            for part in sorted(set(json.loads(main.read_text(encoding="utf-8"))["weight_map"].values())):
                hub_file(model_id, repository, [part])
        hub_file(model_id, repository, ["preprocessor_config.json", "video_preprocessor_config.json"])
        return main

    found = cached_hub_file(repository, _MAIN_FILES)
    return Stock(model_id, "here" if found else "to fetch", repository, found, get=get)

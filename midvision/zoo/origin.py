"""Where an encoder's weights come from, in the words of a result's record."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from midvision.zoo.card import Card, FromLibrary, Known, Source, all_cards, known
from midvision.zoo.ids import ModelId


def weights_origin(model: ModelId, weights: Path | None, random_init: bool) -> dict[str, Any]:
    """`card`, `weights_source` (address, library id or the person's file) and `weights_sha256`, where there are any.

    Called after the weights were loaded, so nothing is fetched here.
    """
    if random_init or model.kind == "random":
        return {"weights_source": "seeded random"}
    if model.kind == "card":
        return {"card": model.name, **_card_origin(all_cards()[model.name], model, weights)}
    if model.kind == "file":
        return _file_origin(Path(model.name))
    return {"weights_source": model.text} if weights is None else _file_origin(weights)


def _card_origin(card: Card, model: ModelId, weights: Path | None) -> dict[str, Any]:
    from midvision.zoo.fetch import card_file, given_file
    from midvision.zoo.read import file_sha256

    choice = model.options.get("weights", card.default_weights)
    chosen = {"weights_choice": choice} if choice else {}
    if weights is not None:
        return {"weights_source": str(weights), **given_file(card, weights).as_dict(), **chosen}
    told = {"weights_revision": card.revision.value} if isinstance(card.revision, Known) else {}
    if isinstance(card.route, FromLibrary):
        return {"weights_source": card.route.id, **told}
    source, path = known(card.source, Source()), card_file(card)
    place = source.url or f"{source.repository}/{source.filename}"
    return {"weights_source": place, "weights_sha256": file_sha256(path), **told, **_revision(path), **chosen}


def _revision(path: Path) -> dict[str, str]:
    """The commit of a hub's file, which the hub's cache has in its path."""
    parts = path.parts
    return {"weights_revision": parts[parts.index("snapshots") + 1]} if "snapshots" in parts[:-1] else {}


def _file_origin(path: Path) -> dict[str, Any]:
    from midvision.zoo.read import file_sha256

    return {"weights_source": str(path), "weights_sha256": file_sha256(path.expanduser())}

"""What a record's encoder is, for tables and pages: its name, architecture, paradigm, and how far that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from midvision.report.rows import role_of
from midvision.results.record import ResultRecord
from midvision.zoo.card import Card, Known, all_cards, known

ARCHITECTURES: Mapping[str, str] = {"vit_b16": "ViT-B/16", "resnet50": "ResNet-50"}
_STARTS = {"ViT-B/16": "vit_b16", "ResNet-50": "resnet50"}
_NETWORKS = {"vit_base_patch16": "vit_b16", "resnet50": "resnet50"}


@dataclass(frozen=True, slots=True)
class Subject:
    """`card` is None where the encoder is not in the catalogue; `paradigm` is empty where nobody says."""

    id: str
    title: str
    architecture: str
    paradigm: str
    card: Card | None


def subject_of(record: ResultRecord) -> Subject:
    """Names come from the card that the record was made with, or from the id itself."""
    model = record.model_id
    card = card_of(record)
    if card is None:
        family = next((kind for word, kind in _NETWORKS.items() if word in model), "other")
        paradigm = "control" if role_of(model) != "model" else ""
        return Subject(model, model, family, paradigm, None)
    words = known(card.architecture, "")
    family = next((kind for start, kind in _STARTS.items() if words.startswith(start)), "other")
    paradigm = str(card.paradigm.value) if isinstance(card.paradigm, Known) else ""
    choice = model.partition("?")[2]
    return Subject(model, card.title + (f" ({choice})" if choice else ""), family, paradigm, card)


def card_of(record: ResultRecord) -> Card | None:
    """The card behind a record: the one it names, else the one its id names."""
    cards = all_cards()
    named = str(record.model.get("card") or record.model_id.partition("?")[0].partition("@")[0])
    return cards.get(named)

"""What a record's encoder is, for tables and pages: its name, architecture, paradigm, and how far that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from midvision.report.rows import role_of
from midvision.results.record import ResultRecord
from midvision.zoo.card import Card, Known, all_cards, known

ARCHITECTURES: Mapping[str, str] = {"vit_b16": "ViT-B/16", "resnet50": "ResNet-50"}
RANDOM = "random/"
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
    stand_in: bool = False

    @property
    def architecture_words(self) -> str:
        return ARCHITECTURES.get(self.architecture, "")


def subject_of(record: ResultRecord) -> Subject:
    """Names come from the card that the record was made with, or from the id itself.

    `random/ID` of a listed model is its architecture without its weights: a control, under the card's name.
    """
    model = record.model_id
    card = card_of(record)
    if card is None:
        family = next((kind for word, kind in _NETWORKS.items() if word in model), "other")
        return Subject(model, model, family, "control" if role_of(model) != "model" else "", None)
    words = known(card.architecture, "")
    family = next((kind for start, kind in _STARTS.items() if words.startswith(start)), "other")
    if model.startswith(RANDOM):
        return Subject(model, f"{card.title} (random weights)", family, "control", card, True)
    paradigm = str(card.paradigm.value) if isinstance(card.paradigm, Known) else ""
    choice = model.partition("?")[2]
    return Subject(model, card.title + (f" ({choice})" if choice else ""), family, paradigm, card)


def card_of(record: ResultRecord) -> Card | None:
    """The card behind a record: the one it names, else the one its id names, with or without its weights."""
    named = record.model.get("card") or record.model_id.partition("?")[0].partition("@")[0].removeprefix(RANDOM)
    return all_cards().get(str(named))

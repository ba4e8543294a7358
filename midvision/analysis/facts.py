"""What the analysis needs to know of a model: its paradigm, its architecture, what it stands for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from midvision.zoo.card import Card, Known, all_cards, known

Role = Literal["ceiling", "model", "control", "floor"]
UNKNOWN = "unknown"
SUPERVISED = "supervised"
IMAGENET = "ImageNet-1K"
_CEILINGS = ("control/oracle",)
_RANDOM = "random/"
_FLOORS = ("control/shuffled-oracle", "control/noise")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """One model of a study.

    `card` is the id of its card, or empty. `other_paradigm` is the border assignment, equal to `paradigm` where the
    card names none. Words are `unknown` where nobody knows. A `stand_in` has random weights and the card's network.
    """

    model: str
    card: str
    method: str
    paradigm: str
    other_paradigm: str
    architecture: str
    training_data: str
    role: Role
    stand_in: bool = False

    @property
    def self_supervised(self) -> bool:
        """A model to judge that is not known to have seen labels."""
        return self.role == "model" and self.paradigm != SUPERVISED

    @property
    def supervised(self) -> bool:
        return self.role == "model" and self.paradigm == SUPERVISED


def role_of(model: str) -> Role:
    """What an encoder stands for: a reference, a baseline, or an encoder to judge."""
    if model in _CEILINGS:
        return "ceiling"
    if model in _FLOORS:
        return "floor"
    return "control" if model.startswith(("control/", _RANDOM)) else "model"


def facts_of(model: Mapping[str, Any]) -> ModelFacts:
    """From a record's `model`: the card that its origin names, or that its id is."""
    id = str(model["id"])
    card = all_cards().get(str(model.get("card", ""))) or all_cards().get(id.partition("?")[0])
    if card is None:
        return ModelFacts(id, "", UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN, role_of(id))
    return facts_of_card(card, id)


def facts_of_models(models: Mapping[str, Mapping[str, Any]]) -> dict[str, ModelFacts]:
    """Facts by model id. Where a study has no trained model at all, `random/CARD` stands in for the card's."""
    found = {id: facts_of(model) for id, model in models.items()}
    if any(facts.role == "model" for facts in found.values()):
        return found
    for id in found:
        card = all_cards().get(id.removeprefix(_RANDOM)) if id.startswith(_RANDOM) else None
        if card is not None:
            found[id] = replace(facts_of_card(card, id), stand_in=True)
    return found


def facts_of_card(card: Card, model: str = "") -> ModelFacts:
    """Facts of a card for the model called `model`, by default the card's own id."""
    paradigm = str(card.paradigm.value) if isinstance(card.paradigm, Known) else UNKNOWN
    return ModelFacts(
        model=model or card.id,
        card=card.id,
        method=known(card.method, UNKNOWN),
        paradigm=paradigm,
        other_paradigm=known(card.border_paradigm, paradigm),
        architecture=known(card.architecture, UNKNOWN).partition(",")[0],
        training_data=known(card.training_data, UNKNOWN),
        role="model",
    )

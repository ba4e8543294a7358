"""From a model as a person names it to an encoder: ids, objects, and the oracle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from midvision.core.errors import UsageError

if TYPE_CHECKING:
    from midvision.core.features import ImageEncoder

ORACLES = ("control/oracle", "control/shuffled-oracle")


@dataclass(frozen=True)
class Model:
    """One encoder of a run: its public id, and where it comes from."""

    id: str
    weights: str | None = None
    given: ImageEncoder | None = field(default=None, compare=False)

    def key(self) -> str:
        """What the encoder computes, without building it where that is possible."""
        if self.given is not None:
            return self.given.key
        if self.id in ORACLES:
            return self.id
        from midvision.zoo.load import encoder_key

        return encoder_key(self.id, self.weights)

    def open(self, device: str) -> ImageEncoder:
        if self.given is not None:
            move = getattr(self.given, "to", None)
            return move(device) if move else self.given
        if self.id in ORACLES:
            from midvision.extraction.controls import OracleEncoder

            return OracleEncoder(self.id)
        from midvision.zoo.load import load_model

        return load_model(self.id, weights=self.weights, device=device)


def as_models(models: str | ImageEncoder | Sequence[str | ImageEncoder], weights: str | None = None) -> list[Model]:
    """Ids, comma lists and encoder objects as a list without repeats."""
    several: list[Any] = list(models) if isinstance(models, list | tuple) else [models]
    found: dict[str, Model] = {}
    for entry in several:
        if isinstance(entry, str):
            for name in filter(None, (part.strip() for part in entry.split(","))):
                found.setdefault(name, Model(name, weights))
            continue
        if not hasattr(entry, "encode"):
            raise UsageError(
                f"A {type(entry).__name__} is not an encoder.",
                "An id or the result of mv.load_model or mv.wrap is expected.",
                "Wrap your own network: mv.wrap(module, patch_size=16).",
            )
        name = getattr(entry, "name", None) or f"object/{entry.key[:12]}"
        found.setdefault(name, Model(name, None, entry))
    if not found:
        raise UsageError("No model was named.", "At least one is needed.", "See: midvision list models")
    if weights and len(found) > 1:
        raise UsageError("--weights goes with exactly one model.", f"{len(found)} were named.")
    return list(found.values())

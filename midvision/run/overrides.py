"""Single decisions of a protocol, changed by a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from midvision.core.errors import UsageError, nearest
from midvision.core.specs import Protocol
from midvision.tasks.decisions import NOT_DECISIONS


def overridden(protocol: Protocol, overrides: Mapping[str, Any]) -> Protocol:
    """The protocol with these decisions, called `custom` where that changes anything."""
    body = protocol.model_dump(mode="json")
    merged = _merged(body, overrides, "")
    try:
        changed = Protocol.model_validate({**merged, "name": "custom"})
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"overrides.{path}: {first['msg']}, got {first['input']!r}.") from error
    return protocol if changed.model_copy(update={"name": protocol.name}) == protocol else changed


def _merged(body: Mapping[str, Any], overrides: Mapping[str, Any], path: str) -> dict[str, Any]:
    merged = dict(body)
    for name, value in overrides.items():
        place = f"{path}{name}"
        if name not in body or place in NOT_DECISIONS:
            known = [entry for entry in body if f"{path}{entry}" not in NOT_DECISIONS]
            raise UsageError(
                f"The protocol has no decision {place!r}.",
                nearest(str(name), known),
                "See: midvision list protocols --json",
            )
        if isinstance(body[name], Mapping):
            if not isinstance(value, Mapping):
                raise UsageError(f"overrides.{place} is a group of decisions.", f"Name one: {', '.join(body[name])}.")
            merged[name] = _merged(body[name], value, f"{place}.")
        else:
            merged[name] = value
    return merged

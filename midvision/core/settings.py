"""The base of everything a person writes: strict keys, frozen, canonical JSON, stable hash."""

from __future__ import annotations

import hashlib
import json

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Typed settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def canonical(self) -> str:
        """JSON with sorted keys and no spaces: equal settings give equal text."""
        return canonical_json(self.model_dump(mode="json"))


def canonical_json(body: object) -> str:
    """The one text of plain values: sorted keys, no spaces."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


def stable_hash(*parts: str) -> str:
    """First 16 hex digits of the SHA-256 of the parts; part borders count."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]

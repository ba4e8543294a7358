"""File names of pages: readable where an id allows it, never two equal, safe on every file system."""

from __future__ import annotations

import hashlib
import string

SAFE = set(string.ascii_lowercase + string.digits + "-_.")
LONGEST = 60


def page_name(id: str) -> str:
    """`dino_vitb16.html` for a plain id; where something had to be changed, its words and a digest of the id."""
    plain = "".join(char if char in SAFE else "-" for char in id.lower()).strip("-.")[:LONGEST]
    if plain and plain == id:
        return f"{plain}.html"
    digest = hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return f"{plain or 'model'}-{digest}.html"

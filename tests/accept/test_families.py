"""Every recorded family, walked again: the same facts, alignment within bounds, and the page as written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "contracts"))

from families import FAMILIES
from family_page import PAGE, page, read_record
from family_walk import bounds_broken, walk
from walk_families import facts

from midvision.core.errors import EncoderError

pytestmark = pytest.mark.accept
RECORD = read_record()
FACTS = ("kind", "layers", "strides", "centres", "tokens", "sizes", "other_size")


def test_the_page_is_what_was_recorded() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(RECORD)
    assert sum(entry["works"] for entry in RECORD.values()) >= 60


@pytest.mark.parametrize("name", RECORD)
def test_family(name: str) -> None:
    entry = RECORD[name]
    if "error" in entry:
        with pytest.raises(EncoderError) as caught:
            walk(FAMILIES[name])
        assert str(caught.value) == entry["error"]
        return
    walked = walk(FAMILIES[name])
    assert bool(bounds_broken(walked)) != entry["works"]
    told = facts(walked)
    assert {key: told[key] for key in FACTS} == {key: entry[key] for key in FACTS}

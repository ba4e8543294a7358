"""Holds a study report's folder against the records and the analysis it was made from: numbers, links, text."""

from __future__ import annotations

import json
import math
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

VOID = {"meta", "link", "img", "input", "br", "hr", "line", "use", "image", "path", "rect", "wbr", "circle"}


class Element:
    """A tag with its attributes and the text below it."""

    def __init__(self, tag: str, attributes: dict[str, str]) -> None:
        self.tag, self.attributes, self.words = tag, attributes, []

    @property
    def text(self) -> str:
        return "".join(self.words)


class Document(HTMLParser):
    """All elements of a page in order; text belongs to every element that is open."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        made = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(made)
        if tag not in VOID:
            self._open.append(made)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if any(entry.tag == tag for entry in self._open):
            while self._open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        for entry in self._open:
            entry.words.append(data)


def pages_of(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.html"))


def stored(results: Path) -> dict[str, dict[str, Any]]:
    """Every `result.json` below a results folder by run hash, read without the product's reader."""
    found = {}
    for path in results.rglob("result.json"):
        body = json.loads(path.read_text(encoding="utf-8"))
        found[body["run_hash"]] = body
    return found


def check_record_numbers(folder: Path, results: Path) -> int:
    """Every number with a record: exact value and interval are those of its JSON file, the text is their rounding."""
    bodies, compared = stored(results), 0
    for path in pages_of(folder):
        for one in Document(path).elements:
            name = one.attributes.get("data-metric")
            if not name:
                continue
            body = bodies[one.attributes["data-record"]]
            if ":" in name:
                floor, name = name.split(":", 1)
                entry = body["baselines"][{"chance": "chance", "best constant": "constant"}[floor]][name]
            else:
                entry = body["metrics"].get(name)
            if entry is None:
                assert one.attributes["data-value"] == "nan", (path, one.attributes)
                continue
            for attribute, key in (("data-value", "value"), ("data-low", "ci_low"), ("data-high", "ci_high")):
                said = float(one.attributes[attribute])
                held = entry[key]
                assert (math.isnan(said) and held is None) or said == held, (path, one.attributes, entry)
            assert one.text.strip() in read_as(entry, bare=":" in one.attributes["data-metric"]), (
                path,
                one.text,
                entry,
            )
            compared += 1
    return compared


def check_study_numbers(folder: Path) -> int:
    """Every number of the analysis is what stands in `study.json` at its path."""
    study, compared = json.loads((folder / "study.json").read_text(encoding="utf-8")), 0
    for path in pages_of(folder):
        for one in Document(path).elements:
            place = one.attributes.get("data-study")
            if not place:
                continue
            held: Any = study
            for part in place.split("/")[1:]:
                part = part.replace("~1", "/").replace("~0", "~")
                held = held[int(part)] if isinstance(held, list) else held[part]
            numbers = held if isinstance(held, dict) else {"value": held, "low": None, "high": None}
            for key in ("value", "low", "high"):
                said = float(one.attributes[f"data-{key}"])
                assert (math.isnan(said) and numbers[key] is None) or said == numbers[key], (path, place, numbers)
            compared += 1
    return compared


def read_as(entry: dict[str, Any], bare: bool) -> tuple[str, ...]:
    """How a person may read an estimate; floors stand without their interval."""
    if entry["value"] is None:
        return ("–",)
    decimals = 1 if entry["unit"] in ("deg", "px") else 3
    text = f"{entry['value']:.{decimals}f}" + {"deg": "°", "m": " m", "px": " px"}.get(entry["unit"], "")
    if bare or entry["ci_low"] is None or entry["ci_high"] is None:
        return (text,)
    return (f"{text} [{entry['ci_low']:.{decimals}f}, {entry['ci_high']:.{decimals}f}]",)


def check_links(folder: Path) -> int:
    """Every address is relative and leads to a file of the folder, and to a part of it where it names one."""
    documents = {path.resolve(): Document(path) for path in pages_of(folder)}
    ids = {
        path: {one.attributes["id"] for one in document.elements if "id" in one.attributes}
        for path, document in documents.items()
    }
    followed = 0
    for path, document in documents.items():
        for one in document.elements:
            for name in ("href", "src"):
                address = one.attributes.get(name)
                if address is None or address == "data:,":
                    continue
                assert ":" not in address.split("#")[0] and not address.startswith("/"), (path, address)
                where, _, part = address.partition("#")
                target = (path.parent / unquote(where)).resolve() if where else path
                assert target.is_file(), (path, address)
                assert folder.resolve() in target.parents, (path, address)
                assert not part or part in ids[target], (path, address)
                followed += 1
    return followed

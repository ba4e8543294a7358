"""High-level reference scores: what publishers print, what a person brings, and which results they may stand beside.

Values are per cent of test images answered rightly, or per cent averaged over classes where that is the
set's convention (Caltech-101, Caltech-256). Loads no torch.
"""

from __future__ import annotations

import csv
import difflib
import math
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from midvision.core.errors import DataError, UsageError
from midvision.results.record import ResultRecord
from midvision.zoo.card import Card, FromLibrary, Known, Source, all_cards, known
from midvision.zoo.fetch import published_sha256
from midvision.zoo.ids import parse_id, static_records

IMAGENET_LINEAR, IMAGENET_KNN = "imagenet-linear", "imagenet-knn"
COLUMNS = ("model", "set", "value", "source")
HIGHEST = 100.0


@dataclass(frozen=True, slots=True)
class HighScore:
    """One model's accuracy on one high-level set.

    `value` is in per cent, 0 to 100: top-1, or the mean over classes where the set's convention is that.
    `set` is free text; publishers' numbers are of `imagenet-linear` and `imagenet-knn`. `source` says who
    measured it. `origin` is `published` for a card's number and `own` for a line of a person's table.
    """

    model: str
    set: str
    value: float
    source: str
    origin: Literal["published", "own"]


def published_high_scores() -> tuple[HighScore, ...]:
    """ImageNet accuracies that the cards know, by card id: linear readout and 20 nearest neighbours."""
    found = []
    for card in all_cards().values():
        for name, fact in ((IMAGENET_LINEAR, card.linear_top1), (IMAGENET_KNN, card.knn_top1)):
            if isinstance(fact, Known):
                found.append(HighScore(card.id, name, float(fact.value), fact.source, "published"))
    return tuple(found)


def high_scores(own: Path | None = None) -> tuple[HighScore, ...]:
    """What publishers print, and beside it the lines of a person's table where there is one."""
    return (*published_high_scores(), *(read_high_scores(own) if own is not None else ()))


def read_high_scores(path: Path) -> tuple[HighScore, ...]:
    """A person's CSV with the columns model, set, value (per cent) and source; others are not looked at.

    `DataError` names the line of whatever cannot be used. A model that this program does not list is
    accepted, since a person may have named it; a warning offers the nearest ids.
    """
    found: dict[tuple[str, str], int] = {}
    scores = []
    for line, row in _rows(path):
        score = _score(path, line, row)
        key = (score.model, score.set)
        if key in found:
            raise DataError(
                f"Line {line} of {path} gives {score.model} on {score.set} again; line {found[key]} has it.",
                "One value per model and set was expected.",
                "Delete one of the two.",
            )
        found[key] = line
        scores.append(score)
    _warn_of_strangers(path, scores)
    return tuple(scores)


def join_high_scores(
    records: Iterable[ResultRecord], scores: Iterable[HighScore]
) -> tuple[tuple[ResultRecord, HighScore], ...]:
    """Every result with every high-level score of its own encoder, in the order of the results.

    A published number joins only where `card_of_record` finds the card's own checkpoint: never to random
    weights, another file, another choice of weights or a network that merely has the name. A person's
    number joins where the model id is the very same text.
    """
    by_model: dict[str, list[HighScore]] = {}
    for score in scores:
        by_model.setdefault(score.model, []).append(score)
    joined = []
    for record in records:
        card = card_of_record(record)
        joined += [(record, score) for score in by_model.get(record.model_id, ()) if score.origin == "own"]
        joined += [(record, score) for score in by_model.get(card or "", ()) if score.origin == "published"]
    return tuple(joined)


def card_of_record(record: ResultRecord) -> str | None:
    """The id of the card whose own published checkpoint, with its default weights, made this result; else None."""
    model = record.model
    card = all_cards().get(str(model.get("card", "")))
    if card is None or str(model.get("id", "")).partition("?")[0] != card.id:
        return None
    if str(model.get("weights_choice", "")) != card.default_weights:
        return None
    return card.id if _published_file(card, model) else None


def _published_file(card: Card, model: Mapping[str, Any]) -> bool:
    """Whether the recorded weights are the file that the card points at.

    A file that a person gave counts only where its SHA-256 is the published one, as far as that is known.
    """
    digest, digits = str(model.get("weights_sha256") or ""), published_sha256(card)
    same_bytes = bool(digits) and digest.startswith(digits)
    if model.get("weights"):
        return same_bytes
    place, source = model.get("weights_source"), known(card.source, Source())
    if isinstance(card.route, FromLibrary):
        return place == card.route.id
    published = {source.url or f"{source.repository}/{source.filename}"}
    return place in published and bool(digest) and (same_bytes or not digits)


def _rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Rows by column name, each with its line number."""
    expected = f"A CSV with the header {','.join(COLUMNS)} was expected."
    try:
        with open(path, newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            header = [str(name).strip() for name in reader.fieldnames or ()]
            missing = [name for name in COLUMNS if name not in header]
            if missing:
                raise DataError(f"{path} has no column {', '.join(missing)}.", expected, "Add it to the first line.")
            rows = []
            for row in reader:
                if None in row or any(value is None for value in row.values()):
                    raise DataError(f"Line {reader.line_num} of {path} has not as many fields as the header.", expected)
                rows.append((reader.line_num, dict(zip(header, (value.strip() for value in row.values())))))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error}).", expected) from error
    if not rows:
        raise DataError(f"{path} has no scores.", expected, "Write one line per model and set.")
    return rows


def _score(path: Path, line: int, row: Mapping[str, str]) -> HighScore:
    place = f"Line {line} of {path}"
    for name, why in (("model", "the id of a model"), ("set", "the name of a set"), ("source", "who measured it")):
        if not row[name]:
            raise DataError(f"{place} has an empty {name}.", f"{name} says {why}.", "Fill it in, or delete the line.")
    try:
        value = float(row["value"])
    except ValueError as error:
        raise DataError(
            f"{place} has the value {row['value']!r}, which is not a number.",
            "Per cent between 0 and 100 were expected.",
            "Write it with a point and without a sign of per cent, such as 76.1.",
        ) from error
    if not math.isfinite(value) or not 0.0 <= value <= HIGHEST:
        raise DataError(f"{place} has the value {row['value']}.", "Per cent between 0 and 100 were expected.")
    return HighScore(row["model"], row["set"], value, row["source"], "own")


def _warn_of_strangers(path: Path, scores: Iterable[HighScore]) -> None:
    listed = [str(record["id"]) for record in static_records()]
    for name in dict.fromkeys(score.model for score in scores):
        if _is_listed(name, listed):
            continue
        close = difflib.get_close_matches(name, listed, n=3, cutoff=0.5)
        hint = f" Nearest: {', '.join(close)}." if close else ""
        warnings.warn(f"{path} names {name}, which is no listed model; it is kept as your own.{hint}", stacklevel=3)


def _is_listed(name: str, listed: Iterable[str]) -> bool:
    """Whether an id is listed, or has a form that leads to a network (`timm/NAME`, `file:PATH?arch=NAME`)."""
    if name in listed:
        return True
    try:
        return parse_id(name).kind != "control"
    except UsageError:
        return False

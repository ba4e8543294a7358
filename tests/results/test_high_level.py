"""High-level scores: a person's table is read or refused by line; published numbers join their own checkpoint only."""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from midvision.core.errors import DataError
from midvision.results import high_level
from midvision.results.high_level import (
    HighScore,
    card_of_record,
    join_high_scores,
    published_high_scores,
    read_high_scores,
)
from midvision.zoo.card import Known, Source, all_cards
from midvision.zoo.ids import parse_id
from midvision.zoo.origin import weights_origin

sys.path.insert(0, str(Path(__file__).parent))
from test_record import make_record

VISSL_PAGE = "github.com/facebookresearch/vissl MODEL_ZOO.md at 09270ed"
HEADER = "model,set,value,source\n"
DINO = all_cards()["dino_vitb16"]
DINO_MODEL: dict[str, Any] = {
    "id": "dino_vitb16",
    "weights": None,
    "card": "dino_vitb16",
    "weights_source": DINO.source.value.url,  # type: ignore[union-attr]
    "weights_sha256": "ab" * 32,
}


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "scores.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_persons_table_is_read(tmp_path: Path) -> None:
    text = 'source, model,note, value,set\nmy run, dino_vitb16,"a, b",76.5,imagenet-linear\nlog 3,timm/resnet50,,0,x\n'
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = read_high_scores(table(tmp_path, text))
    assert found == (
        HighScore("dino_vitb16", "imagenet-linear", 76.5, "my run", "own"),
        HighScore("timm/resnet50", "x", 0.0, "log 3", "own"),
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model,set,value\na,b,1\n", "no column source"),
        ("model,value\na,1\n", "no column set, source"),
        ("", "no column model, set, value, source"),
        (HEADER, "no scores"),
        (HEADER + "a,b,high,me\n", "Line 2 .*'high'.*not a number"),
        (HEADER + "a,b,76.1%,me\n", "Line 2 .*not a number"),
        (HEADER + "a,b,nan,me\n", "Line 2 .*between 0 and 100"),
        (HEADER + "a,b,1,me\na,c,100.5,me\n", "Line 3 .*between 0 and 100"),
        (HEADER + "a,b,-0.1,me\n", "Line 2 .*between 0 and 100"),
        (HEADER + "a,b,1,\n", "Line 2 .*empty source"),
        (HEADER + ",b,1,me\n", "Line 2 .*empty model"),
        (HEADER + "a, ,1,me\n", "Line 2 .*empty set"),
        (HEADER + "a,b,1\n", "Line 2 .*as many fields"),
        (HEADER + "a,b,1,me,more\n", "Line 2 .*as many fields"),
        (HEADER + "a,b,1,me\nc,b,1,me\na,b,2,you\n", "Line 4 .*a on b again; line 2"),
    ],
)
def test_a_broken_table_is_refused_by_line(tmp_path: Path, text: str, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=words):
            read_high_scores(table(tmp_path, text))


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_high_scores(tmp_path / "none.csv")


def test_a_strange_model_is_kept_and_its_neighbours_are_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="dino_vitb17.*Nearest: dino_vitb16") as caught:
        found = read_high_scores(table(tmp_path, HEADER + "dino_vitb17,a,1,me\ndino_vitb17,b,2,me\n"))
    assert [score.value for score in found] == [1.0, 2.0] and len(caught) == 1


def test_published_scores_are_those_of_the_cards() -> None:
    found = published_high_scores()
    assert (
        HighScore("dino_vitb16", "imagenet-knn", 76.1, "github.com/facebookresearch/dino README.md", "published")
        in found
    )
    assert HighScore("rotnet_resnet50", "imagenet-linear", 48.2, VISSL_PAGE, "published") in found
    assert len({(score.model, score.set) for score in found}) == len(found)
    for score in found:
        card = all_cards()[score.model]
        fact = card.knn_top1 if score.set == high_level.IMAGENET_KNN else card.linear_top1
        assert isinstance(fact, Known) and (fact.value, fact.source) == (score.value, score.source)
        assert 0 < score.value <= 100 and len(score.source) > 3
    facts = [fact for card in all_cards().values() for fact in (card.linear_top1, card.knn_top1)]
    assert len(found) == sum(isinstance(fact, Known) for fact in facts)


def joined_values(**changes: Any) -> list[float]:
    record = make_record(model={**DINO_MODEL, **changes})
    return [score.value for _, score in join_high_scores([record], published_high_scores())]


def test_published_numbers_join_the_cards_own_checkpoint() -> None:
    assert joined_values() == [78.2, 76.1]


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "random/dino_vitb16", "card": None, "weights_source": "seeded random", "weights_sha256": None},
        {"weights_source": "seeded random", "weights_sha256": None},
        {"weights": "mine.pth", "weights_source": "mine.pth"},
        {"weights_source": "https://example.org/other.pth"},
        {"weights_sha256": None},
        {"card": None},
        {"card": "dino_vits16"},
        {"id": "random/dino_vitb16"},
        {"id": "my-network"},
        {"weights_choice": "student"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_published_numbers_never_join_other_weights(changes: dict[str, Any]) -> None:
    assert joined_values(**changes) == []


def test_the_hash_decides_where_it_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = {**all_cards(), DINO.id: replace(DINO, sha256=Known("abab", "a test"))}
    monkeypatch.setattr(high_level, "all_cards", lambda: cards)
    assert joined_values() == [78.2, 76.1]
    assert joined_values(weights="copy.pth", weights_source="copy.pth") == [78.2, 76.1]
    assert joined_values(weights_sha256="cd" * 32) == []
    assert joined_values(weights="copy.pth", weights_source="copy.pth", weights_sha256="cd" * 32) == []


def test_choices_of_weights_and_library_routes() -> None:
    moco = all_cards()["mocov3_vitb16"]
    place = moco.source.value.url  # type: ignore[union-attr]
    model = {**DINO_MODEL, "id": moco.id, "card": moco.id, "weights_source": place}
    assert card_of_record(make_record(model={**model, "weights_choice": "base"})) == moco.id
    assert (
        card_of_record(make_record(model={**model, "id": f"{moco.id}?weights=base", "weights_choice": "base"}))
        == moco.id
    )
    assert card_of_record(make_record(model={**model, "weights_choice": "momentum"})) is None
    assert card_of_record(make_record(model=model)) is None
    library = all_cards()["dinov2_vitb14"]
    told = {"id": library.id, "weights": None, "card": library.id, "weights_source": library.route.id}  # type: ignore[union-attr]
    assert card_of_record(make_record(model=told)) == library.id
    assert card_of_record(make_record(model={**told, "weights": "mine.pth", "weights_source": "mine.pth"})) is None


def test_a_persons_numbers_join_by_the_exact_id() -> None:
    own = [HighScore("random/resnet50", "imagenet-linear", 5.0, "me", "own"), HighScore("x", "s", 1.0, "me", "own")]
    records = [make_record(model={"id": name}) for name in ("random/resnet50", "random/resnet50d", "x")]
    joined = join_high_scores(records, own)
    assert [(record.model_id, score.value) for record, score in joined] == [("random/resnet50", 5.0), ("x", 1.0)]


def test_the_record_of_a_fabricated_source_without_address_is_no_card() -> None:
    """A card whose source is unknown publishes no file, so nothing can be it."""
    empty = replace(DINO, source=Known(Source(), "a test"))
    assert not high_level._published_file(empty, {**DINO_MODEL, "weights_source": "elsewhere"})


def test_the_words_are_those_that_a_run_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`weights_origin` is what goes into a record: published, from a person's file, random."""
    file = tmp_path / "dino.pth"
    file.write_bytes(b"weights")
    monkeypatch.setattr("midvision.zoo.fetch.card_file", lambda card: file)

    def card(name: str, weights: Path | None, random_init: bool) -> str | None:
        origin = weights_origin(parse_id(DINO.id), weights, random_init)
        told = {"id": name, "weights": None if weights is None else str(weights), **origin}
        return card_of_record(make_record(model=told))

    assert card(DINO.id, None, False) == DINO.id
    assert card(DINO.id, file, False) is None
    assert card(f"random/{DINO.id}", None, True) is None

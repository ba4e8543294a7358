"""Cost cards: counted once, kept, never in the way of a run, stored with every result, and no score depends on them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from midvision.core.specs import DataSpec
from midvision.encoders.cost import Speed, count
from midvision.results.record import read
from midvision.run import cost, evaluate
from midvision.run.cost import cost_card
from midvision.run.front import evaluate as run
from midvision.run.options import RunOptions
from midvision.zoo.load import load_model

MODEL = "random/vit_tiny_patch16_224"
SIZE = (64, 64)


@pytest.fixture(scope="module")
def encoder() -> Any:
    return load_model(MODEL)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """Sizes that were counted."""
    sizes: list[tuple[int, int]] = []

    def counting(one: Any, size: tuple[int, int]) -> Any:
        sizes.append(size)
        return count(one, size)

    monkeypatch.setattr(cost, "count", counting)
    yield sizes


def speed(images_per_s: float) -> Speed:
    return Speed(images_per_s, 100, 16)


def test_an_architecture_is_counted_once_per_size(encoder: Any, counted: list[Any], tmp_path: Path) -> None:
    first = cost_card(encoder, SIZE, tmp_path)
    assert cost_card(load_model(MODEL), SIZE, tmp_path) == first
    assert cost_card(encoder, (96, 64), tmp_path) != first
    assert counted == [SIZE, (96, 64)]
    assert first.as_dict()["images_per_s"] is None
    assert json.loads(json.dumps(first.as_dict()))["tokens"] == 16


def test_threads_and_devices_have_cards_of_their_own(
    encoder: Any, counted: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cost_card(encoder, SIZE, tmp_path)
    machine = cost.hardware("cpu")
    monkeypatch.setattr(cost, "hardware", lambda device: {**machine, "threads": 99})
    assert cost_card(encoder, SIZE, tmp_path).hardware["threads"] == 99
    assert len(counted) == 2


def test_the_fastest_extraction_counts_and_a_timing_counts_more(encoder: Any, tmp_path: Path) -> None:
    steps = [
        (speed(10), "extraction", (10, "extraction")),
        (speed(8), "extraction", (10, "extraction")),
        (speed(12), "extraction", (12, "extraction")),
        (None, "extraction", (12, "extraction")),
        (speed(9), "timed", (9, "timed")),
        (speed(20), "extraction", (9, "timed")),
        (speed(7), "timed", (7, "timed")),
    ]
    for given, source, expected in steps:
        card = cost_card(encoder, SIZE, tmp_path, given, source)  # type: ignore[arg-type]
        assert (card.speed and card.speed.images_per_s, card.speed_source) == expected


def test_a_damaged_card_is_made_again(encoder: Any, counted: list[Any], tmp_path: Path) -> None:
    first = cost_card(encoder, SIZE, tmp_path)
    (path,) = tmp_path.glob("*.json")
    for text in ("", "[]", "{}", '{"count": {"size": [1, 2]}, "speed": null}', "\x00"):
        path.write_text(text)
        assert cost_card(encoder, SIZE, tmp_path) == first
    assert len(counted) == 6


def test_a_folder_that_cannot_be_written_stops_nothing(encoder: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert cost_card(encoder, SIZE, tmp_path / "file" / "costs").count.tokens == 16


def evaluated(memory: DataSpec, options: RunOptions, label: str) -> Any:
    options = replace(options, output=options.output / label, batch_size=5)
    return run(MODEL, ["depth", "triplets"], data=memory, probe="ridge", options=options)


def test_every_record_of_a_run_holds_its_cost(memory_set: DataSpec, options: RunOptions, counted: list[Any]) -> None:
    records = list(evaluated(memory_set, options, "first"))
    assert len(records) == 2 and counted == [SIZE]
    for record in records:
        found = record.cost
        assert found["parameters"] == record.model["params"] > 0
        assert found["size"] == SIZE and found["gflops"] > 0 and found["tokens"] == 16 and found["prefix_tokens"] == 1
        assert found["images_per_s"] > 0 and found["speed_source"] == "extraction"
        # 12 training and 12 test images in batches of 5; the first batch warms up.
        assert (found["images"], found["batch_size"]) == (19, 5)
        assert record.folder is not None
        stored = read(record.folder)
        assert stored.cost == json.loads(json.dumps(found))  # type: ignore[union-attr]
    again = list(evaluated(memory_set, replace(options, cache="cached"), "second"))
    assert counted == [SIZE] and again[0].cost["images_per_s"] == records[0].cost["images_per_s"]


def test_no_score_depends_on_the_cost(memory_set: DataSpec, live: RunOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torch.get_rng_state()
    with_cost = list(evaluated(memory_set, live, "with"))
    assert torch.equal(state, torch.get_rng_state())
    monkeypatch.setattr(evaluate, "cost_of", lambda *_: {})
    monkeypatch.setattr(evaluate, "Timed", lambda encoder, watch: encoder)
    without = list(evaluated(memory_set, live, "without"))
    # As JSON, where a number that is missing equals itself.
    assert [r.as_dict()["metrics"] for r in with_cost] == [r.as_dict()["metrics"] for r in without]
    assert [record.run_hash for record in with_cost] == [record.run_hash for record in without]
    assert without[0].cost == {}


def test_a_cost_that_cannot_be_counted_is_noted_and_costs_the_run_nothing(
    memory_set: DataSpec, options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(cost, "count", broken)
    record, *_ = evaluated(memory_set, options, "broken")
    assert record.status == "ok" and record.cost == {"problem": "RuntimeError: out of memory"}

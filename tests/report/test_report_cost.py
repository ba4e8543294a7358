"""The score against operations: drawn where enough costs are known, and the record tells the cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import fabricated
import pytest

from midvision.report.matrix import size_plots
from midvision.report.provenance import sections
from midvision.report.rows import rankings
from midvision.results.query import load_results
from midvision.results.record import ResultRecord


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> list[ResultRecord]:
    models = {"timm/resnet50.a": 0.8, "timm/resnet50.b": 0.7, "timm/resnet50.c": 0.5}
    folder = fabricated.fabricate(tmp_path_factory.mktemp("results"), models, ("synth-triplets",), extras=False)
    return list(load_results(folder).records)


def with_costs(records: Sequence[ResultRecord], gflops: Sequence[float | None]) -> list[ResultRecord]:
    return [replace(one, cost={"gflops": value, "tokens": 49}) for one, value in zip(records, gflops, strict=True)]


def cost_plots(records: Sequence[ResultRecord]) -> list[str]:
    return [str(svg) for _, words, svg in size_plots(rankings(records)) if words.endswith("GFLOPs per image")]


def test_three_costs_make_a_plot(records: list[ResultRecord]) -> None:
    (svg,) = cost_plots(with_costs(records, [8.2, 35.1, 1.1]))
    assert "GFLOPs per image" in svg


@pytest.mark.parametrize("gflops", [[8.2, 8.2, 1.1], [8.2, None, 1.1], [None, None, None]])
def test_fewer_make_none(records: list[ResultRecord], gflops: list[float | None]) -> None:
    assert cost_plots(with_costs(records, gflops)) == []


def test_old_records_have_no_cost(records: list[ResultRecord]) -> None:
    assert cost_plots(records) == []
    titles = {section.title for section in sections(records[0])}
    assert "What one image costs this encoder" not in titles


def test_the_record_tells_its_cost(records: list[ResultRecord]) -> None:
    (one, *_) = with_costs(records, [8.2, 35.1, 1.1])
    found = next(s for s in sections(one) if s.title == "What one image costs this encoder")
    assert ("gflops", "8.2") in found.entries

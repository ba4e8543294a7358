"""The page as text: complete, escaped, self-contained, with comparable things together only."""

from __future__ import annotations

import base64
import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import fabricated
import pytest

from midvision.report.page import report_html, write_report
from midvision.results.query import Results, load_results
from midvision.results.record import ResultRecord


class Reader(HTMLParser):
    """Tags with their attributes, and all visible text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def find(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key.replace("_", "-")) == value for key, value in attributes.items())
        ]


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return load_results(fabricated.fabricate(tmp_path_factory.mktemp("plain")))


@pytest.fixture(scope="module")
def html(results: Results) -> str:
    return report_html(results.records, results.failures)


@pytest.fixture(scope="module")
def page(html: str) -> Reader:
    return read(html)


def comparable_records(results: Results) -> list[ResultRecord]:
    return [record for record in results if not record.dataset["limited"]]


def row_of(html: str, record: ResultRecord) -> str:
    return html.split(f'data-record="r-{record.run_hash}"')[1].split("</tr>")[0]


def test_every_comparable_record_is_one_row(results: Results, page: Reader) -> None:
    rows = [attributes["data-record"] for _, attributes in page.tags if "data-record" in attributes]
    assert sorted(rows) == sorted(f"r-{record.run_hash}" for record in comparable_records(results))
    assert len(rows) == 56


def test_every_record_has_its_provenance(results: Results, page: Reader) -> None:
    anchors = {found["id"] for found in page.find("details", **{"class": "record"})}
    assert anchors == {f"r-{record.run_hash}" for record in results}


def test_every_inner_link_leads_somewhere(page: Reader) -> None:
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {attributes["href"][1:] for _, attributes in page.tags if attributes.get("href", "").startswith("#")}
    assert targets <= set(ids)


def test_numbers_in_the_table_are_those_of_the_records(results: Results, html: str) -> None:
    for record in comparable_records(results):
        row = row_of(html, record)
        lead = re.search(r'class="lead" data-value="([^"]+)"><a [^>]+>([^<]+)</a> <span class="ci">([^<]*)', row)
        assert lead is not None
        assert float(lead[1]) == record.main.value
        assert lead[2] == f"{record.main.value:.3f}"
        assert lead[3] == f"[{record.main.ci_low:.3f}, {record.main.ci_high:.3f}]"


def test_protocols_have_rankings_of_their_own(html: str, results: Results) -> None:
    boards = re.findall(r'<table class="board.*?</table>', html, flags=re.S)
    assert len(boards) == 7
    protocol = {f"r-{record.run_hash}": (record.task, record.protocol["name"]) for record in results}
    for board in boards:
        assert len({protocol[anchor] for anchor in re.findall(r'data-record="([^"]+)"', board)}) == 1


def test_references_are_not_ranked_and_marked(html: str, results: Results) -> None:
    oracle = next(record for record in results if record.model_id == "control/oracle")
    noise = next(record for record in results if record.model_id == "control/noise" and record.task == "synth-depth")
    assert 'class="tag ceiling"' in row_of(html, oracle)
    assert 'class="rank" data-value="nan"' in row_of(html, oracle)
    assert 'class="tag floor"' in row_of(html, noise)
    assert "not better than a constant" in row_of(html, noise)


def test_a_good_encoder_is_not_said_to_be_at_the_floor(html: str, results: Results) -> None:
    for record in results.where(model="timm/*", limited=False):
        row = row_of(html, record)
        assert "not better" not in row


def test_failures_and_limited_records_stand_apart_with_their_reason(page: Reader, html: str) -> None:
    assert [found["data-kind"] for found in page.find("tr", **{"class": "set-apart"})] == ["limited", "failure"]
    assert "NaN at layer 3" in html
    assert "limited to 24 items" in html


def test_the_page_asks_for_nothing_from_outside(html: str) -> None:
    page = read(html)
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "xlink:href"):
            value = attributes.get(name, "")
            assert not value or value.startswith(("data:", "#")), (tag, name, value[:80])
    style = re.search(r"<style>(.*?)</style>", html, flags=re.S)
    assert style is not None and "url(" not in style[1] and "@import" not in style[1]
    assert "http://" not in html and "https://" not in html


def test_the_page_is_small(html: str) -> None:
    assert 100_000 < len(html) < 3_000_000


def test_pictures_of_every_kind(page: Reader, html: str) -> None:
    pictures = page.find("img")
    paper = 3 * (2 + 2)
    assert len(pictures) == 3 * 3 * (2 + 9) + paper + 4 * 3
    assert all(found["alt"] and int(found["width"]) > 0 and int(found["height"]) > 0 for found in pictures)
    assert len(page.find("symbol")) == 2 * 3
    assert html.count('class="yes"') > 0 and html.count('class="no"') > 0
    assert html.count("✓") > html.count("✗") > 0


def test_csv_holds_every_number(results: Results, page: Reader) -> None:
    address = next(found["href"] for found in page.find("a", download="midvision.csv"))
    rows = list(csv.DictReader(io.StringIO(base64.b64decode(address.split(",", 1)[1]).decode("utf-8"))))
    assert len(rows) == sum(len(record.metrics) for record in results)
    values = {(row["run_hash"], row["metric"]): float(row["value"]) for row in rows}
    for record in results:
        for name, estimate in record.metrics.items():
            assert values[record.run_hash, name] == estimate.value


def test_hostile_names_are_text(tmp_path: Path) -> None:
    found = load_results(fabricated.fabricate(tmp_path, {"timm/a": 0.6}, ("synth-depth",), hostile=True))
    html = report_html(found.records, found.failures, title="<b>&</b>", source="</footer><script>")
    page = read(html)
    assert len(page.find("script")) == 1
    assert not any(attributes.get("src") == "x" or "onerror" in attributes for _, attributes in page.tags)
    labels = {attributes.get("data-model") for tag, attributes in page.tags if tag == "tr"}
    assert set(fabricated.HOSTILE) <= labels
    assert "<b>&</b>" in page.words
    for name in fabricated.HOSTILE[2:]:
        assert name in "".join(page.words)


def test_an_empty_folder_gives_a_page_that_says_so() -> None:
    assert "No comparable record" in report_html([])


def test_a_lost_items_file_leaves_the_number_but_no_rank(tmp_path: Path) -> None:
    found = load_results(fabricated.fabricate(tmp_path, {"timm/a": 0.6, "timm/b": 0.2}, ("synth-depth",), extras=False))
    assert found[0].folder is not None
    (found[0].folder / "items.jsonl").unlink()
    html = report_html(found.records)
    assert html.count("data-record=") == 2
    assert "not ranked, since per-item scores are missing" in html


def test_not_a_number_is_set_apart(tmp_path: Path) -> None:
    from dataclasses import replace

    record = fabricated.put(tmp_path, "timm/a", "synth-depth", 0.6)
    broken = replace(record, metrics={**record.metrics, "delta1": replace(record.main, value=float("nan"))})
    html = report_html([broken])
    assert "delta1 is not a number" in html and "data-record=" not in html


def test_writing_is_atomic_and_names_the_folder_that_refuses(tmp_path: Path, results: Results) -> None:
    from midvision.core.errors import DataError

    path = write_report(results.records[:2], tmp_path / "deep" / "page.html")
    assert path.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [entry.name for entry in path.parent.iterdir()] == ["page.html"]
    (tmp_path / "plain").write_text("x")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="Cannot write"):
        write_report([], tmp_path / "file" / "page.html")

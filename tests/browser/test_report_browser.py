"""The page in a real browser without a network: order, numbers, pictures, keys, phone and dark theme."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import fabricated
from browsing import Opened

from midvision.report.page import write_report
from midvision.results.query import Results, load_results

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return load_results(fabricated.fabricate(tmp_path_factory.mktemp("results")))


@pytest.fixture(scope="module")
def address(results: Results, tmp_path_factory: pytest.TempPathFactory) -> str:
    path = write_report(results.records, tmp_path_factory.mktemp("page") / "report.html", failures=results.failures)
    return path.as_uri()


@pytest.fixture(scope="module")
def wide(browser: Browser, address: str) -> Opened:
    return Opened(browser, address)


def test_nothing_is_asked_of_the_network_and_nothing_is_said(wide: Opened, address: str) -> None:
    outside = [url for url in wide.asked if url != address and not url.startswith("data:")]
    assert outside == []
    assert wide.said == []


def test_it_loads_within_two_seconds(wide: Opened) -> None:
    assert wide.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") < 2000


def test_rows_are_the_comparable_records(wide: Opened, results: Results) -> None:
    assert wide.page.locator("tr[data-record]").count() == len(results.where(limited=False))


def test_every_picture_has_a_width(wide: Opened) -> None:
    widths = wide.page.evaluate("Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))")
    assert len(widths) > 100 and min(widths) > 0
    inside = wide.page.evaluate(
        "[...document.querySelectorAll('.matches use')].map(e => e.getBoundingClientRect().width)"
    )
    assert len(inside) == 2 * 3 * 9 and min(inside) > 0


def test_numbers_on_the_page_equal_those_stored(wide: Opened, results: Results) -> None:
    for record in results.where(task="synth-normals"):
        cell = wide.page.locator(f'tr[data-record="r-{record.run_hash}"] td.lead')
        assert float(cell.get_attribute("data-value") or "nan") == record.main.value
        assert cell.locator("a").inner_text() == f"{record.main.value:.3f}"


def test_clicking_a_header_sorts_and_clicking_again_turns_it(browser: Browser, address: str) -> None:
    page = Opened(browser, address).page
    table = "section.group table.board >> nth=0"
    board = page.locator(table)
    names = [entry.inner_text() for entry in board.locator("tbody .id").all()]
    score = board.locator("thead button").nth(2)
    score.click()
    values = [float(v) for v in board.locator("td.lead").evaluate_all("all => all.map(cell => cell.dataset.value)")]
    assert values == sorted(values, reverse=True)
    assert board.locator("thead th").nth(2).get_attribute("aria-sort") == "descending"
    score.click()
    values = [float(v) for v in board.locator("td.lead").evaluate_all("all => all.map(cell => cell.dataset.value)")]
    assert values == sorted(values)
    assert board.locator("thead th[aria-sort]").count() == 1
    board.locator("thead button").nth(1).click()
    by_name = [entry.inner_text() for entry in board.locator("tbody .id").all()]
    assert by_name == sorted(names, key=str.lower) and by_name != names


def test_lower_is_better_columns_start_with_the_lowest(browser: Browser, address: str, results: Results) -> None:
    page = Opened(browser, address).page
    board = page.locator("section.group", has_text="Scene depth").first.locator("table.board")
    place = [head.inner_text().strip() for head in board.locator("thead button").all()].index("rmse")
    board.locator("thead button").nth(place).click()
    cells = board.locator('td.extra[data-label="rmse"]')
    values = [float(text) for text in cells.evaluate_all("all => all.map(cell => cell.dataset.value)")]
    assert values == sorted(values)


def test_headers_work_from_the_keyboard(browser: Browser, address: str) -> None:
    page = Opened(browser, address).page
    board = page.locator("section.group table.board").first
    board.locator("thead button").nth(2).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Space")
    values = [float(v) for v in board.locator("td.lead").evaluate_all("all => all.map(cell => cell.dataset.value)")]
    assert values == sorted(values)


def test_unranked_rows_come_last_when_sorting_by_rank(browser: Browser, address: str) -> None:
    page = Opened(browser, address).page
    board = page.locator("section.group table.board").first
    board.locator("thead button").nth(0).click()
    board.locator("thead button").nth(0).click()
    ranks = board.locator("td.rank").evaluate_all("all => all.map(cell => cell.dataset.value)")
    known = [int(rank) for rank in ranks if rank != "nan"]
    assert known == sorted(known)
    assert ranks[len(known) :] == ["nan"] * (len(ranks) - len(known))


def test_filter_hides_rows_without_touching_ranks(browser: Browser, address: str) -> None:
    page = Opened(browser, address).page
    page.fill("#filter", "RESNET50")
    shown = page.locator("section.group table.board").first.locator("tbody tr:visible .id").all_inner_texts()
    assert shown == ["timm/resnet50.a1_in1k", "random/resnet50"]
    page.uncheck("#controls")
    shown = page.locator("section.group table.board").first.locator("tbody tr:visible .id").all_inner_texts()
    assert shown == ["timm/resnet50.a1_in1k"]


def test_a_number_leads_to_its_record(browser: Browser, address: str) -> None:
    page = Opened(browser, address).page
    link = page.locator("td.lead a").first
    target = (link.get_attribute("href") or "")[1:]
    assert page.locator(f"details#{target}").get_attribute("open") is None
    link.click()
    record = page.locator(f"details#{target}")
    assert record.get_attribute("open") is not None
    assert "fingerprint" in record.inner_text() and "midvision run" in record.inner_text()


def test_csv_downloads_with_every_number(browser: Browser, address: str, results: Results) -> None:
    page = Opened(browser, address).page
    with page.expect_download() as waiting:
        page.locator('a[download="midvision.csv"]').click()
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8"))))
    assert len(rows) == sum(len(record.metrics) for record in results)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_no_horizontal_scroll_in_either_theme(browser: Browser, address: str, width: int, dark: bool) -> None:
    opened = Opened(browser, address, width, dark)
    assert opened.overflow() <= 0
    opened.page.evaluate("document.querySelectorAll('details').forEach(entry => { entry.open = true; })")
    assert opened.overflow() <= 0
    ground = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    light = sum(int(part) for part in ground.strip("rgb()").split(",")[:3]) > 380
    assert light is not dark
    opened.page.click("#theme")
    assert opened.page.evaluate("getComputedStyle(document.body).backgroundColor") != ground


@pytest.mark.parametrize("width", [1280, 390])
def test_hostile_names_run_nothing_and_fit(browser: Browser, tmp_path: Path, width: int) -> None:
    found = load_results(fabricated.fabricate(tmp_path, {"timm/a": 0.6}, hostile=True))
    path = write_report(found.records, tmp_path / "report.html", failures=found.failures, title="<img src=x>")
    opened = Opened(browser, path.as_uri(), width)
    dialogs: list[str] = []
    opened.page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    assert opened.page.locator("h1").inner_text() == "<img src=x>"
    assert opened.page.locator("img[src='x']").count() == 0
    assert opened.overflow() <= 0
    titles = opened.page.locator("table.board .id").evaluate_all("all => all.map(entry => entry.title)")
    assert set(fabricated.HOSTILE) <= set(titles)
    assert dialogs == [] and opened.said == []

"""The study's folder in a real browser without a network: quick, quiet, by keyboard, on a phone, and for axe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))

import fabricated
import fabricated_study
from browsing import Opened
from fabricated_analysis import fabricated_analysis

from midvision.report.study.names import page_name
from midvision.report.study.site import write_study_report
from midvision.results.query import load_results

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser

MODELS = {"dino_vitb16": 0.75, "mae_vitb16": 0.55, "deit_vitb16": 0.65, "swav_resnet50": 0.6, "densecl_resnet50": 0.66}
TASKS = ("nyu-depth", "navi-pairs", "nights")
CONTROLS = {"control/oracle": 0.98, "random/resnet50": 0.3, "control/noise": 0.02}
PAGES = ("index.html", "tasks/nyu-depth.html", "tasks/navi-pairs.html", "tasks/nights.html", "models/dino_vitb16.html")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    found = load_results(
        fabricated_study.fabricate_study(folder / "results", MODELS, TASKS, controls=CONTROLS, hostile=True)
    )
    analysis = fabricated_analysis(found)
    write_study_report(found.records, analysis, folder / "site", failures=found.failures)
    return folder / "site"


def address(site: Path, page: str) -> str:
    return (site / page).as_uri()


@pytest.mark.parametrize("page", (PAGES[0], PAGES[2], PAGES[4]))
def test_axe_finds_nothing_serious(browser: Browser, site: Path, page: str) -> None:
    opened = Opened(browser, address(site, page))
    opened.page.evaluate("document.querySelectorAll('details').forEach(entry => { entry.open = true; })")
    assert opened.barriers() == []
    opened.close()


def test_axe_finds_a_barrier_that_is_there(browser: Browser, site: Path, tmp_path: Path) -> None:
    """The check can fail: a picture without words is found."""
    (tmp_path / "index.html").write_text('<html lang="en"><title>t</title><main><img src="data:,"></main></html>')
    assert [rule for rule, *_ in Opened(browser, address(tmp_path, "index.html")).barriers()] == ["image-alt"]


@pytest.mark.parametrize("page", (PAGES[0], PAGES[1]))
def test_a_phone_in_the_dark_fits_and_has_contrast(browser: Browser, site: Path, page: str) -> None:
    opened = Opened(browser, address(site, page), width=390, dark=True)
    assert opened.overflow() <= 0
    opened.page.evaluate("document.querySelectorAll('details').forEach(entry => { entry.open = true; })")
    assert opened.overflow() <= 0
    assert opened.barriers() == []
    opened.close()


def test_pages_of_hostile_names_fit_and_run_nothing(browser: Browser, site: Path) -> None:
    for name in fabricated.HOSTILE:
        opened = Opened(browser, address(site, f"models/{page_name(name)}"), width=390)
        dialogs: list[str] = []
        opened.page.on("dialog", lambda dialog, said=dialogs: said.append(dialog.message))
        assert opened.page.locator("h1").inner_text().replace("\n", "") == name
        assert opened.overflow() <= 0
        assert opened.said == [] and dialogs == []
        opened.close()


def test_everything_asked_for_is_in_the_folder_and_nothing_is_said(browser: Browser, site: Path) -> None:
    for page in PAGES:
        opened = Opened(browser, address(site, page))
        opened.page.evaluate("document.querySelectorAll('img').forEach(image => { image.loading = 'eager'; })")
        opened.page.wait_for_function("[...document.images].every(image => image.complete)")
        widths = opened.page.evaluate("[...document.images].map(image => image.naturalWidth)")
        assert all(width > 0 for width in widths)
        outside = [url for url in opened.asked if not url.startswith((site.as_uri(), "data:"))]
        assert outside == [] and opened.said == []
        assert opened.loaded_ms() < 2000
        opened.close()


def test_the_leaderboard_sorts_by_keyboard_and_says_so(browser: Browser, site: Path) -> None:
    opened = Opened(browser, address(site, "index.html"))
    board = opened.page.locator("table.league")
    head = board.locator("thead th").nth(2)
    head.locator("button").focus()
    assert "2px" in head.locator("button").evaluate("one => getComputedStyle(one).outline")
    opened.page.keyboard.press("Enter")
    read = "rows => rows.map(row => parseFloat(row.cells[2].dataset.value)).filter(value => !Number.isNaN(value))"
    values = board.locator("tbody tr").evaluate_all(read)
    assert values == sorted(values, reverse=True) and len(values) > 8
    assert head.get_attribute("aria-sort") == "descending"
    opened.page.keyboard.press("Space")
    assert board.locator("tbody tr").evaluate_all(read) == sorted(values)
    opened.close()


def test_the_skip_link_is_first_and_leads_to_the_content(browser: Browser, site: Path) -> None:
    opened = Opened(browser, address(site, "index.html"))
    opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.className") == "skip"
    opened.page.keyboard.press("Enter")
    assert opened.page.evaluate("document.activeElement.id") == "main"
    opened.close()


def test_filter_finds_by_name_paradigm_and_id(browser: Browser, site: Path) -> None:
    opened = Opened(browser, address(site, "index.html"))
    shown = opened.page.locator("table.league tbody tr:visible")
    opened.page.fill(".filter", "masked")
    assert [row.get_attribute("data-model") for row in shown.all()] == ["mae_vitb16"]
    opened.page.fill(".filter", "resnet50")
    opened.page.uncheck(".controls")
    assert {row.get_attribute("data-model") for row in shown.all()} == {"swav_resnet50", "densecl_resnet50"}
    opened.close()


@pytest.mark.parametrize("task", TASKS)
def test_chosen_encoders_stand_side_by_side(browser: Browser, site: Path, task: str) -> None:
    opened = Opened(browser, address(site, f"tasks/{task}.html"))
    visible = "all => [...new Set(all.filter(one => !one.hidden).map(one => one.dataset.shown))]"
    shown = opened.page.locator("[data-shown]")
    chosen = opened.page.locator(".chooser input:checked").evaluate_all("all => all.map(one => one.value)")
    assert len(chosen) == 4 and shown.evaluate_all(visible) == chosen
    opened.page.click("text=none")
    assert shown.evaluate_all(visible) == []
    hostile = fabricated.HOSTILE[0]
    opened.page.locator(".chooser label", has_text=hostile[:20]).locator("input").check()
    assert shown.evaluate_all(visible) == [hostile]
    opened.page.click("[data-choose=all]")
    assert len(shown.evaluate_all(visible)) == opened.page.locator(".chooser input").count() > 8
    opened.close()


def test_a_number_leads_to_its_record_on_the_models_page(browser: Browser, site: Path) -> None:
    opened = Opened(browser, address(site, "index.html"))
    cell = opened.page.locator("tr[data-model=dino_vitb16] td.heat a").first
    run_hash = cell.locator("..").get_attribute("data-record")
    cell.click()
    opened.page.wait_for_url("**/models/dino_vitb16.html#*")
    record = opened.page.locator(f"details[id='r-{run_hash}']")
    assert record.get_attribute("open") is not None
    assert "midvision run" in record.inner_text()
    opened.close()

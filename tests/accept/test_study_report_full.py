"""The report of 24 models on nine settings: quick, small, without barriers, and true to every record."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "report"))
sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

import fabricated
import fabricated_study
import study_checks
from browsing import ARGUMENTS, CHROMIUM, Opened

from midvision.analysis.study import analyse
from midvision.report.study.names import page_name
from midvision.report.study.site import write_study_report
from midvision.results.high_level import published_high_scores
from midvision.results.query import load_results

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [pytest.mark.accept, pytest.mark.browser]

LARGEST_BYTES = 15_000_000
LONGEST_MS = 2000.0
TRIES = 3
"""The machine may be busy with other work; the quickest of a few openings is the page's own time."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("study")
    stored = fabricated_study.fabricate_study(folder / "results", hostile=True)
    found = load_results(stored)
    analysis = analyse(found, published_high_scores())
    write_study_report(found.records, analysis, folder / "site", failures=found.failures)
    return stored, folder / "site"


@pytest.fixture(scope="module")
def chromium() -> Browser:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
        yield started
        started.close()


def test_the_folder_is_small(folders: tuple[Path, Path]) -> None:
    size = sum(path.stat().st_size for path in folders[1].rglob("*") if path.is_file())
    print(f"the folder holds {size / 1e6:.2f} MB in {len(study_checks.pages_of(folders[1]))} pages")
    assert size < LARGEST_BYTES


def test_every_number_equals_its_record(folders: tuple[Path, Path]) -> None:
    stored, site = folders
    records, analysed = study_checks.check_record_numbers(site, stored), study_checks.check_study_numbers(site)
    links = study_checks.check_links(site)
    print(f"{records} numbers of records, {analysed} of the analysis, {links} links")
    assert records > 3000 and analysed > 300 and links > 2000


def test_every_page_opens_in_two_seconds(folders: tuple[Path, Path], chromium: Browser) -> None:
    slowest = 0.0
    for path in study_checks.pages_of(folders[1]):
        taken = []
        for _ in range(TRIES):
            opened = Opened(chromium, path.as_uri())
            taken.append(opened.loaded_ms())
            assert opened.said == [] and opened.overflow() <= 0
            opened.close()
            if min(taken) < LONGEST_MS:
                break
        assert min(taken) < LONGEST_MS, (path, taken)
        slowest = max(slowest, min(taken))
    print(f"the slowest page opened in {slowest:.0f} ms")


@pytest.mark.parametrize("width,dark", [(1280, False), (390, True)])
def test_axe_finds_nothing_serious(folders: tuple[Path, Path], chromium: Browser, width: int, dark: bool) -> None:
    site = folders[1]
    tasks = [f"tasks/{task}.html" for task in ("voc12-seg", "nyu-depth", "navi-normals", "scannet-pairs", "nights")]
    models = [f"models/{page_name(name)}" for name in ("dino_vitb16", fabricated.HOSTILE[0], fabricated.HOSTILE[1])]
    for page in ("index.html", *tasks, *models):
        opened = Opened(chromium, (site / page).as_uri(), width, dark)
        opened.page.evaluate("document.querySelectorAll('details').forEach(entry => { entry.open = true; })")
        assert opened.overflow() <= 0, page
        assert opened.barriers() == [], page
        opened.close()

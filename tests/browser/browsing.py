"""Pages in Debian's Chromium without a network: what they say, what they ask for, whether they fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
GRAVE = ("serious", "critical")


class Opened:
    """A page with what it said and what it asked for."""

    def __init__(self, browser: Browser, address: str, width: int = 1280, dark: bool = False) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, offline=True, color_scheme="dark" if dark else "light"
        )
        self.page: Page = context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(address)

    def overflow(self) -> int:
        return int(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))

    def loaded_ms(self) -> float:
        return float(self.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))

    def barriers(self) -> list[tuple[str, str, str]]:
        """Serious and critical findings of axe: rule, help, and the first place."""
        from axe_playwright_python.sync_playwright import Axe

        found: list[dict[str, Any]] = Axe().run(self.page).response["violations"]
        return [
            (entry["id"], entry["help"], str(entry["nodes"][0]["html"])[:200])
            for entry in found
            if entry["impact"] in GRAVE
        ]

    def close(self) -> None:
        self.page.context.close()

"""Google Drive's way of handing out files: the address behind a shared link, and the page in front of large ones."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

_HOSTS = ("drive.google.com", "docs.google.com", "drive.usercontent.google.com")
_FILES = "https://drive.usercontent.google.com/download"


def is_drive(url: str) -> bool:
    return urlsplit(url).hostname in _HOSTS


def drive_id(url: str) -> str:
    """The file's id in `uc?id=ID`, `open?id=ID` or `file/d/ID/view`; an empty text where there is none."""
    parts = urlsplit(url)
    in_query = parse_qs(parts.query).get("id", [""])[0]
    in_path = re.search(r"/d/([\w-]+)", parts.path)
    return in_query or (in_path[1] if in_path else "")


def direct(url: str) -> str:
    """The address that gives a Drive file itself; any other address as it is."""
    name = drive_id(url) if is_drive(url) else ""
    return f"{_FILES}?{urlencode({'id': name, 'export': 'download', 'confirm': 't'})}" if name else url


def page(url: str) -> str:
    """What a person opens in a browser: for Drive the file's own page."""
    name = drive_id(url) if is_drive(url) else ""
    return f"https://drive.google.com/file/d/{name}/view" if name else url


def confirmed(text: str, url: str) -> str | None:
    """The address behind the button of Drive's page on files too large for its virus scan; None on other pages."""
    form = _Form()
    form.feed(text)
    if form.action is None or "id" not in form.fields:
        return None
    return f"{urljoin(url, form.action)}?{urlencode(form.fields)}"


class _Form(HTMLParser):
    """The first form's address and hidden fields."""

    def __init__(self) -> None:
        super().__init__()
        self.action: str | None = None
        self.fields: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None:
            self.action = found.get("action", "")
        if tag == "input" and self.action is not None and found.get("name"):
            self.fields[found["name"]] = found.get("value", "")

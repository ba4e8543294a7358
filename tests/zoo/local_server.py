"""A web server on this machine that misbehaves as told, and remembers what it was asked for and what it sent."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """One path. `drops`: for each request the number of body bytes after which the line is cut (None: never).

    `answers`: status codes to give first, one per request. `pause_s`: rest after every 32 KiB.
    `shift`: a continued file begins so many bytes early.
    """

    body: bytes = b""
    ranges: bool = True
    etag: str = '"first"'
    drops: list[int | None] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    status: int = 200
    kind: str = "application/octet-stream"
    headers: dict[str, str] = field(default_factory=dict)
    says_length: bool = True
    pause_s: float = 0.0
    shift: int = 0


@dataclass
class Asked:
    """One request: `start` of its range (0 for all of it), bytes it asked for, bytes of body sent, and headers."""

    path: str
    method: str
    start: int
    asked: int
    sent: int
    headers: dict[str, str]


class Site:
    """Pages by path, and the log of requests."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.log: list[Asked] = []
        self.address = ""

    def put(self, path: str, body: bytes = b"", **manner: object) -> str:
        self.pages[path] = Page(body, **manner)  # type: ignore[arg-type]
        return self.address + path

    def asked(self, path: str) -> list[tuple[int, int]]:
        """Start and number of bytes asked for, request by request."""
        return [(entry.start, entry.asked) for entry in self.log if entry.path == path and entry.method == "GET"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        self.close_connection = True
        page = self.site.pages.get(self.path.partition("?")[0]) or Page(b"gone", status=404)
        status = page.answers.pop(0) if page.answers else page.status
        content = page.body if status == page.status else b"later"
        total, start = len(content), 0
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, page.etag)
        if asked and page.ranges and status == 200 and same:
            start, status = int(asked[1]) - page.shift, 206
            if start >= total:
                self._note(start, 0, 0)
                self._head(416, {"Content-Range": f"bytes */{total}", "Content-Length": "0"})
                return
        headers = {"Content-Type": page.kind, "ETag": page.etag, **page.headers}
        if page.says_length:
            headers["Content-Length"] = str(total - start)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        drop = page.drops.pop(0) if body and page.drops else None
        stop = total if drop is None else min(total, start + drop)
        self._note(start, total - start, stop - start if body else 0)
        self._head(status, headers)
        for place in range(start, stop, 2**15) if body else ():
            self.wfile.write(content[place : min(place + 2**15, stop)])
            if page.pause_s:
                self.wfile.flush()
                time.sleep(page.pause_s)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()

    def _note(self, start: int, asked: int, sent: int) -> None:
        self.site.log.append(Asked(self.path, self.command, start, asked, sent, dict(self.headers.items())))

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the screen."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is what some tests want."""


@contextmanager
def serving() -> Iterator[Site]:
    """A site on a free port of this machine, as long as the block runs."""
    site = Site()
    handler = type("Handler", (_Handler,), {"site": site})
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    site.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

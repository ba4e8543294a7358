"""One file over HTTP: resumed where it broke off, tried again, and checked before it gets its name."""

from __future__ import annotations

import hashlib
import json
import logging
import time
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pooch
import requests
from filelock import FileLock

from midvision.core.errors import DataError
from midvision.core.places import cannot_write
from midvision.core.progress import SILENT, Advance, Progress
from midvision.zoo.fetch_drive import confirmed, direct, is_drive

Reason = Literal["offline", "gated", "dead", "network", "wrong file"]

# What is lost of a connection that breaks is less than this.
CHUNK_BYTES = 2**14
MEBIBYTE = 2**20
TRIES = 5
"""Requests in a row that may bring not one new byte."""
LONGEST_WAIT_S = 30.0
TIMEOUT_S = (10.0, 60.0)
# What `torch.save` (both ways), safetensors, numpy and gzip begin with; safetensors is told by its ninth byte.
_STARTS = (b"PK\x03\x04", b"\x80", b"(", b"\x93NUMPY", b"\x1f\x8b")


def _sleep(seconds: float) -> None:
    time.sleep(seconds)


class Unfetchable(Exception):
    """Why a file could not be had; `reason` says whether another attempt makes sense."""

    def __init__(self, reason: Reason, problem: str) -> None:
        self.reason, self.problem = reason, problem
        super().__init__(problem)


class _Broken(Exception):
    """The connection ended early or the server asks for patience: worth another request."""

    def __init__(self, problem: str, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        super().__init__(problem)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file: its address, where it belongs, and the first hex digits of its SHA-256 as far as they are known."""

    url: str
    path: Path
    sha256: str = ""
    label: str = ""


def download(wanted: Wanted, progress: Progress = SILENT, wait: Callable[[float], object] = _sleep) -> Path:
    """`wanted.path`, complete and checked, or `Unfetchable`. A partial file of an earlier call is continued.

    Two processes that want the same file wait for each other.
    """
    path = wanted.path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if not path.is_file():
                _through_pooch(wanted, progress, wait)
    except DataError:
        raise
    except requests.RequestException as error:
        raise Unfetchable("network", first_line(error)) from error
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def _through_pooch(wanted: Wanted, progress: Progress, wait: Callable[[float], object]) -> None:
    """pooch moves the file to its name once the hash is right; what comes over the wire is ours, to resume."""
    pooch.get_logger().setLevel(logging.WARNING)
    whole = wanted.sha256 if len(wanted.sha256) == 64 else None
    pooch.retrieve(
        wanted.url,
        known_hash=whole and f"sha256:{whole}",
        fname=wanted.path.name,
        path=wanted.path.parent,
        downloader=Resuming(wanted, progress, wait),
    )


@dataclass
class Resuming:
    """A downloader for pooch. What arrived stays in `NAME.part` beside the wanted file until it is whole."""

    wanted: Wanted
    progress: Progress = SILENT
    wait: Callable[[float], object] = _sleep
    session: requests.Session = field(default_factory=requests.Session)

    def __call__(self, url: str, output_file: str, pooch: object) -> None:
        part = Part(self.wanted.path.with_name(f"{self.wanted.path.name}.part"))
        address = direct(url)
        part.begin(address)
        continued = part.size > 0
        self._fill(part, address)
        try:
            check(part.path, self.wanted.sha256)
        except Unfetchable:
            part.drop()
            if not continued:
                raise
            # What an earlier process left may be the fault: once more, all of it.
            part.begin(address)
            self._fill(part, address)
            try:
                check(part.path, self.wanted.sha256)
            except Unfetchable:
                part.drop()
                raise
        part.path.replace(output_file)
        part.drop()

    def _fill(self, part: Part, address: str) -> None:
        """Ask until the last byte is there; a request that brings something starts the count of tries anew."""
        fruitless, most = 0, part.size
        with _Bar(self.progress, self.wanted.label or self.wanted.path.name) as bar:
            while True:
                try:
                    address = self._ask(part, address, bar) or address
                    if part.whole:
                        return
                    problem = _Broken("the connection ended early")
                except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
                    if isinstance(error, requests.exceptions.SSLError):
                        raise Unfetchable("network", f"the server's certificate is not valid ({error})") from error
                    problem = _Broken(_plainly(error))
                except _Broken as error:
                    problem = error
                fruitless = 0 if part.size > most else fruitless + 1
                most = max(most, part.size)
                if fruitless >= TRIES:
                    raise Unfetchable("network", f"{problem}, {fruitless} times in a row; {part.size} bytes are kept")
                self.wait(min(problem.wait_s or 2.0 ** (fruitless - 1), LONGEST_WAIT_S))

    def _ask(self, part: Part, address: str, bar: _Bar) -> str | None:
        """One request for what is missing. Returns another address where this one was only a page in front."""
        headers = {"Accept-Encoding": "identity", **part.request_headers()}
        try:
            answer = self.session.get(address, headers=headers, stream=True, timeout=TIMEOUT_S)
        except (requests.TooManyRedirects, requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
            raise Unfetchable("dead", first_line(error)) from error
        with answer:
            if address.startswith("https:") and not answer.url.startswith("https:"):
                raise Unfetchable("wrong file", "the server sends it over an unencrypted line")
            if answer.status_code == 416:
                part.refused_range(answer.headers.get("Content-Range", ""))
                return None
            _refuse_status(answer)
            if _is_page(answer):
                return _behind_page(answer)
            if answer.status_code == 206 and not part.continues(answer.headers):
                part.restart()
                raise _Broken("the file changed on the server", wait_s=0.01)
            if answer.status_code != 206:
                part.restart()
            part.note(answer.headers, partial=answer.status_code == 206)
            bar.begin(part.size, part.facts["total"])
            part.append(answer, bar.told)
        return None


class _Bar(ExitStack):
    """Mebibytes as they arrive; opened at the first answer, which knows how many there will be."""

    def __init__(self, progress: Progress, label: str) -> None:
        super().__init__()
        self._progress, self._label = progress, f"{label} (MiB)"
        self._advance: Advance | None = None
        self._seen = self._shown = 0

    def begin(self, size: int, total: int | None) -> None:
        """What is there already counts; where a file is begun anew, the bar waits until it is there again."""
        if self._advance is None:
            mebibytes = None if total is None else -(-total // MEBIBYTE)
            self._advance = self.enter_context(self._progress.bar(self._label, mebibytes))
        self._seen = size
        self.told(0)

    def told(self, count: int) -> None:
        self._seen += count
        if self._advance is not None and self._seen // MEBIBYTE > self._shown:
            self._advance(self._seen // MEBIBYTE - self._shown)
            self._shown = self._seen // MEBIBYTE


class Part:
    """What is there of a file, and which file on the server it is a part of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._note = path.with_name(f"{path.name}.json")
        self.facts: dict[str, Any] = {}
        self._ended = False

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    @property
    def whole(self) -> bool:
        """All bytes that the server announced; where it announced none, the stream's own end must do."""
        total = self.facts.get("total")
        return self._ended if total is None else self.size == total

    def begin(self, url: str) -> None:
        """Keep what an earlier process left of the same address, else start empty."""
        try:
            facts = json.loads(self._note.read_text(encoding="utf-8"))
            self.facts = facts if isinstance(facts, dict) and facts.get("url") == url else {}
        except (OSError, ValueError):
            self.facts = {}
        if not self.facts:
            self.drop()
            self.facts = {"url": url}

    def request_headers(self) -> dict[str, str]:
        if not self.size:
            return {}
        same = self.facts.get("validator")
        return {"Range": f"bytes={self.size}-", **({"If-Range": same} if same else {})}

    def continues(self, headers: Any) -> bool:
        """Whether a partial answer begins where this part ends, and belongs to a file of the same length."""
        start, total = _content_range(headers.get("Content-Range", ""))
        return start == self.size and self.facts.get("total") in (None, total)

    def note(self, headers: Any, *, partial: bool) -> None:
        """Remember what tells this file from a later one of the same name."""
        etag = headers.get("ETag", "")
        self.facts["validator"] = etag if etag.startswith('"') else headers.get("Last-Modified", "")
        length = headers.get("Content-Length", "")
        whole = int(length) if length.isdigit() else None
        self.facts["total"] = _content_range(headers.get("Content-Range", ""))[1] if partial else whole
        self._note.write_text(json.dumps(self.facts), encoding="utf-8")

    def append(self, answer: requests.Response, told: Callable[[int], None]) -> None:
        self._ended = False
        with open(self.path, "ab") as file:
            for chunk in answer.iter_content(CHUNK_BYTES):
                file.write(chunk)
                told(len(chunk))
        self._ended = True

    def refused_range(self, content_range: str) -> None:
        """The server has nothing behind our last byte: the file is whole, or it is another one."""
        total = content_range.rpartition("/")[2]
        if total.isdigit() and int(total) == self.size:
            self.facts["total"] = self.size
        else:
            self.restart()

    def restart(self) -> None:
        url = self.facts.get("url")
        self.drop()
        self.facts = {"url": url}

    def drop(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)
        self.facts = {}


def check(path: Path, sha256: str = "") -> str:
    """SHA-256 of a downloaded file, or `Unfetchable` where it is not the one published or no checkpoint at all."""
    with open(path, "rb") as file:
        start = file.read(16)
        file.seek(0)
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if sha256 and not found.startswith(sha256.lower()):
        raise Unfetchable("wrong file", f"the server sent a file with SHA-256 {found}, not {sha256.lower()}")
    if not start:
        raise Unfetchable("wrong file", "the server sent an empty file")
    if start.lstrip().startswith((b"<", b"{")):
        raise Unfetchable("wrong file", "the server sent a page of text instead of the file")
    if not start.startswith(_STARTS) and start[8:9] != b"{":
        raise Unfetchable("wrong file", "the server sent something that is no checkpoint")
    if start.startswith(b"PK") and not zipfile.is_zipfile(path):
        raise Unfetchable("wrong file", "the file from the server is cut short")
    return found


def _refuse_status(answer: requests.Response) -> None:
    code = answer.status_code
    if code in (401, 403, 407):
        raise Unfetchable("gated", f"the server refuses it (HTTP {code})")
    if code == 429 or code >= 500:
        later = answer.headers.get("Retry-After", "")
        raise _Broken(f"the server answered HTTP {code}", float(later) if later.isdigit() else None)
    if code not in (200, 206):
        raise Unfetchable("dead", f"the link is dead (HTTP {code})")


def _is_page(answer: requests.Response) -> bool:
    return answer.headers.get("Content-Type", "").partition(";")[0].strip() == "text/html"


def _behind_page(answer: requests.Response) -> str:
    """The address behind Google Drive's question about large files; any other page is no file."""
    text = answer.raw.read(MEBIBYTE, decode_content=True).decode("utf-8", "replace")
    following = confirmed(text, answer.url) if is_drive(answer.url) else None
    if following is None or following == answer.url:
        raise Unfetchable("wrong file", "the server sent a web page instead of the file")
    return following


def _content_range(text: str) -> tuple[int | None, int | None]:
    """Start and total of `bytes START-END/TOTAL`."""
    span, _, total = text.removeprefix("bytes").strip().partition("/")
    start = span.partition("-")[0]
    return int(start) if start.isdigit() else None, int(total) if total.isdigit() else None


def _plainly(error: Exception) -> str:
    """A sentence for the usual troubles of a network; their own texts are chains of class names."""
    text = str(error)
    if isinstance(error, requests.Timeout):
        return "the server does not answer"
    if "NameResolution" in text or "getaddrinfo" in text or "Name or service" in text:
        return "the server's name cannot be looked up"
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or "IncompleteRead" in text:
        return "the connection ended early"
    return "the server cannot be reached"


def first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__

"""Downloads from a server that drops, cuts, lies, redirects and ignores ranges; bytes asked for are counted."""

from __future__ import annotations

import errno
import hashlib
import io
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import local_server

from midvision.core.errors import DataError
from midvision.core.progress import Advance, Progress
from midvision.zoo import fetch_drive, fetch_http
from midvision.zoo.fetch_http import CHUNK_BYTES, TRIES, Resuming, Unfetchable, Wanted, download


def checkpoint(seed: int = 0, zipped: bool = True) -> bytes:
    made = io.BytesIO()
    state = {"weight": torch.randn(60_000, generator=torch.Generator().manual_seed(seed))}
    torch.save(state, made, _use_new_zipfile_serialization=zipped)
    return made.getvalue()


BODY = checkpoint()
SIZE = len(BODY)
DIGEST = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def site() -> Iterator[local_server.Site]:
    with local_server.serving() as found:
        yield found


class Waits(list[float]):
    """Stands for sleeping."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def fetched(url: str, folder: Path, sha256: str = "", waits: Waits | None = None) -> Path:
    return download(Wanted(url, folder / "file.pth", sha256), wait=Waits() if waits is None else waits)


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


@pytest.mark.parametrize("sha256", ["", DIGEST[:8], DIGEST, DIGEST.upper()], ids=["none", "digits", "all", "capitals"])
def test_a_file_arrives_whole_and_alone(site: local_server.Site, tmp_path: Path, sha256: str) -> None:
    path = fetched(site.put("/a.pth", BODY), tmp_path, sha256)
    assert path.read_bytes() == BODY
    assert left_behind(tmp_path) == ["file.pth"]
    assert site.asked("/a.pth") == [(0, SIZE)]
    assert fetched(site.address + "/a.pth", tmp_path) == path
    assert len(site.log) == 1, "what is there is not asked for again"


def test_a_dropped_connection_is_continued_where_it_broke(site: local_server.Site, tmp_path: Path) -> None:
    waits = Waits()
    url = site.put("/a.pth", BODY, drops=[98_304, 49_152, None])
    assert fetched(url, tmp_path, DIGEST, waits).read_bytes() == BODY
    assert site.asked("/a.pth") == [(0, SIZE), (98_304, SIZE - 98_304), (147_456, SIZE - 147_456)]
    assert sum(entry.sent for entry in site.log) == SIZE, "no byte came twice"
    assert [entry.headers.get("If-Range") for entry in site.log] == [None, '"first"', '"first"']
    assert len(waits) == 2


def test_less_than_a_chunk_is_lost_where_the_line_is_cut(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, drops=[100_001, None])
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    kept = 100_001 // CHUNK_BYTES * CHUNK_BYTES
    assert site.asked("/a.pth") == [(0, SIZE), (kept, SIZE - kept)]


def test_what_an_earlier_process_left_is_continued(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, drops=[65_536] + [0] * TRIES)
    with pytest.raises(Unfetchable, match="65536 bytes are kept") as stopped:
        fetched(url, tmp_path)
    assert stopped.value.reason == "network"
    assert left_behind(tmp_path) == ["file.pth.part", "file.pth.part.json"]
    site.log.clear()
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    assert site.asked("/a.pth") == [(65_536, SIZE - 65_536)]
    assert left_behind(tmp_path) == ["file.pth"]


def test_a_server_that_ignores_ranges_sends_it_all_again(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, ranges=False, drops=[98_304, None])
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    assert site.asked("/a.pth") == [(0, SIZE), (0, SIZE)]
    assert site.log[1].headers["Range"] == "bytes=98304-", "it was asked for the rest all the same"


def test_a_server_that_continues_elsewhere_is_asked_for_all_of_it(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, drops=[98_304, None], shift=1000)
    assert fetched(url, tmp_path).read_bytes() == BODY
    assert site.asked("/a.pth") == [(0, SIZE), (97_304, SIZE - 97_304), (0, SIZE)]


def test_a_file_of_another_length_under_the_same_tag_is_taken_from_its_start(
    site: local_server.Site, tmp_path: Path
) -> None:
    url = site.put("/a.pth", BODY, drops=[98_304] + [0] * TRIES)
    with pytest.raises(Unfetchable):
        fetched(url, tmp_path)
    longer = io.BytesIO()
    torch.save({"weight": torch.ones(90_000)}, longer)
    site.put("/a.pth", longer.getvalue())
    assert fetched(url, tmp_path).read_bytes() == longer.getvalue()


def test_a_file_that_changed_meanwhile_is_taken_from_its_start(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, drops=[98_304] + [0] * TRIES)
    with pytest.raises(Unfetchable):
        fetched(url, tmp_path)
    other = checkpoint(1)
    site.put("/a.pth", other, etag='"second"')
    assert fetched(url, tmp_path).read_bytes() == other


def test_a_part_with_wrong_bytes_is_thrown_away_and_asked_for_again(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, drops=[98_304] + [0] * TRIES)
    with pytest.raises(Unfetchable):
        fetched(url, tmp_path)
    (tmp_path / "file.pth.part").write_bytes(b"\x00" * 98_304)
    site.log.clear()
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    assert site.asked("/a.pth") == [(98_304, SIZE - 98_304), (0, SIZE)]


def test_a_part_that_is_already_whole_costs_no_bytes(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, drops=[0] * TRIES)
    with pytest.raises(Unfetchable):
        fetched(url, tmp_path)
    (tmp_path / "file.pth.part").write_bytes(BODY)
    site.log.clear()
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    assert [entry.sent for entry in site.log] == [0]


def test_a_part_of_another_address_is_not_mixed_in(site: local_server.Site, tmp_path: Path) -> None:
    with pytest.raises(Unfetchable):
        fetched(site.put("/a.pth", checkpoint(1), drops=[98_304] + [0] * TRIES), tmp_path)
    assert fetched(site.put("/b.pth", BODY), tmp_path, DIGEST).read_bytes() == BODY
    assert site.asked("/b.pth") == [(0, SIZE)]


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_another_file_is_refused_and_not_kept(site: local_server.Site, tmp_path: Path, zipped: bool) -> None:
    other = checkpoint(1, zipped)
    with pytest.raises(Unfetchable, match=hashlib.sha256(other).hexdigest()) as refused:
        fetched(site.put("/a.pth", other), tmp_path, DIGEST[:8])
    assert refused.value.reason == "wrong file"
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize(
    ("body", "manner", "told"),
    [
        (BODY[:90_000], {}, "cut short"),
        (BODY[:90_000], {"says_length": False}, "cut short"),
        (b"<!DOCTYPE html><p>log in", {"kind": "text/html; charset=utf-8"}, "web page"),
        (b"\n <html>not found", {}, "page of text"),
        (b'{"error": "quota"}', {}, "page of text"),
        (b"", {}, "empty"),
        (b"GIF89a" + b"\x00" * 99, {}, "no checkpoint"),
    ],
    ids=["truncated", "truncated, no length", "page", "page as bytes", "json", "empty", "picture"],
)  # fmt: skip
def test_what_is_no_checkpoint_is_refused(
    site: local_server.Site, tmp_path: Path, body: bytes, manner: dict[str, object], told: str
) -> None:
    with pytest.raises(Unfetchable, match=told) as refused:
        fetched(site.put("/a.pth", body, **manner), tmp_path)
    assert refused.value.reason == "wrong file"
    assert left_behind(tmp_path) == []
    assert len(site.log) == 1


def test_a_stream_without_a_length_is_taken_to_its_end(site: local_server.Site, tmp_path: Path) -> None:
    assert fetched(site.put("/a.pth", BODY, says_length=False), tmp_path, DIGEST).read_bytes() == BODY


def test_redirects_are_followed_and_a_continued_file_follows_them_too(site: local_server.Site, tmp_path: Path) -> None:
    site.put("/real.pth", BODY, drops=[98_304, None])
    url = site.put("/a.pth", status=302, headers={"Location": "/real.pth"})
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    assert site.asked("/real.pth") == [(0, SIZE), (98_304, SIZE - 98_304)]


def test_a_redirect_in_a_circle_is_a_dead_link(site: local_server.Site, tmp_path: Path) -> None:
    with pytest.raises(Unfetchable, match="redirects") as refused:
        fetched(site.put("/a.pth", status=302, headers={"Location": "/a.pth"}), tmp_path)
    assert refused.value.reason == "dead"


@pytest.mark.parametrize(("code", "reason"), [(401, "gated"), (403, "gated"), (404, "dead"), (410, "dead")])
def test_a_refusal_is_final(site: local_server.Site, tmp_path: Path, code: int, reason: str) -> None:
    with pytest.raises(Unfetchable, match=f"HTTP {code}") as refused:
        fetched(site.put("/a.pth", BODY, status=code), tmp_path)
    assert refused.value.reason == reason
    assert len(site.log) == 1


def test_a_busy_server_is_asked_again_after_the_time_it_names(site: local_server.Site, tmp_path: Path) -> None:
    waits = Waits()
    url = site.put("/a.pth", BODY, answers=[503, 429, 500], headers={"Retry-After": "7"})
    assert fetched(url, tmp_path, DIGEST, waits).read_bytes() == BODY
    assert waits == [7.0, 7.0, 7.0]


def test_a_server_that_never_recovers_is_given_up(site: local_server.Site, tmp_path: Path) -> None:
    waits = Waits()
    with pytest.raises(Unfetchable, match="HTTP 503, 5 times in a row") as stopped:
        fetched(site.put("/a.pth", BODY, status=503), tmp_path, "", waits)
    assert stopped.value.reason == "network"
    assert waits == [1.0, 2.0, 4.0, 8.0]


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    with local_server.serving() as gone:
        url = gone.address + "/a.pth"
    with pytest.raises(Unfetchable, match="cannot be reached") as stopped:
        fetched(url, tmp_path)
    assert stopped.value.reason == "network"


def test_two_that_want_the_same_file_ask_once(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY)
    several = [threading.Thread(target=fetched, args=(url, tmp_path, DIGEST)) for _ in range(4)]
    for thread in several:
        thread.start()
    for thread in several:
        thread.join()
    assert (tmp_path / "file.pth").read_bytes() == BODY
    assert len(site.log) == 1


def test_drive_links_lead_to_the_file_and_its_page() -> None:
    for url in (
        "https://drive.google.com/uc?id=1TLZ_x-9",
        "https://drive.google.com/open?id=1TLZ_x-9",
        "https://drive.google.com/file/d/1TLZ_x-9/view?usp=sharing",
    ):
        assert fetch_drive.direct(url) == (
            "https://drive.usercontent.google.com/download?id=1TLZ_x-9&export=download&confirm=t"
        )
        assert fetch_drive.page(url) == "https://drive.google.com/file/d/1TLZ_x-9/view"
    assert fetch_drive.direct("https://example.org/a?id=3") == "https://example.org/a?id=3"


DRIVE_PAGE = b"""<html><body><form id="download-form" action="/download" method="get">
<input type="submit" value="Download anyway"><input type="hidden" name="id" value="1TLZ">
<input type="hidden" name="confirm" value="t"><input type="hidden" name="uuid" value="9-a"></form></body></html>"""


def test_the_page_before_a_large_drive_file_is_answered(
    site: local_server.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_http, "is_drive", lambda url: True)
    site.put("/download", BODY, drops=[98_304, None])
    url = site.put("/uc", DRIVE_PAGE, kind="text/html")
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    path = "/download?id=1TLZ&confirm=t&uuid=9-a"
    assert site.asked(path) == [(0, SIZE), (98_304, SIZE - 98_304)]


def test_a_drive_page_that_only_says_no_is_refused(
    site: local_server.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_http, "is_drive", lambda url: True)
    page = b"<html><p>Too many users have viewed or downloaded this file recently.</p></html>"
    with pytest.raises(Unfetchable, match="web page") as refused:
        fetched(site.put("/uc", page, kind="text/html"), tmp_path)
    assert refused.value.reason == "wrong file"


def test_a_full_disk_is_said_and_the_part_kept(
    site: local_server.Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = site.put("/a.pth", BODY)
    append = fetch_http.Part.append

    def full(part: fetch_http.Part, answer: object, told: object) -> None:
        part.path.write_bytes(BODY[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch_http.Part, "append", full)
    with pytest.raises(DataError, match=r"file\.pth: No space left on device"):
        fetched(url, tmp_path)
    monkeypatch.setattr(fetch_http.Part, "append", append)
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    assert site.asked("/a.pth")[-1] == (1000, SIZE - 1000)


def test_a_folder_that_cannot_be_made_is_said(site: local_server.Site, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file")
    with pytest.raises(DataError, match="Cannot write"):
        fetched(site.put("/a.pth", BODY), tmp_path / "weights")
    assert site.log == []


def test_mebibytes_are_told_as_they_arrive(site: local_server.Site, tmp_path: Path) -> None:
    told: list[int] = []

    class Listening(Progress):
        @contextmanager
        def bar(self, label: str, total: int | None) -> Iterator[Advance]:
            assert label == "good (MiB)" and total == -(-len(body) // 2**20)
            yield told.append

    body = BODY + bytes(5 * 2**20)
    wanted = Wanted(site.put("/a.bin", body, kind="x"), tmp_path / "a.pth", label="good")
    with pytest.raises(Unfetchable, match="cut short"):
        download(wanted, Listening())
    assert sum(told) == len(body) // 2**20


KILLED = """
import sys
from pathlib import Path
from midvision.zoo.fetch_http import Wanted, download
download(Wanted(sys.argv[1], Path(sys.argv[2])))
"""


def test_a_killed_process_is_continued_by_the_next(site: local_server.Site, tmp_path: Path) -> None:
    url = site.put("/a.pth", BODY, pause_s=0.2)
    path, part = tmp_path / "file.pth", tmp_path / "file.pth.part"
    process = subprocess.Popen([sys.executable, "-c", KILLED, url, str(path)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.is_file() and part.stat().st_size > 40_000):
        time.sleep(0.01)
    process.kill()
    process.wait()
    kept = part.stat().st_size
    assert 0 < kept < SIZE and not path.exists()
    site.pages["/a.pth"].pause_s = 0.0
    assert fetched(url, tmp_path, DIGEST).read_bytes() == BODY
    assert site.asked("/a.pth") == [(0, SIZE), (kept, SIZE - kept)]


def test_a_file_is_not_taken_over_an_unencrypted_line_in_place_of_an_encrypted_one(tmp_path: Path) -> None:
    class Answer(nullcontext[None]):
        status_code, url = 200, "http://example.org/a.pth"

    class Downgrading:
        def get(self, address: str, **_: object) -> Answer:
            return Answer()

    wanted = Wanted("https://example.org/a.pth", tmp_path / "a.pth")
    with pytest.raises(Unfetchable, match="unencrypted"):
        Resuming(wanted, session=Downgrading())(wanted.url, str(tmp_path / "out"), None)  # type: ignore[arg-type]

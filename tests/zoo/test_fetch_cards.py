"""A card's file: downloads are checked, given files never refused; every obstacle comes with a page and a way."""

from __future__ import annotations

import hashlib
import io
import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

sys.path.insert(0, str(Path(__file__).parent))

import local_server

from midvision.core.errors import DataError, UsageError
from midvision.core.progress import SILENT, Advance, Progress, listen
from midvision.zoo import fetch, fetch_http
from midvision.zoo.card import Card, Known, Source, Unknown, all_cards
from midvision.zoo.fetch import card_file, card_place, given_file, hash_in_name, hub_file
from midvision.zoo.obtain import fetchable_ids, obtain, stock


def checkpoint(seed: int = 0) -> bytes:
    made = io.BytesIO()
    torch.save({"weight": torch.randn(1000, generator=torch.Generator().manual_seed(seed))}, made)
    return made.getvalue()


BODY = checkpoint()
DIGEST = hashlib.sha256(BODY).hexdigest()
PAGE = "https://example.org/model"


@pytest.fixture
def site() -> Iterator[local_server.Site]:
    with local_server.serving() as found:
        yield found


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(fetch_http.time, "sleep", lambda seconds: None)


def card(url: str, sha256: str = "", mirrors: tuple[str, ...] = (), page: str = PAGE) -> Card:
    source = Known(Source(url=url, page=page, mirrors=mirrors), "test")
    digest = Known(sha256, "test") if sha256 else Unknown("test")
    return replace(all_cards()["dino_vitb16"], source=source, sha256=digest)


def test_a_card_fetched_once_is_here_with_its_hash_on_record(site: local_server.Site) -> None:
    wanted = card(site.put("/a/weights.pth", BODY))
    path = card_file(wanted)
    assert path.read_bytes() == BODY and path == card_place(wanted)
    note = json.loads(path.with_name(f"{path.name}.source.json").read_text())
    assert (note["sha256"], note["bytes"]) == (DIGEST, len(BODY)) and note["url"].endswith("/a/weights.pth")
    assert card_file(wanted) == path and len(site.log) == 1


def test_equal_file_names_of_two_addresses_stay_apart(site: local_server.Site) -> None:
    other = checkpoint(1)
    one = card_file(card(site.put("/base/checkpoint_teacher.pth", BODY)))
    two = card_file(card(site.put("/large/checkpoint_teacher.pth", other)))
    assert (one.read_bytes(), two.read_bytes()) == (BODY, other)


def test_a_mirror_takes_over_from_a_dead_link(site: local_server.Site) -> None:
    mirror = site.put("/mirror.pth", BODY)
    assert card_file(card(site.address + "/gone.pth", DIGEST, (mirror,))).read_bytes() == BODY


@pytest.mark.parametrize(
    ("manner", "told", "way"),
    [
        ({"status": 404}, "dead (HTTP 404)", "Look there for where it went"),
        ({"status": 403}, "refuses it (HTTP 403)", "Agree to its terms"),
        ({"status": 500}, "HTTP 500, 5 times in a row", "Try again"),
        ({"kind": "text/html"}, "web page", "Look there whether the file was replaced"),
    ],
    ids=["dead", "gated", "broken", "page"],
)
def test_what_stands_in_the_way_comes_with_the_page_and_a_way(
    site: local_server.Site, manner: dict[str, object], told: str, way: str
) -> None:
    wanted = card(site.put("/w.pth", BODY, **manner))
    with pytest.raises(DataError) as stopped:
        card_file(wanted)
    error = stopped.value
    assert error.exit_code == 3
    assert told in error.wrong and "/w.pth" in error.wrong and "dino_vitb16" in error.wrong
    assert error.expected.endswith(PAGE)
    assert way in error.do and "--weights FILE" in error.do and str(card_place(wanted)) in error.do


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_asks_nobody(site: local_server.Site, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(DataError, match=r"HF_HUB_OFFLINE.*midvision models fetch dino_vitb16"):
        card_file(card(site.put("/w.pth", BODY)))
    assert site.log == []


def test_a_download_with_another_hash_is_refused(site: local_server.Site) -> None:
    wanted = card(site.put("/w.pth", checkpoint(1)), DIGEST)
    with pytest.raises(DataError, match=f"not {DIGEST}"):
        card_file(wanted)
    assert not card_place(wanted).exists()


def test_a_kept_file_with_another_hash_is_refused_too(site: local_server.Site) -> None:
    wanted = card(site.put("/w.pth", BODY), DIGEST)
    card_place(wanted).parent.mkdir(parents=True)
    card_place(wanted).write_bytes(checkpoint(1))
    with pytest.raises(DataError, match="is not the published file"):
        card_file(wanted)


def test_a_file_that_changed_since_it_was_fetched_is_refused(site: local_server.Site) -> None:
    wanted = card(site.put("/w.pth", BODY))
    path = card_file(wanted)
    path.write_bytes(BODY[:-1])
    with pytest.raises(DataError, match=f"should begin with {DIGEST[:8]}"):
        card_file(wanted)
    path.with_name(f"{path.name}.source.json").unlink()
    assert card_file(wanted) == path, "what a person put there is theirs"


def test_work_that_is_handed_no_listener_is_heard(site: local_server.Site) -> None:
    heard: list[str] = []

    class Listening(Progress):
        @contextmanager
        def bar(self, label: str, total: int | None) -> Iterator[Advance]:
            heard.append(label)
            yield lambda steps: None

    listen(Listening())
    try:
        card_file(card(site.put("/w.pth", BODY)))
    finally:
        listen(SILENT)
    assert heard == ["dino_vitb16 (MiB)"]


def test_a_given_file_is_warned_about_and_recorded_never_refused(tmp_path: Path) -> None:
    mine = tmp_path / "mine.pth"
    mine.write_bytes(BODY)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert given_file(card("http://x/w.pth"), mine).matches is None
        assert given_file(card("http://x/w.pth", DIGEST[:8]), mine).matches is True
    with pytest.warns(UserWarning, match="is not the published file of dino_vitb16.*used as it is"):
        given = given_file(card("http://x/w.pth", "0" * 64), mine)
    assert given.as_dict() == {"weights_sha256": DIGEST, "published_sha256": "0" * 64, "as_published": False}


def test_file_names_of_some_publishers_hold_a_hash() -> None:
    assert hash_in_name("https://download.pytorch.org/models/resnet50-0676ba61.pth") == "0676ba61"
    assert hash_in_name("https://download.openmmlab.com/a/simsiam_20220825-efe91299.pth") == "efe91299"
    assert hash_in_name("https://download.openmmlab.com/a/simsiam_20220825.pth") == ""
    assert hash_in_name("https://dl.fbaipublicfiles.com/deit/deit_base-b5f2ef4d.pth") == "", "no such convention known"


def test_every_card_with_a_file_knows_its_place() -> None:
    places = {}
    for name in fetchable_ids():
        found = all_cards()[name]
        if isinstance(found.source, Known) and (found.source.value.url or found.source.value.repository):
            places.setdefault(str(card_place(found)), set()).add(found.source.value)
    assert places and all(len(sources) == 1 for sources in places.values()), "no two files share a place"


def test_a_stock_says_what_is_here(site: local_server.Site, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = card(site.put("/w.pth", BODY))
    monkeypatch.setattr("midvision.zoo.obtain.all_cards", lambda: {wanted.id: wanted})
    before = stock("dino_vitb16")
    assert before.state == "to fetch" and before.as_dict()["bytes"] is None
    after = obtain(before)
    assert (after.state, after.sha256, after.as_dict()["bytes"]) == ("fetched", DIGEST, len(BODY))
    assert obtain(stock("dino_vitb16")).state == "here"
    assert stock("control/pixels").state == "nothing to fetch"
    assert obtain(stock("random/resnet50")).get is None
    with pytest.raises(UsageError, match="dino_vitb16"):
        stock("dino_vitb61")


REPOSITORY = "someone/network"
COMMIT = "1" * 40


@pytest.fixture
def hub(site: local_server.Site, monkeypatch: pytest.MonkeyPatch) -> local_server.Site:
    """The site as a Hugging Face hub, as far as its client looks."""
    monkeypatch.setattr(constants, "ENDPOINT", site.address)
    template = site.address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    return site


def on_hub(hub: local_server.Site, filename: str, body: bytes = BODY, **manner: object) -> None:
    headers = {"X-Repo-Commit": COMMIT, **manner.pop("headers", {})}  # type: ignore[dict-item]
    hub.put(f"/{REPOSITORY}/resolve/main/{filename}", body, etag=f'"{filename}"', headers=headers, **manner)


def test_a_hub_file_is_fetched_once_with_the_token(hub: local_server.Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    on_hub(hub, "model.safetensors")
    path = hub_file("x", REPOSITORY, ["model.safetensors"])
    assert path.read_bytes() == BODY
    asked = [entry for entry in hub.log if REPOSITORY in entry.path]
    assert [entry.method for entry in asked] == ["HEAD", "GET"]
    assert {entry.headers["authorization"] for entry in asked} == {"Bearer hf_secret"}
    count = len(hub.log)
    assert hub_file("x", REPOSITORY, ["model.safetensors"]) == path and len(hub.log) == count
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert hub_file("x", REPOSITORY, ["model.safetensors"]) == path


def test_a_hub_file_is_continued_after_a_drop(hub: local_server.Site) -> None:
    body = bytes(24 * 2**20)
    on_hub(hub, "model.bin", body, drops=[15 * 2**20, None])
    assert hub_file("x", REPOSITORY, ["model.bin"]).read_bytes() == body
    starts = [entry.start for entry in hub.log if entry.method == "GET"]
    assert starts == [0, constants.DOWNLOAD_CHUNK_SIZE], "the hub's client keeps whole chunks"


def test_the_second_name_is_tried_where_the_first_is_not_there(hub: local_server.Site) -> None:
    missing = {"X-Error-Code": "EntryNotFound"}
    on_hub(hub, "model.safetensors", status=404, headers=missing)
    on_hub(hub, "pytorch_model.bin")
    assert hub_file("x", REPOSITORY, ["model.safetensors", "pytorch_model.bin"]).read_bytes() == BODY
    with pytest.raises(DataError, match="has no model"):
        hub_file("x", REPOSITORY, ["model.safetensors"])


@pytest.mark.parametrize(
    ("status", "code", "told"),
    [
        (403, "GatedRepo", "grant access"),
        (401, "RepoNotFound", "shows no someone/network to this account"),
        (404, "RevisionNotFound", "no revision"),
    ],
)
def test_a_gated_repository_gives_its_page(hub: local_server.Site, status: int, code: str, told: str) -> None:
    on_hub(hub, "model.bin", status=status, headers={"X-Error-Code": code})
    with pytest.raises(DataError, match=told) as stopped:
        hub_file("dinov3", REPOSITORY, ["model.bin"])
    assert stopped.value.expected.endswith("https://huggingface.co/someone/network")
    assert "--weights FILE to -m dinov3" in stopped.value.do
    if status != 404:
        assert "HF_TOKEN" in stopped.value.do


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    with local_server.serving() as gone:
        address = gone.address
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    with pytest.raises(DataError, match="the hub cannot be reached") as stopped:
        hub_file("x", REPOSITORY, ["model.bin"])
    assert "Try again" in stopped.value.do


def test_a_hub_file_with_another_hash_than_the_card_knows_is_refused(hub: local_server.Site) -> None:
    on_hub(hub, "model.bin", checkpoint(1))
    source = Known(Source(repository=REPOSITORY, filename="model.bin"), "test")
    wanted = replace(all_cards()["dino_vitb16"], source=source, sha256=Known(DIGEST, "test"))
    with pytest.raises(DataError, match="is not the published file of dino_vitb16"):
        fetch.card_file(wanted)

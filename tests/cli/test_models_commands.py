"""`midvision models ...` from outside: documents, tables, exit codes, and what is said where."""

from __future__ import annotations

import hashlib
import io
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "zoo"))

import hostile
import local_server

from midvision.cli.main import main
from midvision.zoo.card import Card, Known, Source, Unavailable, Unknown, all_cards


@pytest.fixture(autouse=True)
def own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MIDVISION_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("COLUMNS", "250")
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.setenv(name, "")


def out(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["models", *words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def site() -> Iterator[local_server.Site]:
    with local_server.serving() as found:
        yield found


@pytest.fixture
def body() -> bytes:
    made = io.BytesIO()
    torch.save({"conv1.weight": torch.ones(64, 3, 7, 7)}, made)
    return made.getvalue()


@pytest.fixture
def zoo(monkeypatch: pytest.MonkeyPatch, site: local_server.Site, body: bytes) -> dict[str, Card]:
    """One card whose file is there, one whose link is dead, one without weights."""
    model = all_cards()["dino_vitb16"]

    def card(name: str, path: str) -> Card:
        source = Known(Source(url=site.address + path, page=f"https://example.org/{name}"), "test")
        return replace(model, id=name, source=source, sha256=Unknown("test"))

    site.put("/good.pth", body)
    cards = {
        "good": card("good", "/good.pth"),
        "dead": card("dead", "/dead.pth"),
        "none": replace(model, id="none", route=Unavailable("never released")),
    }
    monkeypatch.setattr("midvision.zoo.obtain.all_cards", lambda: cards)
    return cards


def test_fetch_brings_a_file_once(
    zoo: dict[str, Card], capsys: pytest.CaptureFixture[str], body: bytes, site: local_server.Site
) -> None:
    code, printed, _ = out(capsys, "fetch", "good", "--dry-run", "--json")
    (planned,) = json.loads(printed)["files"]
    assert code == 0 and planned["state"] == "to fetch" and planned["bytes"] is None
    assert site.log == [] and not Path(planned["path"]).exists()
    code, printed, _ = out(capsys, "fetch", "good", "--json")
    (found,) = json.loads(printed)["files"]
    assert code == 0 and found["state"] == "fetched" and found["path"] == planned["path"]
    assert (found["bytes"], found["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    code, printed, _ = out(capsys, "fetch", "good")
    assert code == 0 and "here" in printed and len(site.log) == 1


def test_one_failure_is_an_error_several_are_listed(zoo: dict[str, Card], capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, said = out(capsys, "fetch", "dead")
    assert code == 3 and printed == "" and "HTTP 404" in said
    assert "https://example.org/dead" in said and "--weights FILE" in said
    code, printed, said = out(capsys, "fetch", "good,dead", "--json")
    document = json.loads(printed)
    assert code == 1
    assert [entry["id"] for entry in document["files"]] == ["good"]
    assert [entry["id"] for entry in document["failures"]] == ["dead"]
    code, _, said = out(capsys, "fetch", "none")
    assert code == 3 and "never released" in said


def test_fetch_all_takes_what_has_weights(zoo: dict[str, Card], capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, said = out(capsys, "fetch", "--all")
    assert code == 1 and "good" in printed and "1 of 2 could not be had" in said


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["fetch", "dino_vitb61"], "dino_vitb16"),
        (["fetch"], "--all"),
        (["fetch", "--all", "dino_vitb16"], "One of the two"),
        (["cost"], "list models"),
        (["cost", "random/resnet51"], "resnet50"),
        (["cost", "random/resnet18", "--size", "12y"], "--size"),
        (["cost", "control/oracle"], "truth"),
        (["inspekt"], "inspect"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_wrong_words_are_usage_errors(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, said = out(capsys, *words)
    assert code == 2 and told in said and printed == ""


def test_offline_names_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, said = out(capsys, "fetch", "dino_vitb16", "--offline")
    assert code == 3 and "HF_HUB_OFFLINE" in said and "https://github.com/facebookresearch/dino" in said


def test_what_needs_nothing_is_said_so(capsys: pytest.CaptureFixture[str]) -> None:
    code, printed, _ = out(capsys, "fetch", "control/pixels", "random/resnet18", "--json")
    assert code == 0 and {entry["state"] for entry in json.loads(printed)["files"]} == {"nothing to fetch"}


def test_inspect_tells_and_documents(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from midvision.encoders.timm_backbone import build_network

    path = tmp_path / "mine.pth"
    torch.save({"model": build_network("resnet18").state_dict()}, path)
    code, printed, _ = out(capsys, "inspect", str(path))
    assert code == 0 and "ResNet-18" in printed and f"midvision run -m 'file:{path}?arch=resnet18'" in printed
    code, printed, _ = out(capsys, "inspect", str(path), "--json")
    report = json.loads(printed)
    assert report["container"] == "torch, zip" and report["networks"][0]["network"]["facts"]["depth"] == 18


@pytest.mark.parametrize("content", [b"", b"<html>no</html>", b"\x80\x02garbage", b"PK\x03\x04", b"not a checkpoint"])
def test_what_cannot_be_read_is_one_error(content: bytes, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    path.write_bytes(content)
    code, printed, said = out(capsys, "inspect", str(path))
    assert code == 3 and printed == "" and said.count("Error:") == 1 and "bad.pth" in said
    assert "Traceback" not in said
    assert out(capsys, "inspect", str(tmp_path / "absent.pth"))[0] == 3


def test_cost_needs_no_weights_and_is_kept(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ("cost", "dino_vitb16", "random/resnet18", "control/pixels", "--size", "64", "--seconds", "0", "--json")
    code, printed, _ = out(capsys, *words)
    costs = {entry["id"]: entry for entry in json.loads(printed)["costs"]}
    assert code == 0 and costs["dino_vitb16"]["parameters"] == 85_798_656
    assert (costs["dino_vitb16"]["tokens"], costs["random/resnet18"]["tokens"]) == (16, 4)
    assert costs["control/pixels"]["gflops"] is None
    assert len(list((tmp_path / "cache" / "costs").glob("*.json"))) == 3
    code, printed, _ = out(
        capsys, "cost", "random/resnet18", "--size", "64x96", "--seconds", "0.01", "--batch-size", "2"
    )
    assert code == 0 and "64×96" in printed and "11.18" in printed


@pytest.mark.parametrize("place", ["top", "among the tensors"])
@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_inspect_runs_nothing(place: str, zipped: bool, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    marker, path = tmp_path / "ran", tmp_path / "bad.pth"
    for name, payload in hostile.payloads(marker).items():
        torch.save(hostile.around(payload, place), path, _use_new_zipfile_serialization=zipped)
        code, printed, said = out(capsys, "inspect", str(path), "--json")
        assert (code, printed, said.count("Error:")) == (3, "", 1), name
        assert not marker.exists()


@pytest.mark.parametrize("write", [hostile.giant_safetensors, hostile.giant_tensor_safetensors, hostile.giant_legacy])
def test_inspect_believes_no_size(
    write: Callable[[Path], Path], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, _, said = out(capsys, "inspect", str(write(tmp_path / "bad.pth")))
    assert code == 3 and said.count("Error:") == 1

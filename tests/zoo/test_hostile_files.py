"""Hostile and broken checkpoints: one clear line each, exit code 3, nothing executed, nothing large allocated."""

from __future__ import annotations

import collections
import io
import os
import pickle
import resource
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hostile
import numpy as np
import pytest
import torch
from PIL import Image
from published_cases import MODELS
from published_files import write
from published_tensors import State, resnet50_shapes, shaped, vitb16_shapes
from safetensors.torch import save_file

import midvision as mv
from midvision.cli.main import main
from midvision.core.errors import DataError
from midvision.data.plain_pickle import read_plain_pickle
from midvision.zoo.load import encoder_key
from midvision.zoo.read import read_checkpoint

MODEL = "dino_resnet50"
MARKER = Path("never-made")
KINDS = ("zip", "old format")
pytestmark = pytest.mark.filterwarnings("ignore:.*is not the published file")


def resnet(width: float = 1.0, **changed: torch.Tensor) -> State:
    """A ResNet-50 in full shapes over one stored number each, so that its file is small."""

    def scaled(shape: Sequence[int]) -> list[int]:
        return [side if side in (1, 3, 7) else int(side * width) for side in shape]

    state = {name: shaped(*scaled(shape)) for name, shape in resnet50_shapes().items()}
    return {**state, **{name.replace("__", "."): value for name, value in changed.items()}}


def broken_content() -> dict[str, tuple[Any, str]]:
    """Files that torch reads well and that no ResNet-50 must be made of, with what is to be said."""
    names = resnet50_shapes()
    full = {name: torch.tensor(float(name)) for name in ("nan", "inf")}
    return {
        "another architecture": ({name: shaped(*shape) for name, shape in vitb16_shapes().items()}, "cls_token"),
        "a shallower network": (
            {name: value for name, value in resnet().items() if not name.startswith("layer3.5")},
            r"missing \(layer3\.5\.",
        ),
        "a wider network": (resnet(2.0), r"shape \[128, 3, 7, 7\].*\[64, 3, 7, 7\]"),
        "a narrower layer": (
            resnet(layer4__1__conv2__weight=shaped(256, 512, 3, 3)),
            r"layer4\.1\.conv2\.weight.*shape \[256, 512, 3, 3\].*\[512, 512, 3, 3\]",
        ),
        "grey input": (resnet(conv1__weight=shaped(64, 1, 7, 7)), r"conv1\.weight.*\[64, 1, 7, 7\]"),
        "a first convolution of zeros": (
            resnet(conv1__weight=torch.zeros(1).expand(64, 3, 7, 7)),
            r"conv1\.weight.*zero",
        ),
        "not a number": (
            resnet(layer2__0__bn1__bias=full["nan"].expand(names["layer2.0.bn1.bias"])),
            r"layer2\.0\.bn1\.bias.*NaN",
        ),
        "infinite": (
            resnet(layer4__0__conv1__weight=full["inf"].expand(names["layer4.0.conv1.weight"])),
            r"layer4\.0\.conv1\.weight.*infinite",
        ),
        "nothing": ({}, "laid out otherwise|holds no weights"),
        "a list": ([1, 2, 3], "laid out otherwise|holds no weights"),
        "a single tensor": (torch.ones(3), "laid out otherwise|holds no weights"),
    }


BROKEN = tuple(broken_content())
UNREADABLE: dict[str, Callable[[Path], Any]] = {
    "empty": lambda path: path.write_bytes(b""),
    "a web page": lambda path: path.write_text("<!DOCTYPE html><html><body>404 Not Found</body></html>"),
    "a gate's answer": lambda path: path.write_text('{"error": "Access to this model is restricted"}'),
    "zip cut short": lambda path: _cut(write(path, {"state_dict": resnet()}, zipped=True)),
    "old format cut short": lambda path: _cut(write(path, {"state_dict": resnet()}, zipped=False)),
    "safetensors cut short": lambda path: _cut(_safetensors(path)),
    "safetensors, header of 4 GB": hostile.giant_safetensors,
    "safetensors, tensor of 4 GB": hostile.giant_tensor_safetensors,
    "old format, tensor of 4 GB": hostile.giant_legacy,
    "zip, directory says 4 GB": hostile.giant_zip_directory,
    "zip, tensor of 4 GB": hostile.giant_zip_storage,
    "zip bomb": lambda path: hostile.zip_bomb(path, 1 << 26),
    "zip of something else": lambda path: _zip_of_text(path),
    "numpy archive": lambda path: np.savez(path.open("wb"), a=np.ones(3)),
}


SAID = {
    "a web page": "It is a web page",
    "zip cut short": "zip archive that is damaged or cut short",
    "zip, directory says 4 GB": r"claims to hold 4\.0 GiB but is a file of \d,\d\d\d bytes",
    "zip bomb": "claims to hold",
    "zip of something else": "zip archive without a table of tensors",
    "numpy archive": "zip archive without a table of tensors",
}


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def _safetensors(path: Path) -> Path:
    save_file({"conv1.weight": torch.ones(64, 3, 7, 7)}, path)
    return path


def _zip_of_text(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "nothing here")


def refused(path: Path, match: str, model: str = MODEL) -> None:
    """One line of bounded length that names the file, with exit code 3."""
    with pytest.raises(DataError, match=match) as caught:
        mv.load_model(model, weights=path)
    assert caught.value.exit_code == 3 and str(path) in caught.value.wrong
    assert "\n" not in str(caught.value) and len(caught.value.wrong) < 400 + len(str(path))


@pytest.mark.parametrize("name", BROKEN)
def test_weights_that_do_not_fit_are_refused_by_name(name: str, tmp_path: Path) -> None:
    content, match = broken_content()[name]
    refused(write(tmp_path / "x.pth", content, zipped=len(name) % 2 == 0), match)


def transformer(**changed: torch.Tensor) -> State:
    """A ViT-B/16, as `resnet`."""
    state = {name: shaped(*shape) for name, shape in vitb16_shapes().items()}
    return {**state, **{name.replace("__", "."): value for name, value in changed.items()}}


def narrow_transformer() -> State:
    """A ViT-S/16: the same names, half the width."""
    return {name: shaped(*(n // 2 if n % 768 == 0 else n for n in shape)) for name, shape in vitb16_shapes().items()}


NO_TRANSFORMER: dict[str, tuple[Callable[[], State], str]] = {
    "a ResNet": (resnet, "laid out otherwise"),
    "half the width": (narrow_transformer, r"shape \[1, 1, 384\].*\[1, 1, 768\]"),
    "another patch": (lambda: transformer(patch_embed__proj__weight=shaped(768, 3, 14, 14)), r"\[768, 3, 14, 14\]"),
    "another grid": (lambda: transformer(pos_embed=shaped(1, 577, 768)), r"pos_embed.*\[1, 577, 768\]"),
    "distilled": (lambda: transformer(dist_token=shaped(1, 1, 768)), r"left over \(dist_token\)"),
    "zeros": (lambda: transformer(patch_embed__proj__weight=torch.tensor(0.0).expand(768, 3, 16, 16)), "all zeros"),
}


@pytest.mark.parametrize("name", NO_TRANSFORMER)
def test_transformers_that_do_not_fit(name: str, tmp_path: Path) -> None:
    make, match = NO_TRANSFORMER[name]
    refused(write(tmp_path / "x.pth", {"model": make()}, zipped=True), match, "deit_vitb16")


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_files_take_no_memory(name: str, tmp_path: Path) -> None:
    path = tmp_path / "resnet50.pth"
    UNREADABLE[name](path)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(path, f"is not a readable checkpoint.*{SAID.get(name, '')}")
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 256 << 20


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "never-made"


@pytest.mark.parametrize("place", hostile.PLACES)
@pytest.mark.parametrize("gadget", sorted(hostile.payloads(MARKER)))
def test_nothing_that_a_pickle_names_is_run(gadget: str, place: str, tmp_path: Path, marker: Path) -> None:
    for zipped in (True, False):
        path = write(tmp_path / "x.pth", hostile.around(hostile.payloads(marker)[gadget], place), zipped)
        with pytest.raises(DataError, match=rf"asks for {gadget} to be run, so it was not loaded"):
            read_checkpoint(path)
    assert not marker.exists()


@pytest.mark.accept
def test_the_payloads_would_do_it(tmp_path: Path) -> None:
    """Python's own unpickling falls for them (in a process of its own)."""
    files = []
    for name in sorted(set(hostile.payloads(MARKER)) - {"getattr"}):
        path = tmp_path / f"{name}.pkl"
        path.write_bytes(pickle.dumps(hostile.payloads(tmp_path / f"made by {name}")[name]))
        files.append(str(path))
    code = """if True:
        import contextlib, pickle, sys
        for path in sys.argv[1:]:
            with contextlib.suppress(Exception):
                pickle.load(open(path, "rb"))
    """
    subprocess.run([sys.executable, "-c", code, *files], check=True, capture_output=True)
    assert len(list(tmp_path.glob("made by *"))) == len(files) == 7


@pytest.mark.parametrize("protocol", range(6))
def test_plain_pickles_are_not_run(protocol: int, tmp_path: Path, marker: Path) -> None:
    path = tmp_path / "weights.pkl"
    for name in ("exec", f"{os.name}.mkdir"):
        path.write_bytes(pickle.dumps({"state_dict": hostile.payloads(marker)[name]}, protocol))
        with pytest.raises(DataError):
            read_checkpoint(path)
    assert not marker.exists()


def test_inside_a_sound_file_of_every_kind(tmp_path: Path, marker: Path) -> None:
    """Beside log objects and arguments that are taken, in a file that otherwise fits."""
    case = next(case for case in MODELS if case.name == "simsiam_resnet50")
    published = case.build(False)
    payload = hostile.payloads(marker)["exec"]
    hub = {**published.content["message_hub"], "runtime_info": {"iter": payload}}
    path = write(tmp_path / "x.pth", {**published.content, "message_hub": hub}, zipped=False)
    with pytest.raises(DataError, match="asks for exec"):
        mv.load_model(case.model, weights=path)
    assert not marker.exists()


def objects_from_bytes() -> bytes:
    """A pickle whose array of objects is made of raw bytes: numpy's own hooks take them for addresses.

    The type is that of objects, and its state takes away the flag by which numpy tells them from numbers.
    """

    def plain(value: object) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]

    kind = b"cnumpy\ndtype\n" + plain(("O", False, True)) + b"R" + plain((3, "|", None, None, None, -1, -1, 0)) + b"b"
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + plain((0,)) + plain("b") + b"tR"
    raw = b"c_codecs\nencode\n" + plain(("A" * 16, "latin1")) + b"R"
    return made + b"(" + plain(1) + plain((2,)) + kind + plain(False) + raw + b"tb"


def test_bytes_never_become_objects(tmp_path: Path) -> None:
    body = b"\x80\x02" + objects_from_bytes() + b"."
    path = tmp_path / "objects.pth"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (("data.pkl", body), ("version", b"3\n"), ("byteorder", b"little")):
            archive.writestr(f"archive/{name}", content)
    with pytest.raises(DataError, match=r"asks for numpy\.object_"):
        read_checkpoint(path)
    with pytest.raises(DataError, match=r"asks for numpy\.object_"):
        read_plain_pickle(io.BytesIO(body), "labels.pkl")
    write(path, {"a": np.array([{}, "text"], dtype=object)}, zipped=True)
    with pytest.raises(DataError, match=r"asks for numpy\.object_"):
        read_checkpoint(path)


def test_arrays_of_every_number_and_order_come_back(tmp_path: Path) -> None:
    table = np.arange(24).reshape(2, 3, 4)
    kinds = ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u4", "b1", ">f4")
    content = collections.OrderedDict(
        {
            **{kind: table.astype(kind) for kind in kinds},
            "columns": np.asfortranarray(table.astype("f4")),
            "empty": np.zeros((0, 3), "f4"),
            "scalar": np.array(7, "i8"),
            "text": np.array(["a", "depth"]),
            "nested": [(np.ones(2), {"x": np.float32(0.5)})],
        }
    )
    for zipped in (True, False):
        found = read_checkpoint(write(tmp_path / "x.pth", content, zipped))
        for name, value in content.items():
            if name != "nested":
                assert found[name].dtype == value.dtype and np.array_equal(found[name], value), name
        assert np.array_equal(found["nested"][0][0], np.ones(2)) and found["nested"][0][1] == {"x": 0.5}


def test_damage_of_any_kind_is_one_error(tmp_path: Path) -> None:
    """Random bytes changed, removed and added, in all three formats: read, or refused as data."""
    random = np.random.default_rng(0)
    content = {"state_dict": {"w": torch.ones(4, 5)}, "n": np.arange(5.0), "epoch": 3}
    save_file({"w": torch.ones(4, 5)}, tmp_path / "s")
    sources = [write(tmp_path / "z", content, True), write(tmp_path / "l", content, False), tmp_path / "s"]
    outcomes = collections.Counter()
    for number in range(900):
        data = bytearray(sources[number % 3].read_bytes())
        for _ in range(1 + number % 4):
            at, width = int(random.integers(len(data))), int(random.integers(1, 9))
            junk = random.bytes(width)
            data[at : at + (width if number % 2 else 0)] = junk if number % 7 else b""
        path = tmp_path / "changed"
        path.write_bytes(data)
        try:
            read_checkpoint(path)
            outcomes["read"] += 1
        except DataError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
    assert outcomes["refused"] > 500


@pytest.fixture
def triplets(tmp_path: Path) -> Path:
    """Three pictures and one judgement: the least that a run needs."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number, name in enumerate(("a", "b", "c")):
        Image.fromarray(np.full((32, 32, 3), 40 * number, np.uint8)).save(folder / f"{name}.png")
    (folder / "triplets.csv").write_text("ref,left,right,closer\na.png,b.png,c.png,left\n")
    return folder


COMMAND_LINE = (
    *BROKEN,
    *UNREADABLE,
    *(f"{gadget} {place}, {kind}" for gadget in hostile.payloads(MARKER) for place in hostile.PLACES for kind in KINDS),
)
# In every run of the tests; the others are proven by `make accept-zoo-hostile`.
USUAL = ("a wider network", "not a number", "a web page", "zip cut short", *(f"exec beside, {kind}" for kind in KINDS))


def hostile_file(name: str, path: Path, marker: Path) -> None:
    if name in BROKEN:
        write(path, broken_content()[name][0], zipped=True)
    elif name in UNREADABLE:
        UNREADABLE[name](path)
    else:
        what, _, kind = name.partition(", ")
        gadget, _, place = what.partition(" ")
        write(path, hostile.around(hostile.payloads(marker)[gadget], place), zipped=kind == "zip")


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [name if name in USUAL else pytest.param(name, marks=pytest.mark.accept) for name in COMMAND_LINE]
)
def test_the_command_line_says_one_line_and_ends_with_three(
    name: str, tmp_path: Path, marker: Path, triplets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.pth"
    hostile_file(name, path, marker)
    words = ["run", "-m", MODEL, "--weights", str(path), "-t", "triplets", "--data", f"triplets:{triplets}"]
    code = main([*words, "--output", str(tmp_path / "out"), "--cache-dir", str(tmp_path / "cache")])
    told = capsys.readouterr()
    assert code == 3, told.err
    assert "Traceback" not in told.err + told.out
    naming = [line for line in told.err.splitlines() if str(path) in line and "published" not in line]
    assert len(naming) == 1, told.err
    assert not marker.exists()


def test_the_key_of_a_hostile_file_needs_no_reading(tmp_path: Path, marker: Path) -> None:
    path = write(tmp_path / "x.pth", hostile.payloads(marker)["exec"], zipped=True)
    assert encoder_key(MODEL, weights=path) and not marker.exists()

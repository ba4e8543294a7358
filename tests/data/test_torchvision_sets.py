"""Sets of torchvision from files in the layouts that torchvision documents; nothing is downloaded."""

from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from official_classes import COLOURS, picture, written
from PIL import Image

import midvision as mv
from midvision.core.errors import DataError, UsageError
from midvision.core.items import Dataset, LabelItem
from midvision.core.specs import DataSpec, ImageRules
from midvision.data.card import Request, open_data
from midvision.run.plan import parse_data


def opened(text: str, split: str = "test", limit: int | None = None, rules: ImageRules | None = None) -> Dataset:
    data = parse_data(f"torchvision:{text}")
    return open_data(Request("labels", split, data, rules or ImageRules(), limit))  # type: ignore[arg-type]


def items(data: Dataset) -> list[LabelItem]:
    return [item for item in data.items if isinstance(item, LabelItem)]


def idx(values: np.ndarray) -> bytes:
    """The IDX form of MNIST: bytes after their axes."""
    return struct.pack(f">BBBB{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def build_mnist(root: Path) -> Path:
    """`FashionMNIST/raw`: class k is a picture of grey value 20 k + 5, which also holds its place."""
    files = {}
    for name, count in (("train", 40), ("t10k", 20)):
        labels = (np.arange(count) % 4).astype(np.uint8)
        pictures = np.broadcast_to((20 * labels + 5)[:, None, None], (count, 28, 28)).astype(np.uint8).copy()
        pictures[:, 0, 0] = np.arange(count)
        files[f"FashionMNIST/raw/{name}-images-idx3-ubyte"] = idx(pictures)
        files[f"FashionMNIST/raw/{name}-labels-idx1-ubyte"] = idx(labels)
    return written(root, files)


def build_dtd(root: Path) -> Path:
    """Textures of three classes with lists train1, val1 and test1."""
    files, lists = {}, {"train": [], "val": [], "test": []}
    for number, name in enumerate(("banded", "dotted", "woven")):
        for n in range(9):
            path = f"{name}/{name}_{n:04d}.jpg"
            files[f"dtd/dtd/images/{path}"] = picture(COLOURS[number], 10 * number + n, size=(40, 60))
            lists["train" if n < 5 else "val" if n < 7 else "test"].append(path)
    for split, names in lists.items():
        files[f"dtd/dtd/labels/{split}1.txt"] = "".join(f"{name}\n" for name in names).encode()
    return written(root, files)


def build_eurosat(root: Path) -> Path:
    names = ("Forest", "River", "Pasture")
    return written(
        root,
        {
            f"eurosat/2750/{name}/{name}_{n}.jpg": picture(COLOURS[number], 10 * number + n, size=(64, 64))
            for number, name in enumerate(names)
            for n in range(10)
        },
    )


def test_a_set_with_a_train_switch(tmp_path: Path) -> None:
    root = build_mnist(tmp_path)
    test, train = opened(f"{root}?name=FashionMNIST"), opened(f"{root}?name=FashionMNIST", "train")
    assert (len(test.items), len(train.items)) == (20, 40) and test.name == "torchvision-FashionMNIST"
    assert [item.label for item in items(test)] == [n % 4 for n in range(20)]
    assert items(test)[1].label_name == "Trouser" and test.frame_size == (224, 224)
    for number in (0, 7, 19):
        pixels = test.images[items(test)[number].image].load()
        assert pixels.shape == (3, 224, 224)
        assert float(pixels[0, 112, 112]) == pytest.approx((20 * (number % 4) + 5) / 255)
    few = opened(f"{root}?name=FashionMNIST", limit=8)
    assert Counter(item.label for item in items(few)) == {0: 2, 1: 2, 2: 2, 3: 2} and few.limited


def test_a_set_with_named_splits(tmp_path: Path) -> None:
    root = build_dtd(tmp_path)
    assert len(opened(f"{root}?name=DTD").items) == 6 and len(opened(f"{root}?name=DTD", "train").items) == 15
    val = opened(f"{root}?name=DTD&test=val")
    assert len(val.items) == 6 and items(val)[0].id.startswith("val/")
    assert {item.label_name for item in items(val)} == {"banded", "dotted", "woven"}
    square = opened(f"{root}?name=DTD&size=64", rules=ImageRules(crop="centre_square"))
    assert square.frame_size == (64, 64) and "0,10,40,40" in items(square)[0].image
    with pytest.raises(UsageError, match="no split 'tset'"):
        opened(f"{root}?name=DTD&test=tset")


def test_a_set_without_splits_is_divided_by_class(tmp_path: Path) -> None:
    root = build_eurosat(tmp_path)
    train, test = items(opened(f"{root}?name=EuroSAT", "train")), items(opened(f"{root}?name=EuroSAT"))
    assert Counter(item.label for item in test) == {0: 3, 1: 3, 2: 3} and len(train) == 21
    assert not {item.id for item in train} & {item.id for item in test}


def test_content_and_place_name_the_data(tmp_path: Path) -> None:
    one, two = build_eurosat(tmp_path / "a"), build_eurosat(tmp_path / "b")
    first = opened(f"{one}?name=EuroSAT")
    assert first.fingerprint == opened(f"{two}?name=EuroSAT").fingerprint
    changed = next(item for item in items(first)).id.rpartition("/")[2]
    names = sorted((two / "eurosat/2750").rglob("*.jpg"))
    path = names[int(changed)]
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, quality=95)
    assert first.fingerprint != opened(f"{two}?name=EuroSAT").fingerprint


def test_what_cannot_be_used_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Nearest: DTD"):
        opened(f"{tmp_path}?name=DTT")
    with pytest.raises(UsageError, match="needs the name of a set"):
        opened(str(tmp_path))
    with pytest.raises(DataError, match=r"does not find CIFAR10 .*nothing is downloaded"):
        opened(f"{tmp_path}?name=CIFAR10")
    with pytest.raises(UsageError, match="arguments"):
        opened(f"{tmp_path}?name=EMNIST&arguments=letters")
    with pytest.raises(DataError, match="does not exist"):
        opened(f"{tmp_path / 'none'}?name=DTD")
    with pytest.raises(UsageError, match="without options"):
        parse_data(f"torchvision:{tmp_path}?")
    with pytest.raises(UsageError, match="no option 'nome'"):
        opened(f"{tmp_path}?nome=DTD")
    assert not any(tmp_path.iterdir())
    odd = tmp_path / "what?really"
    odd.mkdir()
    assert parse_data(f"labels:{odd}") == DataSpec(set="labels", path=str(odd))


def test_oracle_and_noise_on_a_torchvision_set(tmp_path: Path) -> None:
    root = build_eurosat(tmp_path / "files")
    models = ["control/oracle", "control/noise"]
    data = f"torchvision:{root}?name=EuroSAT&size=64"
    oracle, noise = mv.evaluate(models, "labels", data=data, output=tmp_path / "results")
    assert oracle.main.value == 1.0 == oracle.metrics["knn"].value and noise.main.value < 0.8
    assert oracle.dataset["name"] == "torchvision-EuroSAT"

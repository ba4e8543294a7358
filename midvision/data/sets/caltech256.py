"""Caltech-256: 256 classes of objects, and class 257, clutter, which is no class of objects.

The publisher gives no split. Thirty photographs of each class train, all others are scored, and the mean
over classes is the headline.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Plan, Source
from midvision.data.card import DataCard, Request
from midvision.data.class_folders import class_of, open_classes, split_classes

if TYPE_CHECKING:
    from midvision.core.items import Dataset
    from midvision.data.archives import Shelf
    from midvision.data.manifest import Copy

FOLDER, FILE = "256_ObjectCategories", "256_ObjectCategories.tar"
CLUTTER = "257.clutter"
TRAIN_PER_CLASS = 30
# Strays lie beside the photographs of two classes: a list for renaming, and a folder of one of the authors.
PICTURE = re.compile(rf"^{FOLDER}/((\d{{3}})\.[^/]+/\2_\d{{4}})\.jpg$")


def plan_caltech(shelf: Shelf) -> Plan:
    """Every photograph whose name repeats its class's number."""
    place = shelf.need(FOLDER, FILE)
    names = {match[1]: name for name in place.names(FOLDER) if (match := PICTURE.match(name))}
    own = [id for id in names if class_of(id) != CLUTTER]
    if not own:
        raise DataError(
            f"No photograph such as {FOLDER}/001.ak47/001_0001.jpg is in {place.describe()}.", "", f"Get {FILE}."
        )
    splits = split_classes(own, TRAIN_PER_CLASS, "caltech256")
    if rest := [id for id in names if class_of(id) == CLUTTER]:
        both = split_classes(rest, TRAIN_PER_CLASS, "caltech256")
        splits |= {f"clutter-{name}": ids for name, ids in both.items()}
    facts = {"classes": sorted({class_of(id) for id in own}), "train per class": TRAIN_PER_CLASS}
    return Plan(tuple(Kept(_file(id), place, names[id]) for id in sorted(names)), splits, (place,), facts)


def _file(id: str) -> str:
    return f"{FOLDER}/{id}.jpg"


def decode(copy: Copy, id: str) -> None:
    from midvision.data.frames import read_photo

    read_photo(copy.path(_file(id)))


def open_caltech(request: Request) -> Dataset:
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options

    copy = open_copy(DATA, request.data)
    clutter = Options(request.data).choice("clutter", ("leave-out", "class"), "leave-out") == "class"
    ids, classes = copy.ids(request.split), list(copy.manifest.facts["classes"])
    if clutter:
        ids, classes = ids + copy.ids(f"clutter-{request.split}"), [*classes, CLUTTER]
    words = {label: label.partition(".")[2] for label in classes}
    return open_classes(DATA, copy, request, ids, _file, classes, words)


DATA = DataCard(
    name="caltech256",
    version="1",
    title="Caltech-256, objects of 256 classes",
    contents=("labels",),
    licence="CC BY 4.0 for the collection, as the official page states; photographs from the web",
    how_to_get=f"midvision data prepare caltech256 --from {FILE}",
    options={
        "clutter": "leave-out (default), or class: class 257 as one of the classes",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_caltech,
    benchmark=Benchmark(
        page="https://data.caltech.edu/records/nyy15-4j048",
        citation="Griffin, Holub, Perona: Caltech-256 Object Category Dataset, 2007",
        size="29,780 photographs of 256 classes, and 827 of clutter; about 1.2 GB",
        layout=(f"{FOLDER}/001.ak47/001_0001.jpg", f"{FOLDER}/{CLUTTER}/257_0001.jpg"),
        sources=(Source(FILE, "everything", "1.2 GB", "md5:67b4f42ca05d46448c6bb8ecd2220f6d"),),
        decisions={
            "split": "none is published; 30 photographs of each class train, all others are scored, chosen by a "
            "hash of their ids and listed in the manifest",
            "score": "mean over the classes",
            "clutter": "left out (option clutter=class takes it as class 257)",
            "frame": "the middle square at 224x224, bicubic",
        },
        counts={"train": 7680, "test": 22100},
        plan=plan_caltech,
        decode=decode,
        notes=("The checksum is the one that torchvision states.",),
    ),
)

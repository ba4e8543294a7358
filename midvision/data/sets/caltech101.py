"""Caltech-101: 101 classes of objects, and a folder of pictures from the web that is no class of its own.

The publisher gives no split. Thirty photographs of each class train, all others are scored, and the mean
over classes is the headline: classes have 31 to 800 photographs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Made, Plan, Source
from midvision.data.card import DataCard, Request
from midvision.data.class_folders import class_of, open_classes, split_classes

if TYPE_CHECKING:
    from midvision.core.items import Dataset
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy

FOLDER = "101_ObjectCategories"
ZIP, INNER = "caltech-101.zip", f"{FOLDER}.tar.gz"
BACKGROUND = "BACKGROUND_Google"
TRAIN_PER_CLASS = 30
PICTURE = re.compile(rf"^{FOLDER}/([^/.][^/]*/image_\d{{4}})\.jpg$")


def plan_caltech(shelf: Shelf) -> Plan:
    """Every photograph below the folder of categories; the tar inside the zip need not be unpacked."""
    places = shelf.find(FOLDER)
    if places:
        place = places[0]
        names = {match[1]: name for name in place.names(FOLDER) if (match := PICTURE.match(name))}
        work: tuple[Kept | Made, ...] = tuple(Kept(_file(id), place, name) for id, name in sorted(names.items()))
    else:
        packed = shelf.find(INNER)
        if not packed:
            raise shelf.missing(FOLDER, f"{ZIP} (or {INNER} out of it)")
        place = packed[0]
        names, work = _from_inner(place)
    own = [id for id in names if class_of(id) != BACKGROUND]
    if not own:
        raise DataError(
            f"No photograph such as {FOLDER}/accordion/image_0001.jpg is in {place.describe()}.",
            "",
            f"Get {ZIP}. See: midvision data info caltech101",
        )
    splits = split_classes(own, TRAIN_PER_CLASS, "caltech101")
    web = [id for id in names if class_of(id) == BACKGROUND]
    if web:
        both = split_classes(web, TRAIN_PER_CLASS, "caltech101")
        splits |= {f"background-{name}": ids for name, ids in both.items()}
    facts = {"classes": sorted({class_of(id) for id in own}), "train per class": TRAIN_PER_CLASS}
    return Plan(work, splits, (place,), facts)


def _from_inner(place: Place) -> tuple[dict[str, str], tuple[Made, ...]]:
    from midvision.data.inner import inner_sizes, unpack_inner

    sizes = inner_sizes(place, INNER)
    names = {match[1]: name for name in sizes if (match := PICTURE.match(name))}
    wanted = {name: _file(id) for id, name in names.items()}
    size = sum(sizes[name] for name in wanted)
    return names, (Made(tuple(wanted.values()), unpack_inner, (place, INNER, wanted), size),)


def _file(id: str) -> str:
    return f"{FOLDER}/{id}.jpg"


def decode(copy: Copy, id: str) -> None:
    from midvision.data.frames import read_photo

    read_photo(copy.path(_file(id)))


def open_caltech(request: Request) -> Dataset:
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options

    copy = open_copy(DATA, request.data)
    background = Options(request.data).choice("background", ("leave-out", "class"), "leave-out") == "class"
    ids, classes = copy.ids(request.split), list(copy.manifest.facts["classes"])
    if background:
        ids, classes = ids + copy.ids(f"background-{request.split}"), [*classes, BACKGROUND]
    return open_classes(DATA, copy, request, ids, _file, classes)


DATA = DataCard(
    name="caltech101",
    version="1",
    title="Caltech-101, objects of 101 classes",
    contents=("labels",),
    licence="CC BY 4.0 for the collection, as the official page states; photographs from the web",
    how_to_get=f"midvision data prepare caltech101 --from {ZIP}",
    options={
        "background": "leave-out (default), or class: the pictures from the web as a class of their own",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_caltech,
    benchmark=Benchmark(
        page="https://data.caltech.edu/records/mzrjq-6wc02",
        citation="Fei-Fei, Fergus, Perona: Learning Generative Visual Models from Few Training Examples, 2004",
        size="8677 photographs of 101 classes, and 467 from the web; about 0.14 GB",
        layout=(f"{FOLDER}/CLASS/image_0001.jpg", f"{FOLDER}/{BACKGROUND}/image_0001.jpg"),
        sources=(
            Source(ZIP, f"{INNER} and outlines", "0.14 GB", "md5:3138e1922a9193bfa496528edbbc45d0"),
            Source(INNER, "the photographs alone, out of the zip", needed=False),
        ),
        decisions={
            "split": "none is published; 30 photographs of each class train, all others are scored, chosen by a "
            "hash of their ids and listed in the manifest",
            "score": "mean over the classes, which is the convention of this set",
            "background": "left out (option background=class takes it as class 102)",
            "frame": "the middle square at 224x224, bicubic",
        },
        counts={"train": 3030, "test": 5647},
        plan=plan_caltech,
        decode=decode,
        notes=("The tar inside the zip is read where it is.", "The checksum is the one that torchvision states."),
    ),
)

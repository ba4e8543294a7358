"""ImageNet-1k (ILSVRC 2012, classification): the official archives, or the folders that everybody makes of them.

Classes are numbered in the order of their WordNet ids. The training archive holds a tar per class; the
validation archive is flat, and the development kit says which class each photograph shows.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Made, Plan, Source
from midvision.data.card import DataCard, Request
from midvision.data.class_folders import class_of, open_classes

if TYPE_CHECKING:
    from midvision.core.items import Dataset
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy

TRAIN, VAL = "ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar"
DEVKIT = "ILSVRC2012_devkit_t12.tar.gz"
META, TRUTH = "data/meta.mat", "data/ILSVRC2012_validation_ground_truth.txt"
CLASS_TAR = re.compile(r"^(n\d{8})\.tar$")
IN_TAR = re.compile(r"^(?:n\d{8}/)?(n\d{8}_\d+)\.JPEG$", re.IGNORECASE)
IN_FOLDER = re.compile(r"^(train|val)/(n\d{8})/([^/]+)\.JPEG$", re.IGNORECASE)
FLAT = re.compile(r"^(?:val/)?(ILSVRC2012_val_\d{8})\.JPEG$", re.IGNORECASE)


def plan_imagenet(shelf: Shelf) -> Plan:
    """Training and validation photographs under `train/CLASS/` and `val/CLASS/`, whatever they came as."""
    kit = next(iter(shelf.find(META)), None)
    folders = [place for name in ("train", "val") for place in shelf.find(name)]
    train, train_places = _train(shelf, folders)
    val, val_places = _val(shelf, folders, kit)
    classes = sorted({class_of(id) for id in train})
    strangers = sorted({class_of(id) for id in val} - set(classes))
    if strangers:
        raise DataError(
            f"{len(strangers)} classes of the validation photographs have no training photographs "
            f"(first {strangers[0]}).",
            f"Both belong to one set: {TRAIN} and {VAL}.",
            "Give the complete files.",
        )
    work = (*_merged(train.values()), *_merged(val.values()))
    words = {} if kit is None else {wnid: text for wnid, text in _synsets(kit).values() if wnid in set(classes)}
    used = {place.describe(): place for place in (*train_places, *val_places, *([kit] if kit else []))}
    splits = {"train": tuple(sorted(train)), "val": tuple(sorted(val))}
    return Plan(work, splits, tuple(used.values()), {"classes": classes, "words": words})


def _merged(pieces: Any) -> list[Kept | Made]:
    """Each piece once: a class's archive serves all its photographs."""
    return list({id(piece): piece for piece in pieces}.values())


def _train(shelf: Shelf, folders: list[Place]) -> tuple[dict[str, Kept | Made], list[Place]]:
    """Piece by id `CLASS/STEM`; archives of classes, wherever they lie, go before folders."""
    found: dict[str, Kept | Made] = {}
    places = shelf.find("n*.tar")
    for place in places:
        for member in place.names():
            if match := CLASS_TAR.match(member):
                found |= _class_archive(place, member, match[1])
    if not found:
        places = folders
        found = _foldered(folders, "train")
    if not found:
        raise shelf.missing("training photographs (n01440764.tar, or train/n01440764/)", TRAIN)
    return found, places


def _class_archive(place: Place, member: str, wnid: str) -> dict[str, Kept | Made]:
    from midvision.data.inner import inner_sizes, unpack_inner

    sizes = inner_sizes(place, member)
    wanted = {name: f"train/{wnid}/{match[1]}.JPEG" for name in sizes if (match := IN_TAR.match(name))}
    strange = next((name for name in wanted.values() if not name.startswith(f"train/{wnid}/{wnid}_")), None)
    if strange is not None or not wanted:
        raise DataError(
            f"{place.describe(member)} " + (f"holds {strange}." if strange else "holds no photographs."),
            f"Photographs such as {wnid}_10026.JPEG were expected.",
            f"Get {TRAIN} again.",
        )
    size = sum(sizes[name] for name in wanted)
    piece = Made(tuple(wanted.values()), unpack_inner, (place, member, wanted), size)
    return {name.removeprefix("train/").removesuffix(".JPEG"): piece for name in wanted.values()}


def _foldered(folders: list[Place], split: str) -> dict[str, Kept | Made]:
    found: dict[str, Kept | Made] = {}
    for place in folders:
        for member in place.names(split):
            match = IN_FOLDER.match(member)
            if match and match[1].lower() == split:
                id = f"{match[2]}/{match[3]}"
                found.setdefault(id, Kept(f"{split}/{id}.JPEG", place, member))
    return found


def _val(shelf: Shelf, folders: list[Place], kit: Place | None) -> tuple[dict[str, Kept | Made], list[Place]]:
    """Validation photographs by id; flat ones get their class from the development kit."""
    found = _foldered(folders, "val")
    if found:
        return found, folders
    flat: dict[str, tuple[Place, str]] = {}
    for place in shelf.find("ILSVRC2012_val_*.JPEG"):
        for member in place.names():
            if match := FLAT.match(member):
                flat.setdefault(match[1], (place, member))
    if not flat:
        raise shelf.missing("validation photographs (ILSVRC2012_val_00000001.JPEG, or val/n01440764/)", VAL)
    if kit is None:
        raise shelf.missing(f"{META}, which says what the {len(flat):,} validation photographs show", DEVKIT)
    truth = _truth(kit)
    for stem, (place, member) in flat.items():
        number = int(stem[-8:])
        if not 1 <= number <= len(truth):
            raise DataError(
                f"{kit.describe(TRUTH)} has {len(truth):,} lines and none for {stem}.",
                "One line per validation photograph was expected.",
                f"Get {DEVKIT} and {VAL} again.",
            )
        id = f"{truth[number - 1]}/{stem}"
        found[id] = Kept(f"val/{id}.JPEG", place, member)
    return found, list({place.describe(): place for place, _ in flat.values()}.values())


def _truth(kit: Place) -> list[str]:
    """The WordNet id of every validation photograph, by its number from 1 on."""
    synsets, where = _synsets(kit), kit.describe(TRUTH)
    if not kit.has(TRUTH):
        raise DataError(f"{where} is missing.", "It lies beside meta.mat.", f"Get {DEVKIT} again.")
    classes = []
    for line, text in enumerate(kit.read_text(TRUTH).split(), 1):
        if not text.isdigit() or int(text) not in synsets:
            raise DataError(
                f"Line {line} of {where} is {text!r}, which is no class of meta.mat.",
                "The number of one of its classes was expected.",
                f"Get {DEVKIT} again.",
            )
        classes.append(synsets[int(text)][0])
    return classes


def _synsets(kit: Place) -> dict[int, tuple[str, str]]:
    """WordNet id and words of every class, by its number in the kit; inner nodes of the hierarchy are left out."""
    from midvision.data.matlab import read_v5

    where = kit.describe(META)
    with kit.open(META) as stream:
        table = read_v5(stream, ["synsets"], where)["synsets"]
    missing = {"ILSVRC2012_ID", "WNID", "words", "num_children"} - set(table.dtype.names or ())
    if missing:
        raise DataError(f"{where} has no {', '.join(sorted(missing))}.", "", f"Get {DEVKIT} again.")
    found = {}
    for row in table.ravel():
        if int(row["num_children"].item()) == 0:
            found[int(row["ILSVRC2012_ID"].item())] = (str(row["WNID"].item()), str(row["words"].item()))
    return found


def _file(split: str, id: str) -> str:
    return f"{split}/{id}.JPEG"


def decode(copy: Copy, id: str) -> None:
    from midvision.data.frames import read_photo

    name = next(name for name in (_file("train", id), _file("val", id)) if copy.has(name))
    read_photo(copy.path(name))


def open_imagenet(request: Request) -> Dataset:
    from midvision.data.manifest import open_copy

    copy = open_copy(DATA, request.data)
    split, facts = "train" if request.split == "train" else "val", copy.manifest.facts
    return open_classes(
        DATA, copy, request, copy.ids(split), lambda id: _file(split, id), facts["classes"], facts["words"]
    )


DATA = DataCard(
    name="imagenet",
    version="1",
    title="ImageNet-1k (ILSVRC 2012), 1000 classes",
    contents=("labels",),
    licence="non-commercial research and education, as the official page states; registration is needed",
    how_to_get=f"midvision data prepare imagenet --from {TRAIN} {VAL} {DEVKIT}",
    options={"size": "frame size where the protocol leaves it open"},
    open=open_imagenet,
    benchmark=Benchmark(
        page="https://www.image-net.org/challenges/LSVRC/2012/",
        citation="Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV 2015",
        size="1,281,167 training and 50,000 validation photographs; archives of about 138 and 6.3 GB",
        layout=(
            "ILSVRC2012_img_train.tar: n01440764.tar, each with n01440764_10026.JPEG and so on",
            "ILSVRC2012_img_val.tar: ILSVRC2012_val_00000001.JPEG and so on",
            "ILSVRC2012_devkit_t12/data/{meta.mat,ILSVRC2012_validation_ground_truth.txt}",
            "or folders: train/n01440764/*.JPEG, val/n01440764/*.JPEG",
        ),
        sources=(
            Source(TRAIN, "training photographs", "138 GB", "md5:1d675b47d978889d74fa0da5fadfb00e"),
            Source(VAL, "validation photographs", "6.3 GB", "md5:29b22e2961454d5413ddabcf34fc5622"),
            Source(
                DEVKIT, "what they show (not needed for folders by class)", "", "md5:fa75699e90414af021442c21a62c3abf"
            ),
        ),
        decisions={
            "split": "train trains, val is scored; the penalty is chosen on a fifth of train",
            "readout": "ridge in closed form over a stream, since the features do not fit in memory; kNN beside it",
            "score": "top-1",
            "frame": "the middle square at 224x224, bicubic",
        },
        counts={"train": 1281167, "val": 50000},
        plan=plan_imagenet,
        decode=decode,
        notes=("Archives of classes are unpacked into the copy; folders stay where they are.",),
    ),
)

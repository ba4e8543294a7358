"""PASCAL VOC 2007 and 2012, object segmentation: the development kits as published.

`SegmentationObject` holds 8-bit palette pictures: index 0 background, 1..254 an object each, 255 void
(borders and unlabelled pixels). Indices are read, never colours. The lists come from the kit's own
`ImageSets/Segmentation`; this program holds none of them.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    from midvision.core.items import Dataset, Target
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy
    from midvision.data.photos import Framed

LISTS = "ImageSets/Segmentation"
VOID = 255
REFERENCE_SEED = 8
FILES_07 = ("VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar")
FILE_12 = "VOCtrainval_11-May-2012.tar"
ID_07, ID_12 = re.compile(r"\d{6}"), re.compile(r"20\d\d_\d{6}")
USED = {  # which list is a split, by ImageRules.selection
    "voc07": {"official": ("trainval", "test"), "reference": ("trainval", "test")},
    "voc12": {"official": ("train", "val"), "reference": ("reference-train", "reference-test")},
}


def plan_07(shelf: Shelf) -> Plan:
    """Both official archives: one holds trainval, the other test; unpacked they are one folder."""
    lists = {"train": FILES_07[0], "val": FILES_07[0], "trainval": FILES_07[0], "test": FILES_07[1]}
    return _plan(shelf, "VOC2007", ID_07, lists)


def plan_12(shelf: Shelf) -> Plan:
    plan = _plan(shelf, "VOC2012", ID_12, dict.fromkeys(("train", "val", "trainval"), FILE_12))
    train, test = reference_split(plan.splits["trainval"])
    splits = {**plan.splits, "reference-train": train, "reference-test": test}
    return Plan(plan.work, splits, plan.places, {**plan.facts, "reference_seed": REFERENCE_SEED})


def reference_split(ids: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Four fifths and a fifth at random. The reference draws anew at every run; here the seed is fixed."""
    from midvision.core.seeds import hashed_order

    order = hashed_order(ids, "voc12", "reference-split", REFERENCE_SEED)
    count = int(0.8 * len(ids))
    return tuple(sorted(order[:count])), tuple(sorted(order[count:]))


def _plan(shelf: Shelf, year: str, shape: re.Pattern[str], lists: dict[str, str]) -> Plan:
    """The listed pictures with their masks, wherever they are among the places that look like this kit."""
    import hashlib

    places = _kits(shelf, year, shape)
    splits: dict[str, tuple[str, ...]] = {}
    facts: dict[str, str] = {}
    used: dict[str, Kept] = {}
    for split, file in lists.items():
        name = f"{LISTS}/{split}.txt"
        place = next((place for place in places if place.has(name)), None)
        if place is None:
            raise shelf.missing(f"{year}/{name}", file)
        text = place.read_bytes(name)
        facts[f"sha256 of {split}.txt"] = hashlib.sha256(text).hexdigest()
        splits[split] = _ids(text, place.describe(name), shape)
        for id in splits[split]:
            for member in (f"JPEGImages/{id}.jpg", f"SegmentationObject/{id}.png"):
                if member not in used:
                    used[member] = Kept(member, _holder(shelf, places, member, file), member)
    return Plan(tuple(used.values()), splits, tuple(places), facts)


def _kits(shelf: Shelf, year: str, shape: re.Pattern[str]) -> list[Place]:
    """The places that hold segmentation lists of this year; the years differ in how ids are written."""
    found = shelf.find(LISTS)
    if not found:
        raise shelf.missing(f"{year}/{LISTS}", shelf.sources[0].file)
    fitting = [place for place in found if _looks_right(place, shape)]
    if not fitting:
        raise DataError(
            f"{found[0].describe()} is not {year}: its lists name other ids.",
            "Another year's development kit was given.",
            f"Get {' and '.join(source.file for source in shelf.sources)}.",
        )
    return fitting


def _looks_right(place: Place, shape: re.Pattern[str]) -> bool:
    starts = (place.read_bytes(name).split()[:1] for name in place.names(LISTS))
    return any(shape.fullmatch(word.decode("ascii", "replace")) for start in starts for word in start)


def _ids(text: bytes, where: str, shape: re.Pattern[str]) -> tuple[str, ...]:
    ids = tuple(text.decode("ascii", "replace").split())
    odd = next((id for id in ids if not shape.fullmatch(id)), None)
    if odd is not None or not ids:
        raise DataError(
            f"{where} " + (f"names {odd!r}, which is no image id of this year." if ids else "is empty."),
            "One image id per line was expected.",
            "Fetch the official archive again.",
        )
    return ids


def _holder(shelf: Shelf, places: list[Place], member: str, file: str) -> Place:
    for place in places:
        if place.has(member):
            return place
    raise shelf.missing(member, file)


def decode(copy: Copy, id: str) -> None:
    """One picture with its mask: both readable, of one size, a palette picture that holds an object."""
    from midvision.data.frames import read_photo, read_raw_image

    photo, path = read_photo(copy.path(f"JPEGImages/{id}.jpg")), copy.path(f"SegmentationObject/{id}.png")
    mask = read_raw_image(path)
    if mask.ndim != 2 or mask.dtype != "uint8":
        raise DataError(f"{path} is no palette picture.", "One 8-bit index per pixel was expected.", "Unpack it again.")
    if mask.shape != photo.shape[:2]:
        raise DataError(f"{path} has another size than its photograph.", "", "Unpack the official archive again.")


def open_voc(card_of: str, request: Request) -> Dataset:
    """One split; a picture is known by its mask's foreground (values) and its void pixels (not valid)."""
    from midvision.core.items import DenseItem
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, spread

    card = next(card for card in DATA if card.name == card_of)
    copy = open_copy(card, request.data)
    options = Options(request.data)
    lists = USED[card.name][request.rules.selection]
    split = options.text(request.split) or lists[0 if request.split == "train" else 1]
    ids = spread(copy.ids(split), request.limit)
    photos = [photo_of(copy, f"JPEGImages/{id}.jpg", id) for id in ids]
    size = frame_size([photo.size for photo in photos], request.rules, options)
    items, frames, truth = [], [], []
    for id, photo in zip(ids, photos, strict=True):
        framed = Framed(photo, size, request.rules)
        mask = f"SegmentationObject/{id}.png"
        items.append(DenseItem(photo.id, photo.group, framed.image_id, partial(mask_target, copy, mask, framed)))
        frames.append(framed)
        truth.append(mask)
    return dataset_of(card, copy, request, frames, items, truth)


def mask_target(copy: Copy, mask: str, framed: Framed) -> Target:
    """Any object 1, background 0. Void pixels hold 1 and are not valid; a protocol may take them as objects."""
    from midvision.core.items import Target
    from midvision.data.truth import MaskRules, read_mask

    foreground, void = read_mask([copy.path(mask)], MaskRules(void=VOID))
    framing = framed.framing()
    return Target(framing.target(foreground).float(), ~framing.target(void))


def _card(name: str, year: str, benchmark: Benchmark) -> DataCard:
    return DataCard(
        name=name,
        version="1",
        title=f"PASCAL {year}, object segmentation",
        contents=("segmentation",),
        licence="Flickr terms of use for the photographs, as the official page states; research use",
        how_to_get=f"midvision data prepare {name} --from {' '.join(source.file for source in benchmark.sources)}",
        options={
            "size": "frame size where the protocol leaves it open (see midvision list data folder)",
            "train": "list that trains, such as train, val, trainval",
            "test": "list that is scored",
        },
        open=partial(open_voc, name),
        benchmark=benchmark,
    )


_DECISIONS = {
    "void pixels (255)": "corrected: ignored in loss and metrics; paper: foreground (its grey > 0 reads them so)",
    "frame": "480x480 whatever the aspect, mask by nearest neighbour; corrected: bilinear, paper: Lanczos",
    "score": "corrected: per image; paper: per batch of 16 with all pixels pooled",
}
_LAYOUT = ("JPEGImages/ID.jpg", "SegmentationObject/ID.png", f"{LISTS}/{{train,val,trainval,test}}.txt")
_CITATION = (
    "Everingham, Van Gool, Williams, Winn, Zisserman: The PASCAL Visual Object Classes (VOC) Challenge, IJCV 2010"
)

DATA = (
    _card(
        "voc07",
        "VOC2007",
        Benchmark(
            page="http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
            citation=_CITATION,
            size="632 images with instance masks, out of two archives of together about 0.9 GB",
            layout=tuple(f"VOCdevkit/VOC2007/{path}" for path in _LAYOUT),
            sources=(
                Source(FILES_07[0], "train, val and trainval", checksum="md5:c52e279531787c972589f7e41ab4ae64"),
                Source(FILES_07[1], "test, with its masks", checksum="md5:b6e924de25625d8de591ea690078ad9f"),
            ),
            decisions={"split": "both: train on trainval (422), score test (210)", **_DECISIONS},
            counts={"train": 209, "val": 213, "trainval": 422, "test": 210},
            plan=plan_07,
            decode=decode,
            notes=("Lists are read from the archives; checksums are those that torchvision states.",),
        ),
    ),
    _card(
        "voc12",
        "VOC2012",
        Benchmark(
            page="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
            citation=_CITATION,
            size="2913 images with instance masks, out of one archive of about 2 GB",
            layout=tuple(f"VOCdevkit/VOC2012/{path}" for path in _LAYOUT),
            sources=(Source(FILE_12, "train, val and trainval", checksum="md5:6cd6e144f989b92b3379bac3b3de84fd"),),
            decisions={
                "split": "corrected: train on train (1464), score val (1449); paper: 2330 and 583 of trainval at "
                f"random, as the reference, but with the fixed seed {REFERENCE_SEED} and the ids in the manifest",
                **_DECISIONS,
            },
            counts={"train": 1464, "val": 1449, "trainval": 2913},
            plan=plan_12,
            decode=decode,
            notes=("Lists are read from the archive; the checksum is the one that torchvision states.",),
        ),
    ),
)

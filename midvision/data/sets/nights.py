"""NIGHTS: which of two generated images is more like the reference, by unanimous votes of people.

The table is read by column names. A triplet counts if it has at least six votes; `right_vote` 1 means
that people chose the right image.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    from pathlib import Path

    from midvision.core.items import Dataset
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy

TABLE = "data.csv"
COLUMNS = ("id", "left_vote", "right_vote", "votes", "ref_path", "left_path", "right_path", "split", "is_imagenet")
# The 200 separate archives hold 000/000.png for references and 000/000_0.png for the two others.
PICTURE = re.compile(r"(?:^|/)(\d{3}/\d{3}(_[01])?\.png)$")


def plan_nights(shelf: Shelf) -> Plan:
    """The table and all pictures that it names, out of one archive, 200 of them, or a folder."""
    places = shelf.find(TABLE)
    if not places:
        raise shelf.missing(TABLE, "nights.zip (the separate archives come without it)")
    table = next((place for place in places if _is_ours(place)), places[0])
    rows = read_table(table.read_text(TABLE), table.describe(TABLE))
    where = _pictures(shelf)
    work = {TABLE: Kept(TABLE, table, TABLE)}
    splits: dict[str, list[str]] = {"all": []}
    for row in rows:
        splits["all"].append(row["id"])
        splits.setdefault(row["split"], []).append(row["id"])
        if shelf.only and row["split"] not in shelf.only:
            continue
        for column in ("ref_path", "left_path", "right_path"):
            name = row[column]
            if name not in work:
                if name not in where:
                    raise shelf.missing(f"{name} (triplet {row['id']} of {TABLE})", _archive_of(name))
                work[name] = Kept(name, *where[name])
    used = {piece.place.describe(): piece.place for piece in work.values()}
    enough = sum(int(row["votes"]) >= 6 for row in rows)
    facts = {"columns": list(rows[0]), "triplets with six votes": enough}
    return Plan(tuple(work.values()), {name: tuple(ids) for name, ids in splits.items()}, tuple(used.values()), facts)


def _is_ours(place: Place) -> bool:
    return "ref_path" in place.read_text(TABLE).split("\n", 1)[0]


def _archive_of(name: str) -> str:
    kind, _, rest = name.partition("/")
    return f"nights.zip (or {kind}/{rest[:3]}.zip)"


def read_table(text: str, where: str) -> list[dict[str, str]]:
    """The rows by column name; the columns that are needed, whole lines, one line per id."""
    import csv
    import io

    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
    if missing:
        raise DataError(
            f"{where} lacks the columns: {', '.join(missing)}.",
            "The table of NIGHTS has them; another version or another table was given.",
            "Get nights.zip.",
        )
    rows = []
    for row in reader:
        if None in row or any(value is None for value in row.values()):
            raise DataError(f"Line {reader.line_num} of {where} is cut short.", "", "Fetch nights.zip again.")
        if not row["votes"].isdigit():
            raise DataError(f"Line {reader.line_num} of {where} has votes={row['votes']!r}.", "A number was expected.")
        rows.append({str(name): str(value) for name, value in row.items()})
    if not rows:
        raise DataError(f"{where} has no rows.", "20,019 were expected.", "Fetch nights.zip again.")
    return rows


def _pictures(shelf: Shelf) -> dict[str, tuple[Place, str]]:
    """Where every picture is, by its name in the table."""
    from midvision.data.archives import Place

    found: dict[str, tuple[Place, str]] = {}
    for tree in shelf.trees:
        for prefix in tree.find(TABLE) or [""]:
            place = Place(tree, prefix)
            for member in place.names():
                if match := PICTURE.search(member):
                    found.setdefault(f"{'distort' if match[2] else 'ref'}/{match[1]}", (place, member))
    return found


def decode(copy: Copy, id: str) -> None:
    """The three pictures of one triplet."""
    from midvision.data.frames import read_photo

    for name in _names_by_id(copy.path(TABLE), copy.manifest.files[TABLE].sha256)[id]:
        read_photo(copy.path(name))


@lru_cache(maxsize=2)
def _names_by_id(table: Path, sha256: str) -> dict[str, tuple[str, ...]]:
    """The pictures of every triplet, whatever its votes; a check asks for one triplet after the other."""
    rows = read_table(table.read_text(encoding="utf-8-sig"), str(table))
    return {row["id"]: (row["ref_path"], row["left_path"], row["right_path"]) for row in rows}


def open_nights(request: Request) -> Dataset:
    """The triplets of one split with enough votes; tagged by whether their category is one of ImageNet's."""
    from midvision.core.items import TripletItem
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, need_items, spread
    from midvision.data.sets.triplets import read_triplets

    copy = open_copy(DATA, request.data)
    options = Options(request.data)
    split = options.text(request.split) or request.split
    if split in copy.manifest.splits:
        copy.ids(split)
    rows = [row for row in read_triplets(copy.path(TABLE), options) if row.split == split]
    need_items(rows, request, f"The table has the splits {', '.join(name for name in copy.manifest.splits)}.")
    kept = spread(rows, request.limit, lambda row: row.right_share > 0.5, lambda row: row.tags.get("is_imagenet", ""))
    names = list(dict.fromkeys(name for row in kept for name in row.names))
    photos = {name: photo_of(copy, name, name.removesuffix(".png")) for name in names}
    size = frame_size([photo.size for photo in photos.values()], request.rules, options)
    frames = {name: Framed(photo, size, request.rules) for name, photo in photos.items()}
    items = []
    for row in kept:
        reference, left, right = (frames[name].image_id for name in row.names)
        items.append(TripletItem(row.id, row.names[0], reference, left, right, row.right_share, row.tags))
    answers = repr([(item.id, item.reference, item.left, item.right, item.right_share) for item in items])
    return dataset_of(DATA, copy, request, frames.values(), items, (), answers)


DATA = DataCard(
    name="nights",
    version="1",
    title="NIGHTS, image similarity judged by people",
    contents=("triplets",),
    licence="see the official page; the pictures are generated (Stable Diffusion 2.1)",
    how_to_get="midvision data prepare nights --from nights.zip",
    options={
        "train": "value of the column split that trains",
        "test": "value of the column split that is scored, such as val",
        "min_votes": "least number of votes of a triplet (default 6)",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_nights,
    benchmark=Benchmark(
        page="https://github.com/ssundaram21/dreamsim",
        citation="Fu, Tamir, Sundaram et al.: DreamSim: Learning New Dimensions of Human Visual Similarity using "
        "Synthetic Data, NeurIPS 2023",
        size="20,019 triplets, 58 GB as one archive or as 200",
        layout=("nights/data.csv", "nights/ref/000-099/000.png", "nights/distort/000-099/000_0.png, 000_1.png"),
        sources=(
            Source("nights.zip", "everything", "58 GB"),
            Source("ref/[0-9][0-9][0-9].zip", "the references in 100 parts, instead of nights.zip", needed=False),
            Source("distort/[0-9][0-9][0-9].zip", "the other pictures in 100 parts", needed=False),
            Source("data.csv", "the table, to go with the parts", needed=False),
        ),
        decisions={
            "triplets": "both: split test, at least six votes; accuracy also for ImageNet's categories and the others",
            "frame": "both: 224x224, bicubic, as the authors of the set do",
            "answer": "right_vote 1 means right; corrected: equal similarities score 0.5; paper: they mean right",
            "colours": "corrected: the checkpoint's own statistics; paper: none",
        },
        counts={"all": 20019},
        plan=plan_nights,
        decode=decode,
        notes=(
            "Columns are found by name; the sizes 15,941 / 1,958 / 2,120 of train, val and test are not verified.",
            "An unpacked folder stays where it is. Out of an archive all is unpacked (58 GB); the task needs no more "
            "than --only test.",
        ),
        parts=("train", "val", "test"),
    ),
)

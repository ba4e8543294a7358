"""A person's own similarity triplets: a CSV in the NIGHTS layout, or with columns ref, left, right, closer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from midvision.data.card import DataCard, Request
from midvision.data.options import FRAME_OPTIONS, Options, root_of

if TYPE_CHECKING:
    from pathlib import Path

    from midvision.core.items import Dataset
    from midvision.data.photos import Photo

NIGHTS = ("left_vote", "right_vote", "votes", "ref_path", "left_path", "right_path")
SIMPLE = ("ref", "left", "right", "closer")
SIDES = {"0": 0.0, "left": 0.0, "1": 1.0, "right": 1.0}
MIN_VOTES = 6


@dataclass(frozen=True, slots=True)
class Row:
    """One triplet: names as written, and the share of votes for right."""

    id: str
    names: tuple[str, str, str]
    right_share: float
    split: str
    tags: dict[str, str]


def open_triplets(request: Request) -> Dataset:
    """The triplets of one split; where the table has no split column, all are in the test split."""
    from midvision.core.items import TripletItem
    from midvision.data.photos import Framed, dataset, frame_size, need_items, spread

    options = Options(request.data)
    table = find_table(root_of(request.data), options)
    rows = read_triplets(table, options)
    photos = _photos(table, rows, options)
    wanted = options.text("split", request.split)
    chosen = [row for row in rows if row.split == wanted]
    need_items(
        chosen, request, f"The table has the splits: {', '.join(sorted({row.split for row in rows})) or 'none'}."
    )
    kept = spread(chosen, request.limit, lambda row: row.right_share > 0.5, lambda row: row.names[0])
    size = frame_size([photo.size for photo in photos.values()], request.rules, options)
    used = dict.fromkeys(name for row in kept for name in row.names)
    frames = {name: Framed(photos[name], size, request.rules) for name in used}
    items = []
    for row in kept:
        reference, left, right = (frames[name].image_id for name in row.names)
        items.append(TripletItem(row.id, row.names[0], reference, left, right, row.right_share, row.tags))
    answers = repr([(item.id, item.reference, item.left, item.right, item.right_share) for item in items])
    return dataset(DATA, request, frames.values(), items, (), answers)


def find_table(root: Path, options: Options) -> Path:
    """The CSV that the path names, or the only one in the folder."""
    from midvision.core.errors import DataError

    name = options.text("csv")
    if root.is_file():
        return root
    tables = [root / name] if name else sorted(root.glob("*.csv"))
    if len(tables) != 1 or not tables[0].is_file():
        found = ", ".join(path.name for path in tables[:5]) or "none"
        raise DataError(
            f"Which CSV of {root} holds the triplets is not clear: {found}.", "One was expected.", "Use csv=."
        )
    return tables[0]


def read_triplets(table: Path, options: Options) -> list[Row]:
    """The rows of either layout, by column name; votes are checked, and those below `min_votes` left out."""
    from midvision.core.errors import DataError
    from midvision.data.tables import read_rows

    rows = read_rows(table)
    columns = {name.split("(")[0].strip(): name for name in rows[0]}
    if set(NIGHTS) <= set(columns):
        least = options.count("min_votes", MIN_VOTES)
        read = [_nights_row(table, line, _renamed(row, columns)) for line, row in enumerate(rows, start=2)]
        kept = [row for row, votes in read if votes >= least]
        if not kept:
            raise DataError(f"No triplet of {table} has {least} votes.", "", "Lower min_votes.")
        return kept
    if set(SIMPLE) <= set(columns):
        return [_simple_row(table, line, _renamed(row, columns)) for line, row in enumerate(rows, start=2)]
    closest = NIGHTS if len(set(NIGHTS) & set(columns)) > len(set(SIMPLE) & set(columns)) else SIMPLE
    missing = ", ".join(name for name in closest if name not in columns)
    raise DataError(
        f"Triplet table {table} lacks the columns: {missing}.",
        f"Either {', '.join(NIGHTS)} (NIGHTS), or {', '.join(SIMPLE)} were expected.",
        f"It has: {', '.join(columns)}.",
    )


def _renamed(row: dict[str, str], columns: dict[str, str]) -> dict[str, str]:
    return {short: row[name] for short, name in columns.items()}


def _nights_row(table: Path, line: int, row: dict[str, str]) -> tuple[Row, float]:
    from midvision.core.errors import DataError

    try:
        left, right, votes = (float(row[name]) for name in ("left_vote", "right_vote", "votes"))
    except ValueError:
        left = right = votes = float("nan")
    share_of_one = left + right == 1 and min(left, right) >= 0
    counts = left + right == votes and min(left, right) >= 0
    if not (votes >= 1 and (share_of_one or counts)):
        given = ", ".join(f"{name}={row[name]}" for name in ("left_vote", "right_vote", "votes"))
        raise DataError(
            f"Line {line} of {table} has odd votes: {given}.",
            "left_vote and right_vote must add up to 1 or to votes, and votes be at least 1.",
            "Correct or remove the line.",
        )
    names = row["ref_path"], row["left_path"], row["right_path"]
    tags = {"is_imagenet": row["is_imagenet"].lower()} if row.get("is_imagenet") else {}
    split = row.get("split") or "test"
    return Row(row.get("id") or f"line-{line}", names, right / (left + right), split, tags), votes


def _simple_row(table: Path, line: int, row: dict[str, str]) -> Row:
    from midvision.core.errors import DataError

    side = row["closer"].lower()
    if side not in SIDES:
        raise DataError(f"Line {line} of {table} has closer={row['closer']!r}.", "0, 1, left or right was expected.")
    names = row["ref"], row["left"], row["right"]
    return Row(row.get("id") or f"line-{line}", names, SIDES[side], row.get("split") or "test", {})


def _photos(table: Path, rows: list[Row], options: Options) -> dict[str, Photo]:
    """The photograph of every name: a path below `images` (default: the table's folder or its images folder)."""
    from midvision.core.errors import DataError
    from midvision.data.frames import photo_size, whole
    from midvision.data.photos import Photo

    declared = options.text("images")
    folders = [table.parent / declared] if declared else [table.parent, table.parent / "images"]
    found: dict[str, Photo] = {}
    for row in rows:
        for name in row.names:
            if name in found:
                continue
            path = next((hit for folder in folders if (hit := _file(folder, name)) is not None), None)
            if path is None:
                where = " or ".join(str(folder) for folder in folders)
                raise DataError(f"{table} names image {name!r} (triplet {row.id}), which is not in {where}.")
            size = photo_size(path)
            found[name] = Photo(name, name, path, path.parent, (name,), size, whole(size))
    return found


def _file(folder: Path, name: str) -> Path | None:
    """The image called `name` with or without its ending."""
    import glob

    from midvision.data.patterns import IMAGE_ENDINGS

    if (folder / name).is_file():
        return folder / name
    hits = sorted(p for p in folder.glob(glob.escape(name) + ".*") if p.suffix.lower() in IMAGE_ENDINGS)
    return hits[0] if len(hits) == 1 else None


def _options() -> dict[str, str]:
    own = {
        "csv": "name of the table where the folder holds several",
        "images": "folder of the images, from the table's folder (default: that folder, or images in it)",
        "min_votes": f"least number of votes of a triplet in the NIGHTS layout (default {MIN_VOTES})",
        "split": "value of the column split to score (default: the split asked for)",
    }
    return own | {"size": FRAME_OPTIONS["size"]}


DATA = DataCard(
    name="triplets",
    version="1",
    title="Your two-alternative similarity judgements",
    contents=("triplets",),
    licence="your own",
    how_to_get="--data triplets:FILE.csv",
    options=_options(),
    open=open_triplets,
)

"""SPair-71k: pairs of photographs of one category with the same keypoints annotated in both.

The pairs come from the names in `PairAnnotation/SPLIT`, which also hold the points. Pixel coordinates are
taken with the centre of the top-left pixel at 0; the files do not say.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    from torch import Tensor

    from midvision.core.items import Dataset, KeypointPairItem
    from midvision.data.archives import Place, Shelf
    from midvision.data.manifest import Copy
    from midvision.data.photos import Framed

FILE = "SPair-71k.tar.gz"
SPLITS = ("trn", "val", "test")
# 000001-2008_000336-2008_004046:aeroplane.json; some copies replaced the colon.
PAIR = re.compile(r"^(\d+)-(\d{4}_\d{6})-(\d{4}_\d{6})[:_](\w+)\.json$")
CENTRE = 0.0


def plan_spair(shelf: Shelf) -> Plan:
    """All pairs of the wanted lists and the photographs that they name."""
    place = shelf.need("PairAnnotation", FILE)
    work: dict[str, Kept] = {}
    splits: dict[str, tuple[str, ...]] = {}
    for split in SPLITS:
        names = place.names(f"PairAnnotation/{split}")
        if not names:
            raise shelf.missing(f"PairAnnotation/{split}", FILE)
        ids = []
        for name in names:
            match = PAIR.match(name.rsplit("/", 1)[-1])
            if match is None:
                continue
            ids.append("-".join((match[1], match[2], match[3])) + f":{match[4]}")
            if shelf.only and split not in shelf.only:
                continue
            target = _sheet(split, ids[-1])
            work[target] = Kept(target, place, name)
            for stem in (match[2], match[3]):
                _add(work, shelf, place, f"JPEGImages/{match[4]}/{stem}.jpg")
        splits[split] = tuple(sorted(ids))
    return Plan(tuple(work.values()), splits, (place,))


def _add(work: dict[str, Kept], shelf: Shelf, place: Place, member: str) -> None:
    if member not in work:
        if not place.has(member):
            raise shelf.missing(member, FILE)
        work[member] = Kept(member, place, member)


def _sheet(split: str, id: str) -> str:
    return f"PairAnnotation/{split}/{id.replace(':', '_')}.json"


def read_pair(copy: Copy, split: str, id: str) -> dict[str, Any]:
    """Points `[P][2]` of both photographs, their sizes [w, h] and the target's box [x0, y0, x1, y1]."""
    path = copy.path(_sheet(split, id))
    try:
        fields = json.loads(path.read_bytes())
        found = {name: [[float(v) for v in xy] for xy in fields[name]] for name in ("src_kps", "trg_kps")}
        box = [float(v) for v in fields["trg_bndbox"]]
        sizes = {name: [int(v) for v in fields[name][:2]] for name in ("src_imsize", "trg_imsize")}
        usable = len(found["src_kps"]) == len(found["trg_kps"]) > 0 and len(box) == 4 and box[2] > box[0]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise DataError(
            f"{path} does not have the fields of SPair-71k ({type(error).__name__}: {error}).",
            "src_kps, trg_kps, src_imsize, trg_imsize and trg_bndbox were expected.",
            f"Get {FILE}.",
        ) from error
    if not usable or any(len(xy) != 2 for points in found.values() for xy in points):
        raise DataError(f"{path} has no matching points, or no box.", "As many points in both were expected.")
    return {**found, "box": box, **sizes}


def _photos(id: str) -> tuple[str, str]:
    pair, _, category = id.partition(":")
    return tuple(f"JPEGImages/{category}/{stem}.jpg" for stem in pair.split("-")[1:])  # type: ignore[return-value]


def decode(copy: Copy, id: str) -> None:
    """Both photographs, of the sizes that the annotation states, and the points."""
    from midvision.data.frames import read_photo

    split = next(name for name in SPLITS if copy.has(_sheet(name, id)))
    fields = read_pair(copy, split, id)
    for name, size in zip(_photos(id), (fields["src_imsize"], fields["trg_imsize"]), strict=True):
        height, width = read_photo(copy.path(name)).shape[:2]
        if [width, height] != size:
            raise DataError(f"{copy.path(name)} is {width}x{height}, its annotation says {size[0]}x{size[1]}.")


def open_spair(request: Request) -> Dataset:
    """The pairs of one list (test unless the option says otherwise); nothing is trained."""
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, need_items, spread

    copy = open_copy(DATA, request.data)
    options = Options(request.data)
    split = options.text("test") or "test"
    listed = copy.ids(split) if request.split == "test" else ()
    need_items(list(listed), request, "Keypoint pairs need no training; they are all in the test split.")
    ids = spread(listed, request.limit, lambda id: id.rpartition(":")[2])
    names = dict.fromkeys(name for id in ids for name in _photos(id))
    photos = {name: photo_of(copy, name, name.removeprefix("JPEGImages/").removesuffix(".jpg")) for name in names}
    size = frame_size([photo.size for photo in photos.values()], request.rules, options)
    frames = {name: Framed(photo, size, request.rules) for name, photo in photos.items()}
    items = []
    for id in ids:
        a, b = _photos(id)
        items.append(_item(id, frames[a], frames[b], read_pair(copy, split, id)))
    return dataset_of(DATA, copy, request, frames.values(), items, [_sheet(split, id) for id in ids])


def _item(id: str, a: Framed, b: Framed, fields: dict[str, Any]) -> KeypointPairItem:
    from midvision.core.items import KeypointPairItem

    box, (x0, y0, x1, y1) = b.framing().box, fields["box"]
    scale = max((x1 - x0) * b.size[1] / box.width, (y1 - y0) * b.size[0] / box.height)
    xy = [_points(frame, fields[name]) for frame, name in ((a, "src_kps"), (b, "trg_kps"))]
    return KeypointPairItem(id, a.photo.id, a.image_id, b.image_id, xy[0], xy[1], scale)


def _points(frame: Framed, points: list[list[float]]) -> Tensor:
    import torch

    return frame.framing().xy(torch.tensor(points, dtype=torch.float64) + 0.5 - CENTRE)


DATA = DataCard(
    name="spair",
    version="1",
    title="SPair-71k, semantic keypoints",
    contents=("keypoint-pairs",),
    licence="see the official page; photographs of PASCAL VOC (Flickr terms)",
    how_to_get=f"midvision data prepare spair --from {FILE}",
    options={
        "test": "list that is scored: test (default), val or trn",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_spair,
    pixel_centre=CENTRE,
    benchmark=Benchmark(
        page="https://cvlab.postech.ac.kr/research/SPair-71k/",
        citation="Min, Lee, Ponce, Cho: SPair-71k: A Large-scale Benchmark for Semantic Correspondence, 2019",
        size="1,800 photographs of 18 categories, 70,958 pairs",
        layout=(
            "SPair-71k/JPEGImages/CATEGORY/ID.jpg",
            "SPair-71k/PairAnnotation/{trn,val,test}/N-ID-ID:CATEGORY.json",
        ),
        sources=(Source(FILE, "everything", "about 0.25 GB"),),
        decisions={
            "protocol": "no reference protocol of the nine settings; both score percentage of correct keypoints",
            "unit": "0.1 of the longer side of the target's box, measured in the frame",
            "frame": "the frame size of your choice (option size, default 224 square), photographs squeezed to it",
        },
        counts={"trn": 53340, "val": 5384, "test": 12234},
        plan=plan_spair,
        decode=decode,
        notes=("The sizes of the lists are the publisher's; --only test is enough for the task.",),
        parts=SPLITS,
    ),
)

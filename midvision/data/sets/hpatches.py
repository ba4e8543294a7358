"""HPatches, full sequences: six photographs of a plane each, homographies from the first to the others.

No reference protocol exists for it among the nine settings: it is scored as scene correspondence, in
pixels of the frame, under both protocols' image handling. `v_` sequences change the viewpoint, `i_` the light.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from midvision.data.benchmark import Benchmark, Kept, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    from midvision.core.items import Dataset
    from midvision.data.archives import Shelf
    from midvision.data.manifest import Copy
    from midvision.data.photos import Photo

FILE = "hpatches-sequences-release.tar.gz"
SEQUENCE = re.compile(r"^([iv]_[^/]+)/1\.ppm$")
OTHERS = (2, 3, 4, 5, 6)
CENTRE = 0.0


def plan_hpatches(shelf: Shelf) -> Plan:
    """Every sequence with its six photographs and five homographies."""
    place = shelf.need("v_*/1.ppm", FILE)
    names = sorted(match[1] for name in place.names() if (match := SEQUENCE.match(name)))
    members = [f"{number}.ppm" for number in (1, *OTHERS)] + [f"H_1_{number}" for number in OTHERS]
    work = []
    for name in (f"{sequence}/{member}" for sequence in names for member in members):
        if not place.has(name):
            raise shelf.missing(name, FILE)
        work.append(Kept(name, place, name))
    pairs = {kind: [f"{name}/1-{n}" for name in names if name[0] == kind for n in OTHERS] for kind in "iv"}
    splits = {"test": pairs["i"] + pairs["v"], "illumination": pairs["i"], "viewpoint": pairs["v"]}
    return Plan(tuple(work), {name: tuple(ids) for name, ids in splits.items()}, (place,))


def decode(copy: Copy, id: str) -> None:
    """Both photographs and their homography."""
    from midvision.data.frames import read_photo
    from midvision.data.sets.homography import read_homography

    sequence, other = id.split("/1-")
    for number in ("1", other):
        read_photo(copy.path(f"{sequence}/{number}.ppm"))
    read_homography(copy.path(f"{sequence}/H_1_{other}"), CENTRE)


def open_hpatches(request: Request) -> Dataset:
    """The pairs of one list; all are in the test split, for nothing is trained."""
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, need_items, spread
    from midvision.data.sets.homography import planar_item, read_homography

    copy = open_copy(DATA, request.data)
    options = Options(request.data)
    listed = copy.ids(options.text("test") or "test") if request.split == "test" else ()
    need_items(list(listed), request, "Planar pairs need no training, so all are in the test split.")
    ids = spread(listed, request.limit, lambda id: id[0], lambda id: id.split("/")[0])
    photos: dict[str, Photo] = {}
    for sequence, other in (id.split("/1-") for id in ids):
        for name in (f"{sequence}/1", f"{sequence}/{other}"):
            photos.setdefault(name, photo_of(copy, f"{name}.ppm", name, f"hpatches/{sequence}"))
    size = frame_size([photo.size for photo in photos.values()], request.rules, options)
    frames = {name: Framed(photo, size, request.rules) for name, photo in photos.items()}
    items, truth = [], []
    for sequence, other in (id.split("/1-") for id in ids):
        name = f"{sequence}/H_1_{other}"
        b_from_a = read_homography(copy.path(name), CENTRE)
        items.append(planar_item(frames[f"{sequence}/1"], frames[f"{sequence}/{other}"], b_from_a))
        truth.append(name)
    return dataset_of(DATA, copy, request, frames.values(), items, truth)


DATA = DataCard(
    name="hpatches",
    version="1",
    title="HPatches, full image sequences",
    contents=("scene-pairs",),
    licence="see the official page; photographs of several sources",
    how_to_get=f"midvision data prepare hpatches --from {FILE}",
    options={
        "test": "list that is scored: test (default, all), illumination or viewpoint",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_hpatches,
    pixel_centre=CENTRE,
    benchmark=Benchmark(
        page="https://github.com/hpatches/hpatches-dataset",
        citation="Balntas, Lenc, Vedaldi, Mikolajczyk: HPatches: A benchmark and evaluation of handcrafted and learned "
        "local descriptors, CVPR 2017",
        size="116 sequences of six photographs, 580 pairs; about 1.3 GB",
        layout=("hpatches-sequences-release/v_NAME/1.ppm ... 6.ppm, H_1_2 ... H_1_6", "i_NAME/..."),
        sources=(Source(FILE, "all sequences", "1.3 GB"),),
        decisions={
            "protocol": "no reference protocol exists; both score matches of the first photograph to each other one",
            "frame": "480x640 whatever the aspect; homographies are carried along exactly",
            "points": "those that both photographs show",
        },
        counts={"test": 580, "illumination": 285, "viewpoint": 295},
        plan=plan_hpatches,
        decode=decode,
        notes=("The sizes of the two lists are the publisher's (57 and 59 sequences); not verified on real files.",),
    ),
)

"""BSDS500: photographs in which several people drew the borders of things and parts.

`groundTruth/LIST/ID.mat` (MATLAB v5) holds a cell per annotator with `Segmentation` and `Boundaries`; the
boundaries are taken, at the photograph's own size. The frame is square, whatever the aspect; scores go back to
the photograph's size.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.benchmark import Benchmark, Kept, Plan, Source
from midvision.data.card import DataCard, Request

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from midvision.core.items import Dataset, Target
    from midvision.data.archives import Shelf
    from midvision.data.manifest import Copy

FILE = "BSR_bsds500.tgz"
LISTS = ("train", "val", "test")
TRUTH = "data/groundTruth"


def plan_bsds(shelf: Shelf) -> Plan:
    """All photographs with the annotations of the same name. The archive's own tools hold a few more, in no list."""
    place = shelf.need(f"{TRUTH}/train", FILE)
    work: list[Kept] = []
    splits: dict[str, tuple[str, ...]] = {}
    for split in LISTS:
        ids = []
        for name in place.names(f"{TRUTH}/{split}"):
            folder, _, file = name.rpartition("/")
            if folder != f"{TRUTH}/{split}" or not file.endswith(".mat") or file.startswith("."):
                continue
            ids.append(f"{split}/{file.removesuffix('.mat')}")
            photo = _photo(ids[-1])
            if not place.has(photo):
                raise shelf.missing(photo, FILE)
            work += [Kept(photo, place, photo), Kept(_truth(ids[-1]), place, name)]
        if not ids:
            raise shelf.missing(f"{TRUTH}/{split}/*.mat", FILE)
        splits[split] = tuple(sorted(ids))
    return Plan(tuple(work), splits, (place,))


def _photo(id: str) -> str:
    return f"data/images/{id}.jpg"


def _truth(id: str) -> str:
    return f"{TRUTH}/{id}.mat"


def read_boundaries(path: Path) -> np.ndarray:
    """What each annotator drew, bool `[A, H, W]`."""
    import numpy as np

    from midvision.data.matlab import read_v5

    expected = "A cell per annotator with Boundaries of one size was expected."
    try:
        with open(path, "rb") as stream:
            cells = read_v5(stream, ["groundTruth"], str(path))["groundTruth"]
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.", expected) from error
    try:
        drawn = [np.asarray(cell["Boundaries"][0, 0]) for cell in cells.ravel()]
        boundaries = np.stack(drawn) > 0
    except (ValueError, IndexError, TypeError, KeyError) as error:
        raise DataError(f"{path} is not as BSDS500 writes it ({error}).", expected, f"Get {FILE}.") from error
    if boundaries.ndim != 3 or not boundaries.any():
        raise DataError(f"{path} holds no boundaries.", expected, f"Get {FILE}.")
    return boundaries


def decode(copy: Copy, id: str) -> None:
    """The photograph and the annotations, of one size."""
    from midvision.data.frames import read_photo

    photo, drawn = read_photo(copy.path(_photo(id))), read_boundaries(copy.path(_truth(id)))
    if photo.shape[:2] != drawn.shape[1:]:
        raise DataError(
            f"{copy.path(_truth(id))} is {drawn.shape[1]}x{drawn.shape[2]}, its photograph is "
            f"{photo.shape[0]}x{photo.shape[1]}.",
            "",
            f"Get {FILE} again.",
        )


def open_bsds(request: Request) -> Dataset:
    """One split: train and val train, test is scored, unless the options say otherwise."""
    from midvision.core.items import BoundaryItem
    from midvision.data.copies import dataset_of, photo_of
    from midvision.data.manifest import open_copy
    from midvision.data.options import Options
    from midvision.data.photos import Framed, frame_size, spread

    copy, options = open_copy(DATA, request.data), Options(request.data)
    wanted = options.text(request.split, "train+val" if request.split == "train" else "test") or ""
    listed = [id for name in wanted.split("+") for id in copy.ids(name)]
    ids = spread(listed, request.limit)
    photos = [photo_of(copy, _photo(id), id) for id in ids]
    size = frame_size([photo.size for photo in photos], request.rules, options)
    items, frames = [], []
    for id, photo in zip(ids, photos, strict=True):
        frame, path = Framed(photo, size, request.rules), copy.path(_truth(id))
        frames.append(frame)
        target, drawn = partial(share_target, path, size), partial(read_boundaries, path)
        items.append(BoundaryItem(photo.id, photo.group, frame.image_id, target, drawn))
    return dataset_of(DATA, copy, request, frames, items, [_truth(id) for id in ids])


def share_target(path: Path, size: tuple[int, int]) -> Target:
    """Share of annotators with a boundary there, averaged over the area that becomes a pixel of the frame."""
    import torch
    from torch.nn import functional

    from midvision.core.items import Target

    share = torch.from_numpy(read_boundaries(path).astype("float32")).mean(0)[None, None]
    framed = functional.interpolate(share, size, mode="bilinear", align_corners=False, antialias=True)[0]
    return Target(framed.clamp(0, 1), torch.ones((1, *size), dtype=torch.bool))


DATA = DataCard(
    name="bsds500",
    version="1",
    title="BSDS500, boundaries drawn by several people",
    contents=("boundaries",),
    licence="non-commercial research and education, as the official page states",
    how_to_get=f"midvision data prepare bsds500 --from {FILE}",
    options={
        "train": "lists that train, with + between them (default train+val)",
        "test": "lists that are scored (default test)",
        "size": "frame size where the protocol leaves it open",
    },
    open=open_bsds,
    benchmark=Benchmark(
        page="https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/resources.html",
        citation="Arbelaez, Maire, Fowlkes, Malik: Contour Detection and Hierarchical Image Segmentation, TPAMI 2011",
        size="500 photographs of 481x321 with four to nine annotators each; about 70 MB",
        layout=("BSR/BSDS500/data/images/{train,val,test}/ID.jpg", f"BSR/BSDS500/{TRUTH}/{{train,val,test}}/ID.mat"),
        sources=(Source(FILE, "everything", "about 70 MB"),),
        decisions={
            "protocol": "no task of the reference; paper and corrected are the same",
            "split": "train and val train (300), test is scored (200)",
            "frame": "480x480 whatever the aspect; predictions go back to the photograph's size",
            "score": "F at the best threshold of the set (ods) and of each image (ois); one-to-one matching within "
            "0.0075 of the diagonal; a predicted pixel is right if some annotator's is matched to it",
        },
        counts={"train": 200, "val": 100, "test": 200},
        plan=plan_bsds,
        decode=decode,
        notes=(
            "Lines are thinned by this program from the probe's map, and at 20 thresholds in log odds, so figures are "
            "comparable with each other and only roughly with those of edge detectors.",
        ),
    ),
)

"""Any classification set that torchvision knows and that is on this disk, through torchvision's own class.

`--data torchvision:ROOT?name=Food101`. Nothing is downloaded. Splits are the constructor's (`train=` or
`split=`); where it has none, a hashed share of every class is scored. Every picture that is used is decoded
once when the set is opened, since its pixels are its name; large sets take their time for that.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from midvision.core.errors import DataError, UsageError, nearest
from midvision.data.card import DataCard, Request
from midvision.data.options import FRAME_OPTIONS, Options, root_of

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from midvision.core.items import Dataset
    from midvision.data.frames import Framing

TRAIN = ("train", "trainval", "train-standard", "training")
TEST = ("test", "val", "valid", "validation", "testing")


@dataclass(frozen=True)
class Taken:
    """One picture of a torchvision set: decoded anew whenever it is wanted."""

    source: Any
    index: int
    framing: Framing
    sha256: str

    def load(self) -> Tensor:
        return self.framing.image(pixels_of(self.source, self.index))

    def digest(self) -> str:
        from midvision.core.settings import stable_hash
        from midvision.data.frames import DECODER

        return stable_hash(self.sha256, DECODER, self.framing.recipe)


def open_torchvision(request: Request) -> Dataset:
    """One split of the set called `name`."""
    from midvision.core.items import Dataset, Image, LabelItem
    from midvision.core.settings import stable_hash
    from midvision.data.frames import Framing, choose_box
    from midvision.data.photos import frame_size, need_items, spread

    options = Options(request.data)
    source, part, split = open_source(request, options)
    labels = labels_of(source)
    places = _places(labels, request, options) if part == "" else range(len(labels))
    chosen = spread(list(places), request.limit, lambda place: labels[place])
    need_items(chosen, request, "Check the folder, and which split is scored.")
    size = frame_size([(1, 1)], request.rules, options)
    names = [str(name) for name in getattr(source, "classes", ())]
    images, items, content = {}, [], []
    with request.progress.bar("pictures looked at", len(chosen)) as advance:
        for place in chosen:
            pixels = pixels_of(source, place)
            box = choose_box(request.rules, pixels.shape[:2], None, f"picture {place}")
            framing = Framing(box, size, request.rules.photo_resample)
            taken = Taken(source, place, framing, _sha256(pixels))
            id = f"{part or 'all'}/{place:07d}"
            named = f"{id}#{framing.recipe}"
            images[named] = Image(named, taken.load, taken.digest)
            label = labels[place]
            items.append(LabelItem(id, id, named, label, names[label] if label < len(names) else str(label)))
            content.append(f"{id}={taken.sha256}:{label}")
            advance(1)
    settings = (request.rules.canonical(), request.data.model_copy(update={"path": None}).canonical())
    return Dataset(
        name=f"torchvision-{options.text('name')}",
        version=DATA.version,
        content=request.content,
        split=split,
        images=images,
        items=items,
        fingerprint=stable_hash(DATA.version, *settings, split, str(size), *content),
        frame_size=size,
        limited=request.limit is not None,
    )


def open_source(request: Request, options: Options) -> tuple[Any, str, str]:
    """The torchvision object, its own name of the split (empty where it has none), and ours."""
    kind, root = _kind(options), root_of(request.data)
    known = inspect.signature(kind).parameters
    arguments: dict[str, Any] = dict(_arguments(options, known))
    if "root" in known:
        arguments["root"] = str(root)
    if "download" in known:
        arguments["download"] = False
    if "train" in known:
        return _made(kind, {**arguments, "train": request.split == "train"}), request.split, request.split
    if "split" not in known or "split" in arguments:
        return _made(kind, arguments), "", request.split
    own = options.text(request.split)
    candidates = (own,) if own else TRAIN if request.split == "train" else TEST
    refused: Exception | None = None
    for name in candidates:
        try:
            return _made(kind, {**arguments, "split": name}), name, request.split
        except ValueError as error:  # torchvision's word for a split that this set does not have
            refused = error
    raise UsageError(
        f"{kind.__name__} has no split {' or '.join(map(repr, candidates))} ({refused}).",
        f"Its own names are needed for {request.split}.",
        f"Write {request.split}=NAME after the name of the set.",
    )


def _made(kind: Any, arguments: dict[str, Any]) -> Any:
    try:
        return kind(**arguments)
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"torchvision does not find {kind.__name__} in {arguments.get('root')} ({error}).",
            "The files in the layout that torchvision documents were expected; nothing is downloaded.",
            f"See: pydoc torchvision.datasets.{kind.__name__}",
        ) from error
    except ModuleNotFoundError as error:
        raise DataError(f"{kind.__name__} needs a package that is not installed ({error}).") from error


def _kind(options: Options) -> Any:
    from torchvision import datasets

    known = [name for name in datasets.__all__ if inspect.isclass(getattr(datasets, name))]
    name = options.text("name")
    if name is None:
        raise UsageError(
            "Reader 'torchvision' needs the name of a set.",
            "One of torchvision's classes was expected.",
            "Write --data torchvision:ROOT?name=CIFAR100.",
        )
    if name not in known:
        raise UsageError(f"torchvision has no set {name!r}.", nearest(name, known))
    return getattr(datasets, name)


def _arguments(options: Options, known: Any) -> dict[str, str]:
    """Further arguments of the constructor, such as `split:letters`."""
    found: dict[str, str] = {}
    for part in filter(None, (options.text("arguments") or "").split(",")):
        name, colon, value = part.partition(":")
        if not colon or name not in known:
            raise options.wrong("arguments", f"NAME:VALUE was expected; the constructor has {', '.join(known)}.")
        found[name] = value
    return found


def labels_of(source: Any) -> list[int]:
    """The class of every picture; read from the set's own list where it keeps one, else picture by picture."""
    for name in ("targets", "_labels", "labels", "y"):
        kept = getattr(source, name, None)
        if kept is not None and hasattr(kept, "__len__") and len(kept) == len(source):
            return [_label(value, source) for value in kept]
    return [_label(source[index][1], source) for index in range(len(source))]


def _label(value: Any, source: Any) -> int:
    number = value.item() if getattr(value, "ndim", None) == 0 else value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        raise DataError(
            f"{type(source).__name__} has a target of kind {type(value).__name__}.",
            "One class per picture, a number from 0 on, was expected.",
            "Choose a classification set.",
        )
    return number


def pixels_of(source: Any, index: int) -> np.ndarray:
    """One picture, uint8 `[H, W, 3]`."""
    import numpy as np
    from PIL import Image

    from midvision.data.frames import as_rgb

    try:
        picture = source[index][0]
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"Picture {index} of {type(source).__name__} cannot be decoded ({error}).") from error
    if not isinstance(picture, Image.Image):
        raise DataError(
            f"Picture {index} of {type(source).__name__} is a {type(picture).__name__}.",
            "A picture of Pillow was expected.",
            "Choose a set of single images.",
        )
    return np.asarray(as_rgb(picture), dtype=np.uint8)


def _sha256(pixels: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()


def _places(labels: Sequence[int], request: Request, options: Options) -> list[int]:
    """Places of one split of a set that has none: a hashed share of every class is scored."""
    from midvision.data.photos import share_of

    held_out: set[str] = set()
    for label in sorted(set(labels)):
        own = [str(place) for place, other in enumerate(labels) if other == label]
        held_out |= share_of(own, options.positive("test_share", 0.3))
    return [place for place in range(len(labels)) if (str(place) in held_out) == (request.split == "test")]


DATA = DataCard(
    name="torchvision",
    version="1",
    title="A classification set of torchvision that is on this disk",
    contents=("labels",),
    licence="the set's own",
    how_to_get="--data torchvision:ROOT?name=NAME",
    options={
        "name": "class of torchvision.datasets, such as CIFAR100, Food101, Flowers102, DTD",
        "train": "the set's own name of the split that trains (default: train, else trainval)",
        "test": "the set's own name of the split that is scored (default: test, else val)",
        "arguments": "further arguments of the constructor, NAME:VALUE with commas between (EMNIST: split:letters)",
        "test_share": "share of each class that is scored where the set has no splits (default 0.3)",
        "size": FRAME_OPTIONS["size"],
    },
    open=open_torchvision,
)

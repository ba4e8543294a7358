"""What a stray checkpoint is, and how to run it: told from its content alone, never from trust in its name."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from midvision.core.errors import DataError
from midvision.zoo.card import CLIP, Card, FromFile, Known, Pixels
from midvision.zoo.fit import fit_state
from midvision.zoo.layouts import State, recognise, tensors
from midvision.zoo.likely import Fit, Place, likely_cards, way_to_run
from midvision.zoo.read import file_sha256, read_checkpoint
from midvision.zoo.shapes import ANCHORS, Network, guess

# Parts behind the features: they tell how a network was trained, though none is used.
_MARKS = {
    "fc.": "a classifier or projection `fc`",
    "head.": "a head",
    "decoder_": "a decoder",
    "mask_token": "a mask token",
    "projection_head.": "a projection head",
    "prototypes.": "prototypes",
    "projector.": "a projector",
    "predictor.": "a predictor",
    "queue": "a queue of negatives",
    "momentum_encoder.": "a momentum encoder",
    "encoder_k.": "a momentum encoder",
    "neck.": "a neck",
    "lm_head.": "a head over visual words",
    "downstream_head": "a head of points",
    "logit_scale": "an image and text temperature",
}


@dataclass(frozen=True, slots=True)
class Likely:
    """A card that this could be, and what speaks for it, the strongest first."""

    id: str
    title: str
    because: str


@dataclass(frozen=True, slots=True)
class Found:
    """One network in the file. `layouts` are the publishers' that it agrees with; `weights` tells sets apart.

    `architecture` is a timm name whose tensors are exactly these; None where none is known to fit.
    """

    where: str
    layouts: tuple[str, ...]
    weights: str | None
    network: Network
    architecture: str | None
    tensors: int
    parameters: int
    likely: tuple[Likely, ...]
    pixels: str
    pixel_source: str
    id: str | None
    command: str | None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a file is."""

    path: str
    bytes: int
    sha256: str
    container: str
    top: tuple[str, ...]
    tensors: int
    parameters: int
    beside: tuple[str, ...] = ()
    networks: tuple[Found, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def inspect_file(path: Path) -> Report:
    """What `path` holds. Raises `DataError` where it is no readable checkpoint or holds no tensor."""
    path = path.expanduser()
    content = _with_tensors(read_checkpoint(path))
    tables = list(_tables(content))
    if not tables:
        raise DataError(
            f"{path} holds no tensors by name.", "A checkpoint is expected.", "Check that it is the file you meant."
        )
    everything = {f"{where}\x1f{name}": value for where, table in tables for name, value in table.items()}
    digest = file_sha256(path)
    return Report(
        path=str(path),
        bytes=path.stat().st_size,
        sha256=digest,
        container=_container(path),
        top=tuple(str(name) for name in content)[:12] if isinstance(content, Mapping) else (),
        tensors=len(everything),
        parameters=sum(value.numel() for value in everything.values()),
        beside=_beside(name.rpartition("\x1f")[2] for name in everything),
        networks=tuple(_described(place, content, path, digest) for place in _places(content, tables)),
    )


def _container(path: Path) -> str:
    with open(path, "rb") as file:
        start = file.read(9)
    if start.startswith(b"PK"):
        return "torch, zip"
    return "safetensors" if start[8:9] == b"{" else "torch, legacy pickle"


def _tables(content: Any, where: str = "") -> Iterator[tuple[str, State]]:
    """Every dict, at any depth, that holds tensors directly."""
    if not isinstance(content, Mapping):
        return
    if table := tensors(content):
        yield where, table
    for name, value in content.items():
        yield from _tables(value, f"{where}.{name}" if where else str(name))


def _places(content: Any, tables: list[tuple[str, State]]) -> list[Place]:
    """Every network in the file: as publishers lay it out, and anything else that looks like one."""
    found = list(_anything(tables))
    for layout, sets in recognise(content).items():
        for choice, state in sets.items():
            if guess(_shapes(state)) is None:
                continue
            chosen = choice if len(sets) > 1 else None
            twin = next((number for number, place in enumerate(found) if _same(state, place.state)), None)
            if twin is None:
                found.append(Place(chosen, "", state, {layout: state}))
            else:
                place = found[twin]
                # The reading that leaves most aside is the one that knows what does not belong to the network.
                least = min(state, place.state, key=len)
                readings = {**place.readings, layout: state}
                found[twin] = Place(place.weights or chosen, place.label, least, readings)
    return found


def _anything(tables: list[tuple[str, State]]) -> Iterator[Place]:
    """What looks like a network under its own names behind any prefix."""
    for where, table in tables:
        prefixes = {name.removesuffix(anchor) for anchor in ANCHORS for name in table if name.endswith(anchor)}
        for prefix in sorted(prefixes):
            state = {name[len(prefix) :]: value for name, value in table.items() if name.startswith(prefix)}
            if (not prefix or prefix.endswith(".")) and guess(_shapes(state)) is not None:
                yield Place(None, f"{where}:{prefix}" if where else prefix, state)


def _same(one: State, other: State) -> bool:
    """Whether two readings of the file share most tensors, as memory: equal values are no proof, twins start equal."""
    ours, theirs = ({value.data_ptr() for value in state.values() if value.numel()} for state in (one, other))
    return 2 * len(ours & theirs) > min(len(ours), len(theirs))


def _with_tensors(content: Any) -> Any:
    """The same dicts with arrays as tensors, so that every reading of them shares their memory."""
    if not isinstance(content, Mapping):
        return content
    table = tensors(content)
    return {name: table[str(name)] if str(name) in table else _with_tensors(v) for name, v in content.items()}


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in state.items()}


def _described(place: Place, content: Any, path: Path, digest: str) -> Found:
    network = guess(_shapes(place.state))
    assert network is not None
    fit = _fitting(place, content, network, path)
    cards = likely_cards(place, fit, (table for _, table in _tables(content)), path, digest)
    pixels, pixel_source = _pixels(cards, content, network)
    model_id, command = way_to_run(place, fit, cards, pixels, path)
    if network.family == "transformers" and (path.parent / "config.json").is_file():
        model_id = f"transformers:{path.parent}"
        command = f"midvision run -m {shlex.quote(model_id)} -t synth"
    agreeing = {card.route.layout for card, _ in cards if isinstance(card.route, FromFile)}
    return Found(
        where=place.label or "the whole file",
        layouts=tuple(name for name in place.layouts if name in agreeing) or place.layouts,
        weights=place.weights,
        network=network,
        architecture=fit.architecture,
        tensors=len(place.state),
        parameters=sum(v.numel() for name, v in place.state.items() if not name.endswith(_BUFFERS)),
        likely=tuple(Likely(card.id, card.title, because) for card, because in cards),
        pixels=pixels,
        pixel_source=pixel_source,
        id=model_id,
        command=command,
        problem=None if cards else fit.problem,
    )


_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def _fitting(place: Place, content: Any, network: Network, path: Path) -> Fit:
    """The timm architecture that these tensors fill exactly, how a `file:` id chooses them, and why not if not.

    Without a prefix only a card's layout can pick the tensors out of this file.
    """
    from midvision.encoders.timm_shapes import empty_network
    from midvision.encoders.timm_weights import renamed

    problem: str | None = None
    for name in network.candidates:
        empty = empty_network(name)
        if empty is None:
            continue
        wanted = empty.state_dict()
        as_timm = partial(renamed, empty)
        for prefix in dict.fromkeys(("", place.label)):
            try:
                # Without a prefix another network of the file may be the one that fits.
                found = fit_state(content, wanted, str(path), prefix, as_timm)
                if _same(found, place.state) or _same(found, fit_state(place.state, wanted, str(path), "", as_timm)):
                    return Fit(name, prefix)
            except DataError as error:
                problem = problem or error.wrong
        for state in (place.state, *place.readings.values()):
            try:
                fit_state(state, wanted, str(path))
                return Fit(name, None)
            except DataError as error:
                problem = error.wrong if "holds NaN" in error.wrong else problem
    return Fit(None, None, problem)


def _beside(names: Iterator[str]) -> tuple[str, ...]:
    """What else the file holds, in words."""
    found = {word for name in names for mark, word in _MARKS.items() if name.startswith(mark) or f".{mark}" in name}
    return tuple(sorted(found))


def _pixels(cards: list[tuple[Card, str]], content: Any, network: Network) -> tuple[str, str]:
    """Pixel statistics as words, and where they are from: likely cards, the file itself, or an assumption."""
    stored = _stored_pixels(content)
    stated = {card.pixels.value for card, _ in cards if isinstance(card.pixels, Known)}
    if len(stated) == 1:
        word = _pixel_word(stated.pop())
        source = f"card {cards[0][0].id}" if len(cards) == 1 else "all likely cards agree"
        other = "" if stored is None or _pixel_word(stored) == word else f"; the file stores {_pixel_word(stored)}"
        return word, source + other
    if stored is not None:
        return _pixel_word(stored), "stored in the file"
    if network.family == "clip":
        return _pixel_word(CLIP), "assumed: usual for CLIP"
    return "imagenet", "assumed: the file does not say"


def _stored_pixels(content: Any) -> Pixels | None:
    """OpenMMLab files may hold mean and deviation on 0..255."""
    for _, table in _tables(content):
        mean, std = table.get("data_preprocessor.mean"), table.get("data_preprocessor.std")
        if mean is not None and std is not None and mean.numel() == std.numel() == 3 and bool((std > 0).all()):
            a, b = ([round(float(v) / 255, 4) for v in tensor.flatten()] for tensor in (mean, std))
            return Pixels((a[0], a[1], a[2]), (b[0], b[1], b[2]))
    return None


def _pixel_word(pixels: Pixels) -> str:
    """`imagenet`, `half` or `none` where these are the numbers, else mean and deviation."""
    from midvision.encoders.plan import PIXEL_STATS

    for word, (mean, std) in PIXEL_STATS.items():
        if all(abs(a - b) < 6e-4 for a, b in zip((*mean, *std), (*pixels.mean, *pixels.std), strict=True)):
            return str(word)
    return f"mean {pixels.mean}, std {pixels.std}"

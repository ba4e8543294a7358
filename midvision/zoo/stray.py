"""What a stray checkpoint is, and how to run it: told from its content alone, never from trust in its name."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from torch import Tensor

from midvision.core.errors import DataError
from midvision.zoo.card import CLIP, Card, FromFile, FromLibrary, Known, Pixels, Source, all_cards, known
from midvision.zoo.fetch import published_sha256
from midvision.zoo.fit import fit_state
from midvision.zoo.layouts import State, all_layouts, recognise, tensors
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
    "logit_scale": "an image and text temperature",
}
_IMAGENET_CLASSES = (1000, 21841, 21843)


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


@dataclass(frozen=True, slots=True)
class _Place:
    """Tensors of one network under a network's own names; `label` chooses it in a `file:` id."""

    layouts: tuple[str, ...]
    weights: str | None
    label: str
    state: State


def inspect_file(path: Path) -> Report:
    """What `path` holds. Raises `DataError` where it is no readable checkpoint or holds no tensor."""
    path = path.expanduser()
    content = _with_tensors(read_checkpoint(path))
    tables = list(_tables(content))
    if not tables:
        raise DataError(
            f"{path} holds no tensors.", "A checkpoint is expected.", "Check that it is the file you meant."
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


def _places(content: Any, tables: list[tuple[str, State]]) -> list[_Place]:
    """Every network in the file: as publishers lay it out, and anything else that looks like one."""
    found = list(_anything(tables))
    for layout, sets in recognise(content).items():
        for choice, state in sets.items():
            if guess(_shapes(state)) is None:
                continue
            chosen = choice if len(sets) > 1 else None
            twin = next((number for number, place in enumerate(found) if _same(state, place.state)), None)
            if twin is None:
                found.append(_Place((layout,), chosen, "", state))
            else:
                place = found[twin]
                # The reading that leaves most aside is the one that knows what does not belong to the network.
                least = min(state, place.state, key=len)
                found[twin] = _Place((*place.layouts, layout), place.weights or chosen, place.label, least)
    return found


def _anything(tables: list[tuple[str, State]]) -> Iterator[_Place]:
    """What looks like a network under its own names behind any prefix."""
    for where, table in tables:
        prefixes = {name.removesuffix(anchor) for anchor in ANCHORS for name in table if name.endswith(anchor)}
        for prefix in sorted(prefixes):
            state = {name[len(prefix) :]: value for name, value in table.items() if name.startswith(prefix)}
            if (not prefix or prefix.endswith(".")) and guess(_shapes(state)) is not None:
                yield _Place((), None, f"{where}:{prefix}" if where else prefix, state)


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


def _described(place: _Place, content: Any, path: Path, digest: str) -> Found:
    network = guess(_shapes(place.state))
    assert network is not None
    architecture, prefix, problem = _fitting(place, content, network, path)
    cards = _likely(place, content, network, architecture, path, digest)
    pixels, pixel_source = _pixels(cards, content, network)
    model_id, command = _way(place, cards, architecture, prefix, pixels, path)
    if network.family == "transformers" and (path.parent / "config.json").is_file():
        model_id = f"transformers:{path.parent}"
        command = f"midvision run -m {shlex.quote(model_id)} -t synth"
    return Found(
        where=place.label or "the whole file",
        layouts=place.layouts,
        weights=place.weights,
        network=network,
        architecture=architecture,
        tensors=len(place.state),
        parameters=sum(v.numel() for name, v in place.state.items() if not name.endswith(_BUFFERS)),
        likely=tuple(Likely(card.id, card.title, because) for card, because in cards),
        pixels=pixels,
        pixel_source=pixel_source,
        id=model_id,
        command=command,
        problem=problem,
    )


_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


def _fitting(place: _Place, content: Any, network: Network, path: Path) -> tuple[str | None, str | None, str | None]:
    """The timm architecture that these tensors fill exactly, how a `file:` id chooses them, and why not if not.

    The prefix is None where only a card's layout can pick the tensors out of this file.
    """
    from midvision.encoders.timm_shapes import empty_state

    problem: str | None = None
    for name in network.candidates:
        wanted = empty_state(name)
        if wanted is None:
            continue
        for prefix in dict.fromkeys(("", place.label)):
            try:
                # Without a prefix another network of the file may be the one that fits.
                if _same(fit_state(content, wanted, str(path), prefix), place.state):
                    return name, prefix, None
            except DataError as error:
                problem = problem or error.wrong
        try:
            fit_state(place.state, wanted, str(path))
            return name, None, None
        except DataError as error:
            problem = error.wrong if "holds NaN" in error.wrong else problem
    return None, None, problem


def _likely(
    place: _Place, content: Any, network: Network, architecture: str | None, path: Path, digest: str
) -> list[tuple[Card, str]]:
    """Cards with this hash, else with this layout and architecture; a classifier tells supervised ones apart."""
    names = {architecture} if architecture else set(network.candidates)
    classified = any(_classes(table) in _IMAGENET_CLASSES for _, table in _tables(content))
    ranked: list[tuple[int, Card, str]] = []
    for card in all_cards().values():
        published = published_sha256(card)
        if published and digest.startswith(published):
            ranked.append((0, card, "the published file, by its SHA-256"))
        elif _agrees(card, place, names):
            named = _file_name(card) == path.name
            ranked.append((1, card, "layout, shapes and file name") if named else (2, card, "layout and shapes"))
    if ranked and min(rank for rank, _, _ in ranked) > 0:
        supervised = [entry for entry in ranked if known(entry[1].paradigm, "control") == "supervised"]
        ranked = (supervised or ranked) if classified else [entry for entry in ranked if entry not in supervised]
    ranked.sort(key=lambda entry: entry[0])
    best = ranked[0][0] if ranked else 0
    return [(card, because) for rank, card, because in ranked if rank == best or best > 0]


def _agrees(card: Card, place: _Place, names: set[str]) -> bool:
    """Whether a card's network and layout are among those found; timm's own files have its names at the top."""
    route = card.route
    if isinstance(route, FromFile):
        return route.layout in place.layouts and route.network in names
    if isinstance(route, FromLibrary) and route.id.startswith("timm/"):
        return place.label == "" and route.id.removeprefix("timm/").partition(".")[0] in names
    return False


def _file_name(card: Card) -> str:
    source = known(card.source, Source())
    return source.filename or source.url.rsplit("/", 1)[-1]


def _classes(table: State) -> int | None:
    """Rows of the last linear layer of a classifier, if there is one."""
    for name, value in table.items():
        if name.endswith(("fc.weight", "head.weight", "classifier.weight")) and value.ndim == 2:
            return int(value.shape[0])
    return None


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


def _way(
    place: _Place, cards: list[tuple[Card, str]], architecture: str | None, prefix: str | None, pixels: str, path: Path
) -> tuple[str | None, str | None]:
    """The id to run it with, and the command: a card's where one is likeliest, else the file in its architecture."""
    first = next((card for card, _ in cards if _by_card(card, place) is not None), None)
    alone = len(cards) == 1 or (cards and cards[0][1] != cards[1][1])
    # Where only a card reads the layout, or knows unusual pixel statistics, any likely card does.
    if first is not None and (alone or prefix is None or pixels.startswith("mean")):
        model_id = f"{first.id}{_by_card(first, place)}"
        return model_id, f"midvision run -m {shlex.quote(model_id)} --weights {shlex.quote(str(path))} -t synth"
    if architecture is None or prefix is None:
        return None, None
    options = {"arch": architecture, **({"prefix": prefix} if prefix else {})}
    if pixels in ("half", "none"):
        options["pixels"] = pixels
    query = "&".join(f"{name}={quote(value, safe='.:_-')}" for name, value in options.items())
    model_id = f"file:{path}?{query}"
    return model_id, f"midvision run -m {shlex.quote(model_id)} -t synth"


def _by_card(card: Card, place: _Place) -> str | None:
    """What a card's id needs at its end to mean these weights; None where it cannot mean them."""
    if place.weights is None:
        return ""
    usual = {layout.choices[0] for name, layout in all_layouts().items() if name in place.layouts}
    if place.weights in (card.default_weights, *(usual if not card.default_weights else ())):
        return ""
    return f"?weights={place.weights}" if place.weights in card.weights_options else None

"""Places, reasons and facts that many cards share. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from midvision.zoo.card import (
    IMAGENET,
    Card,
    Fact,
    FromFile,
    Known,
    Paradigm,
    Pixels,
    PositionRule,
    ReferenceReading,
    Source,
    Unknown,
)
from midvision.zoo.published import published

# Its list of 22 models on ImageNet-1K, with their paradigms.
PAPER_LIST = "arXiv 2411.17474"
# The code that belongs to it.
PROBE_CODE = "github.com/UVA-Computer-Vision-Lab/midvision-probe at 984b325"

NOT_FETCHED = Unknown("the file could not be fetched where the card was written; recorded on first download")
NO_REVISION = Unknown("a plain file behind a URL has no revision")
NOT_CHECKED_YEAR = Unknown("not checked")
NOT_CHECKED_PAPER = Unknown("not checked")
NOT_CHECKED_ACCURACY = Unknown("the publisher's table was not checked")
OPEN_FILE = Known(False, "a plain download link of the publisher")

IN1K = "ImageNet-1K"
RESNET50 = "ResNet-50, torchvision v1.5 topology (stride in the 3x3 convolution)"
VITB16 = "ViT-B/16, 224 px grid of 14 x 14 and a class token"

FORCED_224 = Known(
    ReferenceReading(forced_size=(224, 224)), f"{PROBE_CODE}: the wrapper resizes every input to 224 x 224"
)
FORCED_480 = Known(
    ReferenceReading(forced_size=(480, 480)), f"{PROBE_CODE}: the wrapper resizes every input to 480 x 480"
)
NO_CASE = Unknown("not among the reference's special cases")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publisher:
    """A repository: what all its checkpoints share."""

    repository: str
    licence: Fact[str]
    pixels: Pixels = IMAGENET

    @property
    def page(self) -> str:
        return f"https://{self.repository}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a publisher's repository tells of one checkpoint on ImageNet-1K, ResNet-50 or ViT-B/16."""

    id: str
    method: str
    paradigm: Paradigm
    objective: str
    layout: str
    container: Fact[str]
    file: Source
    transformer: bool = False
    epochs: int | None = None
    border_paradigm: str | None = None
    sha256: Fact[str] = NOT_FETCHED
    revision: Fact[str] = NO_REVISION
    positions: Fact[PositionRule] = Unknown("the size-based, antialiased rule that all cards without their own share")
    reference_reading: Fact[ReferenceReading] = NO_CASE
    oddities: tuple[Known[str], ...] = ()
    weights_options: tuple[str, ...] = ()
    listed_in: str = field(default=PAPER_LIST)


def card_of(publisher: Publisher, told: Told) -> Card:
    """A checkpoint of the comparison on ImageNet-1K, in the two networks that it uses."""
    at = publisher.repository
    network, words = ("vit_base_patch16_224", VITB16) if told.transformer else ("resnet50", RESNET50)
    none = Unknown("no other assignment is named")
    card = Card(
        id=told.id,
        title=f"{told.method} {'ViT-B/16' if told.transformer else 'ResNet-50'}",
        route=FromFile(network, told.layout),
        method=Known(told.method, at),
        paradigm=Known(told.paradigm, told.listed_in),
        border_paradigm=none if told.border_paradigm is None else Known(told.border_paradigm, told.listed_in),
        objective=Known(told.objective, at),
        architecture=Known(words, at),
        training_data=Known(IN1K, told.listed_in),
        year=NOT_CHECKED_YEAR,
        source=Known(told.file, at),
        revision=told.revision,
        sha256=told.sha256,
        container=told.container,
        pixels=Known(publisher.pixels, at),
        licence=publisher.licence,
        gated=OPEN_FILE,
        paper=NOT_CHECKED_PAPER,
        linear_top1=NOT_CHECKED_ACCURACY,
        knn_top1=NOT_CHECKED_ACCURACY,
        epochs=Unknown("not stated where the source was read") if told.epochs is None else Known(told.epochs, at),
        positions=told.positions if told.transformer else Unknown("a convolutional network has no positions"),
        reference_reading=told.reference_reading,
        oddities=told.oddities,
        weights_options=told.weights_options,
    )
    return replace(card, **published(told.id))


def file_at(publisher: Publisher, url: str, *mirrors: str) -> Source:
    return Source(url=url, page=publisher.page, mirrors=mirrors)


def hash_in_name(digits: str, at: str) -> Known[str]:
    """OpenMMLab and torchvision end a file's name in the first eight digits of its SHA-256."""
    return Known(digits, f"{at}: first digits, from the file's name")

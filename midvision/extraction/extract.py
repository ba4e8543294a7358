"""Images through an encoder, in batches, in the order asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from midvision.core.errors import DataError, EncoderError, MidvisionError
from midvision.core.features import FeaturePlan, Features, ImageEncoder
from midvision.core.items import Image
from midvision.core.seeds import torch_generator
from midvision.data.frames import floats_of, resize_for_encoder

DTYPES = {"float16": torch.float16, "float32": torch.float32}


Picture = Tensor | MidvisionError


class _Reader(Dataset[Picture]):
    """Pictures by position. An error travels as a value, so that its text survives the worker process."""

    def __init__(self, images: Sequence[Image]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, position: int) -> Picture:
        try:
            image = self.images[position]
            return image.load() if image.load_bytes is None else image.load_bytes()
        except MidvisionError as error:
            return type(error)(error.wrong, error.expected, error.do)


def extract(
    encoder: ImageEncoder,
    images: Mapping[str, Image],
    ids: Sequence[str],
    plan: FeaturePlan,
    *,
    batch_size: int,
    workers: int = 0,
    device: str | torch.device = "cpu",
) -> Iterator[tuple[list[str], Features]]:
    """Features of `ids` in batches, in the plan's dtype, where the encoder put them."""
    start = 0
    for pictures in read_batches([images[name] for name in ids], batch_size, workers):
        names = list(ids[start : start + len(pictures)])
        start += len(pictures)
        yield names, encode_batch(encoder, names, _stacked(names, pictures), plan, device)


def encode_batch(
    encoder: ImageEncoder, ids: Sequence[str], images: Tensor, plan: FeaturePlan, device: str | torch.device
) -> Features:
    """Bring images to the plan's size, encode them, and round to the plan's dtype.

    They are float `[B, 3, H, W]` in [0, 1], or bytes `[B, H, W, 3]`.
    """
    images = images.to(device)
    images = floats_of(images) if images.dtype == torch.uint8 else images
    features = encoder.encode(ids, resize_for_encoder(images, plan.input_size), plan)
    maps = tuple(_rounded(values, ids, plan) for values in features.maps)
    return Features(maps, None if features.pooled is None else _rounded(features.pooled, ids, plan))


def _together(pictures: list[Picture]) -> Tensor | list[Picture]:
    """One tensor where possible: a worker passes one file handle per tensor, and those are few."""
    tensors = [picture for picture in pictures if isinstance(picture, Tensor)]
    if len({picture.dtype for picture in tensors}) > 1:
        floats = [floats_of(p[None])[0] if isinstance(p, Tensor) and p.dtype == torch.uint8 else p for p in pictures]
        return _together(floats)
    if len(tensors) == len(pictures) and len({picture.shape for picture in tensors}) == 1:
        # In a worker this stacks straight into the memory that is shared.
        stacked: Tensor = default_collate(tensors)
        return stacked
    return pictures


def _stacked(ids: Sequence[str], pictures: Tensor | list[Picture]) -> Tensor:
    """All in one tensor, or the error of the first picture that could not be read or has another shape."""
    if isinstance(pictures, Tensor) and pictures.ndim == 4 and pictures.shape[_channels_at(pictures)] == 3:
        return pictures
    shape: tuple[int, ...] | None = None
    for name, picture in zip(ids, pictures, strict=True):
        if isinstance(picture, MidvisionError):
            raise picture
        shape = tuple(picture.shape) if shape is None else shape
        if tuple(picture.shape) != shape or picture.ndim != 3 or picture.shape[_channels_at(picture)] != 3:
            raise DataError(
                f"Image {name!r} has shape {tuple(picture.shape)}; the first of its batch has {shape}.",
                "All images of a data set have one size [3, H, W].",
                "Check the reader's size option.",
            )
    raise AssertionError("pictures of one shape are stacked")


def _channels_at(pictures: Tensor) -> int:
    """Which axis holds the colours: the last of bytes, the third from the end of floats."""
    return -1 if pictures.dtype == torch.uint8 else -3


def _rounded(values: Tensor, ids: Sequence[str], plan: FeaturePlan) -> Tensor:
    rounded = values.detach().to(DTYPES[plan.dtype])
    finite = torch.isfinite(rounded).flatten(1).all(dim=1)
    if not bool(finite.all()):
        row = int((~finite).nonzero()[0])
        if bool(torch.isfinite(values[row]).all()):
            largest = float(values[row].abs().max())
            raise EncoderError(
                f"A feature of image {ids[row]!r} is {largest:.3g}, too large for {plan.dtype}.",
                "float16 ends at 65504.",
                "Use --feature-dtype float32.",
            )
        raise EncoderError(f"Features of image {ids[row]!r} hold NaN or infinite values.", "All must be finite.")
    return rounded


def read_batches(images: Sequence[Image], batch_size: int, workers: int) -> Iterator[Tensor | list[Picture]]:
    """Pictures in batches; worker processes only where there is more than one batch to share."""
    reader = _Reader(images)
    workers = min(workers, -(-len(reader) // batch_size) - 1)
    if workers <= 0:
        for start in range(0, len(reader), batch_size):
            yield _together([reader[row] for row in range(start, min(start + batch_size, len(reader)))])
        return
    # Readers are closures, which only a forked worker can inherit. The generator keeps the loader
    # from drawing its own seed out of the global random state.
    yield from DataLoader(
        reader,
        batch_size=batch_size,
        num_workers=workers,
        collate_fn=_together,
        generator=torch_generator("loader"),
        multiprocessing_context="fork" if sys.platform != "win32" else None,
    )

"""Images through an encoder, in batches, in the order asked."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from midvision.core.errors import DataError, EncoderError, MidvisionError
from midvision.core.features import FeaturePlan, Features, ImageEncoder
from midvision.core.items import Image
from midvision.data.frames import floats_of, resize_for_encoder

DTYPES = {"float16": torch.float16, "float32": torch.float32}
AHEAD = 2
"""Batches that each reading thread may be ahead."""


Picture = Tensor | MidvisionError


def _read(image: Image) -> Picture:
    """A picture, or as a value the error that names what is wrong with it."""
    try:
        return image.load() if image.load_bytes is None else image.load_bytes()
    except MidvisionError as error:
        return error


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
    """One tensor where possible."""
    tensors = [picture for picture in pictures if isinstance(picture, Tensor)]
    if len({picture.dtype for picture in tensors}) > 1:
        floats = [floats_of(p[None])[0] if isinstance(p, Tensor) and p.dtype == torch.uint8 else p for p in pictures]
        return _together(floats)
    if len(tensors) == len(pictures) and len({picture.shape for picture in tensors}) == 1:
        # By NumPy: every reading thread would start a team of torch's own threads. In plain order, whatever came in.
        return torch.from_numpy(np.ascontiguousarray(np.stack([picture.numpy() for picture in tensors])))
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
    """Pictures in batches; threads read ahead where there is more than one batch to share.

    Threads, not processes: decoding and resizing leave Python's lock, and pixels need not travel.
    """
    starts = range(0, len(images), batch_size)
    workers = min(workers, len(starts) - 1)

    def batch(start: int) -> Tensor | list[Picture]:
        return _together([_read(image) for image in images[start : start + batch_size]])

    if workers <= 0:
        yield from map(batch, starts)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="read")
    ahead: deque[Future[Tensor | list[Picture]]] = deque()
    try:
        for start in starts:
            ahead.append(pool.submit(batch, start))
            if len(ahead) > AHEAD * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)

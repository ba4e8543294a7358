"""Exact nearest neighbours in chunks: the best two matches of every query, with their distances."""

from __future__ import annotations

import torch
from torch import Tensor

from midvision.core.errors import UsageError

CHUNK = 1024
CANDIDATES = 8
SHORTER = 0.6
"""A span is used where it leaves at most this share of the channels."""
DOUBT = 1e-5
"""Float32 cosines closer than this may be in the wrong order, so float64 decides."""
TIE = 1e-12
"""Float64 cosines closer than this are equal; the lower row of the bank wins."""


def two_nearest(query: Tensor, bank: Tensor, chunk: int = CHUNK, span: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The two rows of `bank [M, C]` most like each row of `query [N, C]` by cosine.

    Returns `index [N, 2]` int64, nearest first, and `distance [N, 2]` float64; with a bank of one row
    the second index is -1 at an infinite distance. The distance is `|q/|q| - b/|b||`, which orders
    rows as the cosine does (the cosine distance of Probe3D's correspondence). A float32 product finds
    candidates; where they are too close for it, float64 ranks them; where more rows than that are
    within rounding (repeated vectors), the whole row is ranked in float64. Equal cosines go to the
    lower row. A zero vector is unlike everything: it stays zero.

    `span [R, C]`: vectors whose linear combinations make up the bank, such as the cells that it was
    interpolated from. Fewer of them than channels shorten the product and change no cosine.
    """
    if query.ndim != 2 or bank.ndim != 2 or query.shape[1] != bank.shape[1] or not len(bank):
        raise UsageError(f"Cannot match features of shapes {tuple(query.shape)} and {tuple(bank.shape)}.")
    if span is not None and len(span) + 1 < SHORTER * query.shape[1]:
        query, bank = _shortened(query, bank, span)
    query64, bank64 = _unit(query), _unit(bank)
    bank32 = bank64.float()
    parts = [_chunk(rows, bank64, bank32) for rows in torch.split(query64, chunk)]
    if not parts:
        return (bank.new_empty((0, 2), dtype=torch.int64), bank64.new_empty((0, 2)))
    return torch.cat([index for index, _ in parts]), torch.cat([distance for _, distance in parts])


def _shortened(query: Tensor, bank: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates in an orthonormal basis of the span; one more keeps the norm of what of a query lies outside."""
    basis = torch.linalg.qr(span.detach().double().T).Q
    query, bank = query.detach().double(), bank.detach().double()
    inside = query @ basis
    outside = (query.square().sum(dim=1) - inside.square().sum(dim=1)).clamp_min(0).sqrt()
    flat = bank @ basis
    return torch.cat([inside, outside[:, None]], dim=1), torch.cat([flat, flat.new_zeros((len(flat), 1))], dim=1)


def _unit(x: Tensor) -> Tensor:
    x = x.detach()
    x = (x if x.device.type != "mps" else x.cpu()).double()
    unit: Tensor = x / x.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return unit


def _chunk(query: Tensor, bank: Tensor, bank32: Tensor) -> tuple[Tensor, Tensor]:
    count = min(CANDIDATES, len(bank))
    found = (query.float() @ bank32.T).topk(count, dim=1)
    index = found.indices[:, :2].clone()
    if count < 2:
        index = index.expand(-1, 2).clone()
    gaps = found.values[:, : min(3, count)].diff(dim=1)
    close = (gaps >= -DOUBT).any(dim=1).nonzero()[:, 0] if count > 1 else index.new_empty(0)
    if len(close):
        index[close] = _ranked(query[close], bank, found.indices[close])
        if count < len(bank):
            unsure = close[found.values[close, -1] >= found.values[close, 1] - DOUBT]
            if len(unsure):
                index[unsure] = _best_two(query[unsure] @ bank.T)
    distance = (bank[index] - query[:, None]).norm(dim=2)
    if len(bank) == 1:
        index[:, 1], distance[:, 1] = -1, torch.inf
    return index, distance


def _ranked(query: Tensor, bank: Tensor, found: Tensor) -> Tensor:
    """The best two of the candidates `found [N, K]` by their float64 cosines."""
    candidates = found.sort(dim=1).values
    cosine = (bank[candidates] * query[:, None]).sum(dim=2)
    return candidates.gather(1, _best_two(cosine))


def _best_two(cosine: Tensor) -> Tensor:
    """Columns of the largest and second largest values `[N, M]`, the first column of a tie."""
    first = _first_largest(cosine)
    rest = cosine.scatter(1, first[:, None], -torch.inf)
    return torch.stack((first, _first_largest(rest)), dim=1)


def _first_largest(values: Tensor) -> Tensor:
    near = values >= values.max(dim=1, keepdim=True).values - TIE
    # argmax of a boolean gives no promise on ties, so count down the columns instead.
    columns = torch.arange(values.shape[1], 0, -1, device=values.device)
    return (near * columns).argmax(dim=1)

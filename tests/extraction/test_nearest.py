"""Nearest neighbours against a plain float64 loop, with ties, repeats and degenerate vectors."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from midvision.core.errors import UsageError
from midvision.extraction.nearest import two_nearest


def slow(query: np.ndarray, bank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One query at a time in float64; equal cosines (to 1e-12) go to the lower row."""
    q = query.astype(np.float64) / np.maximum(np.linalg.norm(query.astype(np.float64), axis=1, keepdims=True), 1e-12)
    b = bank.astype(np.float64) / np.maximum(np.linalg.norm(bank.astype(np.float64), axis=1, keepdims=True), 1e-12)
    index, distance = [], []
    for row in q:
        cosine = np.array([float(np.dot(row, other)) for other in b])
        first = int(np.flatnonzero(cosine >= cosine.max() - 1e-12)[0])
        cosine[first] = -np.inf
        second = int(np.flatnonzero(cosine >= cosine.max() - 1e-12)[0])
        index.append((first, second))
        distance.append((np.linalg.norm(row - b[first]), np.linalg.norm(row - b[second])))
    return np.array(index), np.array(distance)


def check(query: torch.Tensor, bank: torch.Tensor, chunk: int = 1024) -> None:
    index, distance = two_nearest(query, bank, chunk)
    wanted_index, wanted_distance = slow(query.numpy(), bank.numpy())
    np.testing.assert_array_equal(index.numpy(), wanted_index)
    np.testing.assert_allclose(distance.numpy(), wanted_distance, atol=1e-12)


@pytest.mark.parametrize("chunk", [1, 7, 1024])
def test_random_features(chunk: int) -> None:
    generator = torch.Generator().manual_seed(0)
    check(torch.randn(50, 24, generator=generator), torch.randn(300, 24, generator=generator), chunk)


def test_near_ties_below_float32_are_still_ordered() -> None:
    generator = torch.Generator().manual_seed(1)
    centre = torch.randn(1, 64, generator=generator, dtype=torch.float64)
    bank = centre + 1e-7 * torch.randn(400, 64, generator=generator, dtype=torch.float64)
    check(centre + 1e-7 * torch.randn(20, 64, generator=generator, dtype=torch.float64), bank)


def test_repeated_vectors_take_the_lowest_row() -> None:
    generator = torch.Generator().manual_seed(2)
    few = torch.randn(5, 16, generator=generator)
    bank = few[torch.arange(200) % 5] * torch.linspace(0.5, 2, 200)[:, None]
    check(few + 0.01, few[torch.arange(200) % 5])
    index, distance = two_nearest(few, few[torch.arange(200) % 5])
    assert index.tolist() == [[n, n + 5] for n in range(5)] and float(distance.max()) < 1e-7
    assert two_nearest(few, bank)[0][:, 0].tolist() == list(range(5))


def test_constant_features_and_zeros() -> None:
    index, distance = two_nearest(torch.ones(3, 4), torch.ones(20, 4))
    assert index.tolist() == [[0, 1]] * 3 and float(distance.max()) < 1e-12
    check(torch.randn(4, 8, generator=torch.Generator().manual_seed(3)), torch.eye(12)[:, :8])
    assert torch.isfinite(two_nearest(torch.zeros(2, 4), torch.ones(3, 4))[1]).all()


def test_small_banks() -> None:
    index, distance = two_nearest(torch.ones(2, 3), torch.tensor([[2.0, 2.0, 2.0]]))
    assert index.tolist() == [[0, -1]] * 2 and distance[:, 1].tolist() == [torch.inf] * 2
    check(torch.eye(3), torch.eye(3)[:2])
    assert two_nearest(torch.zeros(0, 3), torch.eye(3))[0].shape == (0, 2)
    for wrong in (torch.zeros(0, 3), torch.zeros(3, 4), torch.zeros(3)):
        with pytest.raises(UsageError):
            two_nearest(torch.eye(3), wrong)


def test_arguments_are_not_changed() -> None:
    query, bank = torch.randn(5, 4), torch.randn(6, 4)
    kept = query.clone(), bank.clone()
    two_nearest(query, bank)
    assert torch.equal(query, kept[0]) and torch.equal(bank, kept[1])


def test_a_span_changes_no_neighbour_and_no_distance() -> None:
    generator = torch.Generator().manual_seed(3)
    cells = torch.randn(9, 64, generator=generator, dtype=torch.float64)
    bank = torch.rand(200, 9, generator=generator, dtype=torch.float64) @ cells
    query = torch.randn(50, 64, generator=generator, dtype=torch.float64)
    plain, short = two_nearest(query, bank), two_nearest(query, bank, span=cells)
    assert torch.equal(plain[0], short[0])
    torch.testing.assert_close(plain[1], short[1], atol=1e-12, rtol=0)

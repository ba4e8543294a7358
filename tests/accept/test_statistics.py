"""Statistics against known truth: coverage of every interval, false positives of every test, many simulations."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "analysis"))

import simulated

pytestmark = pytest.mark.accept
TIMES = 1500
MANY = 4000


@pytest.mark.parametrize("clusters", [20, 60])
@pytest.mark.parametrize("kind", simulated.SIZES)
@pytest.mark.parametrize("shape", simulated.SHAPES)
def test_cluster_intervals_cover(shape: str, kind: str, clusters: int) -> None:
    found = simulated.coverage(shape, kind, clusters, TIMES)
    print(f"\ncoverage, {clusters} clusters, {kind}, {shape}:", {name: f"{x:.1%}" for name, x in found.items()})
    assert all(0.92 <= share <= 0.98 for share in found.values()), found


@pytest.mark.parametrize("clusters", [20, 60])
@pytest.mark.parametrize("kind", simulated.SIZES)
@pytest.mark.parametrize(("shape", "own"), [*((shape, None) for shape in simulated.SHAPES), ("normal", "skewed")])
def test_paired_test_seldom_errs(shape: str, own: str | None, kind: str, clusters: int) -> None:
    found = simulated.false_positives(shape, kind, clusters, MANY, own)
    print(f"\nfalse positives, {clusters} clusters, {kind}, {shape}, {own or 'both alike'}: {found:.1%}")
    assert found <= 0.06


@pytest.mark.parametrize("clusters", [5, 12])
def test_few_clusters_have_a_t_interval_that_covers(clusters: int) -> None:
    found = simulated.coverage("normal", "equal", clusters, TIMES)
    print(f"\ncoverage, {clusters} clusters:", {name: f"{x:.1%}" for name, x in found.items()})
    assert all(0.92 <= share <= 0.98 for share in found.values()), found


@pytest.mark.parametrize("n", [17, 22])
@pytest.mark.parametrize("rho", [0.0, 0.5, 0.85])
@pytest.mark.parametrize("kind", simulated.CLOUDS)
def test_correlations_cover(kind: str, rho: float, n: int) -> None:
    found = simulated.correlation_coverage(kind, rho, n, MANY)
    print(f"\n{n} models, {kind}, rho {rho}:", {name: f"{x:.1%}" for name, x in found.items()})
    assert all(0.92 <= found[name] <= 0.98 for name in ("Pearson", "Spearman")), found
    assert found["R2"] >= 0.92
    if rho == 0 and kind != "two groups":
        assert found["R2 > 0"] <= 0.06

"""The simulations of the long proof, fewer: intervals hold the truth about as often as they say.

Limits are 0.92 and 0.98, wider by three binomial deviations of the number of simulations.
"""

from __future__ import annotations

import math

import pytest
import simulated

TIMES = 200
LOW = 0.92 - 3 * math.sqrt(0.92 * 0.08 / TIMES)
FALSE = 0.06 + 3 * math.sqrt(0.06 * 0.94 / TIMES)


@pytest.mark.parametrize(("shape", "kind"), [("normal", "unequal"), ("skewed", "equal"), ("ties", "unequal")])
def test_cluster_intervals_cover(shape: str, kind: str) -> None:
    found = simulated.coverage(shape, kind, 20, TIMES)
    assert set(found) == {"mean", "difference", "ratio", "ratio above floor"}
    assert all(share >= LOW for share in found.values()), found


@pytest.mark.parametrize(("shape", "own"), [("normal", None), ("heavy", None), ("normal", "skewed")])
def test_paired_test_seldom_errs(shape: str, own: str | None) -> None:
    assert simulated.false_positives(shape, "unequal", 20, TIMES, own) <= FALSE


def test_paired_test_finds_what_is_there() -> None:
    """A gap of 0.05 between models whose scenes differ by 0.1 but move together."""
    found = [
        simulated.contrasts(sums)["difference"][0] for sums in simulated.tables("normal", "equal", 60, 50, 0.05, 3)
    ]
    assert sum(one.p_value <= 0.05 for one in found) > 45
    assert all((one.p_value <= 0.05) == (one.low > 0 or one.high < 0) for one in found)


@pytest.mark.parametrize(("kind", "rho"), [("normal", 0.0), ("heavy", 0.5), ("skewed", 0.85), ("ties", 0.5)])
def test_correlations_cover(kind: str, rho: float) -> None:
    found = simulated.correlation_coverage(kind, rho, 17, TIMES)
    assert all(found[name] >= LOW for name in ("Pearson", "Spearman", "R2")), found
    assert rho > 0 or found["R2 > 0"] <= FALSE

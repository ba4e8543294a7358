"""From item columns to one number: the only place that adds items up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from midvision.core.scores import Metric


def value(metric: Metric, columns: Mapping[str, np.ndarray], weights: np.ndarray | None = None) -> float:
    """The metric over all items; `weights [N]` counts an item several times or not at all.

    NaN where no item has the column, or where the denominators sum to zero.
    """
    above, below = terms(metric, columns)
    if weights is not None:
        above, below = above * weights, below * weights
    return float(ratio(above.sum(), below.sum()))


def terms(metric: Metric, columns: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Numerator and denominator of every item, `[N]` each; items without the column add nothing.

    The metric of any weighting `w` is `sum(w * numerator) / sum(w * denominator)`.
    """
    above = np.asarray(columns[metric.column], dtype=np.float64)
    below = np.ones_like(above) if metric.over is None else np.asarray(columns[metric.over], dtype=np.float64)
    there = np.isfinite(above) & np.isfinite(below)
    return np.where(there, above, 0.0), np.where(there, below, 0.0)


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Element-wise quotient; NaN where the denominator is zero."""
    above, below = np.asarray(above, dtype=np.float64), np.asarray(below, dtype=np.float64)
    missing = np.full(np.broadcast(above, below).shape, np.nan)
    quotient: np.ndarray = np.divide(above, below, out=missing, where=below != 0)
    return quotient

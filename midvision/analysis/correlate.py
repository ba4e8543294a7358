"""Correlation across models: values, intervals that hold at small n, and the words where there are too few.

Intervals are Fisher's z with the jackknife's error and Student's t (Fisher 1921; Hinkley 1977): z of the whole,
plus and minus t of n - 2 degrees of freedom times the error from leaving out each model in turn. Unlike the
textbook error 1 / sqrt(n - 3) it does not assume a normal cloud; `docs/statistics.md` has the coverage. Pearson's is
wider by sqrt(n / (n - 2)), which skewed clouds need. Spearman's is made on ranks, again for every model left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from midvision.analysis.outcome import TOO_FEW, Bounded, Line

FEW_MODELS = 17
LEVEL = 0.95
BAND_POINTS = 25
NO_SPREAD = "no spread: one side is the same for every model"


def pearson(x: Sequence[float], y: Sequence[float]) -> Bounded:
    """Product-moment correlation of two lists of numbers, `[n]` each."""
    return _bounded(np.asarray(x, np.float64), np.asarray(y, np.float64), ranked=False)


def spearman(x: Sequence[float], y: Sequence[float]) -> Bounded:
    """Rank correlation; ties share their mean rank."""
    return _bounded(np.asarray(x, np.float64), np.asarray(y, np.float64), ranked=True)


def partial(x: Sequence[float], y: Sequence[float], labels: Sequence[str], ranked: bool = False) -> Bounded:
    """Correlation within labels: both sides centred by label. A label of one model says nothing and is left out."""
    names = np.array([labels.count(label) > 1 for label in labels], dtype=bool)
    kept = [label for label, there in zip(labels, names, strict=True) if there]
    _, codes = np.unique(np.array(kept, dtype=str), return_inverse=True)
    return _bounded(np.asarray(x, np.float64)[names], np.asarray(y, np.float64)[names], ranked, codes)


def r_squared(r: Bounded, freedom: int | None = None) -> Bounded:
    """Explained share, from r and its interval; one-sided, from zero, unless r is told from zero.

    Told from zero means that the interval of r leaves zero out and the t test of r does too.
    """
    if not r.told:
        return Bounded(r.value**2, np.nan, np.nan, r.n, r.note)
    ends = sorted((r.low**2, r.high**2))
    if r.low <= 0 <= r.high or not _t_test(r.value, r.n - 2 if freedom is None else freedom):
        ends[0] = 0.0
    return Bounded(r.value**2, ends[0], ends[1], r.n)


def straight_line(x: Sequence[float], y: Sequence[float]) -> Line | None:
    """Least squares with t intervals and the 95 % band of the mean; None for few points or no spread."""
    from scipy.special import stdtrit

    across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
    n, centre = len(across), float(np.mean(across)) if len(across) else 0.0
    spread = float(((across - centre) ** 2).sum())
    if n < FEW_MODELS or not spread > 0:
        return None
    slope = float(((across - centre) * (up - up.mean())).sum()) / spread
    intercept = float(up.mean()) - slope * centre
    error = float(np.sqrt(((up - intercept - slope * across) ** 2).sum() / (n - 2)))
    reach = float(stdtrit(n - 2, 0.5 + LEVEL / 2)) * error
    at = np.linspace(across.min(), across.max(), BAND_POINTS)
    half = reach * np.sqrt(1 / n + (at - centre) ** 2 / spread)
    fit = intercept + slope * at
    ends = reach / np.sqrt(spread), reach * np.sqrt(1 / n + centre**2 / spread)
    band = tuple((float(a), float(f), float(f - h), float(f + h)) for a, f, h in zip(at, fit, half, strict=True))
    return Line(
        Bounded(slope, slope - float(ends[0]), slope + float(ends[0]), n),
        Bounded(intercept, intercept - float(ends[1]), intercept + float(ends[1]), n),
        band,
    )


def intervals(
    x: np.ndarray, y: np.ndarray, ranked: bool, codes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlation, low and high of many samples at once: `x`, `y` `[S, n]` to three `[S]`. `codes [n]`: labels."""
    from scipy.special import stdtrit

    n = x.shape[-1]
    labels = 0 if codes is None else len(np.unique(codes)) - 1
    r = _correlation(x, y, ranked, codes)
    rows = np.array([[row for row in range(n) if row != left] for left in range(n)])
    z = np.arctanh(np.clip(r, -1 + 1e-12, 1 - 1e-12))
    left_codes = None if codes is None else codes[rows]
    left = np.stack(
        [
            _correlation(x[:, kept], y[:, kept], ranked, None if left_codes is None else left_codes[place])
            for place, kept in enumerate(rows)
        ]
    )
    left_z = np.arctanh(np.clip(left, -1 + 1e-12, 1 - 1e-12))
    error = np.sqrt((n - 1) / n * ((left_z - left_z.mean(axis=0)) ** 2).sum(axis=0))
    reach = stdtrit(n - 2 - labels, 0.5 + LEVEL / 2) * error * (1.0 if ranked else np.sqrt(n / (n - 2 - labels)))
    return r, np.tanh(z - reach), np.tanh(z + reach)


def _bounded(x: np.ndarray, y: np.ndarray, ranked: bool, codes: np.ndarray | None = None) -> Bounded:
    """One correlation; no interval under `FEW_MODELS` models (beyond one per label) or without spread."""
    n, labels = len(x), 0 if codes is None or not len(codes) else len(np.unique(codes)) - 1
    nan = float("nan")
    if n < 3:
        return Bounded(nan, nan, nan, n, TOO_FEW)
    r = float(_correlation(x[None], y[None], ranked, codes)[0])
    if not np.isfinite(r):
        return Bounded(nan, nan, nan, n, NO_SPREAD)
    if n - labels < FEW_MODELS:
        return Bounded(r, nan, nan, n, TOO_FEW)
    _, low, high = intervals(x[None], y[None], ranked, codes)
    ends = float(low[0]), float(high[0])
    if not np.isfinite(ends).all():
        return Bounded(r, nan, nan, n, "without one model there is no spread")
    if ends[0] == ends[1] and ranked:
        ends = _same_order(r, n)
    return Bounded(r, ends[0], ends[1], n)


def _same_order(r: float, n: int) -> tuple[float, float]:
    """Two equal orders: the interval (Bonett and Wright 2000) as if two neighbours had changed places."""
    from scipy.special import stdtrit

    near = 1 - 12 / (n**3 - n)
    low = float(np.tanh(np.arctanh(near) - stdtrit(n - 2, 0.5 + LEVEL / 2) * np.sqrt((1 + near**2 / 2) / (n - 3))))
    return (low, 1.0) if r > 0 else (-1.0, -low)


def _correlation(x: np.ndarray, y: np.ndarray, ranked: bool, codes: np.ndarray | None) -> np.ndarray:
    """Row-wise correlation of `[S, n]` arrays, NaN without spread; within labels where there are codes."""
    if ranked:
        x, y = ranks(x), ranks(y)
    a, b = _centred(x, codes), _centred(y, codes)
    scale = np.sqrt((a**2).sum(axis=-1) * (b**2).sum(axis=-1))
    tiny = 1e-13 * np.sqrt((x**2).sum(axis=-1) * (y**2).sum(axis=-1))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(scale > tiny, np.clip((a * b).sum(axis=-1) / scale, -1.0, 1.0), np.nan)


def ranks(x: np.ndarray) -> np.ndarray:
    """Places from 1 along the last axis, smallest first; equal values share their mean place."""
    over, same = x[..., :, None] > x[..., None, :], x[..., :, None] == x[..., None, :]
    return np.asarray(over.sum(axis=-1) + (same.sum(axis=-1) + 1) / 2)


def kendall(x: np.ndarray, y: np.ndarray) -> float:
    """Kendall's tau-b of two `[n]`; NaN without spread."""
    a, b = np.sign(x[:, None] - x[None]), np.sign(y[:, None] - y[None])
    scale = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / scale) if scale > 0 else float("nan")


def _centred(x: np.ndarray, codes: np.ndarray | None) -> np.ndarray:
    if codes is None:
        return np.asarray(x - x.mean(axis=-1, keepdims=True))
    member = (codes[:, None] == np.unique(codes)[None]).astype(np.float64)
    return np.asarray(x - (x @ (member / member.sum(axis=0))) @ member.T)


def _t_test(r: float, freedom: int, alpha: float = 0.05) -> bool:
    """Whether the usual test of no correlation rejects."""
    from scipy.special import stdtr

    if abs(r) >= 1:
        return True
    return bool(2 * stdtr(freedom, -abs(r) * np.sqrt(freedom / (1 - r * r))) <= alpha)

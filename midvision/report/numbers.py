"""How numbers are written for people: by unit, with few digits, the same everywhere."""

from __future__ import annotations

import math

from midvision.core.scores import Estimate

SIGNS = {"deg": "°", "px": " px", "m": " m"}
ARROWS = {True: "higher is better", False: "lower is better"}


def number(value: float, unit: str) -> str:
    """A value in the digits its unit deserves: shares with three decimals, degrees with one."""
    if not math.isfinite(value):
        return "–"
    decimals = 1 if unit in ("deg", "px") else 3
    return f"{value:.{decimals}f}{SIGNS.get(unit, '')}"


def interval(estimate: Estimate) -> str:
    """The interval as `[low, high]` without unit; nothing where it is not known."""
    if not (math.isfinite(estimate.ci_low) and math.isfinite(estimate.ci_high)):
        return ""
    decimals = 1 if estimate.unit in ("deg", "px") else 3
    return f"[{estimate.ci_low:.{decimals}f}, {estimate.ci_high:.{decimals}f}]"


def exact(value: float) -> str:
    """All digits, as JSON has them; `nan` where there is no value."""
    return repr(float(value)) if math.isfinite(value) else "nan"


def metric_title(name: str) -> str:
    """A metric's name for a table head."""
    return name.replace("_", " ").replace(".", " · ")

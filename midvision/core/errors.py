"""Errors that a person can act on, each with the exit code that the command line returns."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MidvisionError(Exception):
    """One sentence on what is wrong, one on what was expected, one on what to do."""

    exit_code = 1

    def __init__(self, wrong: str, expected: str = "", do: str = "") -> None:
        self.wrong, self.expected, self.do = wrong, expected, do
        super().__init__(" ".join(part for part in (wrong, expected, do) if part))

    def __reduce__(self) -> tuple[type[MidvisionError], tuple[str, str, str]]:
        """Errors of worker processes arrive with all three sentences."""
        return type(self), (self.wrong, self.expected, self.do)


class UsageError(MidvisionError):
    """A wrong id, option or settings file."""

    exit_code = 2


class DataError(MidvisionError):
    """Data or weights are missing or unusable."""

    exit_code = 3


class EncoderError(DataError):
    """An encoder broke its contract: wrong shape, NaN, not repeatable."""


class ComparisonError(MidvisionError):
    """Results that must not be compared, or a check that failed."""

    exit_code = 4


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """A phrase with the closest known names, or all of them if there are few."""
    known = sorted(known)
    close = difflib.get_close_matches(name, known, n=count, cutoff=0.5)
    if close:
        return "Nearest: " + ", ".join(close) + "."
    return "Known: " + ", ".join(known[:20]) + (" ..." if len(known) > 20 else ".")

"""What stands in for the classes that publishers' checkpoints name: plain data, rebuilt by code of our own."""

from __future__ import annotations

import argparse
from typing import Any

from midvision.data.plain_arrays import ArrayRecord, NumberType, Refused, rebuild_array, rebuild_number


class InertRecord:
    """Stands in for log objects that some publishers' files carry; keeps their fields, does nothing."""

    def __setstate__(self, state: Any) -> None:
        self.state = state


def no_bytes() -> bytes:
    """The content of an empty array, which numpy writes as a call of `bytes`."""
    return b""


def named_only(owner: Any, name: Any) -> str:
    """In place of `getattr`: log objects list their own methods in this way. Looks nothing up."""
    if owner is not InertRecord or not isinstance(name, str):
        raise Refused("getattr")
    return name


CARRIERS = (InertRecord, argparse.Namespace)
# Stand-ins with the full names that old and new files use. A file that names anything else is refused.
STAND_INS: list[Any] = [
    argparse.Namespace,
    *((rebuild_array, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
    *((rebuild_number, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    (ArrayRecord, "numpy.ndarray"),
    (NumberType, "numpy.dtype"),
    (InertRecord, "mmengine.logging.history_buffer.HistoryBuffer"),
    (named_only, "builtins.getattr"),
    (no_bytes, "builtins.bytes"),
]

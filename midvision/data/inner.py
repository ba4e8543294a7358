"""Archives inside archives: what is in a tar that is itself a member of a tar, a zip or a folder.

It is never unpacked as a whole; names are checked as those of any archive.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from midvision.core.errors import DataError
from midvision.data.archives import no_proportion, safe_name
from midvision.data.trees import MOST_TIMES_LARGER, SMALL_ARCHIVE, reading

if TYPE_CHECKING:
    from midvision.data.archives import Place


@contextmanager
def _opened(place: Place, member: str) -> Iterator[tarfile.TarFile]:
    """The inner archive: a plain tar is read at its places, a compressed one in one pass."""
    what = place.describe(member)
    plain = member.lower().endswith(".tar")
    with place.open(member) as stream, reading(place.tree.path):
        try:
            opened = tarfile.open(fileobj=stream, mode="r:" if plain and stream.seekable() else "r|*")  # noqa: SIM115 - closed below
        except tarfile.ReadError as error:
            raise DataError(
                f"{what} is damaged or no tar archive ({error}).",
                "A complete official archive was expected.",
                "Fetch it again.",
            ) from error
        with opened as tar:
            yield tar


def inner_sizes(place: Place, member: str) -> dict[str, int]:
    """Bytes of every file in the archive `member` of a place, by its name there."""
    what, packed = place.describe(member), place.size(member)
    sizes: dict[str, int] = {}
    total = 0
    with _opened(place, member) as tar:
        for entry in tar:
            name = safe_name(entry.name, what)
            if not entry.isreg():
                continue
            if name in sizes:
                raise DataError(f"{what} holds {name} twice.", "", "Fetch it again from the official page.")
            sizes[name] = entry.size
            total += entry.size
            if total > MOST_TIMES_LARGER * max(packed, SMALL_ARCHIVE):
                raise no_proportion(what, packed, total)
            if member.endswith(".tar") and entry.offset_data + entry.size > packed:
                raise DataError(f"{what} is cut short within {name}.", "", "Fetch it again from the official page.")
    return sizes


def unpack_inner(place: Place, member: str, wanted: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """The files of an inner archive, renamed: `wanted` leads from the name there to the name in the copy."""
    left = dict(wanted)
    with _opened(place, member) as tar:
        for entry in tar:
            name = left.pop(safe_name(entry.name, place.describe(member)), None)
            if name is None or not entry.isreg():
                continue
            stream = tar.extractfile(entry)
            content = b"" if stream is None else stream.read()
            if len(content) != entry.size:
                raise DataError(f"{place.describe(member)} is cut short within {entry.name}.", "", "Fetch it again.")
            yield name, content
            if not left:
                return

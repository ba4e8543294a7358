"""Members of tar archives: headers that are looked at before they are followed, bytes read at their place."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

LONGEST_NAME = 2**20
NAME_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


class ImpossibleHeader(ValueError):
    """A header that no honest program writes."""


class Member(tarfile.TarInfo):
    """A header, looked at before it is followed: a name is read into memory as a whole, a size sets the next place."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Member:
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in NAME_HEADERS and member.size > LONGEST_NAME):
            raise ImpossibleHeader(f"a header of type {member.type!r} claims {member.size:,} bytes")
        return member


class Slice(io.RawIOBase):
    """Bytes `[start, start + length)` of a file."""

    def __init__(self, path: Path, start: int, length: int) -> None:
        super().__init__()
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed with the slice
        self._at, self._end = start, start + length
        self._start = start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        origin = {0: self._start, 1: self._at, 2: self._end}[whence]
        self._at = max(self._start, origin + offset)
        return self._at - self._start

    def tell(self) -> int:
        return self._at - self._start

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        count = max(0, min(len(view), self._end - self._at))
        self._file.seek(self._at)
        data = self._file.read(count)
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        self._file.close()
        super().close()

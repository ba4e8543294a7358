"""Pickles of publishers: plain data and arrays as any numpy wrote them; nothing is run."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from midvision.core.errors import DataError
from midvision.data.large_pickle import read_large_pickle
from midvision.data.plain_pickle import read_plain_pickle

# What Python 2 with an old numpy wrote: a dict with text as bytes, and an array of two float32.
OLD = (
    b"\x80\x02}q\x01U\x07normalsq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85U\x01b"
    b"\x87Rq\x05(K\x01K\x02\x85cnumpy\ndtype\nq\x06U\x02f4K\x00K\x01\x87Rq\x07(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff"
    b"\xff\xff\xffK\x00tb\x89U\x08\x00\x00\x80?\x00\x00\x00@tbs."
)


class Runs:
    """Asks the reader to run something."""

    def __init__(self, function: Any, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def read(content: bytes, most_bytes: int = 2**24) -> Any:
    return read_plain_pickle(io.BytesIO(content), "file.pklz", most_bytes)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zlib.compress])
def test_data_and_arrays_come_back(protocol: int, pack: Any) -> None:
    data = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": [1, "x", None, b"\xff"], "c": np.float64(0.5)}
    found = read(pack(pickle.dumps(data, protocol)))
    assert np.array_equal(found["a"], data["a"]) and found["a"].dtype == np.float32
    assert found["b"] == data["b"] and found["c"] == 0.5


def test_files_of_python_2_are_read() -> None:
    assert read(gzip.compress(OLD))["normals"].tolist() == [1.0, 2.0]


def test_a_large_array_is_held_once() -> None:
    import tracemalloc

    content = gzip.compress(pickle.dumps({"a": np.zeros(2**22, np.float32)}, 4), 1)
    tracemalloc.start()
    found = read(content, 2**25)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["a"].nbytes == 2**24 and peak < 1.5 * 2**24 + 4 * 2**20


def test_nothing_is_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    hostile = [
        Runs(os.system, f"touch {mark}"),
        Runs(eval, f"open({str(mark)!r}, 'w')"),
        Runs(open, str(mark), "w"),
        np.array([Runs(os.mkdir, str(mark))], dtype=object),
        {"deep": [Runs(getattr, 1, "real")]},
    ]
    for data in hostile:
        with pytest.raises(DataError, match=r"asks for [\w.]+ to be run"):
            read(pickle.dumps(data))
    assert not mark.exists()
    with pytest.raises(DataError, match="encode"):
        read(b"c_codecs\nencode\n(Va\nVrot13\ntR.")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_cut_short_or_too_large_is_refused(share: float) -> None:
    whole = gzip.compress(pickle.dumps(np.random.default_rng(0).random(500)))
    with pytest.raises(DataError, match=r"cut short|damaged"):
        read(whole[: int(share * len(whole))])
    with pytest.raises(DataError, match="damaged or cut short"):
        read(gzip.decompress(whole)[:-10])
    with pytest.raises(DataError, match="unpacks to more than it should"):
        read(gzip.compress(pickle.dumps(bytes(10**6))), most_bytes=10**5)
    with pytest.raises(DataError, match="damaged or cut short"):
        read(b"no pickle at all")


DEEP = b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."
# Forty pairs of the pair before: two to the forty leaves for a reader that walks them all.
LAUGHS = b"\x80\x02N" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(40)) + b"."
HUGE = struct.pack("<Q", 2**62)


@pytest.mark.parametrize("reader", [read_plain_pickle, read_large_pickle])
def test_claims_beyond_measure_are_one_error_or_nothing(reader: Any, must_end: None) -> None:
    def given(content: bytes) -> Any:
        return reader(io.BytesIO(content), "file.pklz", 2**24)

    claims = {
        "deep lists": DEEP,
        "text": b"\x80\x04\x8d" + HUGE + b"abc.",
        "bytes": b"\x80\x04\x8e" + HUGE + b"abc.",
        "frame": b"\x80\x04\x95" + HUGE + b"N.",
        "number": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"abc.",
        "digits": b"I" + b"9" * 10_000 + b"\n.",
    }
    for name, content in claims.items():
        with pytest.raises(DataError, match=r"file\.pklz is damaged or cut short"):
            given(content)
        assert name
    # A mark with a great number: the compiled unpickler makes a table of that length, here 16 GiB.
    assert given(b"\x80\x02Nr" + struct.pack("<I", 2**30) + b".") is None
    found, depth = given(LAUGHS), 0
    while isinstance(found, tuple):
        assert found[0] is found[1]
        found, depth = found[0], depth + 1
    assert depth == 40
    round_about = given(b"\x80\x02}q\x00K\x01h\x00s.")
    assert round_about[1] is round_about
    many = pickle.dumps({"a": [shared := {b"k": 1}, shared]}, 4)
    first, second = given(many)["a"]
    assert first == second


def test_a_state_is_given_to_arrays_alone() -> None:
    """`BUILD` on a function would change the reader itself."""
    content = b"\x80\x02cnumpy.core.multiarray\nscalar\nN}X\x0c\x00\x00\x00__defaults__K\x01\x85s\x86b."
    with pytest.raises(DataError, match="__setstate__ of function"):
        read(content)
    with pytest.raises(DataError, match="__setstate__ of dict"):
        read(b"\x80\x02}}b.")


def test_no_room_of_data_reads_a_pickle_otherwise() -> None:
    """Whatever a data set ships goes through this reader: nothing else in the room may unpickle."""
    import re
    from importlib.util import find_spec

    spec = find_spec("midvision.data")
    assert spec is not None and spec.submodule_search_locations
    sources = sorted(Path(spec.submodule_search_locations[0]).rglob("*.py"))
    found = {
        path.name for path in sources if re.search(r"\bpickle\.|allow_pickle=True|torch\.load|joblib", path.read_text())
    }
    assert len(sources) > 40 and found <= {"plain_pickle.py", "large_pickle.py", "plain_arrays.py"}
    for path in sources:
        loads = re.findall(r"np\.load\((?:[^()]|\([^()]*\))*\)", path.read_text())
        assert all("allow_pickle=False" in call for call in loads), path

"""What keeps preparing small: conversions load no torch, and arrays larger than memory are read row by row."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc

import official_large

from midvision.data.large_pickle import LargeArray, read_large_pickle

CONVERT = ("pieces", "nyu_files", "navi_files", "frames", "sets.nyu_fastdepth", "sets.nyu", "sets.navi")


def test_processes_that_convert_load_no_torch() -> None:
    """A worker per core, each of which would hold several hundred megabytes more."""
    code = (
        "\n".join(f"import midvision.data.{name}" for name in CONVERT) + "\nimport sys; print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_an_array_of_all_frames_is_never_held() -> None:
    stream = official_large.stream_of_normals(24)
    whole = len(stream.getbuffer())
    tracemalloc.start()
    try:
        found = read_large_pickle(stream, "normals", 2 * whole)["all_normals"]
        assert isinstance(found, LargeArray) and found.shape == (24, 480, 640, 3)
        assert not any(found.row(index).any() for index in (0, 11, 23))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < whole / 4

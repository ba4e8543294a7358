"""Preparing official files of full size holds less than 2 GiB, all its processes together.

The files have their official shapes (1449 frames, 5.3 GB of normals, photographs of 12 megapixels) but little
content, so that they take little room. Resident memory of the command and its descendants is added up every
few milliseconds; pages that several of them share count several times.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))

import official_large
import official_nyu
import official_voc

pytestmark = pytest.mark.accept
LIMIT_BYTES = 2 * 2**30
PAGE = os.sysconf("SC_PAGE_SIZE")


def family(root: int) -> list[int]:
    """The process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(words[1]), []).append(int(entry.name))
    found = [root]
    for process in found:
        found += parents.get(process, [])
    return found


def resident_bytes(process: int) -> int:
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def peak_of(words: list[str], folder: Path) -> int:
    """Most resident bytes of `midvision WORDS` with all its processes; the command must succeed."""
    environment = {**os.environ, "MIDVISION_DATA": str(folder / "data"), "MIDVISION_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "midvision", *words]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment) as running:
        peak = 0
        while running.poll() is None:
            peak = max(peak, sum(map(resident_bytes, family(running.pid))))
            time.sleep(0.02)
        assert running.stderr is not None
        told = running.stderr.read().decode()
    assert running.returncode == 0, told
    return peak


def nyu(folder: Path) -> list[Path]:
    seen = official_nyu.frames(6)
    return [official_large.nyu_mat(folder / "nyu_depth_v2_labeled.mat", seen), official_large.fair_zip(folder, seen)]


def navi(folder: Path) -> list[Path]:
    return [official_large.navi_of_large_photographs(folder)]


def voc12(folder: Path) -> list[Path]:
    return [official_voc.voc12_tar(folder, count=2913)]


@pytest.mark.parametrize("workers", [2, 8])
@pytest.mark.parametrize("make", [nyu, navi, voc12], ids=["nyu", "navi", "voc12"])
def test_preparing_holds_less_than_two_gib(make: Callable[[Path], list[Path]], workers: int, tmp_path: Path) -> None:
    given = make(tmp_path)
    words = ["data", "prepare", make.__name__, "--subset", "--workers", str(workers), "--no-progress", "--json"]
    peak = peak_of([*words, "--from", *map(str, given)], tmp_path)
    print(f"\n{make.__name__}, {workers} workers: at most {peak / 2**20:.0f} MiB")
    assert peak <= LIMIT_BYTES

"""Fresh clone, empty environment: `make demo` three times with the clock and the memory watched."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMITS = {"fresh clone, with installation": 480.0, "installed, empty cache": 300.0, "again": 30.0}
MEMORY_GIB = 6.0


def timed(folder: Path, environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(["make", "demo"], cwd=folder, env=environment, check=True)
    return time.perf_counter() - started


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        seconds = {}
        for number, name in enumerate(LIMITS):
            # The first two start from nothing; the third finds what the second left.
            store = Path(scratch, f"home{min(number, 1)}")
            places = {"MIDVISION_CACHE": str(store / "cache"), "MIDVISION_OUTPUT": str(store / "results")}
            seconds[name] = timed(clone, {**os.environ, **places})
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    for name, limit in LIMITS.items():
        print(f"{name}: {seconds[name]:.0f} s (limit {limit:.0f})")
    print(f"largest process: {peak:.2f} GiB (limit {MEMORY_GIB})")
    return int(any(seconds[name] > limit for name, limit in LIMITS.items()) or peak > MEMORY_GIB)


if __name__ == "__main__":
    sys.exit(main())

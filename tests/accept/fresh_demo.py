"""Fresh clone, empty environment: `make demo` three times with the clock and the memory watched."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMITS = {"fresh clone, with installation": 480.0, "installed, empty cache": 300.0, "again": 30.0}
MEMORY_GIB = 6.0


def timed(folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Seconds, and the most GiB that the command and all that it started held together (shared pages once)."""
    started, most = time.perf_counter(), 0.0
    running = subprocess.Popen(["make", "demo"], cwd=folder, env=environment, start_new_session=True)
    while running.poll() is None:
        most = max(most, sum(map(held_kib, family(running.pid))) / 2**20)
        time.sleep(0.5)
    if running.returncode:
        raise SystemExit(running.returncode)
    return time.perf_counter() - started, most


def family(leader: int) -> list[int]:
    """All processes of the session that a process leads."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text(encoding="utf-8").rpartition(")")[2].split()
        except OSError:
            continue
        if int(after_name[3]) == leader:
            found.append(int(stat.parent.name))
    return found


def held_kib(pid: int) -> int:
    """A page that n processes share counts one n-th in each (proportional set size)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> int:
    with tempfile.TemporaryDirectory() as scratch:
        clone = Path(scratch, "clone")
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
        seconds, peak = {}, 0.0
        for number, name in enumerate(LIMITS):
            # The first two start from nothing; the third finds what the second left.
            store = Path(scratch, f"home{min(number, 1)}")
            places = {"MIDVISION_CACHE": str(store / "cache"), "MIDVISION_OUTPUT": str(store / "results")}
            seconds[name], held = timed(clone, {**os.environ, **places})
            peak = max(peak, held)
    for name, limit in LIMITS.items():
        print(f"{name}: {seconds[name]:.0f} s (limit {limit:.0f})")
    print(f"all processes together: {peak:.2f} GiB (limit {MEMORY_GIB})")
    return int(any(seconds[name] > limit for name, limit in LIMITS.items()) or peak > MEMORY_GIB)


if __name__ == "__main__":
    sys.exit(main())

"""Apply every listed mistake to a copy of the package and see whether the named tests notice.

    python tests/accept/mutations.py [TEXT ...]      only the mutants whose file or text contains TEXT

Exits 1 if fewer than 95 % are killed, if the list no longer fits the source, or if the tests fail
without any mistake.
"""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutants import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
COPIES = 2
LEAST_KILLED = 0.95
LONGEST_SECONDS = 900.0
HANGS_SECONDS = 300.0
"""A mistake may make a test run forever, which is not noticing; the unmutated files take a few seconds each."""
# Exit codes of pytest: some test failed, against tests that could not be collected or do not exist.
PASSED, FAILED = 0, 1


def main(wanted: list[str]) -> int:
    chosen = [m for m in MUTANTS if not wanted or any(word in f"{m.path} {m.old} {m.new}" for word in wanted)]
    if not chosen:
        print(f"No mutant contains {' or '.join(wanted)}.")
        return 1
    stale = [mutant for mutant in chosen if occurrences(mutant) != 1]
    for mutant in stale:
        print(f"stale: {mutant.path} holds {mutant.old!r} {occurrences(mutant)} times")
    if stale:
        return 1
    with tempfile.TemporaryDirectory(prefix="midvision-mutants-") as folder:
        copies = [copy_project(Path(folder) / str(number)) for number in range(COPIES)]
        if not unmutated(copies[0], sorted({mutant.tests for mutant in chosen})):
            return 1
        results = run_all(chosen, copies)
    return summary(chosen, results)


def occurrences(mutant: Mutant) -> int:
    return (ROOT / "midvision" / mutant.path).read_text(encoding="utf-8").count(mutant.old)


def copy_project(folder: Path) -> Path:
    """Package, tests and settings; tests in the copy import the copy."""
    for name in ("midvision", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def environment(copy: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}


def pytest(copy: Path, tests: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
    options = ["-x", "-q", "-p", "no:cacheprovider", f"--basetemp={copy / 'scratch'}"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *(f"tests/{name}" for name in tests)],
        cwd=copy,
        env=environment(copy),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def unmutated(copy: Path, tests: list[str]) -> bool:
    """Whether the copy is what is imported, and its tests pass."""
    where = subprocess.run(
        [sys.executable, "-c", "import midvision; print(midvision.__file__)"],
        cwd=copy,
        env=environment(copy),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert Path(where).resolve().is_relative_to(copy.resolve()), f"{where} was imported instead of the copy"
    files = {name for name in tests if "::" not in name}
    done = pytest(
        copy, [name for name in tests if "::" not in name or name.split("::")[0] not in files], LONGEST_SECONDS
    )
    if done.returncode != PASSED:
        print(f"The tests fail without any mistake:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.returncode == PASSED


def run_all(chosen: list[Mutant], copies: list[Path]) -> list[str]:
    """What became of each mutant, one per copy at a time."""
    free: queue.Queue[Path] = queue.Queue()
    for copy in copies:
        free.put(copy)

    def one(mutant: Mutant) -> str:
        copy, start = free.get(), time.monotonic()
        try:
            became = outcome(mutant, copy)
        finally:
            free.put(copy)
        print(f"{became:9} {time.monotonic() - start:5.1f} s  {line(mutant)}", flush=True)
        return became

    with ThreadPoolExecutor(len(copies)) as pool:
        return list(pool.map(one, chosen))


def outcome(mutant: Mutant, copy: Path) -> str:
    """`killed`, `survived`, `hung`, or `broken` where the tests could not even be collected."""
    path = copy / "midvision" / mutant.path
    source = path.read_text(encoding="utf-8")
    write_source(path, source.replace(mutant.old, mutant.new))
    try:
        code = pytest(copy, mutant.tests.split(), HANGS_SECONDS).returncode
    except subprocess.TimeoutExpired:
        return "hung"
    finally:
        write_source(path, source)
    return {PASSED: "survived", FAILED: "killed"}.get(code, "broken")


def write_source(path: Path, text: str) -> None:
    """Compiled files are trusted by second and size, which two versions of a line may share: drop them."""
    path.write_text(text, encoding="utf-8")
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


def line(mutant: Mutant) -> str:
    return f"{mutant.path}: {mutant.old.strip()!r} -> {mutant.new.strip()!r}"


def summary(chosen: list[Mutant], results: list[str]) -> int:
    rooms = sorted({mutant.path.split("/")[0] for mutant in chosen})
    print(f"\n{'room':12} {'killed':>6} {'total':>6}")
    for room in rooms:
        own = [result for mutant, result in zip(chosen, results) if mutant.path.startswith(f"{room}/")]
        print(f"{room:12} {own.count('killed'):6} {len(own):6}")
    killed = results.count("killed")
    print(f"{'all':12} {killed:6} {len(chosen):6}  {killed / len(chosen):.1%} (at least {LEAST_KILLED:.0%})")
    for mutant, result in zip(chosen, results):
        if result != "killed":
            print(f"{result}: {line(mutant)}  [{mutant.tests}]")
    return 0 if killed >= LEAST_KILLED * len(chosen) and "broken" not in results else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

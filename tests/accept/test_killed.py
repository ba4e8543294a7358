"""Killed at ten random moments and resumed: same scores, no record lost or double, no image encoded for nothing."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from midvision.results.query import Results, load_results

SHARD = 32
COMMAND = ["run", "-m", "python:counted_encoder:make", "-t", "synth", "--preset", "tiny", "--probe", "ridge"]


def start(folder: Path, label: str, pause: float = 0.0) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(Path(__file__).parent),
        "COUNTED_FILE": str(folder / f"{label}.txt"),
        "COUNTED_PAUSE": str(pause),
        "CI": "1",
    }
    places = ["--output", str(folder / "results"), "--cache-dir", str(folder / "cache")]
    command = [sys.executable, "-m", "midvision", *COMMAND, *places]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(folder: Path, label: str) -> Results:
    process = start(folder, label)
    _, errors = process.communicate(timeout=900)
    assert process.returncode == 0, errors.decode()
    return load_results(folder / "results", strict=True)


def encoded(folder: Path, label: str) -> list[str]:
    path = folder / f"{label}.txt"
    return path.read_text(encoding="utf-8").split() if path.exists() else []


def kill_after(process: subprocess.Popen[bytes], folder: Path, label: str, count: int, delay: float) -> None:
    deadline = time.monotonic() + 600
    while len(encoded(folder, label)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def scores_of(results: Results) -> dict[str, dict[str, list[float]]]:
    return {
        record.task: {name: [round(v, 9) for v in values.tolist()] for name, values in record.scores().columns.items()}
        for record in results
    }


def prove(tmp_path: Path, kills: int, seed: int) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    expected = finish(whole, "only")
    total = len(encoded(whole, "only"))
    assert total == len(set(encoded(whole, "only")))
    chance = random.Random(seed)
    for number in range(kills):
        folder = tmp_path / f"kill{number}"
        folder.mkdir()
        share = chance.uniform(0.05, 0.95)
        process = start(folder, "first", pause=0.02)
        kill_after(process, folder, "first", int(share * total), chance.uniform(0.0, 0.5))
        before = len(encoded(folder, "first"))
        found = finish(folder, "second")
        after = len(encoded(folder, "second"))
        print(f"killed after {before} of {total} images, {after} encoded on resuming")
        assert total - before <= after <= total - before + SHARD
        assert str(scores_of(found)) == str(scores_of(expected))
        assert len(found) == len(expected) == len({record.run_hash for record in found})
        assert not found.failures
        assert not found.unreadable


@pytest.mark.accept
def test_ten_kills(tmp_path: Path) -> None:
    prove(tmp_path, kills=10, seed=7)


@pytest.mark.slow
def test_one_kill(tmp_path: Path) -> None:
    prove(tmp_path, kills=1, seed=3)

"""All 24 models of the comparison as untrained stand-ins: killed five times on the way, and once undisturbed.

Both studies share the generated scenes and nothing else. The clock of the killed study runs from its first start to its
last page, on as many processes as the machine has cores (two, where the hour is meant).
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from midvision.core.seeds import seed_for
from midvision.results.query import load_results
from midvision.results.record import PROBE, plain, stored_runs

PROVENANCE = {"timing", "cost", "hardware", "versions", "git", "command", "created_at", "provenance"}
STUDY = ["study", "paper22", "--preset", "tiny", "--random-init", "--no-progress"]
UNITS, KILLS, HOUR_S = 24 * 8, 5, 3600.0
CORES = 2


def start(folder: Path, data: Path) -> subprocess.Popen[bytes]:
    places = ["--output", str(folder / "results"), "--cache-dir", str(folder / "cache"), "--data-root", str(data)]
    command = [sys.executable, "-m", "midvision", *STUDY, "--jobs", str(CORES), *places]
    with open(folder / "log.txt", "ab") as log:
        return subprocess.Popen(command, env={**os.environ, "CI": "1"}, stdout=log, stderr=subprocess.STDOUT)


def finish(folder: Path, data: Path) -> None:
    assert start(folder, data).wait() == 0, (folder / "log.txt").read_text(encoding="utf-8")[-2000:]


def done(folder: Path) -> int:
    return len(stored_runs(folder / "results"))


def killed_five_times(folder: Path, data: Path, seed: int) -> None:
    """Each kill waits for a random share of the study, then for a random moment inside a group."""
    chance = random.Random(seed_for("kills of a study", seed))
    for number, count in enumerate(sorted(chance.sample(range(UNITS - 24), KILLS))):
        process = start(folder, data)
        while done(folder) < count and process.poll() is None:
            time.sleep(0.2)
        time.sleep(chance.uniform(0.0, 10.0))
        process.send_signal(signal.SIGKILL)
        process.wait()
        print(f"kill {number + 1} with {done(folder)} of {UNITS} results stored", flush=True)
    finish(folder, data)


def contents(folder: Path) -> dict[str, Any]:
    """Everything that is stored but where, when and how fast it was made; scores by checksum, probes by their bytes."""
    results = load_results(folder / "results", strict=True)
    assert not results.failures and not results.unreadable
    found: dict[str, Any] = {}
    for record in results:
        assert record.folder is not None and record.run_hash not in found
        record.scores()
        body = {name: value for name, value in plain(record.as_dict()).items() if name not in PROVENANCE}
        probe = record.folder / PROBE
        found[record.run_hash] = (body, probe.read_bytes() if probe.is_file() else b"")
    return found


@pytest.mark.accept
def test_the_study_survives_five_kills(tmp_path: Path) -> None:
    data, killed, undisturbed = (tmp_path / name for name in ("data", "killed", "undisturbed"))
    for folder in (killed, undisturbed):
        folder.mkdir()
    began, cpu = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    killed_five_times(killed, data, seed=1)
    spent, used = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = used.ru_utime + used.ru_stime - cpu.ru_utime - cpu.ru_stime
    print(f"killed study: {spent:.0f} s on the clock, {cpu_s:.0f} processor seconds, generating the scenes included")
    assert done(killed) == UNITS
    pages = killed / "results" / "study-report"
    assert (pages / "index.html").is_file() and len(list((pages / "models").glob("*.html"))) == 24
    analysis = json.loads((pages / "analysis.json").read_text(encoding="utf-8"))
    assert len(analysis["groups"]) == 8 and len(analysis["models"]) == 24
    finish(undisturbed, data)
    assert contents(killed) == contents(undisturbed)
    assert spent <= HOUR_S, f"{spent:.0f} s"

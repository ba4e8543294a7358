"""Labels of a large set: the readouts hold moments and chunks, never all vectors."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.accept

ROWS, CHANNELS, CLASSES = 262_144, 512, 1000
ALL_MIB = ROWS * CHANNELS * 8 / 2**20
"""What all vectors would take in double precision."""

CODE = f"""
import threading, time
import torch
from midvision.core.features import Features
from midvision.core.items import LabelItem
from midvision.probes import label_bank
from midvision.probes.closed_form_labels import LabelRules, PooledLearner

def anonymous_mib():
    return next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")) / 1024

label_bank.MEMORY_BYTES = 2**20
rows, channels, classes = {ROWS}, {CHANNELS}, {CLASSES}
generator = torch.Generator().manual_seed(0)
centres = torch.randn((classes, channels), generator=generator)
items = [LabelItem(f"i{{n}}", f"i{{n}}", f"i{{n}}", n % classes, "") for n in range(rows)]
learner = PooledLearner(items, classes, 0, LabelRules(shots=(1, 5)), half=True)
assert learner.linear == "ridge"
before, peak, done = anonymous_mib(), [0.0], threading.Event()

def watch():
    while not done.wait(0.02):
        peak[0] = max(peak[0], anonymous_mib())

thread = threading.Thread(target=watch)
thread.start()

def draw(labels):
    return (centres[labels] + 2 * torch.randn((len(labels), channels), generator=generator)).half().float()

start = time.process_time()
for first in range(0, rows, 1024):
    labels = torch.arange(first, first + 1024) % classes
    learner.feed(0, [f"i{{n}}" for n in range(first, first + 1024)], Features((), draw(labels)))
learner.end_epoch(0)
truth = torch.arange(256)
query = draw(truth)
linear = float((learner.readout.predict(query).argmax(1) == truth).float().mean())
near = float((learner.readout.knn_votes(query).argmax(1) == truth).float().mean())
few = float((learner.readout.shots[5].scores(query).argmax(2) == truth).float().mean())
done.set()
thread.join()
print(peak[0] - before, linear, near, few, time.process_time() - start)
"""


def test_memory_does_not_grow_with_the_vectors(tmp_path: Path) -> None:
    environment = {**os.environ, "MIDVISION_CACHE": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    grown, linear, near, few, seconds = (float(word) for word in done.stdout.split())
    print(
        f"{ROWS} x {CHANNELS}: {grown:.0f} MiB of {ALL_MIB:.0f}, {linear=} {near=} {few=}, {seconds:.0f} s of CPU time"
    )
    assert grown < 0.5 * ALL_MIB
    # Separate clouds: who mixed up rows or classes on the way would be at chance, 0.001.
    assert linear > 0.95 and near > 0.95 and few > 0.8
    assert not list(tmp_path.iterdir()), "the file of vectors is gone"

"""Many probes of a group cost little more memory than one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MEASURE = """
import resource, sys, torch
from probe_fakes import CORRECTED, FakeSource, headline, items_of, patch_plan
from midvision.core.specs import ProbeSpec
from midvision.probes.dense import dense_learner
from midvision.probes.problem import DenseProblem
from midvision.probes.train import run_stream

torch.set_num_threads(1)
plan, spec = patch_plan(224, 384), ProbeSpec(name="linear", steps=1)
items = items_of("depth", 16, 224)
source = FakeSource(plan, [item.image for item in items], 16)
learners = [
    dense_learner(DenseProblem("depth"), CORRECTED, spec, plan, items, headline("depth"), seed, "cpu")
    for seed in range(int(sys.argv[1]))
]
run_stream(source, learners, shuffle=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
def test_twelve_linear_probes_need_less_than_a_third_more_memory_than_one() -> None:
    def peak(count: int) -> int:
        command = [sys.executable, "-c", MEASURE, str(count)]
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
        return int(done.stdout)

    one, twelve = peak(1), peak(12)
    print(f"peak memory: one probe {one / 1e6:.2f} GB, twelve {twelve / 1e6:.2f} GB")
    assert twelve < 1.3 * one

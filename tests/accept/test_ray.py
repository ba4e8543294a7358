"""A simulated cluster of three nodes, one of them killed in the middle of a study, and the same study without it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from midvision.results.query import load_results
from midvision.results.record import PROBE, plain, stored_runs
from midvision.run.cluster import Cluster
from midvision.run.conduct import conduct, declared
from midvision.run.local import Outcome
from midvision.run.options import RunOptions

PROVENANCE = {"timing", "cost", "hardware", "versions", "git", "command", "created_at", "provenance"}
MODELS = [f"control/{name}" for name in ("noise", "position", "pixels", "colour", "descriptor")]
WISHES = {
    "extends": "quick",
    "models": [*MODELS, "random/resnet18"],
    "tasks": ["synth-seg", "synth-triplets"],
    "data": "built-in",
    "preset": "tiny",
}
NODE_MIB = 100
STARTS = 6


def patiently(start: Callable[[], Any]) -> Any:
    """Ray gives a node 30 s to start, which a busy machine may need more than once."""
    for attempt in range(STARTS):
        try:
            return start()
        except Exception as error:
            print(f"start {attempt + 1} of a node: {error}")
            if attempt == STARTS - 1:
                raise
    raise AssertionError("unreachable")


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Three nodes with one processor each, in processes of this machine."""
    monkeypatch.setenv("RAY_DEDUP_LOGS", "0")
    from ray.cluster_utils import Cluster as Simulated

    small = {"num_cpus": 1, "object_store_memory": NODE_MIB * 2**20, "include_dashboard": False}
    cluster = patiently(lambda: Simulated(initialize_head=True, head_node_args=small))
    try:
        del small["include_dashboard"]
        # The last is the one to be killed: the head must stay.
        nodes = [patiently(lambda: cluster.add_node(**small)) for _ in range(2)]
        cluster.wait_for_nodes(timeout=300)
        yield cluster, nodes
    finally:
        cluster.shutdown()


def options_of(folder: Path) -> RunOptions:
    return RunOptions(output=folder / "results", cache_folder=folder / "cache" / "features", device="cpu")


def contents(folder: Path) -> dict[str, Any]:
    results = load_results(folder / "results", strict=True)
    assert not results.failures and not results.unreadable
    found: dict[str, Any] = {}
    for record in results:
        assert record.folder is not None
        record.scores()
        probe = record.folder / PROBE
        body = {name: value for name, value in plain(record.as_dict()).items() if name not in PROVENANCE}
        found[record.run_hash] = (body, probe.read_bytes() if probe.is_file() else b"")
    return found


@pytest.mark.accept
def test_a_node_killed_in_the_middle_changes_no_score(
    simulated: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("MIDVISION_DATA", os.environ.get("MIDVISION_DATA") or str(tmp_path / "data"))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    )
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    study = declared(WISHES, "the proof")
    here, there = tmp_path / "here", tmp_path / "there"
    assert not conduct(study, options_of(here)).outcome.failures
    torch.set_num_threads(before)

    cluster, nodes = simulated
    alive: list[int] = []

    def kill() -> None:
        """Once the first group is stored, with others under way on every node."""
        while len(stored_runs(there / "results")) < 2:
            time.sleep(0.05)
        alive.append(len(stored_runs(there / "results")))
        cluster.remove_node(nodes[-1], allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    outcome: Outcome = conduct(study, options_of(there), Cluster(cluster.address)).outcome
    killer.join(timeout=60)
    total = 2 * (len(MODELS) + 1)
    print(f"node killed with {alive} of {total} results stored")
    assert alive and alive[0] < total, "the node must die in the middle"
    assert not outcome.failures and len(outcome.records) == total
    nodes_used = {record.provenance["node"] for record in outcome.records}
    print(f"results came from {len(nodes_used)} nodes")
    assert len(nodes_used) > 1 and {record.provenance["executor"] for record in outcome.records} == {"ray"}
    assert contents(there) == contents(here)

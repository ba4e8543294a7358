"""The real suite end to end: same bytes for any number of workers, resume after SIGKILL, what `small` contains."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from midvision.core.progress import SILENT
from midvision.synth import groups, pairs
from midvision.synth.generate import ensure, generate, scenes_of
from midvision.synth.store import read_plane
from midvision.synth.suite import OBJECT_BINS, SCENE_BINS, Suite, open_suite
from midvision.synth.walk import flow_to_next
from midvision.synth.world import Axes


def files(suite: Suite) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in suite.folder().iterdir() if path.suffix in (".tar", ".json")}


@pytest.mark.slow
def test_one_or_three_workers_make_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite, made = open_suite("tiny", "base"), []
    for workers in (1, 3):
        monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / str(workers)))
        ensure(suite, [("object", "test"), ("scene", "train")], workers=workers)
        made.append(files(suite))
    assert made[0] == made[1] and len(made[0]) == 8


@pytest.mark.slow
def test_sigkill_loses_at_most_one_shard_per_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path))
    suite = open_suite("tiny", "base", {"sensor": 0})
    groups.prepare(suite, SILENT)
    call = "from midvision.synth.generate import generate; generate('tiny', 'base', {'sensor': 0}, workers=2)"
    child = subprocess.Popen([sys.executable, "-c", call], env=dict(os.environ))
    until = time.monotonic() + 120
    while len(list(suite.folder().glob("*.json"))) < 3 and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGKILL)
    child.wait()
    time.sleep(0.2)
    kept = {path: path.stat().st_mtime_ns for path in suite.folder().glob("*.json")}
    assert len(kept) >= 3
    generate("tiny", "base", {"sensor": 0}, workers=2)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "finished shards are not made again"


@pytest.mark.slow
def test_small_has_what_its_tasks_need() -> None:
    made = generate("small", "base")
    scenes = [scene for shards in made.values() for _, scene in scenes_of(shards)]
    frames = [frame for scene in scenes for frame in scene.frames]
    assert len(frames) <= 240
    seen = [thing for frame in frames for thing in frame.objects if thing.pixels >= 100]
    assert len({thing.family for thing in seen}) >= 7
    assert len({thing.texture for thing in seen}) >= 8
    assert len({scene.scene_type for scene in scenes if scene.part == "scene" and scene.split == "test"}) == 4
    assert all(frame.valid > 0.98 for frame in frames)
    inside = [0.05 <= f.foreground <= 0.6 for s in scenes if s.part in ("scene", "object") for f in s.frames]
    assert np.mean(inside) > 0.95
    for part, bins, least in (("object", OBJECT_BINS, 12), ("scene", SCENE_BINS, 6)):
        found = [pair for s in scenes if s.part == part and s.split == "test" for pair in s.pairs]
        counts = Counter(pair.bin for pair in found)
        assert all(counts[index] >= least for index in range(len(bins) - 1)), (part, counts)
        assert all(pair.bin == pairs.bin_of(pair.angle_deg, bins) for pair in found)
    scene_pairs = [pair for s in scenes if s.part == "scene" for pair in s.pairs]
    assert all(0.05 <= pair.shared <= 0.9 and pair.object_share >= 0.3 for pair in scene_pairs)
    triplets = [triplet for scene in scenes for triplet in scene.triplets]
    assert len(triplets) >= 80 and abs(np.mean([t.right_share for t in triplets]) - 0.5) < 0.05
    families = {split: labels(scenes, split) for split in ("train", "test")}
    assert families["test"] <= families["train"] and len(families["train"]) >= 7


def labels(scenes: list, split: str) -> set[str]:
    chosen = [scene for scene in scenes if scene.part == "object" and scene.split == split]
    return {thing.family for s in chosen for f in s.frames for thing in f.objects if thing.id == f.focus}


@pytest.mark.slow
def test_a_stored_clip_carries_its_flow() -> None:
    """Where the flow from stored depth and poses leads, the next frame shows the same thing at that depth."""
    suite = open_suite("tiny", "base", {"sensor": 0})
    shard = ensure(suite, [("clip", "train")], workers=1)["clip", "train"][0]
    scene = shard.scenes[0]
    assert len(scene.frames) == 16
    for a, b in zip(scene.frames, scene.frames[1:], strict=False):
        depth, ids = (read_plane(shard.path, a.key, plane) for plane in ("depth", "ids"))
        poses = [{thing.id: np.array(thing.world_from_object) for thing in f.objects} for f in (a, b)]
        moved = [(ids == name, poses[1][name] @ np.linalg.inv(poses[0][name])) for name in poses[0]]
        camera_a, camera_b = (np.array(f.camera_from_world) for f in (a, b))
        flow = flow_to_next(depth, np.array(a.K), camera_a, camera_b, np.array(b.K), moved)
        y, x = np.mgrid[: depth.shape[0], : depth.shape[1]] + 0.5
        column, row = x + flow[..., 0], y + flow[..., 1]
        found = 1 / pairs.inverse_depth_at(read_plane(shard.path, b.key, "depth"), column.ravel(), row.ravel())
        points = np.stack([x, y, np.ones_like(x)], -1) @ np.linalg.inv(np.array(a.K)).T * depth[..., None]
        world = (points - camera_a[:3, 3]) @ camera_a[:3, :3]
        for mask, step in moved:
            world[mask] = world[mask] @ step[:3, :3].T + step[:3, 3]
        z = (world @ camera_b[:3, :3].T + camera_b[:3, 3])[..., 2].ravel()
        seen = np.isfinite(found)
        residual = np.abs(found - z)[seen] / z[seen]
        assert seen.mean() > 0.4 and np.median(residual) < 2e-4
        assert (residual < 0.02).mean() > 0.9, "the rest is hidden in the next frame"


def test_held_out_families_are_kept_from_training() -> None:
    from midvision.synth.bank import HELD_OUT_FAMILIES

    hard = Axes(shape=3)
    train = {family for index in range(40) for family in groups.families_of(hard, "train", index)}
    assert not train & set(HELD_OUT_FAMILIES)
    objects = [groups.family_of(hard, "test", index) for index in range(12)]
    assert {*HELD_OUT_FAMILIES} <= set(objects) and 0.4 < np.mean([f in HELD_OUT_FAMILIES for f in objects]) < 0.6

"""Shards are made once, resumed after a kill, remade when damaged or of another version; who makes them is all one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from midvision.core.errors import DataError
from midvision.core.progress import Progress
from midvision.synth import generate, store, suite
from midvision.synth.generate import ensure
from midvision.synth.suite import open_suite

# A stand-in for the renderer: pictures are a function of the group only, and every group leaves a trace.
FAKE = textwrap.dedent(
    """
    import os, sys, time
    from types import SimpleNamespace
    import numpy as np
    from midvision.synth.store import FrameInfo, SceneInfo, encode_frame

    def make_group(suite, part, split, index):
        with open(os.environ["TRACE"], "a") as trace:
            trace.write(f"{part} {split} {index}\\n")
        time.sleep(float(os.environ.get("PAUSE", "0")))
        views = suite.part(part, split).views
        rng = np.random.default_rng(index)
        frames, planes = [], []
        for view in range(views):
            rgb = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            ids = rng.integers(1, 20, (8, 8), dtype=np.uint8)
            key, K, pose = f"{part}-{index:04d}-{view:02d}", np.eye(3).tolist(), np.eye(4).tolist()
            frames.append(FrameInfo(key, view, K, pose, [], .3, 1., 0, "r", "t"))
            planes.append(encode_frame(rgb, rgb[..., 0] / 100, np.zeros((8, 8, 3)), ids, ids > 10))
        return SceneInfo(part, split, index, f"{part}-{index:04d}", "table", frames), planes

    fake = SimpleNamespace(make_group=make_group, prepare=lambda suite, progress: None)
    sys.modules["midvision.synth.groups"] = fake
    """
)
WANTED = [("scene", "train"), ("scene", "test"), ("object", "test")]


@pytest.fixture
def faked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """An empty data folder and the stand-in renderer; `made()` lists the groups rendered so far."""
    trace = tmp_path / "trace"
    trace.touch()
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TRACE", str(trace))
    monkeypatch.setitem(sys.modules, "midvision.synth.groups", SimpleNamespace())
    exec(FAKE, {})
    yield SimpleNamespace(made=lambda: trace.read_text().splitlines(), clear=lambda: trace.write_text(""))


def shards_on_disk() -> dict[str, bytes]:
    folder = open_suite("tiny", "base").folder()
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix in (".tar", ".json")}


def script(body: str) -> subprocess.Popen[bytes]:
    code = FAKE + textwrap.dedent(body)
    return subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))


ENSURE = f"""
from midvision.synth.generate import ensure
from midvision.synth.suite import open_suite
ensure(open_suite("tiny", "base"), {WANTED!r}, workers=1)
"""


def test_every_group_is_made_once_and_then_read(faked: SimpleNamespace) -> None:
    tiny = open_suite("tiny", "base")
    first = ensure(tiny, WANTED, workers=1)
    assert len(faked.made()) == len(set(faked.made())) == 8 + 4 + 4
    again = ensure(tiny, WANTED, workers=1)
    assert len(faked.made()) == 16 and first == again
    frames = sum(len(scene.frames) for shards in first.values() for shard in shards for scene in shard.scenes)
    assert frames == 8 * 2 + 4 * 5 + 4 * 5


def test_progress_counts_frames(faked: SimpleNamespace) -> None:
    heard: list[int] = []

    class Listener(Progress):
        def bar(self, label: str, total: int | None):  # type: ignore[no-untyped-def]
            from contextlib import nullcontext

            heard.append(total or 0)
            return nullcontext(lambda steps: heard.append(-steps))

    ensure(open_suite("tiny", "base"), WANTED, Listener(), workers=1)
    assert heard[0] == 56 == -sum(heard[1:])


@pytest.mark.parametrize("damage", ["flip", "cut", "manifest"])
def test_only_the_damaged_shard_is_made_again(faked: SimpleNamespace, damage: str) -> None:
    tiny = open_suite("tiny", "base")
    ensure(tiny, WANTED, workers=1)
    before = shards_on_disk()
    faked.clear()
    job = tiny.jobs("object", "test")[0]
    path = tiny.shard_path(job)
    tar = path.with_suffix(".tar")
    data = bytearray(tar.read_bytes())
    if damage == "flip":
        data[600] ^= 255
        tar.write_bytes(data)
    elif damage == "cut":
        tar.write_bytes(data[:100])
    else:
        path.with_suffix(".json").unlink()
    ensure(tiny, WANTED, workers=1)
    assert faked.made() == [f"object test {index}" for index in range(job.first, job.last)]
    assert shards_on_disk() == before


def test_another_version_is_made_again(faked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = open_suite("tiny", "base")
    ensure(tiny, WANTED, workers=1)
    old = tiny.folder()
    faked.clear()
    monkeypatch.setattr(suite, "SUITE_VERSION", "next")
    ensure(tiny, WANTED, workers=1)
    assert len(faked.made()) == 16 and tiny.folder() != old
    # The same folder with shards of another version, as after a downgrade by hand: not used either.
    faked.clear()
    for path in old.iterdir():
        (tiny.folder() / path.name).write_bytes(path.read_bytes())
    ensure(tiny, WANTED, workers=1)
    assert len(faked.made()) == 16


def test_killed_in_the_middle_makes_only_what_is_missing(
    faked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAUSE", "0.05")
    tiny = open_suite("tiny", "base")
    child = script(ENSURE)
    first = tiny.shard_path(tiny.jobs("scene", "train")[0]).with_suffix(".json")
    until = time.monotonic() + 30
    while not first.exists() and time.monotonic() < until:
        time.sleep(0.005)
    child.send_signal(signal.SIGKILL)
    child.wait()
    done = [name for name in shards_on_disk() if name.endswith(".json")]
    assert 1 <= len(done) < len([job for part, split in WANTED for job in tiny.jobs(part, split)])
    faked.clear()
    monkeypatch.setenv("PAUSE", "0")
    ensure(tiny, WANTED, workers=1)
    kept = {f"scene train {i}" for i in range(tiny.jobs("scene", "train")[0].last)}
    assert not kept & set(faked.made())
    resumed = shards_on_disk()
    for path in tiny.folder().iterdir():
        path.unlink()
    ensure(tiny, WANTED, workers=1)
    assert resumed == shards_on_disk()


def test_two_processes_at_once_leave_whole_shards(faked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAUSE", "0.01")
    children = [script(ENSURE) for _ in range(2)]
    assert [child.wait(timeout=60) for child in children] == [0, 0]
    faked.clear()
    ensure(open_suite("tiny", "base"), WANTED, workers=1)
    assert faked.made() == []
    assert not [p for p in open_suite("tiny", "base").folder().iterdir() if p.suffix == ".part"]


def test_an_unwritable_folder_is_a_clear_error(
    faked: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "file"))
    with pytest.raises(DataError, match="Cannot write"):
        ensure(open_suite("tiny", "base"), WANTED[:1], workers=1)


def test_a_worker_that_dies_or_fails_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tiny = open_suite("tiny", "base")
    jobs = tiny.jobs("scene", "test") * 2

    def child(code: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        return subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True)

    monkeypatch.setattr(generate, "_start_child", lambda: child("import os; os._exit(7)"))
    with pytest.raises(DataError, match="status 7"):
        generate._make_in_children(tiny, jobs, lambda frames: None, 2)
    failing = """input(); print('{"trace": "Traceback: sphere"}')"""
    monkeypatch.setattr(generate, "_start_child", lambda: child(failing))
    with pytest.raises(RuntimeError, match="sphere"):
        generate._make_in_children(tiny, jobs, lambda frames: None, 2)
    known = """input(); print('{"wrong": "Disk full.", "expected": "", "do": "Free some."}')"""
    monkeypatch.setattr(generate, "_start_child", lambda: child(known))
    with pytest.raises(DataError, match="Disk full"):
        generate._make_in_children(tiny, jobs, lambda frames: None, 2)


def test_planes_survive_the_stand_in(faked: SimpleNamespace) -> None:
    tiny = open_suite("tiny", "base")
    shard = ensure(tiny, WANTED, workers=1)["scene", "test"][0]
    rgb = store.read_plane(shard.path, shard.scenes[0].frames[0].key, "rgb")
    rng = np.random.default_rng(shard.scenes[0].index)
    assert np.array_equal(rgb, rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))

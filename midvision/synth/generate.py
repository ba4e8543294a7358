"""Making what is missing of the suite: shards in parallel over processes, complete or absent.

Workers are plain child processes that read shard jobs from their standard input, one JSON line each,
and answer in JSON lines. They need no guard in the caller's script, they end when the caller dies,
and a shard holds the same bytes whoever made it. Run as a module, this file is such a worker.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from typing import Any, TextIO

from midvision.core.errors import DataError, MidvisionError
from midvision.core.places import cache_dir
from midvision.core.progress import SILENT, Progress
from midvision.synth.store import SceneInfo, Shard, open_shard, write_shard
from midvision.synth.suite import PartName, ShardJob, SplitName, Suite, all_parts, open_suite

Wanted = tuple[PartName, SplitName]
LIBRARIES = ("numpy", "scipy", "numba", "trimesh", "embreex", "manifold3d", "shapely", "pillow")


def ensure(
    suite: Suite, wanted: Sequence[Wanted], progress: Progress = SILENT, workers: int = 0
) -> dict[Wanted, tuple[Shard, ...]]:
    """The shards of the parts wanted, made now where they are missing, damaged or of another version.

    `workers` 0 means one per processor. What is made does not depend on it.
    """
    jobs = [job for part, split in wanted for job in suite.jobs(part, split)]
    missing = [job for job in jobs if open_shard(suite.shard_path(job), suite.identity(job)) is None]
    if missing:
        _make(suite, missing, progress, workers or available_cpus())
    found: dict[Wanted, tuple[Shard, ...]] = {}
    for part, split in wanted:
        found[part, split] = tuple(_finished(suite, job) for job in suite.jobs(part, split))
    return found


def generate(
    preset: str = "small",
    difficulty: str = "base",
    axes: dict[str, int] | None = None,
    progress: Progress = SILENT,
    workers: int = 0,
    clips: bool = False,
) -> dict[Wanted, tuple[Shard, ...]]:
    """Every part of a preset, with `clips` the first-person clips too."""
    suite = open_suite(preset, difficulty, axes)
    return ensure(suite, list(all_parts(suite, clips)), progress, workers)


def scenes_of(shards: Sequence[Shard]) -> Iterator[tuple[Shard, SceneInfo]]:
    """All scenes with the shard that holds their pictures, in order."""
    for shard in shards:
        for scene in shard.scenes:
            yield shard, scene


def make_shard(suite: Suite, job: ShardJob, advance: Callable[[int], None]) -> None:
    """Make one shard and write it; `advance` hears the number of frames as groups are finished."""
    from midvision.synth.groups import make_group

    scenes: list[SceneInfo] = []
    pictures: list[tuple[str, dict[str, bytes]]] = []
    for index in range(job.first, job.last):
        scene, planes = make_group(suite, job.part, job.split, index)
        scenes.append(scene)
        pictures += zip([frame.key for frame in scene.frames], planes, strict=True)
        advance(len(scene.frames))
    libraries = {name: metadata.version(name) for name in LIBRARIES}
    write_shard(suite.shard_path(job), suite.identity(job), libraries, scenes, pictures)


def available_cpus() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _finished(suite: Suite, job: ShardJob) -> Shard:
    shard = open_shard(suite.shard_path(job), suite.identity(job))
    if shard is None:
        raise DataError(
            f"Shard {suite.shard_path(job)} of the built-in suite is not readable right after it was made.",
            "A complete file was expected.",
            "Check the disk, or choose another folder with MIDVISION_DATA.",
        )
    return shard


def _make(suite: Suite, missing: Sequence[ShardJob], progress: Progress, workers: int) -> None:
    from midvision.synth.groups import prepare

    prepare(suite, progress)
    frames = sum((job.last - job.first) * suite.part(job.part, job.split).views for job in missing)
    label = f"Making scenes ({suite.preset.name}, {suite.difficulty})"
    with progress.bar(label, frames) as advance:
        if workers == 1 or len(missing) == 1:
            for job in missing:
                make_shard(suite, job, advance)
        else:
            _make_in_children(suite, missing, advance, min(workers, len(missing)))


def _make_in_children(suite: Suite, missing: Sequence[ShardJob], advance: Callable[[int], None], workers: int) -> None:
    jobs: queue.SimpleQueue[ShardJob] = queue.SimpleQueue()
    for job in missing:
        jobs.put(job)
    answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    children = [_start_child() for _ in range(workers)]
    threads = [threading.Thread(target=_serve, args=(child, suite, jobs, answers), daemon=True) for child in children]
    try:
        for thread in threads:
            thread.start()
        open_jobs = len(missing)
        while open_jobs:
            answer = answers.get()
            if "frames" in answer:
                advance(answer["frames"])
            elif "done" in answer:
                open_jobs -= 1
            else:
                raise _error_of(answer)
    finally:
        for child in children:
            child.kill()
            child.wait()


def _start_child() -> subprocess.Popen[str]:
    root = str(Path(__file__).resolve().parents[2])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return subprocess.Popen(
        [sys.executable, "-m", "midvision.synth.generate"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **threads, "PYTHONPATH": os.pathsep.join(paths)},
    )


def _serve(
    child: subprocess.Popen[str],
    suite: Suite,
    jobs: queue.SimpleQueue[ShardJob],
    answers: queue.SimpleQueue[dict[str, Any]],
) -> None:
    """Feed one child until no job is left; a child that dies is an answer too."""
    assert child.stdin is not None and child.stdout is not None
    while True:
        try:
            job = jobs.get_nowait()
        except queue.Empty:
            return
        words = {"preset": suite.preset.name, "axes": asdict(suite.axes), "job": asdict(job)}
        try:
            child.stdin.write(json.dumps(words) + "\n")
            child.stdin.flush()
        except OSError:
            answers.put({"crash": f"a worker ended (status {child.wait()})"})
            return
        for line in child.stdout:
            answer = json.loads(line)
            answers.put(answer)
            if "frames" not in answer:
                break
        else:
            answers.put({"crash": f"a worker ended (status {child.wait()}) while making {job}"})
            return


def _error_of(answer: dict[str, Any]) -> Exception:
    if "wrong" in answer:
        return DataError(answer["wrong"], answer["expected"], answer["do"])
    if "trace" in answer:
        return RuntimeError(f"A scene worker failed:\n{answer['trace']}")
    return DataError(
        f"Making scenes stopped: {answer['crash']}.",
        "Workers need memory (about 0.5 GiB each) and a writable data folder.",
        f"Run it again with fewer workers; finished shards are kept (cache: {cache_dir()}).",
    )


def _work(source: TextIO, answers: TextIO) -> None:
    """The worker: jobs from `source`, answers to `answers`, until the source ends."""
    import traceback

    def tell(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    for line in source:
        words = json.loads(line)
        try:
            suite = open_suite(words["preset"], None, words["axes"])
            make_shard(suite, ShardJob(**words["job"]), lambda frames: tell(frames=frames))
            tell(done=words["job"]["index"])
        except MidvisionError as error:
            tell(wrong=error.wrong, expected=error.expected, do=error.do)
        except BrokenPipeError:
            # Nobody listens any more: the caller was killed.
            return
        except Exception:
            tell(trace=traceback.format_exc())


if __name__ == "__main__":
    # Ctrl-C reaches the whole terminal group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers_out, sys.stdout = sys.stdout, sys.stderr
    _work(sys.stdin, answers_out)

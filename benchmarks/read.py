"""Reading NYU-sized samples against bare Pillow: `python benchmarks/read.py [FRAMES] [ROUNDS]`.

Photographs of 640x480 (PNG and JPEG, with the grain of a camera) become frames of 480x480 through the data set
and the threads that feed an encoder, alone and with their depth as a probe reads it. Bare Pillow opens, converts
and resizes the same files in as many processes and throws the pixels away; where depth takes part, it also opens
and resizes (nearest) the same depth as a 16-bit PNG. Rounds alternate; ratios are those of the fastest rounds, in
wall time. Files are in the page cache. Prints every ratio of throughputs (limit 0.8) and exits with 1 below it.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "data"))

import numpy as np
from official_rooms import pose_of, trace
from PIL import Image

if TYPE_CHECKING:
    from midvision.core.items import Dataset

LIMIT = 0.8
SIZE = (480, 480)
BATCH = 16
DISTINCT = 12


def fabricate(root: Path, frames: int) -> None:
    """`png/` and `jpg/` as posed frames with 16-bit depth, in the layout of the reader `folder`."""
    noise = np.random.default_rng(0)
    for ending in ("png", "jpg"):
        for kind in ("images", "depth"):
            (root / ending / kind).mkdir(parents=True)
    for number in range(DISTINCT):
        seen = trace(pose_of(number))
        grain = noise.normal(0, 4, seen["rgb"].shape)
        photo = Image.fromarray(np.clip(seen["rgb"] + grain, 0, 255).astype(np.uint8))
        metres = seen["depth_m"] + noise.normal(0, 0.004, seen["depth_m"].shape)
        depth = Image.fromarray((metres * 1000).astype(np.uint16))
        for place in range(number, frames, DISTINCT):
            photo.save(root / f"png/images/{place:04d}.png", compress_level=3)
            photo.save(root / f"jpg/images/{place:04d}.jpg", quality=90)
            for ending in ("png", "jpg"):
                depth.save(root / f"{ending}/depth/{place:04d}.png", compress_level=3)


def opened(root: Path) -> list[Dataset]:
    """Both splits of the frames below a folder."""
    from midvision.core.specs import DataSpec, ImageRules
    from midvision.data.card import Request, open_data

    data = DataSpec(set="folder", path=str(root), options={"size": f"{SIZE[0]}x{SIZE[1]}"})
    return [
        open_data(Request("depth", "train", data, ImageRules())),
        open_data(Request("depth", "test", data, ImageRules())),
    ]


def ours(datasets: Sequence[Dataset], workers: int, with_depth: bool) -> None:
    """Every frame once, as an evaluation reads it: photographs in workers, truth where the probe is."""
    import torch

    from midvision.core.items import DenseItem
    from midvision.core.threads import in_threads
    from midvision.extraction.extract import read_batches

    torch.set_num_threads(max(1, workers))
    both = [(set_.images[item.image], item) for set_ in datasets for item in set_.items if isinstance(item, DenseItem)]
    start = 0
    for batch in read_batches([image for image, _ in both], BATCH, workers):
        if with_depth:
            in_threads(lambda one: one[1].target(), both[start : start + len(batch)])
        start += len(batch)


def bare_photo(path: Path) -> None:
    with Image.open(path) as opened:
        opened.convert("RGB").resize((SIZE[1], SIZE[0]), Image.Resampling.BILINEAR)


def bare_depth(path: Path) -> None:
    with Image.open(path) as opened:
        opened.resize((SIZE[1], SIZE[0]), Image.Resampling.NEAREST)


def bare_all(jobs: Sequence[tuple[Callable[[Path], None], Path]]) -> None:
    for read, path in jobs:
        read(path)


def bare(root: Path, workers: int, with_depth: bool) -> None:
    photos = sorted((root / "images").iterdir())
    jobs: list[tuple[Callable[[Path], None], Path]] = [(bare_photo, path) for path in photos]
    if with_depth:
        jobs += [(bare_depth, path) for path in sorted((root / "depth").iterdir())]
    if not workers:
        bare_all(jobs)
    else:
        context = multiprocessing.get_context("fork")
        shares = [jobs[start::workers] for start in range(workers)]
        running = [context.Process(target=bare_all, args=(share,)) for share in shares]
        for process in running:
            process.start()
        for process in running:
            process.join()


def spent_cpu_s() -> float:
    """Processor seconds of this process and its finished children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def fastest(sides: Sequence[Callable[[], None]], rounds: int) -> list[tuple[float, float]]:
    """Least wall and least processor seconds of each side, the sides taking turns."""
    best = [(float("inf"), float("inf"))] * len(sides)
    for _ in range(rounds):
        for place, side in enumerate(sides):
            started, used = time.perf_counter(), spent_cpu_s()
            side()
            wall_s, cpu_s = time.perf_counter() - started, spent_cpu_s() - used
            best[place] = min(best[place][0], wall_s), min(best[place][1], cpu_s)
    return best


def main(frames: int = 480, rounds: int = 5) -> int:
    found, missed = [], 0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        fabricate(root, frames)
        for ending, with_depth, workers in itertools.product(("png", "jpg"), (False, True), (0, 2)):
            mine = partial(ours, opened(root / ending), workers, with_depth)
            (bare_s, bare_cpu_s), (own_s, own_cpu_s) = fastest(
                [partial(bare, root / ending, workers, with_depth), mine], rounds
            )
            what = f"{ending}{' with depth' if with_depth else ''}, {workers} workers"
            ratio, cpu_ratio = bare_s / own_s, bare_cpu_s / own_cpu_s
            missed += ratio < LIMIT
            print(
                f"{what}: bare {frames / bare_s:.0f}/s, ours {frames / own_s:.0f}/s, ratio {ratio:.2f} "
                f"(in processor time {cpu_ratio:.2f})",
                flush=True,
            )
            found.append({"what": what, "bare_per_s": frames / bare_s, "ratio": ratio, "cpu_ratio": cpu_ratio})
    print(json.dumps({"limit": LIMIT, "below": missed, "cases": found}))
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(*(int(word) for word in sys.argv[1:3])))

"""How fast the built-in renderer is: frames per second with one process per core, and where the time goes.

    python benchmarks/render.py [--scenes 8] [--views 4] [--size 224] [--processes 2] [--difficulty base]

The mesh bank is built and the kernels are compiled first; neither counts. CPU seconds per frame do not
depend on what else the machine does, wall-clock figures do.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time

from midvision.core.seeds import numpy_generator
from midvision.synth.bank import mesh_bank
from midvision.synth.cameras import sample_camera
from midvision.synth.render import Renderer, warm_up
from midvision.synth.world import Axes, sample_world


def draw_scene(job: tuple[int, int, int, str]) -> dict[str, float]:
    """CPU seconds by step for one scene with all its views."""
    index, views, size, difficulty = job
    rng, axes = numpy_generator("benchmark", index), Axes.named(difficulty)
    spent = {"world": 0.0, "scene": 0.0, "camera": 0.0, "render": 0.0}

    def lap(name: str, start: float) -> float:
        now = time.process_time()
        spent[name] += now - start
        return now

    now = time.process_time()
    world = sample_world(axes, rng, "scene")
    now = lap("world", now)
    renderer = Renderer(world)
    now = lap("scene", now)
    for _ in range(views):
        camera = sample_camera(world, axes, rng, (size, size), renderer=renderer)
        now = lap("camera", now)
        renderer.render(camera, rng)
        now = lap("render", now)
    return spent


def prepare() -> None:
    warm_up()
    draw_scene((10_000, 1, 64, "base"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--difficulty", default="base")
    options = parser.parse_args()
    start = time.process_time()
    mesh_bank()
    print(f"mesh bank: {time.process_time() - start:.1f} CPU s")
    start = time.process_time()
    warm_up()
    print(f"kernels: {time.process_time() - start:.1f} CPU s")
    jobs = [(index, options.views, options.size, options.difficulty) for index in range(options.scenes)]
    frames = options.scenes * options.views
    with multiprocessing.get_context("spawn").Pool(options.processes, prepare) as pool:
        pool.map(draw_scene, jobs[: options.processes], 1)
        begun = time.perf_counter()
        spent = pool.map(draw_scene, jobs, 1)
        wall = time.perf_counter() - begun
    for name in spent[0]:
        print(f"{name:>8}: {sum(part[name] for part in spent) / frames * 1000:7.1f} CPU ms per frame")
    cpu = sum(sum(part.values()) for part in spent) / frames
    print(f"{'all':>8}: {cpu * 1000:7.1f} CPU ms per frame, {options.processes / cpu:.1f} frames/s on idle cores")
    print(f"{frames} frames in {wall:.1f} s with {options.processes} processes: {frames / wall:.1f} frames/s")


if __name__ == "__main__":
    main()

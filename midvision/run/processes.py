"""Groups on this machine: one process per device, no more at a time than memory allows."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

from midvision.core.errors import MidvisionError
from midvision.core.progress import listen
from midvision.run.options import GIBIBYTE, RunOptions
from midvision.run.orders import Delivery, GroupOrder, Product, carry_out, failed, order_of
from midvision.run.plan import RunGroup
from midvision.run.relay import Relayed, Screen

ATTEMPTS = 3
FIRST_GUESS_BYTES = 3 * GIBIBYTE
"""What a group is taken to need until one was seen."""
HEADROOM = 1.2


class WorkerDied(MidvisionError):
    """A worker process ended without an answer, again and again."""


@dataclass(slots=True)
class _Parcel:
    group: RunGroup
    order: GroupOrder
    attempt: int = 1


class Processes:
    """One process per entry of `devices`. A worker that dies takes only its own group with it, which is tried again.

    A further group is started only while memory is free for the most that any worker was seen to hold; one always runs.
    `work` and `free_bytes` are there for tests.
    """

    def __init__(
        self,
        devices: Sequence[str],
        threads: int | None = None,
        work: Callable[[GroupOrder], Delivery] = carry_out,
        free_bytes: Callable[[], int] | None = None,
        attempts: int = ATTEMPTS,
    ) -> None:
        self.devices, self.work = tuple(devices), work
        self.threads = threads or max(1, (os.cpu_count() or 1) // max(1, len(self.devices)))
        self.free_bytes = free_bytes or available_bytes
        self.attempts, self.peak_bytes = attempts, FIRST_GUESS_BYTES

    def run(self, groups: Sequence[RunGroup], options: RunOptions) -> Iterator[tuple[RunGroup, Sequence[Product]]]:
        waiting = deque(_Parcel(group, order_of(group, options)) for group in groups)
        pools: dict[int, ProcessPoolExecutor] = {}
        screen = Screen(options.progress)
        running: dict[Future[Delivery], tuple[int, _Parcel]] = {}
        try:
            while waiting or running:
                self._start(waiting, running, pools, screen)
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    place, parcel = running.pop(future)
                    products = self._answer(future, place, parcel, pools)
                    if products is None:
                        waiting.appendleft(parcel)
                    else:
                        yield parcel.group, products
        finally:
            for pool in pools.values():
                _stop(pool)
            screen.close()

    def _start(
        self,
        waiting: deque[_Parcel],
        running: dict[Future[Delivery], tuple[int, _Parcel]],
        pools: dict[int, ProcessPoolExecutor],
        screen: Screen,
    ) -> None:
        """Give every idle device a parcel, as far as memory goes."""
        busy = {place for place, _ in running.values()}
        for place, device in enumerate(self.devices):
            if place in busy or not waiting:
                continue
            if running and self.free_bytes() < HEADROOM * self.peak_bytes:
                return
            theirs = None
            if place not in pools:
                context = multiprocessing.get_context("spawn")
                ours, theirs = context.Pipe(duplex=False)
                screen.listen(ours)
                arguments = (self.threads, theirs)
                pools[place] = ProcessPoolExecutor(1, context, initializer=_settle, initargs=arguments)
            parcel = waiting.popleft()
            order = replace(parcel.order, options=replace(parcel.order.options, device=device))
            running[pools[place].submit(_heard, self.work, order)] = place, parcel
            if theirs is not None:
                theirs.close()  # the worker has its own by now, so its end is heard

    def _answer(
        self, future: Future[Delivery], place: int, parcel: _Parcel, pools: dict[int, ProcessPoolExecutor]
    ) -> Sequence[Product] | None:
        """The products, or None where the group must be tried again."""
        try:
            delivery = future.result()
        except BrokenProcessPool:
            _stop(pools.pop(place))
            parcel.attempt += 1
            if parcel.attempt <= self.attempts:
                return None
            return [failed(unit, worker_died(parcel.group.model.id, self.attempts)) for unit in parcel.group.units]
        except Exception as error:
            if parcel.order.options.fail_fast:
                raise
            return [failed(unit, error) for unit in parcel.group.units]
        self.peak_bytes = max(delivery.peak_bytes, 0 if self.peak_bytes == FIRST_GUESS_BYTES else self.peak_bytes)
        return delivery.products


def worker_died(model: str, attempts: int) -> WorkerDied:
    return WorkerDied(
        f"The process that evaluated {model} ended without an answer, {attempts} times.",
        "Memory that ran out is the usual reason.",
        "Start fewer processes (--jobs), use smaller batches (--batch-size), or look into the system's log.",
    )


def executor_for(options: RunOptions, jobs: int | None) -> Processes | None:
    """Processes where more than one is wanted, else None: this process."""
    devices = devices_of(options, jobs)
    return Processes(devices) if len(devices) > 1 else None


def devices_of(options: RunOptions, jobs: int | None) -> list[str]:
    """One entry per process: every accelerator with `auto`, else `jobs` times the device asked for."""
    import torch

    device = options.torch_device()
    if options.device == "auto" and device == "cuda":
        every = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
        return every if jobs is None else [every[index % len(every)] for index in range(jobs)]
    return [device] * (jobs or 1)


def available_bytes() -> int:
    """Memory that can be had without swapping, also inside a container; a large number where nobody says."""
    free = [1 << 60]
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        found = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        free.append(int(found["MemAvailable"].split()[0]) * 1024)
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.exists() and used.exists() and (most := limit.read_text(encoding="ascii").strip()).isdigit():
        free.append(int(most) - int(used.read_text(encoding="ascii")))
    return min(free)


_pipe: Connection | None = None
"""In a worker: where its bars go."""


def _heard(work: Callable[[GroupOrder], Delivery], order: GroupOrder) -> Delivery:
    """In a worker: the order, with its bars on the driver's screen."""
    progress = Relayed(_pipe, order.model) if _pipe is not None else order.options.progress
    return work(replace(order, options=replace(order.options, progress=listen(progress))))


def _settle(threads: int, pipe: Connection) -> None:
    """In a new worker: end with the driver, even where that is killed; use as many threads as are its share.

    Ctrl-C reaches every process of a terminal; the driver alone answers it.
    """
    global _pipe
    _pipe = pipe
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
    import torch

    torch.set_num_threads(threads)


def _stop(pool: ProcessPoolExecutor) -> None:
    """At once: what a worker was at is repeated or was not wanted."""
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=True, cancel_futures=True)

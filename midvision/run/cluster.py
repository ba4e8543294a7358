"""Groups on a Ray cluster: Ray places them by their resources and repeats those whose machine was lost."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from midvision.core.errors import DataError, UsageError
from midvision.run.options import GIBIBYTE, RunOptions
from midvision.run.orders import Delivery, GroupOrder, Product, carry_out, failed, order_of
from midvision.run.plan import RunGroup
from midvision.run.processes import worker_died

RETRIES = 5
PASSED_ON = ("MIDVISION_CACHE", "MIDVISION_DATA", "HF_HUB_OFFLINE", "HF_HOME", "TORCH_HOME", "PYTHONPATH")
DEFAULT_BYTES = 2 * GIBIBYTE


class Cluster:
    """Ray at `address` (`auto`, `HOST:PORT`, `ray://HOST:PORT`), or one on this machine for the time being (`local`).

    Every group is a Ray task with `cpus` processors (which are its threads), `gpus` accelerators and
    `memory_bytes`, repeated up to `RETRIES` times where a worker or its machine dies. All machines must see the
    same data and cache folders.
    """

    def __init__(
        self, address: str, cpus: int | None = None, gpus: float | None = None, memory_bytes: int = DEFAULT_BYTES
    ) -> None:
        self.address, self.cpus, self.gpus, self.memory_bytes = address, cpus, gpus, memory_bytes

    def run(self, groups: Sequence[RunGroup], options: RunOptions) -> Iterator[tuple[RunGroup, Sequence[Product]]]:
        parcels = [(group, order_of(group, options)) for group in groups]
        with connected(self.address) as ray:
            task = ray.remote(deliver).options(**self._needs(ray, options))
            waiting = {task.remote(order): group for group, order in parcels}
            while waiting:
                done, _ = ray.wait(list(waiting), num_returns=1)
                for ticket in done:
                    group = waiting.pop(ticket)
                    yield group, _answer(ray, ticket, group, options)

    def _needs(self, ray: Any, options: RunOptions) -> dict[str, Any]:
        """What a task asks for: a share that some machine of the cluster can give, or Ray would wait for ever."""
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        most = {name: max((float(node.get(name, 0.0)) for node in nodes), default=0.0) for name in ("CPU", "GPU")}
        wanted = options.device.startswith("cuda") or (options.device == "auto" and most["GPU"] > 0)
        gpus = self.gpus if self.gpus is not None else float(wanted)
        cpus = self.cpus or 1
        if gpus > most["GPU"] or cpus > most["CPU"]:
            raise UsageError(
                f"No machine of the cluster has {cpus} processors and {gpus:g} accelerators.",
                f"The largest have {most['CPU']:g} and {most['GPU']:g}.",
                "Ask for less (--device cpu), or start larger nodes.",
            )
        room = max((float(node.get("memory", 0.0)) for node in nodes), default=0.0)
        threads = {"OMP_NUM_THREADS": str(cpus)}
        return {
            "num_cpus": cpus,
            "num_gpus": gpus,
            "memory": int(min(self.memory_bytes, room)),
            "max_retries": RETRIES,
            "runtime_env": {"env_vars": {**_environment(), **threads}},
        }


def deliver(order: GroupOrder) -> Delivery:
    """What runs on a node. Where it ran is provenance and stands in the record as such."""
    import ray

    context = ray.get_runtime_context()
    return carry_out(order, {"executor": "ray", "node": str(context.get_node_id())})


def _answer(ray: Any, ticket: Any, group: RunGroup, options: RunOptions) -> Sequence[Product]:
    named = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ObjectLostError")
    lost = tuple(getattr(ray.exceptions, name) for name in named)
    try:
        delivery: Delivery = ray.get(ticket)
        return delivery.products
    except lost as error:
        reason: Exception = worker_died(group.model.id, RETRIES + 1)
        reason.__cause__ = error
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        reason = cause if isinstance(cause, Exception) else error
    if options.fail_fast:
        raise reason
    return [failed(unit, reason) for unit in group.units]


@contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray, connected; a connection that was there before is used and left."""
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            "Ray is not installed.", "--ray needs the extra `ray`.", "pip install 'midvision[ray]'"
        ) from error
    if ray.is_initialized():
        yield ray
        return
    where = None if address == "local" else address
    try:
        ray.init(address=where, include_dashboard=False if where is None else None, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise DataError(
            f"There is no Ray cluster at {address} ({error}).",
            "`auto`, HOST:PORT or ray://HOST:PORT of a running cluster is expected, or `local`.",
            "Start one with: ray start --head",
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _environment() -> Mapping[str, str]:
    """Folders and manners that a worker must share with the driver, as far as they are set here."""
    return {name: os.environ[name] for name in PASSED_ON if os.environ.get(name)}

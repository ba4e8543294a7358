"""Executors behind one interface: equal records from orders, processes and a feigned Ray; what dies is repeated."""

from __future__ import annotations

import os
import pickle
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from midvision.core.errors import DataError, UsageError
from midvision.core.progress import SILENT, Advance, Progress
from midvision.core.specs import RunSpec
from midvision.results.record import ResultRecord, plain
from midvision.run.cluster import Cluster
from midvision.run.local import Outcome, run_units
from midvision.run.models import Model
from midvision.run.options import GIBIBYTE, RunOptions
from midvision.run.orders import Delivery, GroupOrder, InProcess, carry_out, order_of
from midvision.run.plan import RunGroup, group_units, plan_units
from midvision.run.processes import Processes, available_bytes, devices_of
from midvision.run.relay import Screen

PROVENANCE = {"timing", "cost", "hardware", "versions", "git", "command", "created_at", "provenance"}
MODELS = ("control/position", "control/pixels")


def runs(folder: Path) -> list[tuple[Model, RunSpec]]:
    """Two encoders on a folder of own photographs: data that another process can open too."""
    data = {"set": "triplets", "path": str(folder / "triplets.csv")}
    return [(Model(id), RunSpec.model_validate({"model": id, "task": "triplets", "data": data})) for id in MODELS]


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    import numpy as np
    from PIL import Image

    draw = np.random.default_rng(0)
    lines = ["ref,left,right,closer"]
    for number in range(6):
        names = [f"{number}{side}.png" for side in "rab"]
        for name in names:
            Image.fromarray(draw.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / name)
        lines.append(",".join([*names, str(number % 2)]))
    (tmp_path / "triplets.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def options(tmp_path: Path) -> RunOptions:
    return RunOptions(output=tmp_path / "results", cache_folder=tmp_path / "features", device="cpu")


def content(record: ResultRecord) -> Any:
    """All of a record but where, when and how fast it was made."""
    body = plain(record.as_dict())
    assert set(body) >= PROVENANCE
    return {name: value for name, value in body.items() if name not in PROVENANCE}


def groups_of(folder: Path) -> list[RunGroup]:
    return group_units(plan_units(runs(folder)))


@pytest.fixture
def expected(photographs: Path, options: RunOptions) -> list[Any]:
    outcome = run_units(runs(photographs), replace(options, output=options.output.with_name("alone")))
    assert len(outcome.records) == 2 and not outcome.failures
    return [content(record) for record in outcome.records]


def same(outcome: Outcome, expected: list[Any]) -> bool:
    return not outcome.failures and [content(record) for record in outcome.records] == expected


class Posted:
    """An executor whose orders and deliveries go through pickle, as between processes."""

    def run(self, groups: Any, options: RunOptions) -> Iterator[Any]:
        for group in groups:
            order = pickle.loads(pickle.dumps(order_of(group, options)))
            delivery: Delivery = pickle.loads(pickle.dumps(carry_out(order)))
            assert delivery.peak_bytes > 0
            yield group, delivery.products


def test_an_order_survives_the_post_and_gives_the_same_record(
    photographs: Path, options: RunOptions, expected: list[Any]
) -> None:
    assert same(run_units(runs(photographs), options, Posted()), expected)


def test_a_worker_that_sees_other_data_refuses(photographs: Path, options: RunOptions) -> None:
    order = order_of(groups_of(photographs)[0], options)
    photo = photographs / "0r.png"
    photo.write_bytes((photographs / "1r.png").read_bytes())
    with pytest.raises(DataError, match=r"other data or weights for control/position \(triplets\)"):
        carry_out(order)


def test_failures_come_back_with_their_words(photographs: Path, options: RunOptions) -> None:
    (photographs / "3a.png").write_bytes(b"no picture")
    outcome = run_units(runs(photographs), options, Posted())
    alone = run_units(runs(photographs), replace(options, output=options.output.with_name("alone")))
    assert not outcome.records and len(outcome.failures) == 2
    assert [str(failure.error) for failure in outcome.failures] == [str(failure.error) for failure in alone.failures]
    assert [type(failure.error) for failure in outcome.failures] == [type(f.error) for f in alone.failures]


def test_an_object_of_this_process_cannot_be_sent(memory_set: Any, counting: Any, options: RunOptions) -> None:
    units = plan_units([(Model("mine", None, counting), RunSpec(model="mine", task="triplets", data=memory_set))])
    with pytest.raises(UsageError, match="mine is an object of this process"):
        order_of(group_units(units)[0], options)
    assert next(iter(InProcess().run(group_units(units), options)))[1][0].record is not None


def dies_once(order: GroupOrder) -> Delivery:
    """Ends its process the first time that each model is asked for."""
    mark = Path(order.options.output) / f"{order.model.replace('/', '-')}.seen"
    if order.model == "control/position" and not mark.exists():
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
        os._exit(9)
    return carry_out(order)


def always_dies(order: GroupOrder) -> Delivery:
    if order.model == "control/position":
        os._exit(9)
    return carry_out(order)


@pytest.mark.slow
def test_two_processes_give_the_same_records_and_one_that_dies_is_repeated(
    photographs: Path, options: RunOptions, expected: list[Any]
) -> None:
    executor = Processes(["cpu", "cpu"], threads=1, work=dies_once, free_bytes=lambda: 100 * GIBIBYTE)
    assert same(run_units(runs(photographs), options, executor), expected)
    assert (options.output / "control-position.seen").exists()


class Heard(Progress):
    """Writes down what a screen would show."""

    def __init__(self) -> None:
        self.shown: dict[str, int] = {}
        self.open: list[str] = []

    @contextmanager
    def bar(self, label: str, total: int | None) -> Iterator[Advance]:
        self.open.append(label)
        self.shown.setdefault(label, 0)

        def advance(steps: int) -> None:
            self.shown[label] += steps

        yield advance
        self.open.remove(label)


def tells_and_dies(order: GroupOrder) -> Delivery:
    """Ends with an open bar the first time."""
    mark = Path(order.options.output) / "told"
    with order.options.progress.bar("images", 3) as advance:
        for _ in range(3):
            advance(1)
        if not mark.exists():
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
            os._exit(9)
    return carry_out(order)


@pytest.mark.slow
def test_the_bars_of_processes_are_shown_and_one_that_dies_leaves_none_open(
    photographs: Path, options: RunOptions
) -> None:
    heard = Heard()
    executor = Processes(["cpu"], threads=1, work=tells_and_dies)
    outcome = run_units(runs(photographs), replace(options, progress=heard), executor)
    assert len(outcome.records) == 2 and heard.open == []
    assert heard.shown["results"] == 2
    assert heard.shown["control/pixels, images"] == 3, "the last steps arrive with the end of the bar"
    assert heard.shown["control/position, images"] in (3, 6), "what the dead one said last may be lost"


@pytest.mark.slow
def test_a_worker_that_always_dies_fails_its_group_alone(photographs: Path, options: RunOptions) -> None:
    outcome = run_units(runs(photographs), options, Processes(["cpu"], threads=1, work=always_dies, attempts=1))
    assert [record.model_id for record in outcome.records] == ["control/pixels"]
    assert "1 times" in str(outcome.failures[0].error)
    assert not run_units(runs(photographs), options).failures, "a later run computes it"


def test_no_second_group_is_started_without_memory_for_it() -> None:
    """One runs always; the next waits until the most seen so far, and a fifth, is free."""
    from collections import deque
    from concurrent.futures import Future

    started: list[str] = []

    class Pool:
        def submit(self, heard: Any, work: Any, order: Any) -> Future[Any]:
            started.append(order.options.device)
            return Future()

    def parcels() -> Any:
        order = GroupOrder("m", None, (), (), RunOptions(device="cpu"))
        return deque(types.SimpleNamespace(order=order, group=None, attempt=1) for _ in range(3))

    for free_gib, count in ((1.0, 1), (3.7, 2)):
        started.clear()
        executor = Processes(["cpu:0", "cpu:1"], 1, free_bytes=lambda gib=free_gib: int(gib * GIBIBYTE))  # type: ignore[misc]
        executor._start(parcels(), {}, {0: Pool(), 1: Pool()}, Screen(SILENT))  # type: ignore[dict-item]
        assert len(started) == count, free_gib
    assert available_bytes() > 2**20
    assert devices_of(RunOptions(device="cpu"), 3) == ["cpu"] * 3


class FakeRay(types.ModuleType):
    """As much of Ray as the executor uses; tickets are pickled calls. `fatal`: one model takes its machine down."""

    def __init__(self, fatal: bool = False) -> None:
        super().__init__("ray")
        self.asked: list[dict[str, Any]] = []
        self.fatal, self.stopped = fatal, False
        errors = ("WorkerCrashedError", "NodeDiedError", "OutOfMemoryError", "ObjectLostError", "RayTaskError")
        self.exceptions = types.SimpleNamespace(**{name: type(name, (Exception,), {}) for name in errors})

    def is_initialized(self) -> bool:
        return False

    def init(self, **how: Any) -> None:
        if how["address"] == "nowhere:1":
            raise ConnectionError("refused")

    def shutdown(self) -> None:
        self.stopped = True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": {"CPU": 2.0, "memory": 1e9}}, {"Alive": False, "Resources": {"CPU": 64.0}}]

    def get_runtime_context(self) -> Any:
        return types.SimpleNamespace(get_node_id=lambda: "node-1")

    def remote(self, work: Any) -> Any:
        def options(**needs: Any) -> Any:
            self.asked.append(needs)
            return types.SimpleNamespace(remote=lambda order: pickle.dumps((work, order)))

        return types.SimpleNamespace(options=options)

    def wait(self, tickets: list[bytes], num_returns: int) -> Any:
        return tickets[-num_returns:], tickets[:-num_returns]

    def get(self, ticket: bytes) -> Any:
        work, order = pickle.loads(ticket)
        if self.fatal and order.model == "control/position":
            raise self.exceptions.NodeDiedError("gone")
        return pickle.loads(pickle.dumps(work(order)))


def test_ray_gives_the_same_records_but_for_provenance(
    photographs: Path, options: RunOptions, expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setenv("MIDVISION_DATA", "/shared/data")
    outcome = run_units(runs(photographs), options, Cluster("auto"))
    assert same(outcome, expected) and ray.stopped
    assert [dict(record.provenance) for record in outcome.records] == [{"executor": "ray", "node": "node-1"}] * 2
    needs = ray.asked[0]
    assert (needs["num_cpus"], needs["num_gpus"], needs["memory"]) == (1, 0.0, 10**9) and needs["max_retries"] > 0
    variables = needs["runtime_env"]["env_vars"]
    assert variables["MIDVISION_DATA"] == "/shared/data" and variables["OMP_NUM_THREADS"] == "1"


def test_ray_s_losses_and_refusals_are_told(
    photographs: Path, options: RunOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", FakeRay(fatal=True))
    outcome = run_units(runs(photographs), options, Cluster("auto"))
    assert [record.model_id for record in outcome.records] == ["control/pixels"]
    assert "ended without an answer" in str(outcome.failures[0].error)
    with pytest.raises(UsageError, match="No machine of the cluster has 1 processors and 1 accelerators"):
        run_units(runs(photographs), replace(options, device="cuda"), Cluster("auto"))
    with pytest.raises(DataError, match="no Ray cluster at nowhere:1"):
        run_units(runs(photographs), options, Cluster("nowhere:1"))
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match="Ray is not installed"):
        run_units(runs(photographs), options, Cluster("auto"))

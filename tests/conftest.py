"""What every test shares: quiet threads, private folders."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

MINUTE_S = 60
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if os.environ.get("PYTEST_XDIST_WORKER"):
    # One process per core already: threads of several workers would wait for each other. Read by
    # OpenMP when torch is loaded, and inherited by the commands that tests start.
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True, scope="session")
def private_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache, except for the generated scenes and compiled kernels.

    Those are content-addressed and versioned, and one copy serves every worker of a parallel run.
    """
    shared = tmp_path_factory.getbasetemp()
    root = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared
    before = {name: os.environ.get(name) for name in ("MIDVISION_CACHE", "MIDVISION_OUTPUT", "MIDVISION_DATA")}
    os.environ["MIDVISION_CACHE"] = str(root / "cache")
    os.environ["MIDVISION_OUTPUT"] = str(root / "results")
    os.environ.pop("MIDVISION_DATA", None)
    yield
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture
def must_end() -> Iterator[None]:
    """For what goes on forever when it is broken: a minute of this test's own process, then it fails."""

    def give_up(*_: object) -> None:
        raise AssertionError("this does not end")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(MINUTE_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The real data beside the project; its absence is a failure, not a skip."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.fail(f"The tests marked realdata need the real data in {folder}.")
    return folder

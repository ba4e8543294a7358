"""Cache and live source: equal values, each picture encoded once, damage noticed, kills survived."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from source_cases import INFO, CountingEncoder, cache_in, collect, damage, equal, pictures, plan_for, shards
from torch import Tensor

from midvision.core.errors import DataError, EncoderError
from midvision.core.features import FeaturePlan, Features, Grid, PlannedLayer
from midvision.core.items import Image
from midvision.encoders.plan import make_plan
from midvision.extraction.budget import bytes_needed, decide
from midvision.extraction.cache import FeatureCache
from midvision.extraction.shard import Damaged, read_header
from midvision.extraction.source import SHARD_IMAGES, open_source


def test_each_picture_goes_through_once_cold_and_never_hot(tmp_path: Path) -> None:
    images, plan = pictures(70), plan_for()
    encoder = CountingEncoder()
    source = open_source(encoder, images, plan, cache=cache_in(tmp_path), batch_size=7)
    ids = sorted(images, reverse=True)
    first = collect(source, ids)
    assert sorted(encoder.seen) == sorted(images)
    for order in (list(images), ids[10:40]):
        assert equal(collect(source, order), {name: first[name] for name in order})
    assert len(encoder.seen) == 70
    hot = CountingEncoder()
    assert equal(collect(open_source(hot, images, plan, cache=cache_in(tmp_path)), ids), first) and hot.seen == []
    live = CountingEncoder()
    both = open_source(live, images, plan, batch_size=5)
    assert equal(collect(both, ids), first) and equal(collect(both, ids), first) and len(live.seen) == 140


@pytest.mark.parametrize("batch_size", [1, 7, 32, 100])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("cached", [True, False])
def test_batch_size_workers_and_cache_do_not_change_values(
    tmp_path: Path, batch_size: int, workers: int, cached: bool
) -> None:
    images, plan = pictures(2 * SHARD_IMAGES + 6, size=40), plan_for()
    wanted = collect(open_source(CountingEncoder(), images, plan, batch_size=40), list(images))
    state = torch.get_rng_state()
    source = open_source(
        CountingEncoder(),
        images,
        plan,
        cache=cache_in(tmp_path) if cached else None,
        batch_size=batch_size,
        workers=workers,
    )
    found = collect(source, list(images))
    assert torch.equal(state, torch.get_rng_state())
    for name, values in wanted.items():
        for a, b in zip(values, found[name], strict=True):
            torch.testing.assert_close(a, b, rtol=2e-3, atol=1e-6)


def test_layers_and_pooled_are_shared_between_plans(tmp_path: Path) -> None:
    images, cache = pictures(10), cache_in(tmp_path)
    encoder = CountingEncoder()
    collect(open_source(encoder, images, plan_for(), cache=cache), list(images))
    for plan in (plan_for(layers=(1,), pooled="none"), plan_for(layers=(), pooled="native"), plan_for(layers=(0,))):
        collect(open_source(encoder, images, plan, cache=cache), list(images))
    assert len(encoder.seen) == 10
    collect(open_source(encoder, images, plan_for(pooled="mean"), cache=cache), list(images))
    assert len(encoder.seen) == 20


def test_equal_pictures_under_two_names_are_encoded_once(tmp_path: Path) -> None:
    one = pictures(1)["im000"]
    images = {"a": Image("a", one.load, one.digest), "b": Image("b", one.load, one.digest)}
    encoder = CountingEncoder()
    found = collect(open_source(encoder, images, plan_for(), cache=cache_in(tmp_path)), ["a", "b"])
    assert encoder.seen == ["a"] and torch.equal(found["a"][0], found["b"][0])


def test_a_warm_cache_never_serves_another_size_crop_or_function(tmp_path: Path) -> None:
    """224 then 112 in small: the input size, the frame's digest, statistics, dtype and encoder all count."""
    cache = cache_in(tmp_path)
    seen = 0
    for encoder, images, plan in (
        (CountingEncoder(), pictures(5, 64), plan_for(64)),
        (CountingEncoder(), pictures(5, 64), plan_for(32)),
        (CountingEncoder(), pictures(5, 32), plan_for(32)),
        (CountingEncoder(), pictures(5, 64, tag="object crop "), plan_for(64)),
        (CountingEncoder(), pictures(5, 64), plan_for(64, pixel_mean=(0.5, 0.5, 0.5))),
        (CountingEncoder(), pictures(5, 64), plan_for(64, final_norm=True)),
        (CountingEncoder(), pictures(5, 64), plan_for(64, padding=(1, 1, 1, 1))),
        (CountingEncoder(), pictures(5, 64), plan_for(64, dtype="float32")),
        (CountingEncoder("other", 2.0), pictures(5, 64), plan_for(64)),
    ):
        found = collect(open_source(encoder, images, plan, cache=cache), list(images))
        wanted = collect(open_source(CountingEncoder("x", encoder.scale), images, plan), list(images))
        assert equal(found, wanted) and len(encoder.seen) == 5
        seen += 1
    assert seen == 9


HOW = ["cut", "cut in the header", "empty", "flipped at the end", "flipped in the middle", "flipped in the header"]


@pytest.mark.parametrize(
    ("how", "when"),
    # A header is read once per process: flipped later, it is noticed by the next one.
    [(how, "between runs") for how in HOW] + [(how, "between epochs") for how in HOW if "flipped in the h" not in how],
)
def test_damaged_shards_are_noticed_and_made_again(tmp_path: Path, how: str, when: str) -> None:
    images, plan = pictures(70), plan_for()
    wanted = collect(open_source(CountingEncoder(), images, plan), list(images))
    encoder = CountingEncoder()
    source = open_source(encoder, images, plan, cache=cache_in(tmp_path))
    collect(source, list(images))
    damage(shards(tmp_path)[1], how)
    if when == "between runs":
        source = open_source(encoder, images, plan, cache=cache_in(tmp_path))
    assert equal(collect(source, list(images)), wanted)
    assert 70 < len(encoder.seen) <= 70 + SHARD_IMAGES
    for path in shards(tmp_path):
        shard = read_header(path)
        shard.rows(range(len(shard.digests)))
    again = len(encoder.seen)
    assert equal(collect(source, list(images)), wanted) and len(encoder.seen) == again


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """Each byte of a small shard in turn: the header refuses, or a row does, or the digest is another one."""
    images, plan = pictures(2), plan_for(layers=(), pooled="native")
    collect(open_source(CountingEncoder(), images, plan, cache=cache_in(tmp_path)), list(images))
    (path,) = shards(tmp_path)
    whole = path.read_bytes()
    good = read_header(path)
    rows = good.rows([0, 1])
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 1
        path.write_bytes(data)
        try:
            found = read_header(path)
            values = found.rows([0, 1])
        except Damaged:
            continue
        assert found.digests == good.digests and found.shape == good.shape and found.kind == good.kind, place
        assert all(torch.equal(a, b) for a, b in zip(values, rows)), place


def test_overflow_of_float16_names_the_way_out() -> None:
    images = pictures(3)
    with pytest.raises(EncoderError, match="--feature-dtype float32"):
        collect(open_source(CountingEncoder(scale=1e6), images, plan_for()), list(images))
    collect(open_source(CountingEncoder(scale=1e6), images, plan_for(dtype="float32")), list(images))


@pytest.mark.parametrize("workers", [0, 2])
def test_broken_pictures_name_themselves(tmp_path: Path, workers: int) -> None:
    def broken() -> Tensor:
        raise DataError("The file photo.png is cut short.", "A whole file was expected.", "Copy it again.")

    images = pictures(9)
    images["im007"] = Image("im007", broken, lambda: "broken")
    source = open_source(CountingEncoder(), images, plan_for(), cache=cache_in(tmp_path), workers=workers, batch_size=2)
    with pytest.raises(DataError, match=r"^The file photo.png is cut short. A whole file"):
        collect(source, list(images))
    images["im007"] = Image("im007", lambda: torch.zeros(3, 8, 8), lambda: "small")
    with pytest.raises(DataError, match="im007"):
        collect(open_source(CountingEncoder(), images, plan_for()), list(images))
    with pytest.raises(DataError, match="no image 'im999'"):
        collect(open_source(CountingEncoder(), images, plan_for()), ["im999"])


@pytest.mark.parametrize("workers", [0, 2])
def test_pictures_that_come_as_bytes_give_the_same_features(workers: int) -> None:
    """All of a batch as bytes, all as floats, or both kinds side by side."""

    def pixels(number: int) -> Tensor:
        draw = torch.Generator().manual_seed(number)
        return torch.randint(0, 256, (32, 32, 3), dtype=torch.uint8, generator=draw)

    def image(number: int, as_bytes: bool) -> Image:
        def floats() -> Tensor:
            return pixels(number).permute(2, 0, 1).float() / 255

        name = f"im{number}"
        return Image(name, floats, lambda: name, (lambda: pixels(number)) if as_bytes else None)

    kinds = {"floats": lambda n: False, "bytes": lambda n: True, "mixed": lambda n: n % 2 == 0}
    found = {}
    for kind, as_bytes in kinds.items():
        images = {f"im{number}": image(number, as_bytes(number)) for number in range(9)}
        source = open_source(CountingEncoder(), images, plan_for(dtype="float32"), workers=workers, batch_size=3)
        found[kind] = collect(source, list(images))
    for kind in ("bytes", "mixed"):
        assert found[kind].keys() == found["floats"].keys()
        for name, values in found["floats"].items():
            assert all(torch.equal(a, b) for a, b in zip(values, found[kind][name], strict=True))
    images = {"im0": image(0, True), "im1": Image("im1", lambda: torch.zeros(1), lambda: "x", lambda: pixels(1)[:8])}
    with pytest.raises(DataError, match="im1"):
        collect(open_source(CountingEncoder(), images, plan_for()), list(images))


def test_unwritable_cache_is_a_data_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"Cannot write .*--cache-dir"):
        collect(open_source(CountingEncoder(), pictures(3), plan_for(), cache=cache_in(tmp_path)), list(pictures(3)))


FULL = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from midvision.core.errors import DataError
from midvision.extraction.source import open_source
from source_cases import CountingEncoder, cache_in, collect, pictures, plan_for
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    source = open_source(CountingEncoder(), pictures(40), plan_for(), cache=cache_in(Path({folder!r})))
    collect(source, list(pictures(40)))
except DataError as error:
    print("DataError", error)
"""


@pytest.mark.slow
def test_full_disk_is_a_data_error_and_leaves_no_torn_shard(tmp_path: Path) -> None:
    """A file-size limit makes the kernel refuse the write, as a full disk does."""
    code = FULL.format(tests=str(Path(__file__).parent), folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.startswith("DataError Cannot write"), done.stderr
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.suffix == ".part"]


def run_slowly(folder: Path, log: Path, count: int) -> None:
    torch.set_num_threads(1)

    class Slow(CountingEncoder):
        def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
            time.sleep(0.01)
            return super().encode(ids, images, plan)

    images = pictures(count)
    collect(open_source(Slow(log=log), images, plan_for(), cache=cache_in(folder), batch_size=8), list(images))


@pytest.mark.parametrize("percent", [10, 45, 80])
def test_kill_costs_one_shard_of_encoder_passes(tmp_path: Path, percent: int) -> None:
    fork = multiprocessing.get_context("fork")
    count, log = 320, tmp_path / "log"
    worker = fork.Process(target=run_slowly, args=(tmp_path, log, count))
    worker.start()
    while not log.exists() or len(log.read_text().split()) < count * percent / 100:
        time.sleep(0.005)
    os.kill(worker.pid, signal.SIGKILL)
    worker.join()
    before = len(log.read_text().split())
    images, encoder = pictures(count), CountingEncoder()
    found = collect(open_source(encoder, images, plan_for(), cache=cache_in(tmp_path)), list(images))
    assert abs(len(encoder.seen) - (count - before)) <= SHARD_IMAGES
    assert equal(found, collect(open_source(CountingEncoder(), images, plan_for()), list(images)))


def test_vit_small_at_224_takes_what_was_promised(tmp_path: Path) -> None:
    """384 channels on 14 x 14 cells: at most 150 KiB dense, at most 1 KiB pooled per image, on disk."""
    grid = Grid.uniform((14, 14), (224.0, 224.0))

    class Small(CountingEncoder):
        def encode(self, ids: Sequence[str], images: Tensor, plan: FeaturePlan) -> Features:
            maps = (images.new_zeros(len(ids), 384, 14, 14),) if plan.maps else ()
            return Features(maps, None if plan.maps else images.new_zeros(len(ids), 384))

    images = pictures(64, 16, tag="0123456789abcdef" * 4)
    for pooled, promised in (("none", 150), ("native", 1)):
        maps = (PlannedLayer(11, 384, grid),) if pooled == "none" else ()
        plan = plan_for(16, layers=(), pooled=pooled, maps=bool(maps), pooled_channels=384)
        plan = FeaturePlan(
            maps,
            bool(maps),
            plan.pooled,
            384 * (not maps),
            (16, 16),
            plan.padding,
            plan.pixel_mean,
            plan.pixel_std,
            False,
            "float16",
        )
        folder = tmp_path / pooled
        collect(open_source(Small(), images, plan, cache=cache_in(folder)), list(images))
        on_disk = sum(path.stat().st_blocks * 512 for path in shards(folder))
        assert on_disk / 64 <= promised * 1024
        assert sum(path.stat().st_size for path in shards(folder)) <= bytes_needed(plan, 64)


def test_budget_is_arithmetic(tmp_path: Path) -> None:
    plan = plan_for()
    need = bytes_needed(plan, 100)
    assert need == 100 * (2 * (6 * 16 + 8 * 4 + 8) + 3 * 128)
    assert decide(plan, 100, need, 10 * need) == "cached" and decide(plan, 100, need - 1, 10 * need) == "live"
    assert decide(plan, 100, need, need) == "live"
    assert FeatureCache.within_budget(tmp_path / "no" / "yet", need, plan, 100) is not None
    assert FeatureCache.within_budget(tmp_path, need - 1, plan, 100) is None
    assert FeatureCache.within_budget(tmp_path, 1, plan, 100, mode="cached") is not None
    assert FeatureCache.within_budget(tmp_path, need, plan, 1, mode="live") is None


def test_plans_of_the_planner_are_keyed_and_read(tmp_path: Path) -> None:
    from midvision.core.features import FeatureSpec

    images = pictures(4, 48)
    plan = make_plan(FeatureSpec((48, 48)), INFO)
    collect(open_source(CountingEncoder(), images, plan, cache=cache_in(tmp_path)), list(images))

"""The cache among several users: two processes, a size limit, files that vanish, strays."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import torch
from source_cases import CountingEncoder, cache_in, collect, damage, equal, pictures, plan_for, shards

from midvision.core.seeds import hashed_order
from midvision.extraction.shard import read_header
from midvision.extraction.source import open_source


def run_shuffled(folder: Path, who: int, count: int) -> None:
    torch.set_num_threads(1)
    images = pictures(count)
    order = hashed_order(images, "order", who)
    wanted = collect(open_source(CountingEncoder(), images, plan_for()), order)
    found = collect(open_source(CountingEncoder(), images, plan_for(), cache=cache_in(folder), batch_size=3), order)
    assert equal(found, wanted)


def test_two_processes_share_one_cache(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=run_shuffled, args=(tmp_path, who, 150)) for who in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    stored = [(shard.part, digest) for shard in map(read_header, shards(tmp_path)) for digest in shard.digests]
    assert len(stored) == len(set(stored)) == 150 * 3
    encoder = CountingEncoder()
    collect(open_source(encoder, pictures(150), plan_for(), cache=cache_in(tmp_path)), list(pictures(150)))
    assert encoder.seen == []


def grow_old(folder: Path) -> None:
    for age, path in enumerate(shards(folder)):
        os.utime(path, (1e9 + age, 1e9 + age))


def test_eviction_drops_the_longest_unused_and_never_what_is_read(tmp_path: Path) -> None:
    old, new = pictures(64, tag="old"), pictures(64, tag="new")
    plan = plan_for(pooled="none")
    collect(open_source(CountingEncoder("old"), old, plan, cache=cache_in(tmp_path)), list(old))
    grow_old(tmp_path)
    full = sum(path.stat().st_size for path in shards(tmp_path))
    cache = cache_in(tmp_path, limit=int(1.6 * full))
    encoder = CountingEncoder("new")
    source = open_source(encoder, new, plan, cache=cache)
    collect(source, list(new))
    assert sum(path.stat().st_size for path in shards(tmp_path)) <= 1.6 * full
    collect(source, list(new))
    assert len(encoder.seen) == 64
    before = CountingEncoder("old")
    collect(open_source(before, old, plan, cache=cache_in(tmp_path)), list(old))
    assert 0 < len(before.seen) <= 64


def test_what_an_open_source_still_reads_stays_even_over_the_limit(tmp_path: Path) -> None:
    images, plan = pictures(64), plan_for(pooled="none")
    collect(open_source(CountingEncoder(), images, plan, cache=cache_in(tmp_path)), list(images))
    grow_old(tmp_path)
    cache = cache_in(tmp_path, limit=1000)
    encoder = CountingEncoder()
    source = open_source(encoder, images, plan, cache=cache)
    kept = shards(tmp_path)
    cache.make_room(1000)
    assert kept and shards(tmp_path) == kept
    other = pictures(40, tag="other")
    collect(open_source(CountingEncoder("other"), other, plan, cache=cache), list(other))
    collect(source, list(images))
    assert encoder.seen == []
    del source
    more = pictures(40, tag="more")
    collect(open_source(CountingEncoder("more"), more, plan, cache=cache), list(more))
    collect(open_source(encoder, images, plan, cache=cache_in(tmp_path)), list(images))
    assert len(encoder.seen) == 64


def test_shards_another_process_just_used_are_left_alone(tmp_path: Path) -> None:
    images, plan = pictures(40), plan_for(pooled="none")
    collect(open_source(CountingEncoder(), images, plan, cache=cache_in(tmp_path)), list(images))
    new = pictures(40, tag="new")
    collect(open_source(CountingEncoder("new"), new, plan, cache=cache_in(tmp_path, limit=1000)), list(new))
    encoder = CountingEncoder()
    collect(open_source(encoder, images, plan, cache=cache_in(tmp_path)), list(images))
    assert encoder.seen == []


def test_shards_that_vanish_are_made_again(tmp_path: Path) -> None:
    images, plan = pictures(40), plan_for()
    encoder = CountingEncoder()
    source = open_source(encoder, images, plan, cache=cache_in(tmp_path))
    wanted = collect(source, list(images))
    for path in shards(tmp_path)[:2]:
        path.unlink()
    assert equal(collect(source, list(images)), wanted)


def test_info_verify_and_prune(tmp_path: Path) -> None:
    images, plan = pictures(40), plan_for()
    cache = cache_in(tmp_path)
    collect(open_source(CountingEncoder("a"), images, plan, cache=cache), list(images))
    collect(open_source(CountingEncoder("b"), images, plan, cache=cache), list(images))
    entries = cache.info()
    assert sorted(entry.encoder for entry in entries) == ["a", "b"]
    assert all(entry.images == 40 and entry.shards == 6 for entry in entries)
    assert all(entry.plan["input_size"] == [32, 32] and entry.bytes > 0 for entry in entries)
    assert cache.verify() == []
    bad = shards(tmp_path)[3]
    damage(bad, "flipped at the end")
    assert cache.verify() == [bad] and not bad.exists() and cache.verify() == []
    assert cache.prune(unused_days=1.0) == 0
    assert cache.prune(limit_bytes=1) > 0 and cache.info() == [] and not list((tmp_path / "cache").glob("*/*"))


def test_a_stray_file_in_the_cache_is_ignored_or_removed(tmp_path: Path) -> None:
    images, plan = pictures(5), plan_for()
    collect(open_source(CountingEncoder(), images, plan, cache=cache_in(tmp_path)), list(images))
    folder = shards(tmp_path)[0].parent
    (folder / ".layer000-x.safetensors.abc.part").write_bytes(b"torn")
    (folder / "notes.txt").write_text("mine")
    encoder = CountingEncoder()
    collect(open_source(encoder, images, plan, cache=cache_in(tmp_path)), list(images))
    assert encoder.seen == [] and (folder / "notes.txt").exists()

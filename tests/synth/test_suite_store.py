"""Records keep their values, shards are complete or absent, damage is seen."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from midvision.core.errors import DataError
from midvision.synth import store


def directions(count: int) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(count, count, 3))
    return (values / np.linalg.norm(values, axis=-1, keepdims=True)).astype(np.float32)


def a_scene(key: str = "scene-0000-00") -> store.SceneInfo:
    thing = store.ObjectInfo(16, "lathe", "marble", 0.1, np.eye(4).tolist(), 40, [0, 9, 3, 7])
    frame = store.FrameInfo(key, 0, np.eye(3).tolist(), np.eye(4).tolist(), [thing], 0.2, 1.0, 16, "r", "t", {"x": 1.0})
    pair = store.PairInfo(0, 1, 12.5, 0, 0.4, 300, 0.5)
    triplet = store.TripletInfo(0, 1, 2, 1.0, "dominance", "colour", "", 2.0)
    return store.SceneInfo("scene", "test", 0, "scene-0000", "table", [frame], [pair], [triplet])


def planes() -> dict[str, bytes]:
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (16, 24, 3), dtype=np.uint8)
    depth = rng.uniform(0.3, 4, (16, 24)).astype(np.float32)
    ids = rng.integers(0, 40, (16, 24), dtype=np.uint8)
    return store.encode_frame(rgb, depth, directions(24)[:16], ids, ids > 20)


def write(path: Path, identity: dict[str, str]) -> dict[str, bytes]:
    made = planes()
    store.write_shard(path, identity, {"numpy": "2"}, [a_scene()], [("scene-0000-00", made)])
    return made


def test_colour_ids_and_edges_come_back_exactly() -> None:
    rng = np.random.default_rng(2)
    rgb = rng.integers(0, 256, (33, 47, 3), dtype=np.uint8)
    ids = rng.integers(0, 256, (33, 47), dtype=np.uint8)
    made = store.encode_frame(rgb, np.ones((33, 47), np.float32), np.zeros((33, 47, 3)), ids, ids > 100)
    assert np.array_equal(store.decode_rgb(made["rgb"]), rgb)
    assert np.array_equal(store.decode_ids(made["ids"]), ids)
    assert np.array_equal(store.decode_edge(made["edge"]), ids > 100)


def test_depth_is_kept_to_a_sixteenth_of_a_millimetre_and_zero_stays_invalid() -> None:
    depth = np.random.default_rng(3).uniform(0.1, 8, (50, 50)).astype(np.float32)
    depth[0] = 0
    back = store.decode_depth(store.encode_depth(depth))
    assert np.abs(back - depth).max() <= store.DEPTH_STEP_M / 2 + 1e-6
    assert (back[0] == 0).all() and (back[1:] > 0).all()


def test_normals_are_kept_to_a_twentieth_of_a_degree_everywhere_on_the_sphere() -> None:
    normals = directions(64)
    normals[:3, :3] = [0, 0, -1]
    normals[10] = 0
    back = store.decode_normals(store.encode_normals(normals))
    sine = np.linalg.norm(np.cross(normals, back), axis=-1)
    keep = np.arange(64) != 10
    assert np.degrees(np.arcsin(np.clip(sine[keep], 0, 1))).max() < 0.05
    assert (np.sum(normals * back, -1)[keep] > 0.99).all()
    assert (back[10] == 0).all()


def test_a_shard_comes_back_whole(tmp_path: Path) -> None:
    path = tmp_path / "part" / "scene-test-00000"
    made = write(path, {"version": "1"})
    shard = store.open_shard(path, {"version": "1"})
    assert shard is not None and shard.scenes == (a_scene(),)
    assert np.array_equal(store.read_plane(path, "scene-0000-00", "rgb"), store.decode_rgb(made["rgb"]))
    assert not store.read_plane(path, "scene-0000-00", "depth").flags.writeable
    with tarfile.open(path.with_suffix(".tar")) as tar:
        assert {name.split(".", 1)[0] for name in tar.getnames()} == {"scene-0000-00"}
    assert sorted(p.name for p in path.parent.iterdir()) == ["scene-test-00000.json", "scene-test-00000.tar"]


def test_equal_content_gives_equal_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a", {"version": "1"})
    write(tmp_path / "b", {"version": "1"})
    for suffix in (".tar", ".json"):
        assert (tmp_path / "a").with_suffix(suffix).read_bytes() == (tmp_path / "b").with_suffix(suffix).read_bytes()


@pytest.mark.parametrize("damage", ["cut", "flip", "no_manifest", "half_manifest", "version", "no_tar", "format"])
def test_a_damaged_or_foreign_shard_does_not_count(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "shard"
    write(path, {"version": "1"})
    tar, manifest = path.with_suffix(".tar"), path.with_suffix(".json")
    data = bytearray(tar.read_bytes())
    if damage == "cut":
        tar.write_bytes(data[:-700])
    elif damage == "flip":
        data[len(data) // 2] ^= 1
        tar.write_bytes(data)
    elif damage == "no_manifest":
        manifest.unlink()
    elif damage == "half_manifest":
        manifest.write_text(manifest.read_text()[:100])
    elif damage == "no_tar":
        tar.unlink()
    elif damage == "format":
        words = json.loads(manifest.read_text())
        manifest.write_text(json.dumps({**words, "format": 0}))
    wanted = {"version": "2"} if damage == "version" else {"version": "1"}
    assert store.open_shard(path, wanted) is None


def test_reading_a_vanished_frame_names_the_shard(tmp_path: Path) -> None:
    path = tmp_path / "shard"
    write(path, {"version": "1"})
    with pytest.raises(DataError, match=r"shard\.tar.*scene-0000-07"):
        store.read_plane(path, "scene-0000-07", "rgb")
    path.with_suffix(".tar").unlink()
    with pytest.raises(DataError, match=r"shard\.tar"):
        store.read_plane(path, "scene-0000-00", "ids")


def test_digests_see_values_shapes_and_types() -> None:
    a = np.arange(6, dtype=np.int32)
    different = [a, a.reshape(2, 3), a.astype(np.int64), a + 1]
    assert len({store.array_digest(array) for array in different}) == 4
    assert store.array_digest(a) == store.array_digest(a.copy())

"""HPatches and SPair-71k from files in their official layouts to scores."""

from __future__ import annotations

import json
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import command, document, snapshot
from PIL import Image

import midvision as mv
from midvision.cli.main import main
from midvision.core.items import KeypointPairItem, PairItem
from midvision.core.specs import DataSpec, ImageRules
from midvision.data.card import Request, open_data

SHIFT = (24, 12)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIDVISION_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def texture(height: int, width: int, seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def packed(top: Path, archive: Path) -> Path:
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(top, top.name)
    return archive


def build_hpatches(root: Path) -> Path:
    """Two sequences whose photographs are the first one moved by whole pixels; `H_1_n` says so."""
    top = root / "hpatches-sequences-release"
    for place, name in enumerate(("i_dome", "v_wall")):
        (top / name).mkdir(parents=True)
        scene = texture(240, 320, place)
        for number in range(1, 7):
            dx, dy = (SHIFT[0] * (number - 1) * place, SHIFT[1] * (number - 1) * place)
            # No two photographs are equal: noise tied to an image must not match an image with itself.
            darker = (np.roll(scene, (dy, dx), (0, 1)) * (1 - 0.05 * number)).astype(np.uint8)
            Image.fromarray(darker).save(top / name / f"{number}.ppm")
            if number > 1:
                (top / name / f"H_1_{number}").write_text(f"1 0 {dx}\n0 1 {dy}\n0 0 1\n")
    return top


def build_spair(root: Path) -> Path:
    """Two categories; the target is the source at twice the size, so its points are known."""
    top = root / "SPair-71k"
    for place, category in enumerate(("aeroplane", "cat")):
        photos = top / "JPEGImages" / category
        photos.mkdir(parents=True)
        small = texture(96, 128, place)
        Image.fromarray(small).save(photos / f"2008_00000{place}.jpg", quality=95)
        Image.fromarray(small).resize((256, 192)).save(photos / f"2009_00000{place}.jpg", quality=95)
        for split in ("trn", "val", "test"):
            folder = top / "PairAnnotation" / split
            folder.mkdir(parents=True, exist_ok=True)
            points = [[20, 30], [64, 50], [100, 80]]
            fields = {
                "src_imname": f"2008_00000{place}.jpg",
                "trg_imname": f"2009_00000{place}.jpg",
                "src_imsize": [128, 96, 3],
                "trg_imsize": [256, 192, 3],
                "src_bndbox": [10, 10, 120, 90],
                "trg_bndbox": [20, 20, 240, 180],
                "category": category,
                "src_kps": points,
                # A pixel's centre at 0: twice as large, x becomes 2 x + 0.5.
                "trg_kps": [[2 * x + 0.5, 2 * y + 0.5] for x, y in points],
                "kps_ids": ["0", "3", "7"],
            }
            name = f"00000{place}-2008_00000{place}-2009_00000{place}:{category}.json"
            (folder / name).write_text(json.dumps(fields))
    return top


def test_hpatches_from_archive_and_folder_to_scores(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = build_hpatches(tmp_path)
    before = snapshot(top)
    archive = packed(top, tmp_path / "hpatches-sequences-release.tar.gz")
    one = document(capsys, "prepare", "hpatches", "--subset", "--from", archive)
    folder = document(capsys, "prepare", "hpatches", "--subset", "--from", top)
    assert one["content"] == folder["content"] and snapshot(top) == before
    assert one["counts"] == {"test": 10, "illumination": 5, "viewpoint": 5}
    assert document(capsys, "check", "hpatches", "--full")["problems"] == []
    request = Request("scene-pairs", "test", DataSpec(set="hpatches"), ImageRules(image_size=(480, 640)))
    item = next(item for item in open_data(request).items if item.id == "hpatches/v_wall/1~hpatches/v_wall/3")
    assert isinstance(item, PairItem) and item.planar is not None
    # Frames are twice as large; centres at half integers, so a shift stays a shift.
    moved = item.planar.b_from_a @ torch.tensor([100.5, 60.5, 1], dtype=torch.float64)
    assert moved.tolist() == pytest.approx([100.5 + 4 * SHIFT[0], 60.5 + 4 * SHIFT[1], 1])
    for protocol in ("paper", "corrected"):
        page = str(tmp_path / "show.png")
        assert main(["show", "hpatches-pairs", "--protocol", protocol, "-o", page, "-n", "1"]) == 0
        models = ["control/oracle", "control/noise"]
        results = mv.evaluate(models, "hpatches-pairs", protocol=protocol, limit=2, output=tmp_path / protocol)
        oracle, noise = (result.metrics["recall_10px"].value for result in results)
        print("hpatches-pairs", protocol, round(oracle, 3), round(noise, 3))
        assert oracle > 0.98 and noise < 0.1


def test_a_homography_counts_pixels_from_the_centre_of_the_first(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By hand: frames are twice as large, so (100, 60) is pixel (49.5, 29.5) of the file, which doubles to (99, 59)."""
    top = build_hpatches(tmp_path)
    (top / "v_wall/H_1_6").write_text("2 0 0\n0 2 0\n0 0 1\n")
    document(capsys, "prepare", "hpatches", "--subset", "--from", top)
    request = Request("scene-pairs", "test", DataSpec(set="hpatches"), ImageRules(image_size=(480, 640)))
    item = next(item for item in open_data(request).items if item.id == "hpatches/v_wall/1~hpatches/v_wall/6")
    assert isinstance(item, PairItem) and item.planar is not None
    moved = item.planar.b_from_a @ torch.tensor([100, 60, 1], dtype=torch.float64)
    assert (moved / moved[2]).tolist() == pytest.approx([199, 119, 1])


def test_spair_from_archive_and_folder_to_scores(
    tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    top = build_spair(tmp_path)
    one = document(capsys, "prepare", "spair", "--subset", "--from", packed(top, tmp_path / "SPair-71k.tar.gz"))
    folder = document(capsys, "prepare", "spair", "--subset", "--from", top)
    assert one["content"] == folder["content"]
    assert one["counts"] == {"trn": 2, "val": 2, "test": 2}
    assert document(capsys, "check", "spair", "--full")["problems"] == []
    data = open_data(Request("keypoint-pairs", "test", DataSpec(set="spair", options={"size": "192x256"})))
    item = data.items[0]
    assert isinstance(item, KeypointPairItem)
    assert item.xy_a.tolist() == [[41, 61], [129, 101], [201, 161]] and torch.equal(item.xy_a, item.xy_b)
    assert item.scale_px == 220
    for protocol in ("paper", "corrected"):
        page = str(tmp_path / "show.png")
        assert main(["show", "spair-keypoints", "--protocol", protocol, "-o", page, "-n", "1"]) == 0
        models = ["control/oracle", "control/pixels", "control/noise"]
        results = mv.evaluate(models, "spair-keypoints", protocol=protocol, output=tmp_path / protocol)
        score = [result.metrics["pck_10"].value for result in results]
        print("spair-keypoints", protocol, score)
        # The same picture twice: its own pixels find every point.
        assert score[0] == 1.0 and score[1] > 0.9 and score[2] < 0.4


def test_what_is_missing_or_cut_short_is_named(tmp_path: Path, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(name: str, top: Path) -> str:
        code, _, err = command(capsys, "prepare", name, "--subset", "--from", top)
        assert code == 3
        return err

    planes = build_hpatches(tmp_path / "a")
    code, _, err = command(capsys, "prepare", "hpatches", "--from", planes)
    assert code == 3 and "has 10 entries, the official one 580" in err
    (planes / "v_wall/H_1_4").unlink()
    assert "No v_wall/H_1_4" in refused("hpatches", planes)
    shutil.rmtree(planes / "v_wall")
    assert "hpatches-sequences-release.tar.gz" in refused("hpatches", planes)
    spair = build_spair(tmp_path / "b")
    code, _, err = command(capsys, "prepare", "spair", "--from", spair)
    assert code == 3 and "has 2 entries, the official one 53340" in err
    photo = spair / "JPEGImages/cat/2009_000001.jpg"
    photo.write_bytes(photo.read_bytes()[:-200])
    assert f"{photo} is cut short" in refused("spair", spair)
    photo.unlink()
    assert "No JPEGImages/cat/2009_000001.jpg" in refused("spair", spair)
    spair = build_spair(tmp_path / "c")
    shutil.rmtree(spair / "PairAnnotation/val")
    assert "No PairAnnotation/val" in refused("spair", spair)
    assert not (root / "spair").exists() and not (root / "hpatches").exists()

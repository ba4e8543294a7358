"""Which real sets are scored, how, and the copies of them in another dress. See docs/realdata.md."""

from __future__ import annotations

import csv
import json
import math
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "data"))
from realdata_sets import DATA, SETS, copy_masks, copy_rgbd, copy_stereo, nights_table

from midvision.core.specs import DataSpec
from midvision.results.record import ResultRecord
from midvision.run.front import evaluate
from midvision.run.options import RunOptions

ENCODERS = [
    "control/oracle",
    "control/pixels",
    "control/descriptor",
    "random/resnet50",
    "random/vit_small_patch16_224",
]
LIMIT = 24
# A split by name depends on the names; a copy must test on the same frames.
HELD_OUT = {
    "rgbd_7scenes": "*000[6-9]*",
    "rgbd_slambook2": "*[35]",
    "rgbd_tum_frame": "*@*.2",
    "stereo_motorcycle": "*@*.2",
    "masks_openimages": "*09270cfd3d9cff39",
    "video_davis2016": "libby/*",
}


@dataclass(frozen=True)
class Case:
    """One task on one set; `limit` keeps that many items of a split."""

    name: str
    task: str
    reader: str
    path: Path
    options: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None

    def data(self) -> DataSpec:
        return DataSpec(set=self.reader, path=str(self.path), options=self.options)


def case(name: str, limit: int | None = None, path: Path | None = None, options: dict[str, Any] | None = None) -> Case:
    """A set of `SETS` with its held-out frames declared; `path` and `options` are those of a copy."""
    content, reader, folder, own = SETS[name]
    declared = own | (options or {})
    if content in ("depth", "normals", "segmentation") and folder in HELD_OUT:
        declared = declared | {"test": HELD_OUT[folder]}
    task = "keypoints" if content == "keypoint-pairs" else content
    return Case(name, task, reader, path or DATA / folder, declared, limit)


def nights_case(folder: Path) -> Case:
    """The NIGHTS sample: one triplet with a made-up vote, which shows that the layout is read, no more."""
    sample = {"images": str(DATA / "triplet_nights_sample")}
    return Case("triplets-nights-format", "triplets", "triplets", nights_table(folder), sample)


def scored(case: Case, encoders: list[str], folder: Path) -> dict[str, ResultRecord]:
    """Encoder id -> record, through the front door with the ridge probe."""
    options = RunOptions(output=folder / "results", cache_folder=folder / "features")
    found = evaluate(encoders, case.task, data=case.data(), probe="ridge", limit=case.limit, options=options)
    return {record.model_id: record for record in found}


def floor_of(record: ResultRecord) -> float:
    """The constant predictor of a trained task; chance of a matching or choosing one."""
    for name in ("constant", "chance"):
        if record.main_metric in record.baselines.get(name, {}):
            return record.baselines[name][record.main_metric].value
    chance = record.main.chance
    assert chance is not None
    return chance


def heading(encoders: list[str]) -> str:
    return " | ".join(["set", "metric", "items", "floor", *(name.split("/")[1] for name in encoders)])


def row(name: str, records: dict[str, ResultRecord]) -> str:
    first = next(iter(records.values()))
    numbers = [floor_of(first), *(record.main.value for record in records.values())]
    return " | ".join([name, first.main_metric, str(first.main.n), *(f"{number:.3f}" for number in numbers)])


def tolerance(record: ResultRecord) -> float:
    """Two standard errors over groups (scenes, clips, photographs) or 0.05, whichever is more."""
    scores = record.scores()
    column, groups = scores.columns[record.main_metric], np.array(scores.groups)
    means = np.array([np.nanmean(column[groups == name]) for name in sorted(set(scores.groups))])
    error = means.std(ddof=1) / math.sqrt(len(means)) if len(means) > 1 else 0.0
    return max(0.05, 2 * float(error))


def copies(folder: Path, names: list[str], limit: int = LIMIT) -> list[tuple[Case, Case]]:
    """Each set named, and its copy with other file names, sizes, formats and units."""
    dress: dict[str, dict[str, Any]] = {}
    pairs = []
    for name in names:
        source = SETS[name][2]
        place = folder / source.replace("/", "-").replace("_", "-")
        if source not in dress:
            place.mkdir(parents=True)
            dress[source] = dressed(source, place)
        kept = limit if "pairs" in name or name == "segmentation-davis" else None
        target = place / "answers.csv" if source.endswith(".csv") else place
        pairs.append((case(name, kept), case(name, kept, target, options_for(name, dress[source]))))
    return pairs


def options_for(name: str, options: dict[str, Any]) -> dict[str, Any]:
    """A pair list belongs to scene pairs; object pairs are sampled, as in the original."""
    return {key: value for key, value in options.items() if key != "pairs" or name.startswith("scene-pairs")}


def dressed(source: str, target: Path) -> dict[str, Any]:
    """Copy one set; returns the options that describe the copy's files."""
    original = DATA / source
    if source.startswith("rgbd"):
        return copy_rgbd(original, target, (384, 512))
    if source.startswith("stereo"):
        return copy_stereo(original, target, (400, 593))
    if source.startswith("homography"):
        return copy_planar(original, target, 0.75)
    if source.startswith("keypoints"):
        return copy_keypoints(original, target, 1.5)
    if source.endswith(".csv"):
        return copy_triplets(original, target, 0.75)
    return copy_masks(original, target, 0.8)


def copy_planar(source: Path, target: Path, factor: float) -> dict[str, Any]:
    """Photographs of another size; homographies between pixels whose top-left centre is at 0.5."""
    for photo in sorted(source.glob("img*.png")):
        scaled(photo, target / f"wall_{photo.stem[3:]}.png", factor)
    centre = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]])
    scale = np.diag([factor, factor, 1.0]) @ centre
    for file in sorted(source.glob("H_*.txt")):
        matrix = scale @ np.loadtxt(file) @ np.linalg.inv(scale)
        np.savetxt(target / file.name.replace("H_", "map_"), matrix / matrix[2, 2])
    return {"image": "wall_*.png", "homography": "map_*_*.txt", "pixel_centre": 0.5}


def copy_keypoints(source: Path, target: Path, factor: float) -> dict[str, Any]:
    """Photographs of another size and name; points and boxes moved with them."""
    for file in sorted(source.glob("*/annotations.json")):
        sheet = json.loads(file.read_text(encoding="utf-8"))
        renamed, images = {}, {}
        for number, (name, entry) in enumerate(sheet["images"].items()):
            renamed[name] = f"animal{number}.png"
            width, height = scaled(file.parent / name, target / file.parent.name / renamed[name], factor)
            across, down = width / entry["width"], height / entry["height"]
            points = [[(x + 0.5) * across, (y + 0.5) * down, seen] for x, y, seen in entry["keypoints"]]
            box = [side * grow for side, grow in zip(entry["bbox_xywh"], (across, down, across, down), strict=True)]
            images[renamed[name]] = {"width": width, "height": height, "bbox_xywh": box, "keypoints": points}
        pairs = [pair | {end: renamed[pair[end]] for end in ("src", "trg")} for pair in sheet.get("pairs", [])]
        text = json.dumps(sheet | {"images": images, "pairs": pairs})
        (target / file.parent.name / "annotations.json").write_text(text, encoding="utf-8")
    return {"pixel_centre": 0.5}


def copy_triplets(source: Path, target: Path, factor: float) -> dict[str, Any]:
    """Photographs of another size and name, and the answers by these names."""
    with open(source, newline="", encoding="utf-8") as stream:
        rows = [line[:4] for line in list(csv.reader(stream))[1:]]
    names = sorted({name for row in rows for name in row[:3]})
    for name in names:
        scaled(source.parent / "images" / f"{name}.jpg", target / f"pictures/p_{name}.png", factor)
    lines = ["ref,left,right,closer"]
    lines += [",".join([*(f"pictures/p_{name}.png" for name in row[:3]), row[3]]) for row in rows]
    (target / "answers.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {}


def scaled(source: Path, target: Path, factor: float) -> tuple[int, int]:
    """Save a photograph as PNG at another size; returns (width, height)."""
    picture = Image.open(source).convert("RGB")
    size = (round(picture.width * factor), round(picture.height * factor))
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.resize(size, Image.Resampling.LANCZOS).save(target)
    return size

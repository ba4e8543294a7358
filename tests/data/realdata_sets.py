"""The real data beside the project: where it is, how each task opens it, and a copy in another dress."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

DATA = Path(__file__).parents[2].parent / "shared" / "data"
# The corner of the kitchen table with a mug and magazines, in world metres.
TABLE_CORNER = "-0.95 -0.25 1.45 -0.1 0.15 2.15"

# name -> (content, reader, folder below DATA, options)
SETS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "depth-7scenes": ("depth", "rgbd", "rgbd_7scenes", {}),
    "depth-slambook": ("depth", "rgbd", "rgbd_slambook2", {}),
    "depth-tum": ("depth", "rgbd", "rgbd_tum_frame", {"tiles": "2x3"}),
    "depth-motorcycle": ("depth", "stereo", "stereo_motorcycle", {"tiles": "2x3"}),
    "normals-7scenes": ("normals", "rgbd", "rgbd_7scenes", {}),
    "normals-slambook": ("normals", "rgbd", "rgbd_slambook2", {}),
    "normals-tum": ("normals", "rgbd", "rgbd_tum_frame", {"tiles": "2x3"}),
    "normals-motorcycle": ("normals", "stereo", "stereo_motorcycle", {"tiles": "2x3"}),
    "normals-motorcycle-files": (
        "normals",
        "folder",
        "stereo_motorcycle",
        {"image": "left.png", "normals": "left.normal_derived.png", "tiles": "2x3"},
    ),
    "segmentation-openimages": ("segmentation", "folder", "masks_openimages", {}),
    "segmentation-voc": ("segmentation", "folder", "masks_voc_labelme", {}),
    "segmentation-davis": ("segmentation", "folder", "video_davis2016", {}),
    "scene-pairs-7scenes": ("scene-pairs", "rgbd", "rgbd_7scenes", {}),
    "scene-pairs-7scenes-sampled": ("scene-pairs", "rgbd", "rgbd_7scenes", {"pairs": "none"}),
    "scene-pairs-slambook": ("scene-pairs", "rgbd", "rgbd_slambook2", {}),
    "scene-pairs-graffiti": ("scene-pairs", "homography", "homography_graf", {}),
    "scene-pairs-motorcycle": ("scene-pairs", "stereo", "stereo_motorcycle", {}),
    "object-pairs-7scenes": ("object-pairs", "rgbd", "rgbd_7scenes", {"region_box": TABLE_CORNER}),
    "object-pairs-motorcycle": ("object-pairs", "stereo", "stereo_motorcycle", {"region_depth": "2.0 2.9"}),
    "keypoints-animals": ("keypoint-pairs", "keypoints", "keypoints_animals", {}),
    "triplets-classes": ("triplets", "triplets", "masks_openimages/class_triplets.csv", {}),
}
TRAINED = ("depth", "normals", "segmentation")


def nights_table(folder: Path) -> Path:
    """A table in the NIGHTS layout for the one sample triplet; its vote is made up, for format only."""
    table = folder / "data.csv"
    columns = "id,left_vote,right_vote,votes,ref_path,left_path,right_path,split,is_imagenet,prompt"
    table.write_text(f"{columns}\n1,1,0,6,ref_1.png,img_a_1.png,img_b_1.png,test,False,a crab\n")
    return table


def copy_rgbd(source: Path, target: Path, size: tuple[int, int], scale: int = 5000) -> dict[str, Any]:
    """Posed frames with other names and folders, PNG for JPG, another size and scale; returns the options."""
    names = {}
    for photo in sorted(source.glob("*.color.*")):
        name = photo.name.split(".")[0]
        names[name] = f"view{name.split('-')[-1]}"
        picture = Image.open(photo).convert("RGB")
        factor = np.array([size[1] / picture.width, size[0] / picture.height])
        _save(picture.resize((size[1], size[0]), Image.Resampling.LANCZOS), target / f"rgb/{names[name]}_c.png")
        depth = np.array(Image.open(source / f"{name}.depth.png")).astype(np.float64) / 1000
        stored = np.round(_nearest(depth, size) * scale).astype(np.uint16)
        _save(Image.fromarray(stored), target / f"range/{names[name]}.z.png")
        shutil.copyfile(source / f"{name}.pose.txt", _made(target / f"cam/{names[name]}.mat"))
    K = np.loadtxt(source / "intrinsics.txt")
    # Sizes scale about the corner: the file's centres at 0 become 0.5, are scaled, and stay so.
    K[:2, 2] = (K[:2, 2] + 0.5) * factor
    K[[0, 1], [0, 1]] *= factor
    np.savetxt(target / "cam/K.mat", K)
    rows = (source / "pairs.csv").read_text().splitlines()[1:]
    renamed = [",".join(names[word] for word in row.split(",")[:2]) for row in rows]
    (target / "list.csv").write_text("\n".join(["image_a,image_b", *renamed]) + "\n")
    return {
        "image": "rgb/*_c.png",
        "depth": "range/*.z.png",
        "pose": "cam/*.mat",
        "intrinsics": "cam/K.mat",
        "pixel_centre": 0.5,
        "depth_scale": scale,
        "pairs": "list.csv",
    }


def copy_stereo(source: Path, target: Path, size: tuple[int, int]) -> dict[str, Any]:
    """The stereo pair as PNG of another size with disparity in 1/256 pixel and numbers for options."""
    for side, name in (("left", "cam_l"), ("right", "cam_r")):
        picture = Image.open(source / f"{side}.png").convert("RGB")
        factor = np.array([size[1] / picture.width, size[0] / picture.height])
        _save(picture.resize((size[1], size[0]), Image.Resampling.LANCZOS), target / f"{name}.png")
    disparity = np.load(source / "disparity.npz")["disparity"].astype(np.float64)
    shrunk = _nearest(np.where(np.isfinite(disparity), disparity, 0.0), size) * factor[0]
    _save(Image.fromarray(np.round(shrunk * 256).astype(np.uint16)), target / "d.png")
    known = json.loads((source / "calib.json").read_text())
    return {
        "left": "cam_l.png",
        "right": "cam_r.png",
        "disparity": "d.png",
        "focal_px": known["focal_px"] * factor[0],
        "cx_left": (known["cx_left"] + 0.5) * factor[0],
        "cy": (known["cy"] + 0.5) * factor[1],
        "doffs_px": known["doffs_px"] * factor[0],
        "baseline_m": known["baseline_m"],
        "pixel_centre": 0.5,
    }


def copy_masks(source: Path, target: Path, factor: float) -> dict[str, Any]:
    """Photographs as PNG of another size with their instance masks, in folders of other names."""
    for photo in sorted((source / "images").glob("*.jpg")):
        picture = Image.open(photo).convert("RGB")
        size = (round(picture.height * factor), round(picture.width * factor))
        _save(picture.resize((size[1], size[0]), Image.Resampling.LANCZOS), target / f"pictures/p_{photo.stem}.png")
        for mask in sorted((source / "masks" / photo.stem).glob("*.png")):
            values = _nearest(np.array(Image.open(mask)), size)
            _save(Image.fromarray(values), target / f"parts/p_{photo.stem}-{mask.stem}.png")
    return {"image": "pictures/p_*.png", "mask": "parts/p_*-*.png"}


def _nearest(array: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    rows = ((np.arange(size[0]) + 0.5) * array.shape[0] / size[0]).astype(int)
    columns = ((np.arange(size[1]) + 0.5) * array.shape[1] / size[1]).astype(int)
    return array[rows][:, columns]


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _save(image: Image.Image, path: Path) -> None:
    image.save(_made(path))

"""Miniatures of ImageNet-1k, Caltech-101 and Caltech-256 in their official layouts."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

# Neither the kit's numbers nor its order follow the WordNet ids, and inner nodes come after the leaves.
LEAVES = {1: ("n02119789", "kit fox"), 2: ("n01440764", "tench, Tinca tinca"), 3: ("n02105855", "Shetland sheepdog")}
INNER_NODES = {4: ("n00001740", "entity"), 5: ("n02084071", "dog")}
COLOURS = ((200, 60, 40), (40, 190, 60), (50, 60, 210), (200, 200, 60))


def picture(colour: tuple[int, int, int], seed: int, kind: str = "JPEG", size: tuple[int, int] = (40, 48)) -> bytes:
    """Noise of one colour, `size` (H, W); as JPEG, grey JPEG, CMYK JPEG or PNG."""
    rng = np.random.default_rng(seed)
    pixels = (np.array(colour) + rng.integers(-30, 30, (*size, 3))).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(pixels)
    image = image.convert({"grey": "L", "CMYK": "CMYK"}.get(kind, "RGB"))
    stream = io.BytesIO()
    image.save(stream, "PNG" if kind == "PNG" else "JPEG", quality=95)
    return stream.getvalue()


def tar_of(files: dict[str, bytes], mode: str = "w") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as tar:  # type: ignore[call-overload]
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def train_pictures(per_class: int) -> dict[str, bytes]:
    """`CLASS/CLASS_N.JPEG`; one photograph is a PNG by that name and one is CMYK, as in the official set."""
    kinds = {("n02105855", 0): "PNG", ("n02105855", 1): "CMYK"}
    return {
        f"{wnid}/{wnid}_{n}.JPEG": picture(COLOURS[number - 1], 100 * number + n, kinds.get((wnid, n), "JPEG"))
        for number, (wnid, _) in LEAVES.items()
        for n in range(per_class)
    }


def val_pictures(per_class: int) -> tuple[dict[str, bytes], list[int]]:
    """Flat photographs, and the kit's number of each one's class."""
    truth = [1 + n % 3 for n in range(3 * per_class)]
    names = [f"ILSVRC2012_val_{n + 1:08d}.JPEG" for n in range(len(truth))]
    return {name: picture(COLOURS[t - 1], 900 + n) for n, (name, t) in enumerate(zip(names, truth))}, truth


def devkit(truth: list[int]) -> bytes:
    """`ILSVRC2012_devkit_t12.tar.gz` with the fields of its meta.mat."""
    rows = {**LEAVES, **INNER_NODES}
    fields = "ILSVRC2012_ID WNID words gloss num_children children wordnet_height num_train_images".split()
    table = np.empty((len(rows), 1), dtype=[(name, object) for name in fields])
    for place, (number, (wnid, words)) in enumerate(rows.items()):
        inner = number in INNER_NODES
        children = np.array([1, 3], dtype=np.uint16) if inner else np.array([], dtype=np.uint16)
        counts = (np.uint16(len(children)), children, np.uint16(inner), np.uint16(0 if inner else 1300))
        table[place, 0] = (np.uint16(number), wnid, words, "a gloss", *counts)
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"synsets": table})
    top = "ILSVRC2012_devkit_t12"
    lines = "".join(f"{number}\n" for number in truth).encode()
    files = {
        f"{top}/readme.txt": b"words\n",
        f"{top}/data/meta.mat": stream.getvalue(),
        f"{top}/data/ILSVRC2012_validation_ground_truth.txt": lines,
    }
    return tar_of(files, "w:gz")


def build_imagenet(folder: Path, per_class: int = 8) -> list[Path]:
    """The three official archives: a tar of tars, a flat tar, the development kit."""
    folder.mkdir(parents=True, exist_ok=True)
    train, (val, truth) = train_pictures(per_class), val_pictures(per_class)
    inner = {}
    for wnid, _ in LEAVES.values():
        own = {name.partition("/")[2]: content for name, content in train.items() if name.startswith(wnid)}
        inner[f"{wnid}.tar"] = tar_of(own)
    paths = [folder / name for name in ("ILSVRC2012_img_train.tar", "ILSVRC2012_img_val.tar")]
    paths.append(folder / "ILSVRC2012_devkit_t12.tar.gz")
    for path, content in zip(paths, (tar_of(inner), tar_of(val), devkit(truth)), strict=True):
        path.write_bytes(content)
    return paths


def build_imagenet_folders(root: Path, per_class: int = 8) -> Path:
    """`train/CLASS/` and `val/CLASS/`, as everybody unpacks it."""
    val, truth = val_pictures(per_class)
    files = {f"train/{name}": content for name, content in train_pictures(per_class).items()}
    files |= {f"val/{LEAVES[number][0]}/{name}": content for number, (name, content) in zip(truth, val.items())}
    return written(root, files)


def written(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def caltech101_files(per_class: int = 36) -> dict[str, bytes]:
    """Three classes and the pictures from the web, one photograph grey, beside what a Mac leaves behind."""
    files = {"101_ObjectCategories/accordion/._image_0001.jpg": b"not a picture"}
    for number, name in enumerate(("accordion", "Faces", "Faces_easy", "BACKGROUND_Google")):
        for n in range(per_class - number):
            kind = "grey" if number == 3 and n == 0 else "JPEG"
            files[f"101_ObjectCategories/{name}/image_{n + 1:04d}.jpg"] = picture(
                COLOURS[number], 1000 * number + n, kind, (30, 30 + number)
            )
    files["101_ObjectCategories/BACKGROUND_Google/tmp"] = b"x"
    return files


def build_caltech101(folder: Path, per_class: int = 36) -> Path:
    """`caltech-101.zip` with the tar of photographs and the outlines inside."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "caltech-101.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("caltech-101/101_ObjectCategories.tar.gz", tar_of(caltech101_files(per_class), "w:gz"))
        file.writestr("caltech-101/Annotations.tar", tar_of({"Annotations/accordion/annotation_0001.mat": b"x"}))
        file.writestr("__MACOSX/caltech-101/._101_ObjectCategories.tar.gz", b"x")
    return path


def build_caltech256(folder: Path, per_class: int = 34) -> Path:
    """Three classes and clutter, with the official file's strays."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for number, name in enumerate(("001.ak47", "056.dog", "198.spider", "257.clutter")):
        for n in range(per_class):
            files[f"256_ObjectCategories/{name}/{name[:3]}_{n + 1:04d}.jpg"] = picture(
                COLOURS[number], 700 * number + n
            )
    files["256_ObjectCategories/198.spider/RENAME2"] = b"mv a b"
    files["256_ObjectCategories/056.dog/greg/vision309/056_0001.jpg"] = picture(COLOURS[0], 1)
    path = folder / "256_ObjectCategories.tar"
    path.write_bytes(tar_of(files))
    return path

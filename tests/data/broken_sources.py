"""Official files that went wrong, one function each: it makes them below a folder and returns what to give.

A function returns the paths for `--from` and the words that the one message must hold: the file at fault first.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from official_navi import build_navi, scan, write_scene
from official_nights import HEADER, build_nights, write_table, zipped
from official_nyu import write_fair, write_mat
from official_scannet import write_tables, write_view
from official_voc import build_kit, lists_12, packed, save_photo, voc07_tars, voc12_tar
from test_official_matching import build_hpatches, build_spair

Given = tuple[list[Path], tuple[str, ...]]
MAT, FAIR = "nyu_depth_v2_labeled.mat", "nyuv2_surfacenormal_metadata.zip"
TAR12 = "VOCtrainval_11-May-2012.tar"
BROKEN: dict[str, tuple[str, Callable[[Path], Given]]] = {}
"""Name of the fault -> set, and what makes it."""


def fault(name: str, set_name: str) -> Callable[[Callable[[Path], Given]], Callable[[Path], Given]]:
    def taken(make: Callable[[Path], Given]) -> Callable[[Path], Given]:
        assert name not in BROKEN
        BROKEN[name] = (set_name, make)
        return make

    return taken


def kit(folder: Path) -> Path:
    return build_kit(folder, "2012", lists_12())


def cut(path: Path, count: int) -> None:
    os.truncate(path, path.stat().st_size - count)


def with_member(folder: Path, name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 0) -> Path:
    """The official archive of 2012 with one more member at its end."""
    tar = voc12_tar(folder)
    with tarfile.open(tar, "a") as archive:
        info = tarfile.TarInfo(name)
        info.type, info.linkname, info.size = kind, target, size
        archive.addfile(info, io.BytesIO(bytes(size)))
    return tar


@fault("a split file is missing", "voc12")
def _(folder: Path) -> Given:
    (kit(folder) / "ImageSets/Segmentation/val.txt").unlink()
    return [folder], ("VOC2012/ImageSets/Segmentation/val.txt", TAR12)


@fault("a listed picture is missing", "voc12")
def _(folder: Path) -> Given:
    name = f"SegmentationObject/{lists_12()['val'][1]}.png"
    (kit(folder) / name).unlink()
    return [folder], (name, TAR12)


@fault("a photograph is cut short", "voc12")
def _(folder: Path) -> Given:
    photo = kit(folder) / f"JPEGImages/{lists_12()['train'][0]}.jpg"
    cut(photo, 500)
    return [folder], (f"{photo} is cut short", "A complete picture was expected", "again")


@fault("a photograph is empty", "voc12")
def _(folder: Path) -> Given:
    photo = kit(folder) / f"JPEGImages/{lists_12()['train'][0]}.jpg"
    photo.write_bytes(b"")
    return [folder], (f"{photo} is empty (0 bytes)", "again")


@fault("a mask within an archive is cut short", "voc12")
def _(folder: Path) -> Given:
    mask = kit(folder / "unpacked") / f"SegmentationObject/{lists_12()['train'][0]}.png"
    cut(mask, 30)
    tar = packed(folder / "unpacked", folder / TAR12)
    return [tar], (f"{tar}: VOCdevkit/VOC2012/SegmentationObject/{mask.name} is cut short", "again")


@fault("an archive is cut short", "voc12")
def _(folder: Path) -> Given:
    tar = voc12_tar(folder)
    cut(tar, 20_000)
    return [tar], (f"{tar} is damaged or cut short", "complete official archive", "compare its size")


@fault("a web page was saved as the archive", "voc12")
def _(folder: Path) -> Given:
    (folder / TAR12).write_text("<html>404 Not Found</html>")
    return [folder], (f"{folder / TAR12} is damaged or cut short", "Fetch it again")


@fault("another year", "voc12")
def _(folder: Path) -> Given:
    return [voc07_tars(folder)[0]], ("is not VOC2012", TAR12)


@fault("only one of two archives", "voc07")
def _(folder: Path) -> Given:
    return [voc07_tars(folder)[0]], ("test.txt", "VOCtest_06-Nov-2007.tar")


@fault("a file that is not there", "voc12")
def _(folder: Path) -> Given:
    return [folder / "none.tar"], (f"{folder / 'none.tar'} does not exist", TAR12, "midvision data info voc12")


@fault("an id twice in a list", "voc12")
def _(folder: Path) -> Given:
    path, twice = kit(folder) / "ImageSets/Segmentation/val.txt", lists_12()["val"][0]
    path.write_text(path.read_text() + f"{twice}\n")
    return [folder], (f"'val' of voc12 names '{twice}' twice", "Each id was expected once")


@fault("a list of something else", "voc12")
def _(folder: Path) -> Given:
    (kit(folder) / "ImageSets/Segmentation/train.txt").write_text("<html>\n")
    return [folder], ("train.txt", "'<html>'")


@fault("a file twice in an archive", "voc12")
def _(folder: Path) -> Given:
    tar = with_member(folder, f"VOCdevkit/VOC2012/JPEGImages/{lists_12()['train'][0]}.jpg")
    return [tar], (f"{tar} holds VOCdevkit/VOC2012/JPEGImages", "twice", "Fetch")


@fault("a path out of the archive", "voc12")
def _(folder: Path) -> Given:
    tar = with_member(folder, "VOCdevkit/../../escaped.txt")
    return [tar], (f"{tar} holds", "escaped.txt', which lies outside the folder", "Do not use this file")


@fault("an absolute path in an archive", "voc12")
def _(folder: Path) -> Given:
    tar = with_member(folder, f"{folder.parent}/escaped.txt")
    return [tar], (f"{tar} holds", "lies outside the folder", "Do not use this file")


@fault("a link out of an archive", "voc12")
def _(folder: Path) -> Given:
    tar = with_member(folder, "VOCdevkit/out", tarfile.SYMTYPE, "../../..")
    return [tar], (f"{tar} holds a link to '../../..'", "leads out of the folder", "Do not use this file")


@fault("a hard link out of an archive", "voc12")
def _(folder: Path) -> Given:
    tar = with_member(folder, "VOCdevkit/out", tarfile.LNKTYPE, "../escaped.txt")
    return [tar], (f"{tar} holds a link to '../escaped.txt'", "Do not use this file")


@fault("a file with holes in an archive", "voc12")
def _(folder: Path) -> Given:
    tar = with_member(folder, "VOCdevkit/sparse", tarfile.GNUTYPE_SPARSE, size=512)
    return [tar], (f"{tar} is damaged or cut short (VOCdevkit/sparse is stored with holes", "Fetch it again")


@fault("a bomb", "nights")
def _(folder: Path) -> Given:
    archive = zipped(build_nights(folder), folder / "nights.zip", "nights")
    content = bytearray(archive.read_bytes())
    entry = content.find(b"PK\x01\x02")
    content[entry + 24 : entry + 28] = (2**31).to_bytes(4, "little")
    archive.write_bytes(content)
    return [archive], (f"{archive}: nights/data.csv would unpack", "2,147,483,648", "Do not use this file")


@fault("an archive with a password", "nights")
def _(folder: Path) -> Given:
    archive = zipped(build_nights(folder), folder / "nights.zip", "nights")
    content = bytearray(archive.read_bytes())
    content[6] |= 1
    content[content.find(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    return [archive], (f"{archive} is damaged or cut short", "encrypted", "Fetch it again")


@fault("a table of another version", "nights")
def _(folder: Path) -> Given:
    write_table(build_nights(folder) / "data.csv", [tuple(range(9))], HEADER[:-1])
    return [folder], ("data.csv lacks the columns: is_imagenet", "another version", "Get nights.zip")


@fault("a part of the set where all of it is wanted", "nights")
def _(folder: Path) -> Given:
    return [build_nights(folder)], ("'all' of nights has 8 entries, the official one 20019", "accept a part")


@fault("another camera's pictures", "navi")
def _(folder: Path) -> Given:
    top = build_navi(folder)
    photo = top / "bottle_vitamin_d/wild_set/images/003.jpg"
    save_photo(photo, np.zeros((60, 80), np.uint8), 0)
    return [top], (f"{photo} is 80x60", "annotations.json says 160x120")


@fault("a scene under both spellings", "navi")
def _(folder: Path) -> Given:
    top = build_navi(folder)
    write_scene(top / "bottle_vitamin_d/multiview-00-pixel_4a", "bottle_vitamin_d", [scan(0)])
    return [top], ("multiview_00_pixel_4a", "multiview-00-pixel_4a", "are one scene")


@fault("an image twice in the annotations", "navi")
def _(folder: Path) -> Given:
    top = build_navi(folder)
    sheet = top / "bottle_vitamin_d/wild_set/annotations.json"
    entries = json.loads(sheet.read_text())
    sheet.write_text(json.dumps([{**entries[0], "filename": entries[1]["filename"]}, *entries[1:]]))
    return [top], (f"{sheet} lists 001.jpg twice", "Each image was expected once", "Fetch")


def flat_nyu(folder: Path) -> Path:
    """The labelled file and FAIR's archive in their layout, with nothing to be seen in them."""
    blank = {"rgb": np.zeros((480, 640, 3), np.uint8), "depth_m": np.zeros((480, 640), np.float32)}
    seen = [{**blank, "normals": np.zeros((480, 640, 3), np.float32)}] * 6
    write_mat(folder / MAT, seen)
    write_fair(folder, seen)
    shutil.rmtree(folder / "surfacenormal_metadata")
    return folder


@fault("axes of a .mat the other way round", "nyu")
def _(folder: Path) -> Given:
    with h5py.File(flat_nyu(folder) / MAT, "r+") as file:
        images = file["images"][()].transpose(0, 3, 2, 1)
        del file["images"]
        file["images"] = images
    return [folder], (f"{folder / MAT} holds images of shape (6, 480, 640, 3)", "its axes were swapped", f"Get {MAT}")


@fault("a .mat of another version", "nyu")
def _(folder: Path) -> Given:
    scipy.io.savemat(flat_nyu(folder) / MAT, {"images": np.zeros((4, 4, 3, 2), np.uint8)})
    return [folder], (f"{folder / MAT} cannot be read", "MATLAB v7.3", "Fetch the official file again")


class Evil:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.mark}",)


@fault("a pickle that wants to run something", "nyu")
def _(folder: Path) -> Given:
    with zipfile.ZipFile(flat_nyu(folder) / FAIR) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    evil = {"all_normals": Evil(folder.parent / "escaped.txt")}
    members["surfacenormal_metadata/all_normals.pklz"] = gzip.compress(pickle.dumps(evil))
    with zipfile.ZipFile(folder / FAIR, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return [folder], ("all_normals.pklz asks for posix.system to be run, so it was not loaded", "Fetch")


@fault("a packaging without normals", "nyu")
def _(folder: Path) -> Given:
    for name in ("train/kitchen_0004/00001.h5", "val/official/00001.h5"):
        path = folder / "nyudepthv2" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"\x89HDF\r\n\x1a\n")
    return [folder / "nyudepthv2"], ("neither normals nor the raw depth", MAT)


def small_scannet(folder: Path) -> Path:
    top = folder / "scannet_test_1500"
    for frame in (0, 15):
        pose = "1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n"
        colours, depth = np.full((48, 64, 3), frame, np.uint8), np.full((480, 640), 1500, np.uint16)
        write_view(top / "scene0707_00", frame, colours, depth, pose)
    write_tables(top, [(707, 0, 0, 15)], {"scene0707_00": np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])})
    return top


@fault("a table with a pickle in it", "scannet")
def _(folder: Path) -> Given:
    top = small_scannet(folder)
    np.savez(top / "test.npz", name=np.array([Evil(folder.parent / "escaped.txt")], dtype=object))
    return [top], (f"{top / 'test.npz'} cannot be read", "A complete .npz of numbers was expected", "Fetch it again")


@fault("a depth picture cut short", "scannet")
def _(folder: Path) -> Given:
    path = small_scannet(folder) / "scene0707_00/depth/15.png"
    cut(path, 20)
    return [folder], (f"{path} is cut short", "again")


@fault("a homography is missing", "hpatches")
def _(folder: Path) -> Given:
    (build_hpatches(folder) / "v_wall/H_1_4").unlink()
    return [folder], ("No v_wall/H_1_4", "hpatches-sequences-release.tar.gz")


@fault("annotations of a split are missing", "spair")
def _(folder: Path) -> Given:
    shutil.rmtree(build_spair(folder) / "PairAnnotation/val")
    return [folder], ("No PairAnnotation/val", "SPair-71k.tar.gz")


def good(set_name: str, folder: Path) -> list[Path]:
    """Sound official files of a set, in the cheapest form."""
    make: dict[str, Callable[[Path], Path]] = {
        "voc12": voc12_tar,
        "nights": build_nights,
        "navi": build_navi,
        "scannet": small_scannet,
        "hpatches": build_hpatches,
        "spair": build_spair,
    }
    return list(voc07_tars(folder)) if set_name == "voc07" else [make[set_name](folder)]

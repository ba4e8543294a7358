"""How a photograph and its truth become the frame that everything else sees.

The only code that changes image size. A frame is a box of the photograph (after EXIF rotation)
resized to one size; truth is cut by the same box and read with nearest neighbour, so no depth,
normal or mask value is ever a mixture. Boxes and sizes are in pixels whose centres lie at half
integers, so a coordinate x of the photograph becomes (x - left) * width / box.width.
Decoding loads no torch, which would cost each process that converts files several hundred megabytes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np
from PIL import Image as Pillow
from PIL import ImageCms

from midvision.core.errors import DataError
from midvision.core.settings import stable_hash
from midvision.core.specs import ImageRules, Resample

if TYPE_CHECKING:
    from torch import Tensor

DECODER = "photo-1"
_FILTERS = {
    "bilinear": Pillow.Resampling.BILINEAR,
    "bicubic": Pillow.Resampling.BICUBIC,
    "lanczos": Pillow.Resampling.LANCZOS,
    "nearest": Pillow.Resampling.NEAREST,
}
# What undoes each EXIF orientation.
_TURNS = {
    2: Pillow.Transpose.FLIP_LEFT_RIGHT,
    3: Pillow.Transpose.ROTATE_180,
    4: Pillow.Transpose.FLIP_TOP_BOTTOM,
    5: Pillow.Transpose.TRANSPOSE,
    6: Pillow.Transpose.ROTATE_270,
    7: Pillow.Transpose.TRANSVERSE,
    8: Pillow.Transpose.ROTATE_90,
}
Array = np.ndarray


@dataclass(frozen=True, slots=True)
class Box:
    """Pixels `[top, top + height) x [left, left + width)` of a photograph."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Framing:
    """Which box of a photograph becomes a frame of `size` (H, W), and how the colours are resized."""

    box: Box
    size: tuple[int, int]
    resample: Resample = "bilinear"

    @property
    def recipe(self) -> str:
        """Text that names the framing, for digests and fingerprints."""
        box = self.box
        return f"{box.top},{box.left},{box.height},{box.width}>{self.size[0]}x{self.size[1]}:{self.resample}"

    def image(self, array: Array) -> Tensor:
        return frame_image(array, self.box, self.size, self.resample)

    def target(self, array: Array) -> Tensor:
        return frame_target(array, self.box, self.size)

    def K(self, K: Tensor) -> Tensor:
        return frame_K(K, self.box, self.size)

    def xy(self, xy: Tensor) -> Tensor:
        return frame_xy(xy, self.box, self.size)


def whole(size: tuple[int, int]) -> Box:
    """All of a photograph of `size` (H, W)."""
    return Box(0, 0, *size)


def centre_square(size: tuple[int, int]) -> Box:
    """The middle columns (or rows): 480x640 keeps columns 80..559."""
    height, width = size
    side = min(height, width)
    return Box((height - side) // 2, (width - side) // 2, side, side)


def object_square(mask: Array, end: str, what: str) -> Box:
    """The square around the true object, `mask [H, W]`; an oracle crop (protocols 3.2).

    The short side of the bounding box grows evenly on both sides and slides back into the image
    where it would leave it; where the image is too small for the square, the crop is as large as
    fits. `end="exclusive"` leaves out the last row and column of the object, as the reference does.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        raise DataError(f"No object pixel in {what}.", "The object crop needs at least one.", "Leave this frame out.")
    extra = 1 if end == "inclusive" else 0
    height = max(1, int(rows[-1] - rows[0]) + extra)
    width = max(1, int(columns[-1] - columns[0]) + extra)
    side = max(height, width)
    top, tall = _grow(int(rows[0]), height, side, mask.shape[0])
    left, wide = _grow(int(columns[0]), width, side, mask.shape[1])
    return Box(top, left, tall, wide)


def _grow(start: int, length: int, side: int, limit: int) -> tuple[int, int]:
    side = min(side, limit)
    start -= (side - length) // 2
    return min(max(start, 0), limit - side), side


def choose_box(rules: ImageRules, size: tuple[int, int], object_mask: Array | None, what: str) -> Box:
    """The box that `rules` ask for of a photograph of `size` (H, W); `object` needs the true object's mask."""
    if rules.crop == "centre_square":
        return centre_square(size)
    if rules.crop == "object" and object_mask is not None:
        return object_square(object_mask, rules.crop_end, what)
    if rules.crop == "object_in_square":
        return _object_within(centre_square(size), rules, object_mask, what)
    return whole(size)


def _object_within(square: Box, rules: ImageRules, mask: Array | None, what: str) -> Box:
    """The object's square inside another; all of that where none of the object is in it."""
    if mask is None:
        return square
    inside = mask[square.top : square.top + square.height, square.left : square.left + square.width]
    if not inside.any():
        return square
    box = object_square(inside, rules.crop_end, what)
    return Box(box.top + square.top, box.left + square.left, box.height, box.width)


def read_photo(path: Path) -> Array:
    """Any photograph as uint8 RGB `[H, W, 3]`, turned as its EXIF says.

    Grey repeats into three channels, 16-bit is scaled to 8, CMYK goes through its embedded
    profile where there is one, transparency is laid over black.
    """
    return np.array(_photo(path), dtype=np.uint8)


def read_frame(path: Path, framing: Framing) -> Tensor:
    """`framing.image(read_photo(path))`, without a copy of the photograph on the way."""
    return _as_floats(_framed(path, framing))


def read_frame_bytes(path: Path, framing: Framing) -> Tensor:
    """The same as uint8 `[H, W, 3]`."""
    import torch

    return torch.from_numpy(np.array(_framed(path, framing)))


def floats_of(pixels: Tensor) -> Tensor:
    """Bytes uint8 `[B, H, W, 3]` -> float32 `[B, 3, H, W]` in [0, 1], the values that `read_frame` gives."""
    import torch

    planes = pixels.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    # A divisor on the device: by a plain number some devices multiply with its rounded inverse.
    return planes.div_(torch.full((), 255.0, device=pixels.device))


def _framed(path: Path, framing: Framing) -> Pillow.Image:
    photo, box = _photo(path), framing.box
    if box != whole((photo.height, photo.width)):
        photo = photo.crop((box.left, box.top, box.left + box.width, box.top + box.height))
    return _resized(photo, framing.size, framing.resample)


def photo_of_bytes(content: bytes, what: str) -> Pillow.Image:
    """The photograph in `content`, as `read_photo` gives it; `what` names it in errors."""
    import io

    return _photo(Path(what), io.BytesIO(content))


def _photo(path: Path, stream: IO[bytes] | None = None) -> Pillow.Image:
    try:
        with Pillow.open(stream or path) as opened:
            turn = _TURNS.get(_orientation(opened))
            image = as_rgb(opened)
            return image if turn is None else image.transpose(turn)
    except FileNotFoundError as error:
        raise DataError(f"Image {path} does not exist.", "", "Check the data folder.") from error
    except (OSError, SyntaxError, ValueError, EOFError, Pillow.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _orientation(image: Pillow.Image) -> int:
    """EXIF orientation 1..8 from the header alone: asking a PNG for more would decode all of it."""
    if image.format == "PNG" and not {"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"} & set(image.info):
        return 1
    return int(image.getexif().get(0x0112, 1))


def as_rgb(image: Pillow.Image) -> Pillow.Image:
    """Any picture as RGB, as `read_photo` says."""
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if values.dtype.kind == "f" and float(values.max(initial=0)) <= 1:
            values = values * 65535.0
        upper = np.clip(values.astype(np.float64), 0, 65535) / 257.0
        grey = np.round(upper).astype(np.uint8)
        return Pillow.fromarray(np.repeat(grey[..., None], 3, axis=2))
    if image.mode == "CMYK" and (profile := image.info.get("icc_profile")):
        return _from_profile(image, profile)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        solid = image.convert("RGBA")
        return Pillow.alpha_composite(Pillow.new("RGBA", solid.size, (0, 0, 0, 255)), solid).convert("RGB")
    if image.mode == "RGB":
        image.load()
        return image  # converting would copy it
    return image.convert("RGB")


def _from_profile(image: Pillow.Image, profile: bytes) -> Pillow.Image:
    """CMYK to sRGB by the picture's own colour profile; an unusable profile falls back to the plain formula."""
    import io

    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except ImageCms.PyCMSError:
        converted = None
    return converted if converted is not None else image.convert("RGB")


def photo_size(path: Path) -> tuple[int, int]:
    """(H, W) of a photograph after EXIF rotation, from its header."""
    try:
        with Pillow.open(path) as image:
            turned = _orientation(image) in (5, 6, 7, 8)
            return (image.width, image.height) if turned else (image.height, image.width)
    except FileNotFoundError as error:
        raise DataError(f"Image {path} does not exist.", "", "Check the data folder.") from error
    except (OSError, SyntaxError, ValueError, EOFError, Pillow.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    empty = path.is_file() and path.stat().st_size == 0
    why = "is empty (0 bytes)" if empty else f"cannot be decoded ({error})"
    return DataError(f"Image {path} {why}.", "A complete image file was expected.", "Copy it again, or remove it.")


def read_depth_png(path: Path, scale: float) -> Array:
    """Depth image (16-bit PNG; any integer image) -> float32 metres `[H, W]`, 0 where unknown.

    `scale` is units per metre: 1000 for millimetres, 5000 for TUM.
    """
    values = read_raw_image(path)
    if values.ndim != 2:
        raise DataError(f"Depth image {path} has {values.shape[-1]} channels.", "One channel was expected.")
    return (values.astype(np.float64) / scale).astype(np.float32)


def read_raw_image(path: Path) -> Array:
    """The stored numbers of an image file, `[H, W]` or `[H, W, C]`: palette indices stay indices."""
    try:
        with Pillow.open(path) as image:
            image.load()
            return np.array(image)
    except FileNotFoundError as error:
        raise DataError(f"File {path} does not exist.", "", "Check the data folder.") from error
    except (OSError, SyntaxError, ValueError, EOFError, Pillow.DecompressionBombError) as error:
        raise _unreadable(path, error) from error


def frame_image(array: Array, box: Box, size: tuple[int, int], resample: Resample) -> Tensor:
    """Photograph uint8 `[H, W, 3]` -> frame float32 `[3, h, w]` in [0, 1]; antialiased except nearest."""
    cut = array[box.top : box.top + box.height, box.left : box.left + box.width]
    return _as_floats(_resized(Pillow.fromarray(np.ascontiguousarray(cut)), size, resample))


def _resized(picture: Pillow.Image, size: tuple[int, int], resample: Resample) -> Pillow.Image:
    if (picture.height, picture.width) == tuple(size):
        return picture
    return picture.resize((size[1], size[0]), _FILTERS[resample])


def _as_floats(picture: Pillow.Image) -> Tensor:
    # Filled in place, plane by plane: whole-array temporaries would take ten times as long.
    frame = np.empty((3, picture.height, picture.width), dtype=np.float32)
    for channel, plane in enumerate(picture.split()):
        np.divide(np.asarray(plane), np.float32(255), out=frame[channel])
    import torch

    return torch.from_numpy(frame)


def frame_target(array: Array, box: Box, size: tuple[int, int]) -> Tensor:
    """Truth `[H, W]` or `[H, W, K]` -> `[K, h, w]`: the source pixel under each frame pixel's centre."""
    picked = array[box.top : box.top + box.height, box.left : box.left + box.width]
    # One axis after the other: several times as quick as picking pixel by pixel.
    if size[0] != box.height:
        picked = picked[_nearest(box.height, size[0])]
    if size[1] != box.width:
        picked = picked.take(_nearest(box.width, size[1]), axis=1)
    picked = picked[None] if picked.ndim == 2 else picked.transpose(2, 0, 1)
    import torch

    return torch.from_numpy(np.ascontiguousarray(picked))


def _nearest(old: int, new: int) -> Array:
    # Integers: a centre exactly on a border must not depend on float rounding.
    return np.asarray((2 * np.arange(new, dtype=np.int64) + 1) * old // (2 * new))


def frame_K(K: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """Intrinsics of the frame, from those of the photograph (both with centres at half integers)."""
    from midvision.geometry.camera import crop_K, scale_K

    return scale_K(crop_K(K, box.top, box.left), size[0] / box.height, size[1] / box.width)


def frame_xy(xy: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
    """Pixel coordinates `[N, 2]` of the photograph -> of the frame."""
    corner = xy.new_tensor([box.left, box.top])
    return (xy - corner) * xy.new_tensor([size[1] / box.width, size[0] / box.height])


def frame_transform(box: Box, size: tuple[int, int]) -> Tensor:
    """The same as a matrix `[3, 3]` float64: frame_from_photograph, for homographies."""
    import torch

    return frame_K(torch.eye(3, dtype=torch.float64), box, size)


def resize_for_encoder(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Frames `[B, 3, H, W]` -> `[B, 3, h, w]`: bilinear, antialiased when shrinking, kept in [0, 1]."""
    if tuple(images.shape[-2:]) == tuple(size):
        return images
    from torch.nn import functional

    return functional.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True).clamp_(0, 1)


def file_digest(path: Path, recipe: str, sha256: str | None = None) -> str:
    """Name of the pixels that `recipe` makes of a file: its content, the decoder and the recipe."""
    return stable_hash(sha256 or content_hash(path), DECODER, recipe)


def content_hash(path: Path) -> str:
    """SHA-256 of a file's bytes; read again only when size or time stamp change."""
    try:
        state = path.stat()
    except OSError as error:
        raise DataError(f"File {path} cannot be read: {error.strerror}.", "", "Check the data folder.") from error
    return _content_hash(str(path), state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=100_000)
def _content_hash(path: str, size: int, modified_ns: int) -> str:
    try:
        with open(path, "rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"File {path} cannot be read: {error.strerror}.") from error

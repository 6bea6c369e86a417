"""Readers of images, masks and depth maps in files of their own, in all supported file formats."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from PIL import Image

from nerfpipe.images.image_file import (
    DEEP,
    HALF,
    HEIC,
    HEIC_REMEDY,
    UPRIGHT,
    deep_to_8bit,
    has_alpha,
    load_image,
    mask_values,
    turned,
)
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")


def by_number(file: Path) -> list[tuple[int, str]]:
    """A sort key that puts IMG_9 before IMG_10."""
    parts = re.split(r"(\d+)", file.name.lower())
    return [(int(part) if part.isdecimal() else 0, part) for part in parts]


def picture_files(folder: Path, order: str = "name") -> list[Path]:
    """The images in a folder, in the order of their names, or of the numbers in them if `order` is "number".

    Raises NerfpipeError if there is no folder, no image, or a HEIC image.
    """
    if not folder.is_dir():
        raise NerfpipeError(
            f"{folder}: there is no such folder of pictures; name it with `images:` in the scene's entry"
        )
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    for file in files:
        if file.suffix.lower() in HEIC:
            raise _heic(file)
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    if order == "number":
        pictures = sorted(pictures, key=by_number)
    if not pictures:
        raise NerfpipeError(f"{folder}: holds no picture ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    return pictures


def read_picture(file: Path, factor: int = 1, orientation: int = UPRIGHT) -> np.ndarray:
    """[H, W, 4] uint8, straight alpha. 16-bit and grey images are converted; `factor` reduces both sides.

    orientation: EXIF's, by which to turn the image; most cameras are given for the stored pixels.
    """
    image = load_image(file)
    if image.mode in DEEP:
        image = deep_to_8bit(image, file)
    image = turned(image, orientation)
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGBA" if has_alpha(image) else "RGB")
    if factor > 1:
        image = image.reduce(factor)  # means of squares, weighted by alpha
    return np.asarray(image.convert("RGBA"))


def read_mask(
    file: Path, width: int, height: int, factor: int = 1, leaves_out: bool = False, orientation: int = UPRIGHT
) -> np.ndarray:
    """[H, W] bool: the light pixels of a mask of width x height; if reduced, the blocks that are light everywhere.

    leaves_out: the dark pixels instead, and alpha is ignored. orientation: by which the image was turned; a mask of the
    size of its stored pixels is turned too. Raises NerfpipeError if the size is another.
    """
    image = load_image(file)
    if image.size != (width, height) == image.size[::-1]:
        image = turned(image, orientation)
    if image.size != (width, height):
        raise NerfpipeError(
            f"{file}: the mask has {image.width}x{image.height} pixels and its picture {width}x{height}; "
            "they must be of one size"
        )
    light = mask_values(image, file, follow_alpha=not leaves_out) >= HALF
    counted = ~light if leaves_out else light
    kept = Image.fromarray(np.where(counted, 255, 0).astype(np.uint8))
    return np.array(kept.reduce(factor) if factor > 1 else kept) == 255


def read_depth_map(file: Path, width: int, height: int, factor: int = 1, orientation: int = UPRIGHT) -> np.ndarray:
    """[H, W] float32: the values of a 16-bit image or a .npy array; NaN for values that are not finite and positive.

    A map of another size, as from phones, and a reduced map are sampled at the nearest pixel: means would lie between
    surfaces. orientation: by which the image was turned; a map with the proportions of its stored pixels is turned too.
    Raises NerfpipeError if the proportions are others.
    """
    depth = _depth_values(file)
    if depth.ndim == 2 and not _of_proportions(depth.shape, width, height):
        depth = np.array(turned(Image.fromarray(depth), orientation))
    if not _of_proportions(depth.shape, width, height):
        raise NerfpipeError(
            f"{file}: the depth map is {list(depth.shape)} and its picture {[height, width]}; "
            "they must be of one size, or at least of the same proportions"
        )
    depth = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))
    rows, columns = (
        ((np.minimum(np.arange(0, full, factor) + factor // 2, full - 1) + 0.5) * side / full).astype(np.int64)
        for full, side in zip((height, width), depth.shape, strict=True)
    )
    return depth[np.ix_(rows, columns)]


def _depth_values(file: Path) -> np.ndarray:
    if file.suffix.lower() != ".npy":
        return np.array(load_image(file)).astype(np.float32)
    try:
        with open_regular(file) as stream:
            return np.load(stream, allow_pickle=False).astype(np.float32).squeeze()
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: no such depth map") from None
    except NerfpipeError:
        raise
    except Exception as error:  # a damaged header raises almost anything
        raise NerfpipeError(f"{file}: not a whole .npy array of numbers ({_one_line(error)})") from None


def _of_proportions(shape: tuple[int, ...], width: int, height: int) -> bool:
    """Whether a map [H, W] has the proportions of an image, up to one pixel lost by rounding."""
    if len(shape) != 2 or 0 in shape:
        return False
    rows, columns = shape
    return abs(columns * height / width - rows) <= 1 or abs(rows * width / height - columns) <= 1


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def _heic(file: Path) -> NerfpipeError:
    return NerfpipeError(f"{file}: HEIC pictures cannot be read; {HEIC_REMEDY}")

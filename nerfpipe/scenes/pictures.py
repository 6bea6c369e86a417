"""Pictures, masks and depth maps from files of their own, whatever their kind."""

from __future__ import annotations

import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from nerfpipe.errors import NerfpipeError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
HEIC = (".heic", ".heif", ".hif", ".avif")
HEIC_REMEDY = (
    "export them as JPEG (macOS: `sips -s format jpeg *.HEIC --out jpeg`), "
    "and for the next ones set the iPhone's Settings > Camera > Formats to Most Compatible"
)
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow's names for grey pictures of more than 8 bits
SIXTEEN_BITS = 65535
# What Pillow makes of files that are no pictures, or damaged ones.
READ_ERRORS = (OSError, ValueError, SyntaxError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder, by name. Raises NerfpipeError when there is no folder, no picture, or only HEIC."""
    if not folder.is_dir():
        raise NerfpipeError(
            f"{folder}: there is no such folder of pictures; name it with `images:` in the scene's entry"
        )
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    for file in files:
        if file.suffix.lower() in HEIC:
            raise _heic(file)
    pictures = [file for file in files if file.suffix.lower() in SUFFIXES]
    if not pictures:
        raise NerfpipeError(f"{folder}: holds no picture ({', '.join(suffix[1:] for suffix in SUFFIXES)})")
    return pictures


def look_at_header(file: Path) -> tuple[int, int, bool]:
    """Width, height, and whether there is an alpha channel, without reading the pixels."""
    with _opened(file) as image:
        return image.width, image.height, _has_alpha(image)


def read_picture(file: Path, factor: int = 1) -> np.ndarray:
    """[H, W, 4] uint8, straight alpha, factor x factor pixels made one. 16-bit and grey pictures are converted.

    Orientation notes (EXIF) are not followed: cameras are given for the pixels as they are stored.
    """
    image = _whole(file)
    if image.mode in DEEP:
        image = _to_8bit(image)
    image = image.convert("RGBA" if _has_alpha(image) else "RGB")
    if factor > 1:
        image = image.reduce(factor)  # means of squares, weighted by alpha
    return np.array(image.convert("RGBA"))


def read_mask(file: Path, width: int, height: int, factor: int = 1, leaves_out: bool = False) -> np.ndarray:
    """[H, W] bool: what is not black, of a mask that must be width x height; when reduced, where all of it is.

    leaves_out: what is black instead, whatever the mask's alpha.
    """
    image = _whole(file)
    if image.size != (width, height):
        raise NerfpipeError(
            f"{file}: the mask has {image.width}x{image.height} pixels and its picture {width}x{height}; "
            "they must be of one size"
        )
    if leaves_out:
        counted = ~np.array(image.convert("RGB")).any(axis=2)
    else:
        mask = image.getchannel("A") if image.mode in ("LA", "RGBA") and _is_flat(image) else image.convert("L")
        counted = np.array(mask) > 0
    kept = Image.fromarray(np.where(counted, 255, 0).astype(np.uint8))
    return np.array(kept.reduce(factor) if factor > 1 else kept) == 255


def read_depth_map(file: Path, width: int, height: int, factor: int = 1) -> np.ndarray:
    """[H, W] float32, as it stands in a 16-bit picture or a .npy array, NaN where it is 0.

    A map of another size, as telephones measure, and a reduced one take the nearest number: means would put surfaces
    where there are none.
    """
    depth = _depth_numbers(file)
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


def _depth_numbers(file: Path) -> np.ndarray:
    if file.suffix.lower() != ".npy":
        return np.array(_whole(file)).astype(np.float32)
    try:
        return np.load(file, allow_pickle=False).astype(np.float32).squeeze()
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: no such depth map") from None
    except Exception as error:  # a damaged header raises almost anything
        raise NerfpipeError(f"{file}: not a whole .npy array of numbers ({_one_line(error)})") from None


def _of_proportions(shape: tuple[int, ...], width: int, height: int) -> bool:
    """Whether a map [H, W] shows all of a picture, but for a pixel that rounding may have cost one of its sides."""
    if len(shape) != 2 or 0 in shape:
        return False
    tall, wide = shape
    return abs(wide * height / width - tall) <= 1 or abs(tall * width / height - wide) <= 1


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def _opened(file: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: no such picture") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise NerfpipeError(f"{file}: far too large a picture ({error}); make it smaller first") from None
    except READ_ERRORS:
        if file.suffix.lower() in HEIC:
            raise _heic(file) from None
        raise NerfpipeError(f"{file}: not a readable picture; get the file again, or leave it out") from None


def _whole(file: Path) -> Image.Image:
    with _opened(file) as image:
        try:
            image.load()
        except READ_ERRORS:
            raise NerfpipeError(
                f"{file}: a damaged or truncated picture; get the file again, or leave it out"
            ) from None
        return image


def _heic(file: Path) -> NerfpipeError:
    return NerfpipeError(f"{file}: HEIC pictures cannot be read; {HEIC_REMEDY}")


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _to_8bit(image: Image.Image) -> Image.Image:
    """A deep grey picture: integers are of 16 bits, floats in [0, 1]."""
    values = np.array(image).astype(np.float64)
    unit = values if image.mode == "F" else values / SIXTEEN_BITS
    return Image.fromarray(np.round(np.clip(np.nan_to_num(unit), 0, 1) * 255).astype(np.uint8))


def _is_flat(image: Image.Image) -> bool:
    """Whether all that tells pixels apart is alpha."""
    return image.getchannel("A").getextrema() != (255, 255)

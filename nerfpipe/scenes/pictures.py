"""Pictures, masks and depth maps from files of their own, whatever their kind."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from nerfpipe.errors import NerfpipeError

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")
HEIC = (".heic", ".heif")
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow's names for grey pictures of more than 8 bits
SIXTEEN_BITS = 65535


def picture_files(folder: Path) -> list[Path]:
    """The pictures in a folder, by name. Raises NerfpipeError when there is no folder, no picture, or only HEIC."""
    if not folder.is_dir():
        raise NerfpipeError(
            f"{folder}: there is no such folder of pictures; name it with `images:` in the scene's entry"
        )
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    for file in files:
        if file.suffix.lower() in HEIC:
            raise NerfpipeError(f"{file}: HEIC pictures cannot be read; convert them to JPEG first")
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


def read_mask(file: Path, width: int, height: int, factor: int = 1) -> np.ndarray:
    """[H, W] bool: what is not black, of a mask that must be width x height; when reduced, where all of it is."""
    image = _whole(file)
    if image.size != (width, height):
        raise NerfpipeError(
            f"{file}: the mask has {image.width}x{image.height} pixels and its picture {width}x{height}; "
            "they must be of one size"
        )
    mask = image.getchannel("A") if image.mode in ("LA", "RGBA") and _is_flat(image) else image.convert("L")
    kept = Image.fromarray(np.where(np.array(mask) > 0, 255, 0).astype(np.uint8))
    return np.array(kept.reduce(factor) if factor > 1 else kept) == 255


def read_depth_map(file: Path, width: int, height: int, factor: int = 1) -> np.ndarray:
    """[H, W] float32, as it stands in a 16-bit picture or a .npy array, NaN where it is 0; reduced by picking."""
    if file.suffix.lower() == ".npy":
        try:
            depth = np.load(file, allow_pickle=False).astype(np.float32).squeeze()
        except FileNotFoundError:
            raise NerfpipeError(f"{file}: no such depth map") from None
        except Exception as error:  # a damaged header raises almost anything
            raise NerfpipeError(f"{file}: not a whole .npy array of numbers ({_one_line(error)})") from None
    else:
        depth = np.array(_whole(file)).astype(np.float32)
    if depth.shape != (height, width):
        raise NerfpipeError(
            f"{file}: the depth map is {list(depth.shape)} and its picture {[height, width]}; they must be of one size"
        )
    depth = np.where(np.isfinite(depth) & (depth > 0), depth, np.float32(np.nan))
    if factor == 1:
        return depth
    rows, columns = (np.minimum(np.arange(0, side, factor) + factor // 2, side - 1) for side in depth.shape)
    return depth[np.ix_(rows, columns)]


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:80] or type(error).__name__


def _opened(file: Path) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            return Image.open(file)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: no such picture") from None
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        raise NerfpipeError(f"{file}: not a readable picture; get the file again, or leave it out") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise NerfpipeError(f"{file}: far too large a picture ({error}); make it smaller first") from None


def _whole(file: Path) -> Image.Image:
    with _opened(file) as image:
        try:
            image.load()
        except (OSError, ValueError, SyntaxError, EOFError):
            raise NerfpipeError(
                f"{file}: a damaged or truncated picture; get the file again, or leave it out"
            ) from None
        return image


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

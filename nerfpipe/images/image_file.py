"""The only module that opens image files: few formats, ordinary files, a bounded size.

Image files come from strangers. Pillow by itself decides by content and not by name, and starts other programs for
some formats.
"""

from __future__ import annotations

import logging
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import open_regular

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")  # JPEG includes MPO, several JPEG images in one file
MOST_PIXELS = 250_000_000  # telephones take 200 megapixels, 0.8 GB as RGBA
DEEP = ("I", "I;16", "I;16B", "I;16L", "F")  # Pillow's modes of grey images with more than 8 bits
SIXTEEN_BITS = 65535
OVERSHOOT = 0.1  # how far resampling may carry floats out of [0, 1]
HALF = 128  # of 255, from which a pixel of a mask is kept
HEIC = (".heic", ".heif", ".hif", ".avif")
HEIC_REMEDY = (
    "export them as JPEG (macOS: `sips -s format jpeg *.HEIC --out jpeg`), "
    "and for the next ones set the iPhone's Settings > Camera > Formats to Most Compatible"
)
BEGINNINGS = {
    b"%!PS": "PostScript",
    b"\xc5\xd0\xd3\xc6": "PostScript",
    b"%PDF": "PDF",
    b"GIF8": "GIF",
    b"\x00\x00\x01\x00": "ICO",
    b"8BPS": "Photoshop",
    b"v/1\x01": "OpenEXR",
    b"#?RADIANCE": "HDR",
    b"qoif": "QOI",
    b"\x00\x00\x00\x0cjP": "JPEG 2000",
    b"\xff\x4f\xff\x51": "JPEG 2000",
    b"<svg": "SVG",
    b"\x93NUMPY": "NumPy",
    b"II*\x00": "a rare or damaged TIFF",  # such as RGB in floating point
    b"MM\x00*": "a rare or damaged TIFF",
    b"II+\x00": "a rare or damaged TIFF",
}
# EXIF's orientation, and the operation that turns a stored image upright.
ORIENTATION, UPRIGHT = 0x0112, 1
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = (5, 6, 7, 8)  # width and height change places
AGAINST = {6: 8, 8: 6}  # the inverse of these; every other operation is its own inverse
TIFF_WIDTH, TIFF_HEIGHT, TIFF_BITS_PER_SAMPLE = 256, 257, 258  # tags
ORIENTATION_KEY = "nerfpipe orientation"  # in an image's info
# Pillow's errors on damaged files and on files that are not images.
READ_ERRORS = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, KeyError, OverflowError, MemoryError,
    struct.error, zlib.error, Image.DecompressionBombError,
)  # fmt: skip

WARNING_FILTERS = threading.Lock()

Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # beyond it Pillow warns, and the warning is turned into an error
logging.getLogger("PIL").addHandler(logging.NullHandler())  # its faults are reported in one line instead


class Header(NamedTuple):
    """An image file's properties, known before its pixels are read."""

    width: int  # pixels, as stored
    height: int
    has_alpha: bool
    orientation: int  # EXIF's; 1 is upright


def read_header(file: Path) -> Header:
    """Size, alpha and orientation, without reading the pixels. Raises NerfpipeError if the file is not an image."""
    with _opened(file) as image:
        sides = image.size
        if isinstance(image, TiffImageFile):  # some releases of Pillow give the size after turning
            sides = image.tag_v2[TIFF_WIDTH], image.tag_v2[TIFF_HEIGHT]
        return Header(*sides, has_alpha(image), orientation_of(image))


def load_image(file: Path) -> Image.Image:
    """The image as it is stored, not turned. Raises NerfpipeError if the file is not a whole image."""
    with _opened(file) as image:
        try:
            image.load()
        except READ_ERRORS:
            raise NerfpipeError(
                f"{file}: a damaged or truncated picture; get the file again, or leave it out"
            ) from None
        if isinstance(image, TiffImageFile):  # Pillow turned it upright while it read the pixels
            return turned(image, AGAINST.get(orientation_of(image), orientation_of(image)))
        return image


def has_alpha(image: Image.Image) -> bool:
    """Whether an image has an alpha channel, or one colour that is transparent."""
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation, 1 to 8, of an image opened by this module; 1, upright, if it has none or an invalid one."""
    return image.info.get(ORIENTATION_KEY, UPRIGHT)


def _exif_orientation(image: Image.Image) -> int:
    if image.format == "PNG" and not {"exif", "Raw profile type exif"} & image.info.keys():
        return UPRIGHT  # EXIF may follow the pixels, which Pillow would then read
    try:
        found = image.getexif().get(ORIENTATION, UPRIGHT)
    except READ_ERRORS:
        return UPRIGHT
    return found if found in TURNS else UPRIGHT


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """The image turned upright, given its orientation."""
    return image.transpose(TURNS[orientation]) if orientation in TURNS else image


def deep_to_8bit(image: Image.Image, file: Path) -> Image.Image:
    """A grey image of more than 8 bits in 8 bits: integers are taken as 16-bit, floats as values in [0, 1].

    Raises NerfpipeError if its values lie outside: a guess would be right for only some images of a scene.
    """
    values = np.asarray(image)
    if image.mode == "F":
        low, high = float(values.min()), float(values.max())  # NaN if any pixel is
        if not -OVERSHOOT <= low <= high <= 1 + OVERSHOOT:
            raise NerfpipeError(
                f"{file}: its pixels are floating-point numbers from {low:.4g} to {high:.4g}, and must lie in "
                "[0, 1]; save it with 8 or 16 bits"
            )
        return Image.fromarray(np.round(np.clip(values.astype(np.float64), 0, 1) * 255).astype(np.uint8))
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > SIXTEEN_BITS or (image.mode == "I" and 0 < high <= 255 and is_of_32_bits(image)):
        raise NerfpipeError(
            f"{file}: its pixels are 32-bit numbers from {low} to {high}, which do not tell what is white; "
            "save it with 8 or 16 bits"
        )
    to_uint8 = np.round(np.arange(SIXTEEN_BITS + 1) / SIXTEEN_BITS * 255).astype(np.uint8)
    return Image.fromarray(to_uint8[values])


def is_of_32_bits(image: Image.Image) -> bool:
    """Whether the file stores 32-bit integers: Pillow also converts 16-bit ones to this mode."""
    bits = getattr(image, "tag_v2", {}).get(TIFF_BITS_PER_SAMPLE, ())
    return 32 in (bits if isinstance(bits, tuple) else (bits,))


def mask_values(image: Image.Image, file: Path, follow_alpha: bool = True) -> np.ndarray:
    """Values [H, W] uint8 of a mask of any mode; pixels of at least HALF are kept.

    If any pixel is transparent, the values are those of the alpha channel, unless follow_alpha is False.
    Raises NerfpipeError if the brightest pixel is between black and HALF, as in masks of 0 and 1.
    """
    if image.mode in DEEP:
        values = np.asarray(deep_to_8bit(image, file))  # [H, W]
    elif follow_alpha and (alpha := _alpha_of(image)) is not None:
        values = np.asarray(alpha)
    else:
        values = np.asarray(image.convert("RGB")).max(axis=2)
    brightest = int(values.max(initial=0))
    if 0 < brightest < HALF:
        raise NerfpipeError(f"{file}: the mask is black throughout (at most {brightest} of 255); white is what is kept")
    return values


def _alpha_of(image: Image.Image) -> Image.Image | None:
    """The alpha channel of an image; None if it is opaque everywhere."""
    if not has_alpha(image):
        return None
    alpha = image.convert("RGBA").getchannel("A")
    return None if alpha.getextrema() == (255, 255) else alpha


@contextmanager
def _opened(file: Path) -> Iterator[Image.Image]:
    """The image with only its header read; its file is open within the block."""
    try:
        stream = open_regular(file)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: no such picture") from None
    except ValueError:  # a zero byte in the name
        raise NerfpipeError(f"{file}: no file can be called so; correct the name") from None
    with stream:
        try:
            with quiet():
                warnings.simplefilter("error", Image.DecompressionBombWarning)
                image = Image.open(stream, formats=FORMATS)
                image.info[ORIENTATION_KEY] = _exif_orientation(image)  # Pillow forgets that of TIFF
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise NerfpipeError(
                f"{file}: far too large a picture: more than {MOST_PIXELS:,} pixels; make it smaller first"
            ) from None
        except READ_ERRORS:
            raise _unreadable(file, stream) from None
        yield image


@contextmanager
def quiet() -> Iterator[None]:
    """Silence Pillow's warnings about odd metadata: they name no file, and the image is read anyway.

    Warning filters belong to the process and several threads read images, hence the lock.
    """
    with WARNING_FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _unreadable(file: Path, stream: BinaryIO) -> NerfpipeError:
    if file.suffix.lower() in HEIC:
        return NerfpipeError(f"{file}: HEIC pictures cannot be read; {HEIC_REMEDY}")
    stream.seek(0)
    begins = stream.read(16)
    kind = next((kind for start, kind in BEGINNINGS.items() if begins.startswith(start)), None)
    kind = "HEIC or AVIF" if begins[4:8] == b"ftyp" else kind
    what = f"not a readable picture: it is {kind} inside" if kind else "not a readable picture"
    remedy = "save it as PNG or JPEG" if kind else "get the file again"
    return NerfpipeError(f"{file}: {what}; {remedy}, or leave it out")

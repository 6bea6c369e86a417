"""Picture files of many kinds, written so that what must be read from them is known."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

TAG = 0x0112  # EXIF's orientation
# How an upright picture is to be stored so that this orientation makes it upright again.
STORED = {
    1: lambda picture: picture,
    2: np.fliplr,
    3: lambda picture: np.rot90(picture, 2),
    4: np.flipud,
    5: lambda picture: np.swapaxes(picture, 0, 1),
    6: lambda picture: np.rot90(picture, 1),
    7: lambda picture: np.rot90(np.swapaxes(picture, 0, 1), 2),
    8: lambda picture: np.rot90(picture, 3),
}
SIDEWAYS = (5, 6, 7, 8)
STRANGE = (
    "EPS",
    "GIF",
    "PDF",
    "ICO",
    "PPM",
    "TGA",
    "PCX",
    "SGI",
    "JPEG2000",
    "ICNS",
    "DDS",
    "MSP",
    "XBM",
    "SPIDER",
)


def save(
    file: Path, picture: np.ndarray | Image.Image, form: str = "PNG", orientation: int = 0, **options: object
) -> None:
    """Write a picture under a name, whatever its suffix."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(np.ascontiguousarray(picture))
    if orientation:
        exif = image.getexif()
        exif[TAG] = orientation
        options["exif"] = exif
    if form == "JPEG":
        image, options = image.convert("RGB"), {"quality": 98, "subsampling": 0, **options}
    image.save(file, form, **options)


def each_picture(folder: Path, do: Callable[[Path, np.ndarray], object], where: str = "images") -> None:
    """`do` for every picture file, with its pixels as they are."""
    for file in sorted((folder / where).iterdir()):
        with Image.open(file) as image:
            pixels = np.array(image)
        do(file, pixels)


def strange(form: str) -> bytes:
    """A picture of a format that is not to be read."""
    mode = {"GIF": "P", "MSP": "1", "XBM": "1", "SPIDER": "F"}.get(form, "RGB")
    image = Image.new("RGB", (24, 32), (200, 30, 30)).convert(mode)
    stream = io.BytesIO()
    image.resize((32, 32)).save(stream, form) if form in ("ICO", "ICNS") else image.save(stream, form)
    return stream.getvalue()


def deep_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits in each of its channels [H, W, 1, 3 or 4], which Pillow reads and does not write."""
    height, width, channels = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(width, height, 16, {1: 0, 3: 2, 4: 6}[channels], zlib.compress(rows))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says to be so large, with hardly any pixels in it."""
    return png(width, height, 8, 2, zlib.compress(bytes(3 * width + 1)))


def png(width: int, height: int, bits: int, colours: int, packed: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, bits, colours, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    framed = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)

"""Picture files from cameras: list them, turn them upright, convert them to 8 bits, read the focal length in EXIF."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from nerfpipe.images.image_file import DEEP, HEIC, HEIC_REMEDY, deep_to_8bit, load_image, orientation_of, quiet, turned
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.image_files import by_number

LOSSLESS = {".jpg": False, ".jpeg": False, ".webp": False, ".png": True, ".tif": True, ".tiff": True}
FOREIGN = {
    "HEIC": HEIC,
    "raw": (".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".raf", ".rw2"),
}
FEWEST = 3  # pictures: with two, no third view can confirm a match
NAMES_SHOWN = 10  # in a message

DIAGONAL_35MM = math.hypot(36, 24)  # mm, of the frame that equivalent focal lengths refer to
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}  # EXIF FocalPlaneResolutionUnit
LIKELY_FOCAL = (0.2, 10.0)  # in longer sides of the picture; other values in EXIF are ignored


@dataclass(frozen=True)
class Picture:
    """One upright picture."""

    image: Image.Image  # RGB, or RGBA if a part of it is transparent
    name: str  # the user's
    focal: float | None  # pixels; None if unknown
    lossless: bool  # whether its file format is


def list_pictures(folder: Path) -> list[Path]:
    """The picture files of a folder in numerical order, 9 before 10.

    Raises NerfpipeError if there are fewer than FEWEST, or any of a format that cannot be read.
    """
    files = sorted((file for file in folder.iterdir() if file.is_file() and file.name[0] != "."), key=by_number)
    pictures = [file for file in files if file.suffix.lower() in LOSSLESS]
    readable = {file.stem for file in pictures}
    for kind, suffixes in FOREIGN.items():
        foreign = [file for file in files if file.suffix.lower() in suffixes and file.stem not in readable]
        if foreign:
            more = f" (nor {len(foreign) - 1} more)" if len(foreign) > 1 else ""
            raise NerfpipeError(f"{foreign[0]}: {kind} pictures cannot be read{more}; {foreign_remedy(kind)}")
    if len(pictures) < FEWEST:
        raise NerfpipeError(
            f"{folder}: holds {len(pictures) or 'no'} picture{'s' * (len(pictures) != 1)} (JPEG, PNG, TIFF or WebP; "
            f"folders within it are not looked at); at least {FEWEST} are needed, and 30 or more are better"
        )
    return pictures


def foreign_remedy(kind: str) -> str:
    """How to convert a camera's own format to JPEG."""
    if kind == "HEIC":
        return HEIC_REMEDY
    return "export them as JPEG or TIFF, all with the same settings and without lens correction"


def read_picture(file: Path) -> Picture:
    """The picture in a file. Raises NerfpipeError if it cannot be read."""
    image = load_image(file)
    with quiet():
        focal = exif_focal(image.getexif(), image.size)
    upright = turned(to_8bit(image, file), orientation_of(image))
    upright.info.clear()  # otherwise EXIF and colour profile would be written into every copy
    return Picture(upright, file.name, focal, LOSSLESS[file.suffix.lower()])


def to_8bit(image: Image.Image, file: Path) -> Image.Image:
    """An image of any mode as 8-bit RGB, or as RGBA if a part of it is transparent."""
    if image.mode in DEEP:
        image = deep_to_8bit(image, file)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            return image
    return image.convert("RGB")


def exif_focal(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """The focal length in pixels, by EXIF, of a picture of this size (W, H); None if unknown.

    It follows from the 35 mm equivalent, which refers to the diagonal; without that, from the focal length in mm and
    the sensor's pixels per mm.
    """
    tags = exif.get_ifd(ExifTags.IFD.Exif)
    if equivalent := positive(tags, ExifTags.Base.FocalLengthIn35mmFilm):
        focal = equivalent / DIAGONAL_35MM * math.hypot(*size)
    else:
        length = positive(tags, ExifTags.Base.FocalLength)
        density = positive(tags, ExifTags.Base.FocalPlaneXResolution)  # pixels per unit, of the full picture
        unit = UNIT_MM.get(int(positive(tags, ExifTags.Base.FocalPlaneResolutionUnit) or 2))  # EXIF's default is inches
        if not (length and density and unit):
            return None
        sides = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
        full = max(positive(tags, side) or 0 for side in sides) or max(size)
        focal = length * density / unit * max(size) / full
    low, high = (share * max(size) for share in LIKELY_FOCAL)
    return focal if low <= focal <= high else None


def positive(tags: Mapping[int, Any], tag: int) -> float | None:
    """The positive number under a tag; None if there is none."""
    try:
        value = float(tags[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if value > 0 and math.isfinite(value) else None


def reduced_size(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size (W, H), reduced so that the longer side is at most `longest` pixels; unchanged for 0."""
    scale = longest / max(size)
    return size if longest == 0 or scale >= 1 else (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))


def listed(names: Iterable[str]) -> str:
    """The first NAMES_SHOWN names, in one line."""
    names = list(names)
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more

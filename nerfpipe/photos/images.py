"""Picture files as they come from cameras: found, turned upright, made 8-bit, with the focal length in their EXIF."""

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
FEWEST = 3  # pictures: with two, no point is seen often enough to tell a good match from a bad one
NAMES_SHOWN = 10  # of a long list, in a message

DIAGONAL_35MM = math.hypot(36, 24)  # mm, of the film that equivalent focal lengths refer to
UNIT_MM = {2: 25.4, 3: 10.0, 4: 1.0, 5: 1e-3}  # EXIF FocalPlaneResolutionUnit
LIKELY_FOCAL = (0.2, 10.0)  # in longer sides of the picture; EXIF that says otherwise is wrong


@dataclass(frozen=True)
class Picture:
    """One picture, upright: RGB, or RGBA where parts of it are transparent; the user's name for it; its focal length in
    pixels where that is known; and whether its file had lost nothing."""

    image: Image.Image
    name: str
    focal: float | None
    lossless: bool


def list_pictures(folder: Path) -> list[Path]:
    """The picture files of a folder, 9 before 10.

    Raises NerfpipeError where there are fewer than FEWEST, or some that cannot be read here, with what to do.
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
    """How to get JPEG out of what a camera wrote."""
    if kind == "HEIC":
        return HEIC_REMEDY
    return "export them as JPEG or TIFF, all with the same settings and without lens correction"


def read_picture(file: Path) -> Picture:
    """The picture in a file. Raises NerfpipeError that says what is wrong with it."""
    image = load_image(file)
    with quiet():
        focal = exif_focal(image.getexif(), image.size)
    upright = turned(to_8bit(image, file), orientation_of(image))
    upright.info.clear()  # EXIF and colour profile would be written into every copy
    return Picture(upright, file.name, focal, LOSSLESS[file.suffix.lower()])


def to_8bit(image: Image.Image, file: Path) -> Image.Image:
    """A picture of any kind as RGB of 8 bits, or as RGBA where a part of it is transparent."""
    if image.mode in DEEP:
        image = deep_to_8bit(image, file)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema() != (255, 255):
            return image
    return image.convert("RGB")


def exif_focal(exif: Image.Exif, size: tuple[int, int]) -> float | None:
    """The focal length in pixels of a picture of this size (W, H) by its EXIF; None where that does not say.

    The equivalent for 35 mm film is one of equal diagonal. Without it, the length in mm and the pixels per mm of the
    sensor serve.
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
    """The number under a tag; None where there is none above zero."""
    try:
        value = float(tags[tag])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return value if value > 0 and math.isfinite(value) else None


def fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """The size (W, H) made smaller so that its longer side is `longest`; kept where it is not larger, or for 0."""
    share = longest / max(size)
    return size if longest == 0 or share >= 1 else (max(1, round(size[0] * share)), max(1, round(size[1] * share)))


def some(names: Iterable[str]) -> str:
    """The first names of a list, in one line."""
    names = list(names)
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more

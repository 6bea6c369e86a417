"""Two copies of every picture: one for structure from motion, in which features are found, and one for the capture."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from nerfpipe.photos.images import Picture, listed, read_picture, reduced_size
from nerfpipe.photos.masks import black_and_white, read_mask
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

FEATURE_SIDE = 1600  # pixels, longer side: poses are then twice as precise as an 800-pixel capture needs
JPEG_QUALITY = 95
SEARCHED, SEARCHED_MASKS = "searched", "searched_masks"  # folders for structure from motion
IMAGES, MASKS = "images", "masks"  # folders of the capture


@dataclass(frozen=True)
class View:
    """One prepared picture. Sizes are (W, H) in pixels."""

    name: str  # the user's
    searched: str  # file in SEARCHED
    image: str  # file in the capture
    mask: str | None  # file in the capture
    searched_size: tuple[int, int]
    size: tuple[int, int]
    focal: float | None  # from EXIF, in pixels of the searched picture
    transparent: bool  # whether a part of it is


def prepare_files(files: list[Path], masks: dict[str, Path], scratch: Path, longest: int) -> list[View]:
    """Prepare picture files in parallel. Raises NerfpipeError that names those that cannot be read."""
    faults: dict[str, str] = {}  # by the picture's name

    def prepared(numbered: tuple[int, Path]) -> View | None:
        number, file = numbered
        try:
            picture = read_picture(file)
            mask = read_mask(masks[file.name], picture.image.size) if masks else None
            return prepare(picture, mask, number, scratch, longest)
        except NerfpipeError as error:
            faults[file.name] = str(error)
            return None

    views = []
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    try:
        with Progress("reading pictures", len(files), "pictures") as progress:
            for view in pool.map(prepared, enumerate(files, start=1)):
                progress.advance()
                views.append(view)
    finally:
        pool.shutdown(cancel_futures=True)  # on Ctrl-C, finish only those begun
    if faults:
        first, *others = (file.name for file in files if file.name in faults)
        raise NerfpipeError(faults[first] + (f" (and {len(others)} more: {listed(others)})" if others else ""))
    return check_transparency([view for view in views if view is not None])


def prepare_frames(frames: Iterable[Picture], scratch: Path, longest: int) -> list[View]:
    """Prepare the frames of a video, one by one."""
    return [prepare(frame, None, number, scratch, longest) for number, frame in enumerate(frames, start=1)]


def check_transparency(views: list[View]) -> list[View]:
    """The same views. Raises NerfpipeError if some but not all have transparent parts."""
    with_alpha, without = ([view.name for view in views if view.transparent is kind] for kind in (True, False))
    if with_alpha and without:
        raise NerfpipeError(
            f"{with_alpha[0]} has transparent parts and {without[0]} has none; "
            "cut the object out of all pictures or of none"
        )
    return views


def prepare(picture: Picture, mask: Image.Image | None, number: int, scratch: Path, longest: int) -> View:
    """Write a picture and its mask in both sizes into `scratch`; longest: side of the capture in pixels, 0 for all."""
    image, stem = picture.image, f"{number:04d}"
    transparent = image.mode == "RGBA"
    size = reduced_size(image.size, longest)
    searched_size = reduced_size(image.size, max(FEATURE_SIDE, *size))
    file = save(resized(image, size), scratch / IMAGES / stem, lossless=picture.lossless or transparent)
    searched = save(resized(image.convert("RGB"), searched_size), scratch / SEARCHED / stem, lossless=False)
    if mask is not None:
        black_and_white(resized(mask, size)).save(scratch / MASKS / f"{stem}.png")
    if (kept := search_mask(image, mask)) is not None:
        black_and_white(resized(kept, searched_size)).save(scratch / SEARCHED_MASKS / f"{searched.name}.png")
    return View(
        name=picture.name,
        searched=searched.name,
        image=f"{IMAGES}/{file.name}",
        mask=None if mask is None else f"{MASKS}/{stem}.png",
        searched_size=searched_size,
        size=size,
        focal=picture.focal and picture.focal * max(searched_size) / max(image.size),
        transparent=transparent,
    )


def search_mask(image: Image.Image, mask: Image.Image | None) -> Image.Image | None:
    """The region to search for features: inside the mask and not transparent. None stands for everywhere."""
    if image.mode != "RGBA":
        return mask
    return image.getchannel("A") if mask is None else ImageChops.darker(image.getchannel("A"), mask)


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The image at a smaller size; its pixels are means over the area they cover."""
    return image if image.size == size else image.resize(size, Image.Resampling.BOX)


def save(image: Image.Image, path: Path, lossless: bool) -> Path:
    """Write PNG or JPEG at `path` with the suffix of its format; returns the file."""
    file = path.with_suffix(".png" if lossless else ".jpg")
    if lossless:
        image.save(file)
    else:
        image.save(file, quality=JPEG_QUALITY, subsampling=0)  # no chroma subsampling
    return file

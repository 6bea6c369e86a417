"""Every picture twice: one for structure from motion, large enough to find features, one of the capture's size."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from nerfpipe.photos.images import Picture, fitted, read_picture, some
from nerfpipe.photos.masks import black_and_white, read_mask
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

FEATURE_SIDE = 1600  # pixels, longer side: poses are found twice as finely as an 800-pixel capture shows
JPEG_QUALITY = 95
SEARCHED, SEARCHED_MASKS = "searched", "searched_masks"  # folders for structure from motion
IMAGES, MASKS = "images", "masks"  # folders of the capture


@dataclass(frozen=True)
class View:
    """One prepared picture. Sizes are (W, H); the focal length is the EXIF's, in pixels of the searched picture."""

    name: str  # the user's
    searched: str  # file in SEARCHED
    image: str  # file in the capture
    mask: str | None  # file in the capture
    searched_size: tuple[int, int]
    size: tuple[int, int]
    focal: float | None
    transparent: bool


def prepare_files(files: list[Path], masks: dict[str, Path], workshop: Path, longest: int) -> list[View]:
    """Prepare picture files, several at once; NerfpipeError that names all that cannot be read."""
    faults: dict[str, str] = {}  # by the picture's name

    def prepared(numbered: tuple[int, Path]) -> View | None:
        number, file = numbered
        try:
            picture = read_picture(file)
            mask = read_mask(masks[file.name], picture.image.size) if masks else None
            return prepare(picture, mask, number, workshop, longest)
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
        pool.shutdown(cancel_futures=True)  # on Ctrl-C not all of them, only those begun
    if faults:
        first, *others = (file.name for file in files if file.name in faults)
        raise NerfpipeError(faults[first] + (f" (and {len(others)} more: {some(others)})" if others else ""))
    return agreeing([view for view in views if view is not None])


def prepare_frames(frames: Iterable[Picture], workshop: Path, longest: int) -> list[View]:
    """Prepare the frames of a video, which come one by one."""
    return [prepare(frame, None, number, workshop, longest) for number, frame in enumerate(frames, start=1)]


def agreeing(views: list[View]) -> list[View]:
    """The views, when all or none have transparent parts."""
    with_alpha, without = ([view.name for view in views if view.transparent is kind] for kind in (True, False))
    if with_alpha and without:
        raise NerfpipeError(
            f"{with_alpha[0]} has transparent parts and {without[0]} has none; "
            "cut the object out of all pictures or of none"
        )
    return views


def prepare(picture: Picture, mask: Image.Image | None, number: int, workshop: Path, longest: int) -> View:
    """Write one picture, and its mask, in both sizes into the workshop; `longest` is of the capture, 0 keeps."""
    image, stem = picture.image, f"{number:04d}"
    transparent = image.mode == "RGBA"
    size = fitted(image.size, longest)
    searched_size = fitted(image.size, max(FEATURE_SIDE, *size))
    file = save(resized(image, size), workshop / IMAGES / stem, lossless=picture.lossless or transparent)
    searched = save(resized(image.convert("RGB"), searched_size), workshop / SEARCHED / stem, lossless=False)
    if mask is not None:
        black_and_white(resized(mask, size)).save(workshop / MASKS / f"{stem}.png")
    if (kept := kept_parts(image, mask)) is not None:
        black_and_white(resized(kept, searched_size)).save(workshop / SEARCHED_MASKS / f"{searched.name}.png")
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


def kept_parts(image: Image.Image, mask: Image.Image | None) -> Image.Image | None:
    """Where features may be looked for: in the mask, and where the picture is not transparent. None: everywhere."""
    if image.mode != "RGBA":
        return mask
    return image.getchannel("A") if mask is None else ImageChops.darker(image.getchannel("A"), mask)


def resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A smaller picture whose pixels are means over the area they cover."""
    return image if image.size == size else image.resize(size, Image.Resampling.BOX)


def save(image: Image.Image, place: Path, lossless: bool) -> Path:
    """Write PNG or JPEG under the name `place` with the fitting suffix; which file it is."""
    file = place.with_suffix(".png" if lossless else ".jpg")
    if lossless:
        image.save(file)
    else:
        image.save(file, quality=JPEG_QUALITY, subsampling=0)  # colour as fine as brightness
    return file

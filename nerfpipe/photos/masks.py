"""Masks: one per picture, white where it is kept. They hide moving objects, or the room around a turntable."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from nerfpipe.images.image_file import HALF, load_image, mask_values, orientation_of, turned
from nerfpipe.photos.images import LOSSLESS, listed
from nerfpipe.runtime.errors import NerfpipeError


def find_masks(folder: Path, pictures: list[Path]) -> dict[str, Path]:
    """The mask file of every picture, by the picture's name: IMG_1.png or IMG_1.jpg.png for IMG_1.jpg.

    Raises NerfpipeError if a picture has no mask.
    """
    if not folder.is_dir():
        raise NerfpipeError(f"{folder}: --masks must name a folder, with one mask for each picture under its name")
    by_stem = {file.stem: file for file in sorted(folder.iterdir()) if file.suffix.lower() in LOSSLESS}
    masks = {picture.name: by_stem.get(picture.stem) or by_stem.get(picture.name) for picture in pictures}
    missing = [name for name, file in masks.items() if file is None]
    if missing:
        example = f"{Path(missing[0]).stem}.png"
        raise NerfpipeError(f"{folder}: no mask for {listed(missing)}; a mask has its picture's name, as {example}")
    return {name: file for name, file in masks.items() if file is not None}


def read_mask(file: Path, size: tuple[int, int]) -> Image.Image:
    """A mask as an 8-bit grey image, for an upright picture of this size (W, H).

    Raises NerfpipeError if the mask has another size or is black throughout.
    """
    image = load_image(file)
    values = mask_values(turned(image, orientation_of(image)), file)  # [H, W]
    mask = Image.fromarray(values)
    if mask.size != size:
        have, want = ("x".join(map(str, pair)) for pair in (mask.size, size))
        raise NerfpipeError(f"{file}: the mask is {have} pixels but its picture, upright, {want}; make them the same")
    if values.max(initial=0) < HALF:
        raise NerfpipeError(f"{file}: the mask is black throughout; white is what is kept")
    return mask


def black_and_white(mask: Image.Image) -> Image.Image:
    """The mask with only the values 0 and 255."""
    return mask.point(lambda value: 255 * (value >= HALF))

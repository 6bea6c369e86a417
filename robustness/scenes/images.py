"""Pictures, masks and depth maps stored in other ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from robustness.scenes.changes import resuffix, then
from robustness.scenes.judge import EITHER, REFUSED, TOLD, Case
from robustness.scenes.pictures import SIDEWAYS, STORED, deep_png, each_picture, save
from robustness.scenes.truth import VIEWS, H, W, edit, true_mask

JPEG = 6.0  # of 255, by which pixels may differ after it
SOFT = 60  # of 255: a mask's edge that is rather black than white
ORIENTED = "orientation|turned|on (its|their) side|EXIF"


def cases() -> Iterator[Case]:
    yield from turned()
    yield from of_other_kinds()
    yield from masks()


def turned() -> Iterator[Case]:
    for orientation, store in STORED.items():
        for form, suffix in (("JPEG", ".jpg"), ("PNG", ".png"), ("TIFF", ".tif"), ("WEBP", ".webp")):
            name = f"orientation {orientation} in {form}"
            off = JPEG if form in ("JPEG", "WEBP") else 0.5
            kept = oriented(form, suffix, orientation, lambda pixels: pixels)
            said = "" if orientation == 1 else ORIENTED
            yield Case(f"{name}, stored as its camera is", "pinhole", kept, says=said, off=off)
            if orientation in SIDEWAYS:
                aside = oriented(form, suffix, orientation, store)
                yield Case(f"{name}, upright as its camera is", "pinhole", aside, says=ORIENTED, off=off)
                sizes = lambda folder: edit(folder, lambda c: (c.pop("w"), c.pop("h")))  # noqa: E731
                free = then(aside, sizes)
                yield Case(f"{name}, of a camera without w and h", "pinhole", free, must=TOLD, says=ORIENTED, off=off)
    for orientation in SIDEWAYS:
        aside = oriented("JPEG", ".jpg", orientation, STORED[orientation])
        yield Case(
            f"orientation {orientation} with masks, depth and distortion", "transforms", aside, says=ORIENTED, off=JPEG
        )
        for form in ("colmap_text", "colmap_binary", "llff"):
            yield Case(f"orientation {orientation}, upright as its camera is", form, aside, says=ORIENTED, off=JPEG)
        one = oriented("PNG", ".png", orientation, STORED[orientation], only=(0, 3))
        yield Case(f"orientation {orientation} of two pictures", "pinhole", one, says=f"2 of 10.*({ORIENTED})")
    yield Case("an orientation of 9", "pinhole", oriented("JPEG", ".jpg", 9, lambda pixels: pixels), off=JPEG)


def oriented(
    form: str,
    suffix: str,
    orientation: int,
    store: Callable[[np.ndarray], np.ndarray],
    only: tuple[int, ...] = tuple(range(VIEWS)),
) -> Callable[[Path], None]:
    """Pictures stored by `store`, with this orientation in their EXIF, under the suffix of their format."""

    def change(folder: Path) -> None:
        each_picture(folder, lambda file, pixels: rewrite(folder, file, pixels))
        if suffix != ".png":
            resuffix(folder, suffix)

    def rewrite(folder: Path, file: Path, pixels: np.ndarray) -> None:
        if int(file.stem) in only:
            file.unlink()
            quality = {"quality": 98} if form == "WEBP" else {}
            save(file.with_suffix(suffix), store(pixels), form, orientation, **quality)

    return change


def of_other_kinds() -> Iterator[Case]:
    def grey(picture: np.ndarray) -> np.ndarray:
        light = np.array(Image.fromarray(picture[..., :3]).convert("L"))
        return np.dstack([light, light, light, picture[..., 3]])

    def few(picture: np.ndarray) -> np.ndarray:
        return np.array(Image.fromarray(picture[..., :3]).quantize(64).convert("RGBA"))

    def clear(picture: np.ndarray) -> np.ndarray:
        return np.dstack([picture[..., :3], np.arange(H * W, dtype=np.uint8).reshape(H, W)])

    def two(picture: np.ndarray) -> np.ndarray:
        return np.array(Image.fromarray(picture[..., :3]).convert("1", dither=0).convert("RGBA"))

    def whole(picture: np.ndarray) -> np.ndarray:
        return picture

    light = lambda pixels: np.array(Image.fromarray(pixels).convert("L"))  # noqa: E731
    kinds: list[tuple[str, str, Callable[[Path, np.ndarray], object], Callable, float]] = [
        ("RGBA, opaque", ".png", lambda f, p: save(f, np.dstack([p, np.full((H, W), 255, np.uint8)])), whole, 0.5),
        ("RGBA, with alpha", ".png", lambda f, p: save(f, clear(np.dstack([p, p[..., 0]]))), clear, 0.5),
        ("grey", ".png", lambda f, p: save(f, light(p)), grey, 0.5),
        ("grey with alpha", ".png", lambda f, p: save(f, Image.fromarray(p).convert("LA")), grey, 0.5),
        ("a palette", ".png", lambda f, p: save(f, Image.fromarray(p).quantize(64)), few, 0.5),
        ("black and white", ".png", lambda f, p: save(f, Image.fromarray(p).convert("1", dither=0)), two, 0.5),
        ("16 bits", ".png", lambda f, p: f.write_bytes(deep_png(p.astype(np.uint16) * 257)), whole, 1.0),
        ("16 bits, grey", ".png", lambda f, p: save(f, light(p).astype(np.uint16) * 257), grey, 1.0),
        ("16 bits, grey TIFF", ".tif", lambda f, p: save(f, light(p).astype(np.uint16) * 257, "TIFF"), grey, 1.0),
        ("TIFF", ".tif", lambda f, p: save(f, p, "TIFF"), whole, 0.5),
        ("TIFF, packed", ".tiff", lambda f, p: save(f, p, "TIFF", compression="tiff_lzw"), whole, 0.5),
        ("TIFF, deflated", ".tiff", lambda f, p: save(f, p, "TIFF", compression="tiff_deflate"), whole, 0.5),
        ("TIFF of floats 0-1", ".tif", lambda f, p: save(f, light(p).astype(np.float32) / 255, "TIFF"), grey, 1.0),
        ("JPEG", ".jpg", lambda f, p: save(f, p, "JPEG"), whole, JPEG),
        ("JPEG, progressive", ".JPG", lambda f, p: save(f, p, "JPEG", progressive=True), whole, JPEG),
        ("JPEG, grey", ".jpeg", lambda f, p: Image.fromarray(light(p)).save(f, "JPEG", quality=98), grey, JPEG),
        ("MPO", ".jpg", lambda f, p: Image.fromarray(p).save(f, "MPO", quality=98, subsampling=0), whole, JPEG),
        ("BMP", ".bmp", lambda f, p: save(f, p, "BMP"), whole, 0.5),
        ("WebP, lossless", ".webp", lambda f, p: save(f, p, "WEBP", lossless=True), whole, 0.5),
    ]
    for words, suffix, write, pixels, off in kinds:
        yield Case(f"pictures: {words}", "pinhole", stored(write, suffix), pixels=pixels, off=off)
        yield Case(f"pictures: {words}, called .png", "pinhole", stored(write, ".png"), pixels=pixels, off=off)
    colours = {"form": "pinhole", "pixels": grey, "off": 1.5}
    for words, scale in (("0-255", 1.0), ("0-65535", 257.0), ("0-100", 100 / 255)):
        floats = stored(lambda f, p, scale=scale: save(f, light(p).astype(np.float32) * scale, "TIFF"), ".tif")
        yield Case(f"pictures: TIFF of floats {words}", change=floats, must=EITHER, **colours)
        whole_numbers = stored(lambda f, p, scale=scale: save(f, (light(p) * scale).astype(np.int32), "TIFF"), ".tif")
        yield Case(f"pictures: TIFF of 32-bit integers {words}", change=whole_numbers, must=EITHER, **colours)
    empty = stored(lambda f, p: save(f, np.full((H, W), np.nan, np.float32), "TIFF"), ".tif")
    yield Case("pictures: TIFF of NaN", "pinhole", empty, must=REFUSED, says="floating|NaN|number")


def stored(write: Callable[[Path, np.ndarray], object], suffix: str) -> Callable[[Path], None]:
    """Every picture as `write` stores it, under this suffix."""

    def change(folder: Path) -> None:
        def one(file: Path, pixels: np.ndarray) -> None:
            file.unlink()
            write(file.with_suffix(suffix), pixels)

        each_picture(folder, one)
        resuffix(folder, suffix)

    return change


def masks() -> Iterator[Case]:
    def of(write: Callable[[Path, np.ndarray], object]) -> Callable[[Path], None]:
        return lambda folder: [write(folder / f"masks/{view:03d}.png", true_mask(view)) for view in range(VIEWS)]

    flat = lambda mask: np.dstack([mask * 0 + 200, mask * 0 + 200, mask * 0 + 200, mask])  # noqa: E731
    for words, write in {
        "of one bit": lambda f, m: save(f, Image.fromarray(m).convert("1")),
        "with a palette": lambda f, m: save(f, Image.fromarray(m).convert("P")),
        "in colours": lambda f, m: save(f, np.dstack([m] * 3)),
        "in alpha": lambda f, m: save(f, flat(m)),
        "of 16 bits": lambda f, m: save(f, m.astype(np.uint16) * 257),
        "with soft edges": lambda f, m: save(f, np.where(m, 200, SOFT).astype(np.uint8)),
        "as JPEG": lambda f, m: save(f, np.where(m, 250, 5).astype(np.uint8), "JPEG"),
    }.items():
        yield Case(f"masks {words}", "transforms", of(write))
    ones = of(lambda f, m: save(f, (m > 0).astype(np.uint8)))
    yield Case("masks of 0 and 1", "transforms", ones, must=EITHER)
    yield Case("a mask that is not there", "transforms", lambda d: (d / "masks/003.png").unlink(), REFUSED, "003.png")
    yield Case("a depth map that is not there", "transforms", lambda d: (d / "depth/000.png").unlink(), REFUSED, "000")
    small = of(lambda f, m: save(f, m[:8]))
    yield Case("masks of another size", "transforms", small, must=REFUSED, says="size")

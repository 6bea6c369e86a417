"""A page on which a rendered film is turned by hand: one file, no network, no library."""

from __future__ import annotations

import io
from base64 import b64encode
from pathlib import Path

import numpy as np
from markupsafe import Markup
from PIL import Image

from nerfpipe.camera_paths.path import CameraPath
from nerfpipe.film.turntable_page import template
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.runtime.files import atomic_file
from nerfpipe.runtime.terminal import in_page

JPEG_QUALITY = 85  # above it files grow without a visible gain
SMALL, SMALL_QUALITY = 200, 95  # pixels of the longer side, up to which frames are enlarged along with JPEG's artefacts
LARGEST = 480  # pixels of a frame's longer side in the page, whatever the size of the film
MOST_FRAMES = 90  # of a longer film, as many frames in even steps
REVERSED = ("orbit",)  # a camera that moves to the right turns the scene to the left, against the hand


def write_turntable(file: Path, frames: list[np.ndarray], path: CameraPath, header: ModelHeader, fps: float) -> None:
    """Write the page of a film's frames, each [H, W, 3] uint8, which were rendered along a camera path."""
    order, closed, stride = drag_order(len(frames), path)
    pictures = [_shrunk(frames[index]) for index in order]
    html = page([_data_uri(picture) for picture in pictures], closed, fps / stride, pictures[0].size, header)
    with atomic_file(file) as temporary:
        temporary.write_text(html, encoding="utf-8")


def drag_order(count: int, path: CameraPath) -> tuple[list[int], bool, float]:
    """The frames of `count` shown while a hand drags to the right, whether the last joins the first, and their stride.

    An orbit turns with the hand. Of a swing, which goes to and fro, the half from its right end to its left is shown.
    Other paths are followed in their own order. The stride is the number of film frames per frame shown, by which the
    page plays as fast as the GIF.
    """
    order, closed = list(range(count)), path.closed
    half = order[-(-count // 4) : 3 * count // 4 + 1]
    if path.kind == "swing" and len(half) > 1:
        order, closed = half, False
    elif path.kind in REVERSED:
        order = [-index % count for index in order]
    if len(order) <= MOST_FRAMES:
        return order, closed, 1.0
    end = len(order) if closed else len(order) - 1
    chosen = np.linspace(0, end, MOST_FRAMES, endpoint=not closed)
    return [order[int(index)] for index in chosen], closed, float(chosen[1])


def page(uris: list[str], closed: bool, fps: float, size: tuple[int, int], header: ModelHeader) -> str:
    """The HTML of frames given as data: URIs, all of one size (W, H) in pixels."""
    width, height = size
    return template().render(
        scene=Markup(in_page(header.scene)),  # escaped already, and without control characters
        count=len(uris),
        scheme="light" if header.background == "white" else "dark",
        paper=header.background,
        width=width,
        height=height,
        frames=uris,
        closed=closed,
        pause=round(1000 / fps, 3),
    )


def _shrunk(frame: np.ndarray) -> Image.Image:
    """A frame [H, W, 3] uint8, reduced to LARGEST."""
    picture = Image.fromarray(frame)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)  # never enlarges
    return picture


def _data_uri(picture: Image.Image) -> str:
    jpeg = io.BytesIO()
    quality = SMALL_QUALITY if max(picture.size) <= SMALL else JPEG_QUALITY
    picture.save(jpeg, "JPEG", quality=quality, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(jpeg.getvalue()).decode('ascii')}"

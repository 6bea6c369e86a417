"""A page on which a turn that is already rendered is turned by hand: one file, no network, no library."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from pathlib import Path
from string import Template

import numpy as np
from PIL import Image

from nerfpipe.camera_paths.path import Route
from nerfpipe.film.turntable_page import PAGE
from nerfpipe.models.model_file import ModelAbout
from nerfpipe.runtime.files import atomic_file
from nerfpipe.runtime.terminal import in_page

QUALITY = 85  # of JPEG: above it files grow and nobody sees why
SMALL, SMALL_QUALITY = 200, 95  # frames of so few pixels a side are shown enlarged, and with them what JPEG adds
LARGEST = 480  # pixels of a frame's longer side
MOST_FRAMES = 90  # of longer turns, so many evenly
BACKWARDS = ("orbit",)  # a camera that goes to the right turns what it sees to the left, and a hand expects the right


def write_turntable(file: Path, frames: list[np.ndarray], route: Route, about: ModelAbout, fps: float) -> None:
    """Write the page of a turn's frames [H, W, 3] uint8, which were rendered along the route."""
    order, closed, stride = hand_order(len(frames), route)
    pictures = [_shrunk(frames[place]) for place in order]
    html = page([_data_uri(picture) for picture in pictures], closed, fps / stride, pictures[0].size, about)
    with atomic_file(file) as temporary:
        temporary.write_text(html, encoding="utf-8")


def hand_order(count: int, route: Route) -> tuple[list[int], bool, float]:
    """Which frames are shown as a hand goes from left to right, whether the last joins the first, and their stride.

    An orbit is turned with the hand. A swing goes to and fro, which a hand does itself: the half from its right end to
    its left. Anything else is followed along its way. The stride is how many frames one shown stands for: the page
    goes as fast as the GIF.
    """
    places, closed = list(range(count)), route.closed
    half = places[-(-count // 4) : 3 * count // 4 + 1]
    if route.kind == "swing" and len(half) > 1:
        places, closed = half, False
    elif route.kind in BACKWARDS:
        places = [-place % count for place in places]
    if len(places) <= MOST_FRAMES:
        return places, closed, 1.0
    end = len(places) if closed else len(places) - 1
    chosen = np.linspace(0, end, MOST_FRAMES, endpoint=not closed)
    return [places[int(place)] for place in chosen], closed, float(chosen[1])


def page(uris: list[str], closed: bool, fps: float, size: tuple[int, int], about: ModelAbout) -> str:
    """The HTML of frames that are given as data: URIs, all of a size (W, H); the same bytes for the same frames."""
    width, height = size
    return Template(PAGE).substitute(
        scene=in_page(about.scene),
        views=f"{len(uris)} views",
        last=len(uris) - 1,
        scheme="light" if about.background == "white" else "dark",
        paper=about.background,
        width=width,
        height=height,
        first=uris[0],
        frames=json.dumps(uris, indent=0),
        closed=json.dumps(closed),
        pause=json.dumps(round(1000 / fps, 3)),
    )


def _shrunk(frame: np.ndarray) -> Image.Image:
    """The frame [H, W, 3] uint8, smaller where it is larger than a page needs."""
    picture = Image.fromarray(frame)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)  # leaves smaller ones as they are
    return picture


def _data_uri(picture: Image.Image) -> str:
    written = io.BytesIO()
    quality = SMALL_QUALITY if max(picture.size) <= SMALL else QUALITY
    picture.save(written, "JPEG", quality=quality, subsampling=0, optimize=True)
    return f"data:image/jpeg;base64,{b64encode(written.getvalue()).decode('ascii')}"

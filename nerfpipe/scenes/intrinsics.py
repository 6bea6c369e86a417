"""Checks of cameras against their images: numbers for another resolution, or normalised ones, give blank renders."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.distortion import NotInvertibleError
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

WIDEST = math.radians(150)  # of a perspective lens; the widest on sale have 130 degrees
NARROWEST = math.radians(0.2)  # a telescope's
FISHEYE_WIDEST = 2 * math.pi
NORMALISED = 1.0  # pixels: a principal point up to this value is normalised by the image's size
STRETCHED = 2.0  # largest ratio of the focal lengths, an anamorphic lens's
OFF_CENTRE, ALIKE = 0.1, 0.02  # shares of the image's width and height
REMEDY = (
    "if its numbers are for another resolution, give the width and height they belong to; if they are normalised, "
    "multiply them by the picture's width and height"
)


def check_intrinsics(names: Mapping[Camera, str], source: Path) -> list[str]:
    """The first doubt about cameras of the size of their images, as a note. Raises NerfpipeError if one is impossible.

    names: of an image per camera, for the message.
    """
    doubts: list[str] = []
    for camera, name in names.items():
        if (fault := lens_fault(camera)) is not None:
            raise NerfpipeError(f"{source}: {name}: {fault}")
        if not doubts and (doubt := lens_doubt(camera)) is not None:
            doubts.append(f"{name}: {doubt}")
    return doubts


def lens_fault(camera: Camera) -> str | None:
    """The reason why a camera of its image's size is impossible, with a remedy; None if it is possible."""
    size = f"its picture of {camera.width}x{camera.height}"
    if not (0 < camera.cx < camera.width and 0 < camera.cy < camera.height):
        return f"the principal point ({camera.cx:g}, {camera.cy:g}) lies outside {size}; {REMEDY}"
    if max(camera.cx, camera.cy) <= NORMALISED < min(camera.width, camera.height) / 2:
        return f"the principal point ({camera.cx:g}, {camera.cy:g}) lies in the corner of {size}; {REMEDY}"
    for name, focal, side in (("fl_x", camera.fx, camera.width), ("fl_y", camera.fy, camera.height)):
        angle = angle_of_view(camera, focal, side)
        widest = WIDEST if camera.lens == "perspective" else FISHEYE_WIDEST
        if not NARROWEST < angle < widest:
            return (
                f"the focal length {name} = {focal:g} pixels means {math.degrees(angle):.3g} degrees of view for "
                f"{size}; {REMEDY}"
            )
    return None


def lens_doubt(camera: Camera) -> str | None:
    """What is unlikely about a possible camera, with a remedy; None if nothing is.

    That is a pixel more than twice as high as wide, or the reverse; and a principal point off the centre by the same
    share of width and height.
    """
    if not 1 / STRETCHED < camera.fx / camera.fy < STRETCHED:
        return f"the focal lengths fl_x = {camera.fx:g} and fl_y = {camera.fy:g} pixels are far apart; {REMEDY}"
    across, down = camera.cx / camera.width, camera.cy / camera.height
    if abs(across - down) > ALIKE or abs(across - 0.5) < OFF_CENTRE:
        return None
    return (
        f"the principal point ({camera.cx:g}, {camera.cy:g}) lies {across:.0%} across and down its picture of "
        f"{camera.width}x{camera.height}; {REMEDY}"
    )


def angle_of_view(camera: Camera, focal: float, side: int) -> float:
    """The angle in radians of one side of the image, in pixels, without distortion; focal: in pixels."""
    half = side / 2 / focal
    return 2 * (math.atan(half) if camera.lens == "perspective" else half)


def check_distortion(cameras: Sequence[Camera], source: Path) -> None:
    """Raise NerfpipeError if a camera's distortion cannot be inverted at the border of its image.

    A distortion that is invertible there is so within: it must increase all the way from the centre.
    """
    distorted = {camera for camera in cameras if not camera.is_pinhole}
    if not distorted:
        return
    with Progress("lenses", len(distorted), "lenses") as progress:
        for camera in distorted:
            _check_distortion(camera, source)
            progress.advance()


def _check_distortion(camera: Camera, source: Path) -> None:
    centres = camera.border_centres()  # [P, 2]
    try:
        camera.directions(centres)
    except NotInvertibleError as error:
        column, row = centres[error.point].int().tolist()
        coefficients = ", ".join(f"{k:.4g}" for k in camera.distortion)
        raise NerfpipeError(
            f"{source}: the {camera.lens} distortion ({coefficients}) cannot be inverted at pixel ({column}, {row}), "
            "which has no ray; correct the coefficients, or undistort the pictures first"
        ) from None

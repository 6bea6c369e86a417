"""Is a lens possible for its picture? Numbers of another resolution, or normalised ones, give pictures of nothing."""

from __future__ import annotations

import math

from nerfpipe.geometry.cameras import Camera

WIDEST = math.radians(150)  # of a perspective lens; the widest that are made have 130 degrees
NARROWEST = math.radians(0.2)  # a telescope's
ROUND = 2 * math.pi  # a fisheye sees no more
NORMALISED = 1.0  # pixels: a principal point no further in is given in shares of the picture
STRETCHED = 2.0  # anamorphic lenses go so far
OFF_CENTRE, ALIKE = 0.1, 0.02  # shares of the picture
REMEDY = (
    "if its numbers are for another resolution, give the width and height they belong to; if they are normalised, "
    "multiply them by the picture's width and height"
)


def lens_fault(camera: Camera) -> str | None:
    """What is impossible about a lens whose size is that of its picture, with a remedy; None: nothing."""
    size = f"its picture of {camera.width}x{camera.height}"
    if not (0 < camera.cx < camera.width and 0 < camera.cy < camera.height):
        return f"the principal point ({camera.cx:g}, {camera.cy:g}) lies outside {size}; {REMEDY}"
    if max(camera.cx, camera.cy) <= NORMALISED < min(camera.width, camera.height) / 2:
        return f"the principal point ({camera.cx:g}, {camera.cy:g}) lies in the corner of {size}; {REMEDY}"
    for name, focal, side in (("fl_x", camera.fx, camera.width), ("fl_y", camera.fy, camera.height)):
        angle = angle_of_view(camera, focal, side)
        widest = WIDEST if camera.lens == "perspective" else ROUND
        if not NARROWEST < angle < widest:
            return (
                f"the focal length {name} = {focal:g} pixels means {math.degrees(angle):.3g} degrees of view for "
                f"{size}; {REMEDY}"
            )
    return None


def lens_doubt(camera: Camera) -> str | None:
    """What is odd about a possible lens: pixels of twice the height or width, or a principal point off the middle by
    the same share both ways.
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
    """The angle, in radians, that one side of the picture spans, distortion aside."""
    half = side / 2 / focal
    return 2 * (math.atan(half) if camera.lens == "perspective" else half)

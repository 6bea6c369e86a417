"""Lens distortion: from ideal image coordinates to those a real lens makes, and back.

Image coordinates here are (pixel - principal point) / focal length, x to the right and y down; directions are
unit vectors with x to the right, y down and z forward (OpenCV's axes). Models and the order of their numbers are
OpenCV's, which COLMAP, instant-ngp and nerfstudio follow:

    perspective  k1 k2 p1 p2 k3 k4 k5 k6   rational radial and tangential (Brown 1966; OpenCV, calib3d)
    fisheye      k1 k2 k3 k4               a polynomial in the angle from the axis (Kannala and Brandt 2006)
    fov          omega                     radians; one angle bends the whole picture (Devernay and Faugeras 2001), as
                                           COLMAP has it and OpenCV does not

All is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Lens = Literal["perspective", "fisheye", "fov"]
COEFFICIENTS: dict[Lens, int] = {"perspective": 8, "fisheye": 4, "fov": 1}  # numbers at most; those not given are 0
STEPS = 30  # of Newton's method; a lens that can be inverted needs five
TOLERANCE = 1e-7  # in focal lengths, a ten-thousandth of a pixel: a point further off was not found
EXACT = 1e-13  # where Newton's method may stop
TINY = 1e-12
ANGLES = 4096  # at which a lens is looked at for a fold, between the axis and the farthest that it can see


class NotInvertibleError(ValueError):
    """Some image coordinates belong to no direction; `point` is the number of the first of them."""

    def __init__(self, point: int) -> None:
        super().__init__(f"the distortion cannot be inverted at point {point}")
        self.point = point


def project(lens: Lens, coefficients: Sequence[float], directions: Tensor) -> Tensor:
    """Image coordinates [P, 2] of directions [P, 3] of any length; NaN where the lens cannot see them.

    That is behind a perspective lens, and beyond the angle from which any lens folds back: formulas of distortion
    hold within the picture, and further out may lead into it again.
    """
    x, y, z = directions.double().unbind(dim=1)
    k = _padded(lens, coefficients)
    if lens == "fisheye":
        across = torch.hypot(x, y)
        angle = torch.atan2(across, z)
        angle = torch.where(angle < _fisheye_fold(k), angle, torch.nan)
        scale = _fisheye(angle, k)[0] / across.clamp_min(TINY)
        return torch.stack([x * scale, y * scale], dim=1)
    z = torch.where(z > 0, z, torch.nan)
    ideal = torch.stack([x / z, y / z], dim=1)
    if lens == "fov":
        radius = ideal.norm(dim=1, keepdim=True).clamp_min(TINY)
        return ideal * torch.atan(radius * 2 * math.tan(k[0] / 2)) / (k[0] * radius)
    return torch.where(_unfolded(ideal, k)[:, None], distort(ideal, k), torch.nan) if any(k) else ideal


def directions(lens: Lens, coefficients: Sequence[float], image: Tensor) -> Tensor:
    """Unit directions [P, 3] that appear at image coordinates [P, 2]. Raises NotInvertibleError where there is none."""
    image, k = image.double(), _padded(lens, coefficients)
    if lens == "fisheye":
        radius = torch.hypot(image[:, 0], image[:, 1])
        angle = _angle_at(radius, k)
        scale = torch.sin(angle) / radius.clamp_min(TINY)
        return torch.stack([image[:, 0] * scale, image[:, 1] * scale, torch.cos(angle)], dim=1)
    ideal = image
    if lens == "fov":
        ideal = _without_fov(image, k[0])
    elif any(k):
        ideal = undistort(image, k)
    towards = torch.cat([ideal, torch.ones_like(ideal[:, :1])], dim=1)  # [P, 3]
    return towards / towards.norm(dim=1, keepdim=True)


def distort(ideal: Tensor, coefficients: Sequence[float]) -> Tensor:
    """Where the perspective model moves ideal image coordinates [P, 2]: [P, 2]."""
    x, y = ideal.unbind(dim=1)
    _, _, p1, p2, *_ = k = _padded("perspective", coefficients)
    square = x * x + y * y
    radial, _ = _radial(square, k)
    moved_x = radial * x + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    moved_y = radial * y + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return torch.stack([moved_x, moved_y], dim=1)


def undistort(moved: Tensor, coefficients: Sequence[float]) -> Tensor:
    """The ideal coordinates [P, 2] that the perspective model moves to `moved` [P, 2], by Newton's method.

    Raises NotInvertibleError where there are none, or only beyond the radius from which the lens folds back.
    """
    _, _, p1, p2, *_ = k = _padded("perspective", coefficients)
    ideal = moved.clone()
    for _ in range(STEPS):
        x, y = ideal.unbind(dim=1)
        radial, slope = _radial(x * x + y * y, k)
        xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
        xy = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y  # the Jacobian is symmetric
        yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
        determinant = xx * yy - xy * xy
        error = distort(ideal, k) - moved  # [P, 2]
        if error.abs().max() < EXACT:
            break
        change = torch.stack([yy * error[:, 0] - xy * error[:, 1], xx * error[:, 1] - xy * error[:, 0]], dim=1)
        ideal = ideal - change / determinant[:, None]
    found = ((distort(ideal, k) - moved).abs().amax(dim=1) < TOLERANCE) & (determinant > 0) & _unfolded(ideal, k)
    _raise_unless(found)
    return ideal


def _unfolded(ideal: Tensor, k: Sequence[float]) -> Tensor:
    """[P] whether distorted radii grow all the way from the centre to the ideal coordinates [P, 2]."""
    radius = torch.tan(torch.linspace(0, math.pi / 2, ANGLES, dtype=torch.float64))[:-1]
    radial, slope = _radial(radius * radius, k)
    return ideal.norm(dim=1) < _first(radius, radial + 2 * radius * radius * slope)


def _fisheye_fold(k: Sequence[float]) -> float:
    """The angle from the axis at which radii stop to grow; infinity where they never do."""
    return _first(_angles(), _fisheye(_angles(), k)[1])


def _angles() -> Tensor:
    return torch.linspace(0, math.pi, ANGLES, dtype=torch.float64)


def _first(places: Tensor, slopes: Tensor) -> float:
    """The first place [N] whose slope is not above zero; infinity where there is none."""
    folds = (~(slopes > 0)).nonzero()[:, 0]
    return float(places[folds[0]]) if len(folds) else math.inf


def _without_fov(image: Tensor, omega: float) -> Tensor:
    """The ideal coordinates [P, 2] that a field-of-view lens moves to `image` [P, 2]: less than 90 degrees aside."""
    radius = image.norm(dim=1, keepdim=True).clamp_min(TINY)
    _raise_unless((abs(omega) * radius < math.pi / 2)[:, 0] & (abs(omega) < math.pi))
    return image * torch.tan(radius * omega) / (2 * math.tan(omega / 2) * radius)


def _radial(square: Tensor, k: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The radial factor at squared radii [P], and its derivative by them."""
    k1, k2, _, _, k3, k4, k5, k6 = k
    over = 1 + square * (k1 + square * (k2 + square * k3))
    under = 1 + square * (k4 + square * (k5 + square * k6))
    over_slope = k1 + square * (2 * k2 + 3 * square * k3)
    under_slope = k4 + square * (2 * k5 + 3 * square * k6)
    return over / under, (over_slope * under - over * under_slope) / (under * under)


def _fisheye(angle: Tensor, k: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The radius at which an angle [P] from the axis appears, and its derivative."""
    square = angle * angle
    k1, k2, k3, k4 = k
    radius = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + square * 9 * k4)))
    return radius, slope


def _angle_at(radius: Tensor, k: Sequence[float]) -> Tensor:
    """The angle [P] from the axis that appears at a radius [P], before the lens folds back."""
    fold, angles = _fisheye_fold(k), _angles()
    angles = angles[angles <= fold]
    nearest = torch.searchsorted(_fisheye(angles, k)[0], radius.contiguous()).clamp_max(len(angles) - 1)
    angle = angles[nearest]  # so near that Newton's method leads to no other
    for _ in range(STEPS):
        at, slope = _fisheye(angle, k)
        angle = angle - (at - radius) / slope
    at, _ = _fisheye(angle, k)
    _raise_unless(((at - radius).abs() < TOLERANCE) & (angle < fold) & (angle <= math.pi) & (angle >= -TOLERANCE))
    return angle


def _raise_unless(found: Tensor) -> None:
    lost = (~found).nonzero()[:, 0]  # NaN was not found either
    if len(lost):
        raise NotInvertibleError(int(lost[0]))


def _padded(lens: Lens, coefficients: Sequence[float]) -> list[float]:
    return [*coefficients, *[0.0] * (COEFFICIENTS[lens] - len(coefficients))]

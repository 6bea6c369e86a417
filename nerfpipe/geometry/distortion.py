"""Lens distortion: from ideal image coordinates to distorted ones, and back.

Image coordinates here are (pixel - principal point) / focal length, x to the right and y down; directions are
unit vectors with x to the right, y down and z forward (OpenCV's axes). The models and the order of their coefficients
are OpenCV's, which COLMAP, instant-ngp and nerfstudio follow:

    perspective  k1 k2 p1 p2 k3 k4 k5 k6   rational radial and tangential (Brown 1966; OpenCV, calib3d)
    fisheye      k1 k2 k3 k4               a polynomial in the angle from the axis (Kannala and Brandt 2006)
    fov          omega                     radians; the field-of-view model (Devernay and Faugeras 2001), which COLMAP
                                           has and OpenCV does not

All computations are in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Lens = Literal["perspective", "fisheye", "fov"]
Coefficients = Sequence[float] | Sequence[Tensor]  # numbers of one lens, or one per point
COEFFICIENTS: dict[Lens, int] = {"perspective": 8, "fisheye": 4, "fov": 1}  # at most; missing ones are 0
STEPS = 30  # of Newton's method; an invertible distortion needs five
TOLERANCE = 1e-7  # in focal lengths, about 1e-4 pixels: with a larger error Newton's method has not converged
EXACT = 1e-13  # in focal lengths: with a smaller error Newton's method stops
TINY = 1e-12  # smallest radius to divide by
ANGLES = 4096  # samples between the optical axis and the widest angle, in the search for a fold


class NotInvertibleError(ValueError):
    """Some image coordinates have no direction; `point` is the index of the first."""

    def __init__(self, point: int) -> None:
        super().__init__(f"the distortion cannot be inverted at point {point}")
        self.point = point


def project(lens: Lens, coefficients: Sequence[float], directions: Float[Tensor, "P 3"]) -> Float[Tensor, "P 2"]:
    """Image coordinates [P, 2] of directions [P, 3] of any length; NaN for directions that the lens cannot see.

    These are behind a perspective lens, or beyond the angle at which the distortion folds back: its formula holds
    within the image, and may map directions further out into the image again.
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


def directions(lens: Lens, coefficients: Sequence[float], image: Float[Tensor, "P 2"]) -> Float[Tensor, "P 3"]:
    """Unit directions [P, 3] of image coordinates [P, 2]. Raises NotInvertibleError if a point has none."""
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


def distort(ideal: Float[Tensor, "P 2"], coefficients: Sequence[float]) -> Float[Tensor, "P 2"]:
    """Distorted coordinates [P, 2] of ideal image coordinates [P, 2], by the perspective model."""
    return _distort(ideal, _padded("perspective", coefficients))


def _distort(ideal: Tensor, k: Coefficients) -> Tensor:
    x, y = ideal.unbind(dim=1)
    _, _, p1, p2, *_ = k
    square = x * x + y * y
    radial, _ = _radial(square, k)
    moved_x = radial * x + 2 * p1 * x * y + p2 * (square + 2 * x * x)
    moved_y = radial * y + p1 * (square + 2 * y * y) + 2 * p2 * x * y
    return torch.stack([moved_x, moved_y], dim=1)


def undistort(distorted: Float[Tensor, "P 2"], coefficients: Sequence[float]) -> Float[Tensor, "P 2"]:
    """The inverse of `distort`: ideal coordinates [P, 2] of distorted ones [P, 2], by Newton's method.

    Raises NotInvertibleError if a point has none, or only beyond the radius at which the distortion folds back.
    """
    k = _padded("perspective", coefficients)
    ideal, determinant = _newton(distorted, k)
    found = ((distort(ideal, k) - distorted).abs().amax(dim=1) < TOLERANCE) & (determinant > 0) & _unfolded(ideal, k)
    _raise_unless(found)
    return ideal


def undistort_each(distorted: Float[Tensor, "P 2"], coefficients: Float[Tensor, "P 8"]) -> Float[Tensor, "P 2"]:
    """`undistort` for points of different perspective lenses, each known to be invertible there: nothing is checked."""
    ideal, _ = _newton(distorted.double(), coefficients.double().unbind(dim=1))
    return ideal


def _newton(distorted: Tensor, k: Coefficients) -> tuple[Tensor, Tensor]:
    """Ideal coordinates [P, 2] of distorted ones by Newton's method, and the last determinant of the Jacobian [P].

    k: the eight coefficients, each a number or one per point, [P].
    """
    _, _, p1, p2, *_ = k
    ideal = distorted.clone()
    for _ in range(STEPS):
        x, y = ideal.unbind(dim=1)
        radial, slope = _radial(x * x + y * y, k)
        xx = radial + 2 * x * x * slope + 2 * p1 * y + 6 * p2 * x
        xy = 2 * x * y * slope + 2 * p1 * x + 2 * p2 * y  # the Jacobian is symmetric
        yy = radial + 2 * y * y * slope + 6 * p1 * y + 2 * p2 * x
        determinant = xx * yy - xy * xy
        error = _distort(ideal, k) - distorted  # [P, 2]
        if error.abs().max() < EXACT:
            break
        change = torch.stack([yy * error[:, 0] - xy * error[:, 1], xx * error[:, 1] - xy * error[:, 0]], dim=1)
        ideal = ideal - change / determinant[:, None]
    return ideal, determinant


def _unfolded(ideal: Tensor, k: Sequence[float]) -> Tensor:
    """Whether the distorted radius increases all the way from the centre to ideal coordinates [P, 2], [P] bool."""
    radius = torch.tan(torch.linspace(0, math.pi / 2, ANGLES, dtype=torch.float64))[:-1]
    radial, slope = _radial(radius * radius, k)
    return ideal.norm(dim=1) < _first_fold(radius, radial + 2 * radius * radius * slope)


def _fisheye_fold(k: Sequence[float]) -> float:
    """The angle from the axis, in radians, at which the radius stops increasing; infinity if it never does."""
    return _first_fold(_angles(), _fisheye(_angles(), k)[1])


def _angles() -> Tensor:
    return torch.linspace(0, math.pi, ANGLES, dtype=torch.float64)


def _first_fold(samples: Tensor, slopes: Tensor) -> float:
    """The first sample [N] with a slope [N] that is not positive; infinity if there is none."""
    folds = (~(slopes > 0)).nonzero()[:, 0]
    return float(samples[folds[0]]) if len(folds) else math.inf


def _without_fov(image: Tensor, omega: float) -> Tensor:
    """The inverse of the field-of-view model, for angles under 90 degrees: ideal coordinates [P, 2]."""
    radius = image.norm(dim=1, keepdim=True).clamp_min(TINY)
    _raise_unless((abs(omega) * radius < math.pi / 2)[:, 0] & (abs(omega) < math.pi))
    return image * torch.tan(radius * omega) / (2 * math.tan(omega / 2) * radius)


def _radial(square: Tensor, k: Coefficients) -> tuple[Tensor, Tensor]:
    """The radial factor at squared radii [P], and its derivative with respect to them."""
    k1, k2, _, _, k3, k4, k5, k6 = k
    upper = 1 + square * (k1 + square * (k2 + square * k3))
    lower = 1 + square * (k4 + square * (k5 + square * k6))
    upper_slope = k1 + square * (2 * k2 + 3 * square * k3)
    lower_slope = k4 + square * (2 * k5 + 3 * square * k6)
    return upper / lower, (upper_slope * lower - upper * lower_slope) / (lower * lower)


def _fisheye(angle: Tensor, k: Sequence[float]) -> tuple[Tensor, Tensor]:
    """The distorted radius of an angle [P] from the axis, and its derivative."""
    square = angle * angle
    k1, k2, k3, k4 = k
    radius = angle * (1 + square * (k1 + square * (k2 + square * (k3 + square * k4))))
    slope = 1 + square * (3 * k1 + square * (5 * k2 + square * (7 * k3 + square * 9 * k4)))
    return radius, slope


def _angle_at(radius: Tensor, k: Sequence[float]) -> Tensor:
    """The inverse of `_fisheye`: the angle [P] of a distorted radius [P], before the distortion folds back."""
    fold, angles = _fisheye_fold(k), _angles()
    angles = angles[angles <= fold]
    nearest = torch.searchsorted(_fisheye(angles, k)[0], radius.contiguous()).clamp_max(len(angles) - 1)
    angle = angles[nearest]  # close enough for Newton's method to converge to this branch
    for _ in range(STEPS):
        found, slope = _fisheye(angle, k)
        angle = angle - (found - radius) / slope
    found, _ = _fisheye(angle, k)
    _raise_unless(((found - radius).abs() < TOLERANCE) & (angle < fold) & (angle <= math.pi) & (angle >= -TOLERANCE))
    return angle


def _raise_unless(found: Tensor) -> None:
    lost = (~found).nonzero()[:, 0]  # NaN counts as not found
    if len(lost):
        raise NotInvertibleError(int(lost[0]))


def _padded(lens: Lens, coefficients: Sequence[float]) -> list[float]:
    return [*coefficients, *[0.0] * (COEFFICIENTS[lens] - len(coefficients))]

"""Validation of cameras, spaces, similarities and poses from untrusted files: model headers, ray banks, key frames.

Each function yields one line per fault, which begins with the key; nothing if the value is valid.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.distortion import COEFFICIENTS
from nerfpipe.geometry.similarity import FARTHEST, Similarity
from nerfpipe.geometry.space import KINDS, Space
from nerfpipe.geometry.spaces import Forward
from nerfpipe.images.image_file import MOST_PIXELS

LONGEST_SIDE = 65_536  # pixels
SMALLEST = 1e-12  # smallest positive value: single precision loses smaller ones
MOST_VIEWS = 1_000_000
ORTHONORMAL = 2e-3  # largest |RᵀR - I|: the tolerance of a scene's poses, doubled because they were rounded since
# Pydantic's types of faults in numbers, and their messages; any other type is a fault of the structure.
NUMBER_FAULTS = {
    "float_type": "must be a finite number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a whole number",
    "finite_number": "must be a whole number",
    "greater_than_equal": "is too small",
    "less_than": "is too large",
}


def camera_faults(camera: Camera, key: str = "camera") -> Iterator[str]:
    """Faults of image size, focal lengths, principal point and distortion."""
    sides = {"width": camera.width, "height": camera.height}
    for name, side in sides.items():
        if not 1 <= side <= LONGEST_SIDE:
            yield f"{key}.{name}: must be from 1 to {LONGEST_SIDE:,} pixels (got {shown(side)})"
    if all(1 <= side <= LONGEST_SIDE for side in sides.values()) and camera.width * camera.height > MOST_PIXELS:
        yield f"{key}: has {camera.width}x{camera.height} pixels, more than {MOST_PIXELS:,}"
    for name in ("fx", "fy"):
        if not SMALLEST <= getattr(camera, name) <= FARTHEST:
            yield f"{key}.{name}: must be above 0 pixels and finite (got {shown(getattr(camera, name))})"
    for name in ("cx", "cy"):
        if not abs(getattr(camera, name)) <= FARTHEST:
            yield f"{key}.{name}: must be finite (got {shown(getattr(camera, name))})"
    if len(camera.distortion) > COEFFICIENTS[camera.lens] or not finite(camera.distortion):
        yield f"{key}.distortion: must be at most {COEFFICIENTS[camera.lens]} finite numbers"


def space_faults(space: Space, key: str = "space") -> Iterator[str]:
    """Faults of bounds, near and frustum."""
    for axis, low, high in zip("xyz", *space.bounds, strict=True):
        if not (finite((low, high)) and high - low >= SMALLEST):
            yield f"{key}.bounds: {axis} must be finite and rise (got {shown(low)} to {shown(high)})"
    if not 0 <= space.near <= FARTHEST:
        yield f"{key}.near: must be 0 or more and finite (got {shown(space.near)})"
    if space.unbounded and not space.near >= SMALLEST:
        yield f"{key}.near: must be above 0 in an unbounded space (got {shown(space.near)})"
    frustum = space.frustum if isinstance(space, Forward) else ()
    if not all(SMALLEST <= number <= FARTHEST for number in frustum):
        yield f"{key}.frustum: must be two numbers above 0 (got {', '.join(map(shown, frustum))})"


def similarity_faults(similarity: Similarity, key: str = "similarity") -> Iterator[str]:
    """Faults of centre, scale and rotation."""
    if not finite(similarity.centre):
        yield f"{key}.centre: must be finite (got {', '.join(map(shown, similarity.centre))})"
    if not SMALLEST <= similarity.scale <= 1 / SMALLEST:
        yield f"{key}.scale: must be above 0 and finite (got {shown(similarity.scale)})"
    if not are_rotations(np.array([similarity.rotation], dtype=np.float64)).all():
        yield f"{key}.rotation: must be a rotation"


def pose_faults(poses: Sequence | Float[np.ndarray, "N 3 4"], key: str = "poses") -> Iterator[str]:
    """The first fault of poses [N, 3, 4]; only the first, since all may have the same."""
    if not 1 <= len(poses) <= MOST_VIEWS:
        yield f"{key}: must be 1 to {MOST_VIEWS:,} (got {len(poses):,})"
        return
    poses = np.asarray(poses, dtype=np.float64)
    sound = are_rotations(poses[:, :, :3]) & (np.abs(poses[:, :, 3]) <= FARTHEST).all(axis=1)  # [N]
    if not sound.all():
        yield f"{key}[{int(sound.argmin())}]: must be a rotation and a position, all finite"


def point_faults(point: Iterable[float], key: str) -> Iterator[str]:
    """A fault if a coordinate is not finite."""
    if not finite(point):
        yield f"{key}: must be finite (got {', '.join(map(shown, point))})"


def finite(values: Iterable[float]) -> bool:
    """Whether all values are finite and at most FARTHEST in magnitude."""
    return all(abs(value) <= FARTHEST for value in values)


def are_rotations(matrices: Float[np.ndarray, "N 3 3"]) -> Bool[np.ndarray, " N"]:
    """Which matrices [N, 3, 3] are right-handed rotations, up to rounding: [N] bool."""
    sound = (np.abs(matrices) <= 1 + ORTHONORMAL).all(axis=(-1, -2))  # [N], False for NaN
    tame = np.where(sound[:, None, None], matrices, 0)
    skew = np.abs(tame.swapaxes(-1, -2) @ tame - np.eye(3)).max(axis=(-1, -2))
    return sound & (skew < ORTHONORMAL) & (np.linalg.det(tame) > 0)


def wrong_number(error: ValidationError) -> str:
    """The first fault with its key, if all faults are of single numbers; else an empty string."""
    faults = error.errors()
    told = [_wrong_frustum(fault) or NUMBER_FAULTS.get(fault["type"]) for fault in faults]
    if not all(told):
        return ""
    key = ".".join(str(part) for part in faults[0]["loc"] if part not in KINDS)  # pydantic names the kind of a space
    return f"{key}: {told[0]}"


def _wrong_frustum(fault: ErrorDetails) -> str:
    """What is wrong with a space that lacks its frustum, or has one that it cannot have; else nothing."""
    if fault["loc"][-1:] != ("frustum",):
        return ""
    lacks, has = (
        fault["type"] == "missing",
        fault["type"] == "unexpected_keyword_argument" and fault["input"] is not None,
    )
    return "belongs to a forward space, and to no other" if lacks or has else ""


def shown(number: float) -> str:
    """A number in a few digits."""
    try:
        return f"{number:g}"
    except OverflowError:  # an integer too large for a float
        return "a number of hundreds of digits"

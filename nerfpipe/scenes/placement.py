"""Puts a scene that was read into its space: moved, turned and scaled as that wants it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.contraction import CUBE
from nerfpipe.geometry.focus import Middle, bounds_from_cameras, middle_of
from nerfpipe.geometry.similarity import IDENTITY, Similarity
from nerfpipe.geometry.space import Kind
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes import normalise

OUTWARDS = "the cameras look outwards: right for a room seen from within; else their poses must look along -z, not +z"


@dataclass(frozen=True)
class Placed:
    """A scene in its space: see Scene for what the fields mean."""

    kind: Kind
    poses: np.ndarray
    bounds: np.ndarray
    similarity: Similarity
    points: np.ndarray | None
    near: float = 0.0
    frustum: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    def about(self) -> dict[str, object]:
        """All but the notes, which a scene has more of."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "notes"}


def place(
    kind: Kind,
    cameras: list[Camera],
    poses: np.ndarray,
    points: np.ndarray | None,
    bounds: np.ndarray | None,
    near: float | None,
    where: Path,
) -> Placed:
    """The scene of poses [N, 3, 4] and points [P, 3] in a space of this kind.

    near: where the scene begins, in the data's units, if the data says so; else the points tell. bounds [2, 3]: the box
    of a bounded one, in the data's coordinates, if it is given. Raises NerfpipeError that begins with `where`.
    """
    if near is None and points is not None:
        near = normalise.near_from_points(points, cameras, poses)
    try:
        match kind:
            case "bounded":
                return place_in_box(_box(cameras, poses, points) if bounds is None else bounds, poses, points)
            case "unbounded":
                return _place_around_origin(poses, points, near)
        return _place_before_cameras(cameras, poses, points, near)
    except NerfpipeError as error:
        raise NerfpipeError(f"{where}: {error}") from None


def place_in_box(box: np.ndarray, poses: np.ndarray, points: np.ndarray | None) -> Placed:
    """A bounded scene, which keeps its coordinates where the box [2, 3] is of a usual size at a usual place."""
    similarity = normalise.around_box(box)
    if similarity.is_identity:
        return Placed("bounded", _float32(poses), box, IDENTITY, None if points is None else _float32(points))
    moved = _float32(similarity.poses(poses.astype(np.float64)))
    box = _float32(similarity.points(box.astype(np.float64)))
    return Placed("bounded", moved, box, similarity, _moved(points, similarity))


def _place_around_origin(poses: np.ndarray, points: np.ndarray | None, near: float | None) -> Placed:
    similarity = normalise.around_origin(poses, points)
    room, cube = (near or 0.0) * similarity.scale, np.array(CUBE, dtype=np.float32)
    moved = _float32(similarity.poses(poses))
    notes = _guesses(middle_of(poses), normalise.enough(points))
    return Placed("unbounded", moved, cube, similarity, _moved(points, similarity), room, notes=notes)


def _guesses(middle: Middle | None, points: bool) -> tuple[str, ...]:
    """What to tell of a scene whose cameras do not surround anything."""
    if middle is not None and middle.certain:
        return (OUTWARDS,) if middle.outwards else ()
    if points:
        return ("the cameras look at no one place: the points tell the scene's centre and scale",)
    return ("the cameras look at no one place, and there are no points: the scene's centre and scale are guesses",)


def _place_before_cameras(
    cameras: list[Camera], poses: np.ndarray, points: np.ndarray | None, near: float | None
) -> Placed:
    if near is None:
        seen = "" if points is None else f" of the {len(points):,} that cameras see enough of: are the poses right?"
        raise NerfpipeError(
            f"a `space: forward` needs to know what is near, from points or poses_bounds.npy; there are none{seen}"
        )
    similarity = normalise.before_cameras(poses, near)
    moved, frustum = similarity.poses(poses), normalise.frustum_of(cameras)
    box = normalise.forward_bounds(cameras, moved, frustum)
    return Placed("forward", _float32(moved), box, similarity, _moved(points, similarity), 0.0, frustum)


def _box(cameras: list[Camera], poses: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """Bounds [2, 3] of almost all points, where there are any; else of what all cameras look at."""
    return normalise.box_of(points) if normalise.enough(points) else bounds_from_cameras(cameras, poses)


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)


def _moved(points: np.ndarray | None, similarity: Similarity) -> np.ndarray | None:
    return None if points is None else _float32(similarity.points(points))

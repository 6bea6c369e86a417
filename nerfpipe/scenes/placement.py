"""Moves, turns and scales a scene from the coordinates of its data into the coordinates of its space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.contraction import CUBE
from nerfpipe.geometry.focus import FocusPoint, bounds_from_cameras, focus_point
from nerfpipe.geometry.ndc import Frustum
from nerfpipe.geometry.similarity import IDENTITY, Similarity
from nerfpipe.geometry.space import Kind
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes import normalise

OUTWARDS = "the cameras look outwards: right for a room seen from within; else their poses must look along -z, not +z"


@dataclass(frozen=True)
class SceneGeometry:
    """The geometry of a scene in the coordinates of its space; the fields are those of Scene."""

    kind: Kind
    poses: np.ndarray
    bounds: np.ndarray
    similarity: Similarity
    points: np.ndarray | None
    near: float = 0.0
    frustum: Frustum | None = None
    notes: tuple[str, ...] = ()


def to_scene_space(
    kind: Kind,
    cameras: list[Camera],
    poses: np.ndarray,
    points: np.ndarray | None,
    bounds: np.ndarray | None,
    near: float | None,
    source: Path,
) -> SceneGeometry:
    """The geometry of poses [N, 3, 4] and points [P, 3] in a space of this kind; all inputs in the data's coordinates.

    near: least distance of content from a camera, found from the points if None. bounds [2, 3]: the box of a bounded
    space, found from points or cameras if None. Raises NerfpipeError whose message begins with `source`.
    """
    if near is None and points is not None:
        near = normalise.near_from_points(points, cameras, poses)
    try:
        match kind:
            case "bounded":
                return bounded_geometry(_box(cameras, poses, points) if bounds is None else bounds, poses, points)
            case "unbounded":
                return _unbounded_geometry(poses, points, near)
        return _forward_geometry(cameras, poses, points, near)
    except NerfpipeError as error:
        raise NerfpipeError(f"{source}: {error}") from None


def bounded_geometry(box: np.ndarray, poses: np.ndarray, points: np.ndarray | None) -> SceneGeometry:
    """The geometry of a bounded scene in the box [2, 3], whose coordinates stay if its size and position are usual."""
    similarity = normalise.box_similarity(box)
    if similarity.is_identity:
        return SceneGeometry("bounded", _float32(poses), box, IDENTITY, None if points is None else _float32(points))
    moved = _float32(similarity.poses(poses.astype(np.float64)))
    box = _float32(similarity.points(box.astype(np.float64)))
    return SceneGeometry("bounded", moved, box, similarity, _moved(points, similarity))


def _unbounded_geometry(poses: np.ndarray, points: np.ndarray | None, near: float | None) -> SceneGeometry:
    similarity = normalise.unbounded_similarity(poses, points)
    scaled_near, cube = (near or 0.0) * similarity.scale, np.array(CUBE, dtype=np.float32)
    moved = _float32(similarity.poses(poses))
    notes = _focus_notes(focus_point(poses), normalise.has_enough(points))
    return SceneGeometry("unbounded", moved, cube, similarity, _moved(points, similarity), scaled_near, notes=notes)


def _focus_notes(focus: FocusPoint | None, has_points: bool) -> tuple[str, ...]:
    """Notes on a scene whose cameras do not surround an object."""
    if focus is not None and focus.certain:
        return (OUTWARDS,) if focus.outwards else ()
    if has_points:
        return ("the cameras look at no common point: the points tell the scene's centre and scale",)
    return ("the cameras look at no common point, and there are no points: the scene's centre and scale are guesses",)


def _forward_geometry(
    cameras: list[Camera], poses: np.ndarray, points: np.ndarray | None, near: float | None
) -> SceneGeometry:
    if near is None:
        seen = "" if points is None else f" of the {len(points):,} that cameras see enough of: are the poses right?"
        raise NerfpipeError(
            f"a `space: forward` needs to know what is near, from points or poses_bounds.npy; there are none{seen}"
        )
    similarity = normalise.forward_similarity(poses, near)
    moved, frustum = similarity.poses(poses), normalise.widest_frustum(cameras)
    box = normalise.forward_bounds(cameras, moved, frustum)
    return SceneGeometry("forward", _float32(moved), box, similarity, _moved(points, similarity), 0.0, frustum)


def _box(cameras: list[Camera], poses: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """Bounds [2, 3] of almost all points; of what all cameras look at if there are too few points."""
    return normalise.box_around(points) if normalise.has_enough(points) else bounds_from_cameras(cameras, poses)


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)


def _moved(points: np.ndarray | None, similarity: Similarity) -> np.ndarray | None:
    return None if points is None else _float32(similarity.points(points))

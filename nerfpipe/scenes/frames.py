"""From a list of frames - a picture, a lens, a pose - to a Scene: what the formats with pictures in files share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerfpipe.cameras import Camera
from nerfpipe.contraction import CUBE
from nerfpipe.errors import NerfpipeError
from nerfpipe.lenses import NotInvertibleError
from nerfpipe.scenes import normalise
from nerfpipe.scenes.bounds import bounds_from_cameras
from nerfpipe.scenes.pictures import look_at_header, read_depth_map, read_mask, read_picture
from nerfpipe.scenes.scene import SPLITS, Scene, pose_faults
from nerfpipe.similarity import IDENTITY, Similarity
from nerfpipe.space import Kind

Splits = dict[str, list[int]]
ASPECT = 0.01  # how much proportions of picture and camera may differ, if only rounding made them differ
NAMED = 5  # files named in a line before "and N more"


@dataclass(frozen=True)
class Frame:
    """One view as its data tells of it, in the data's own coordinates."""

    picture: Path
    camera: Camera  # of the picture in full size
    pose: np.ndarray  # [3, 4] camera-to-world, OpenGL's axes
    mask: Path | None = None
    depth: Path | None = None  # along the optical axis
    depth_unit: float = 1.0  # of the depth map's numbers, in the data's units
    near: float | None = None  # where something begins to be, if the data says so
    mask_leaves_out: bool = False  # what is white in the mask, instead of what is black


@dataclass(frozen=True)
class Reading:
    """What the catalogue's entry says of how to read a scene (see catalogue.Entry)."""

    name: str
    background: str
    bounds: np.ndarray | None  # [2, 3]
    space: Kind | None
    images: str | None
    masks: str | None
    factor: int
    missing: str
    test_every: int


def every_nth(count: int, test_every: int) -> Splits:
    """Every n-th view is held out, the first one first, and serves as both val and test, as is the custom."""
    held_out = list(range(0, count, test_every))
    return {"train": [i for i in range(count) if i % test_every], "val": held_out, "test": held_out}


def present(
    frames: list[Frame], reading: Reading, where: Path, may_be_empty: bool = False
) -> tuple[list[Frame], list[int], list[str]]:
    """The frames whose picture is there, their numbers, and notes. Raises NerfpipeError unless they may be missing."""
    kept = [i for i, frame in enumerate(frames) if frame.picture.is_file()]
    lost = [frames[i].picture for i in range(len(frames)) if i not in set(kept)]
    if not lost:
        return frames, kept, []
    named = ", ".join(picture.name for picture in lost[:NAMED]) + (", …" if len(lost) > NAMED else "")
    what = f"{len(lost)} of {len(frames)} pictures are not there ({named})"
    if reading.missing == "error":
        raise NerfpipeError(f"{where}: {what}; get them, or leave them out with `missing: skip` in the scene's entry")
    if not kept and not may_be_empty:
        raise NerfpipeError(f"{where}: {what}; is the folder of pictures complete?")
    return [frames[i] for i in kept], kept, [f"{what}: left out"]


def scene_of(
    frames: list[Frame],
    splits: Splits,
    reading: Reading,
    where: Path,
    default: Kind,
    points: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> Scene:
    """The scene of frames whose pictures are there. splits: name -> numbers of frames; points [P, 3] on surfaces.

    Raises NerfpipeError naming the file at fault.
    """
    poses = np.stack([frame.pose for frame in frames]).astype(np.float64)  # [N, 3, 4]
    if faults := pose_faults(poses, [frame.picture.name for frame in frames]):
        raise NerfpipeError(f"{where}: {faults[0]}")
    frames, has_alpha, size_notes = with_picture_sizes(frames)
    kind = reading.space or (default if reading.bounds is None else "bounded")
    cameras = [frame.camera.reduced(reading.factor) for frame in frames]
    lenses = tuple(dict.fromkeys(cameras))
    _check_lenses(lenses, where)
    placed = place(kind, frames, cameras, poses, points, reading.bounds, where)
    depths = any(frame.depth for frame in frames)
    masks = any(frame.mask for frame in frames)
    views = _Views(frames, reading.factor, placed.similarity.scale)
    return Scene(
        name=reading.name,
        cameras=lenses,
        camera_index=np.array([lenses.index(camera) for camera in cameras]),
        splits={name: np.array(splits[name], dtype=np.int64) for name in SPLITS},
        background=reading.background,
        has_alpha=has_alpha,
        read_image=views.image,
        read_depth=views.depth if depths else None,
        read_mask=views.mask if masks else None,
        notes=(*notes, *size_notes),
        **placed.about(),
    ).validate(str(where))


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

    def about(self) -> dict[str, object]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def place(
    kind: Kind,
    frames: list[Frame],
    cameras: list[Camera],
    poses: np.ndarray,
    points: np.ndarray | None,
    bounds: np.ndarray | None,
    where: Path,
) -> Placed:
    """Move, turn and scale the scene as its space wants it. A bounded one stays as it is."""
    near = _nearest(frames, cameras, poses, points)
    try:
        if kind == "bounded":
            box = _box(cameras, poses, points) if bounds is None else bounds
            return Placed(kind, poses.astype(np.float32), box, IDENTITY, _float32(points))
        if kind == "unbounded":
            similarity = normalise.around_origin(poses)
            moved, room = similarity.poses(poses), (near or 0.0) * similarity.scale
            extent = np.array(CUBE, dtype=np.float32)
            return Placed(kind, moved.astype(np.float32), extent, similarity, _moved(points, similarity), room)
        if near is None:
            raise NerfpipeError(
                "a `space: forward` needs to know what is near, from points or poses_bounds.npy; there are none"
            )
        similarity = normalise.before_cameras(poses, near)
    except NerfpipeError as error:
        raise NerfpipeError(f"{where}: {error}") from None
    moved, frustum = similarity.poses(poses), normalise.frustum_of(cameras)
    box = normalise.forward_bounds(cameras, moved, frustum)
    return Placed(kind, moved.astype(np.float32), box, similarity, _moved(points, similarity), 0.0, frustum)


def _box(cameras: list[Camera], poses: np.ndarray, points: np.ndarray | None) -> np.ndarray:
    """Bounds [2, 3] of almost all points, where there are any; else of what all cameras look at."""
    if points is None or len(points) < normalise.FEW:
        return bounds_from_cameras(cameras, poses)
    return normalise.box_of(points)


def _nearest(frames: list[Frame], cameras: list[Camera], poses: np.ndarray, points: np.ndarray | None) -> float | None:
    """Where the scene begins, in the data's units: as the frames say, else by the points."""
    told = [frame.near for frame in frames if frame.near is not None]
    if told:
        return min(told)
    return None if points is None else normalise.near_from_points(points, cameras, poses)


def with_picture_sizes(frames: list[Frame]) -> tuple[list[Frame], bool, list[str]]:
    """Frames whose cameras have the size of their pictures, whether any has alpha, and notes.

    A camera given for another size of the same picture is scaled; one of other proportions is a fault.
    """
    fitted, alpha, scaled = [], False, set()
    for frame in frames:
        width, height, has_alpha = look_at_header(frame.picture)
        alpha |= has_alpha
        camera = frame.camera
        if (camera.width, camera.height) != (width, height):
            if abs(width / camera.width * camera.height / height - 1) > ASPECT:
                raise NerfpipeError(
                    f"{frame.picture}: has {width}x{height} pixels, its camera {camera.width}x{camera.height}; "
                    "pictures must have the size, or at least the proportions, that the cameras were found for"
                )
            scaled.add(f"cameras for {camera.width}x{camera.height} pixels, pictures of {width}x{height}: scaled")
            camera = camera.resized(width, height)
        fitted.append(replace(frame, camera=camera))
    return fitted, alpha, sorted(scaled)


@dataclass(frozen=True)
class _Views:
    """Reads pictures, masks and depth of frames by number."""

    frames: list[Frame]
    factor: int
    scale: float  # scene units per unit of the data

    def image(self, view: int) -> np.ndarray:
        return read_picture(self.frames[view].picture, self.factor)

    def mask(self, view: int) -> np.ndarray:
        frame, camera = self.frames[view], self.frames[view].camera
        if frame.mask is None:
            small = camera.reduced(self.factor)
            return np.ones((small.height, small.width), dtype=bool)
        return read_mask(frame.mask, camera.width, camera.height, self.factor, frame.mask_leaves_out)

    def depth(self, view: int) -> np.ndarray:
        """[H, W] distance along the rays, in scene units."""
        frame, camera = self.frames[view], self.frames[view].camera
        small = camera.reduced(self.factor)
        if frame.depth is None:
            return np.full((small.height, small.width), np.nan, dtype=np.float32)
        depth = read_depth_map(frame.depth, camera.width, camera.height, self.factor)
        along_axis = -small.directions(small.pixel_centres())[:, 2].numpy().reshape(depth.shape)
        return (depth * frame.depth_unit * self.scale / along_axis).astype(np.float32)


def _check_lenses(cameras: tuple[Camera, ...], where: Path) -> None:
    for camera in cameras:
        centres = camera.pixel_centres()
        try:
            camera.directions(centres)
        except NotInvertibleError as error:
            column, row = centres[error.point].int().tolist()
            numbers = ", ".join(f"{k:.4g}" for k in camera.distortion)
            raise NerfpipeError(
                f"{where}: the {camera.lens} distortion ({numbers}) cannot be inverted at pixel ({column}, {row}): no "
                "ray leads there; correct its numbers, or undistort the pictures first"
            ) from None


def _float32(points: np.ndarray | None) -> np.ndarray | None:
    return None if points is None else points.astype(np.float32)


def _moved(points: np.ndarray | None, similarity: Similarity) -> np.ndarray | None:
    return None if points is None else similarity.points(points).astype(np.float32)

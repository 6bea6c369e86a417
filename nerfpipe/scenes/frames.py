"""From a list of frames - image, camera, pose - to a Scene: shared by all formats with images in files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS, Background
from nerfpipe.geometry.space import Kind
from nerfpipe.images.image_file import SIDEWAYS, UPRIGHT, Header, read_header
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.scenes.file_finder import describe_folder
from nerfpipe.scenes.image_files import read_depth_map, read_mask, read_picture
from nerfpipe.scenes.intrinsics import check_distortion, check_intrinsics
from nerfpipe.scenes.placement import to_scene_space
from nerfpipe.scenes.repeats import content_keys, without_repeats
from nerfpipe.scenes.scene import Scene, pose_faults

Splits = dict[str, list[int]]  # name -> indices of frames
ASPECT = 0.01  # largest relative difference between the proportions of image and camera that rounding explains
NAMED = 5  # files named in a message before "…"


@dataclass(frozen=True)
class Frame:
    """One view as its data describes it, in the data's coordinates."""

    picture: Path
    camera: Camera  # of the image in full size
    pose: np.ndarray  # [3, 4] camera-to-world, OpenGL's axes
    mask: Path | None = None
    depth: Path | None = None  # along the optical axis
    depth_unit: float = 1.0  # of the depth map's values, in the data's units
    near: float | None = None  # least distance of content, if the data gives it
    mask_leaves_out: bool = False  # whether the mask is white, rather than black, at pixels to leave out
    orientation: int = UPRIGHT  # EXIF's, by which the image is to be turned


@dataclass(frozen=True)
class ReadOptions:
    """How to read a scene: keys of its entry in the catalogue (see catalogue.Entry)."""

    name: str
    background: Background
    bounds: np.ndarray | None  # [2, 3]
    space: Kind | None
    images: str | None
    masks: str | None
    factor: int
    missing: str
    test_every: int
    order: str = "name"


def every_nth(count: int, test_every: int) -> Splits:
    """Splits that hold out every n-th view, from the first, as both val and test, as is the custom."""
    held_out = list(range(0, count, test_every))
    return {"train": [i for i in range(count) if i % test_every], "val": held_out, "test": held_out}


def existing_frames(
    frames: list[Frame], options: ReadOptions, source: Path, may_be_empty: bool = False
) -> tuple[list[Frame], list[int], list[str]]:
    """The frames whose image exists, their indices, and notes.

    Raises NerfpipeError if an image is missing, unless `options.missing` allows that, and if all are missing, unless
    `may_be_empty`.
    """
    exists = [frame.picture.is_file() for frame in frames]
    kept = [i for i, found in enumerate(exists) if found]
    missing = [frame.picture for frame, found in zip(frames, exists, strict=True) if not found]
    if not missing:
        return frames, kept, []
    named = ", ".join(picture.name for picture in missing[:NAMED]) + (", …" if len(missing) > NAMED else "")
    fault = f"{len(missing)} of {len(frames)} pictures are not there ({named})"
    if options.missing == "error":
        raise NerfpipeError(
            f"{source}: {fault}: {describe_folder(missing[0].parent)}; get them, or leave them out with "
            "`missing: skip` in the scene's entry"
        )
    if not kept and not may_be_empty:
        folder = describe_folder(missing[0].parent)
        raise NerfpipeError(f"{source}: {fault}: {folder}; is the folder of pictures complete?")
    return [frames[i] for i in kept], kept, [f"{fault}: left out"]


def build_scene(
    frames: list[Frame],
    splits: Splits,
    options: ReadOptions,
    source: Path,
    default: Kind,
    points: np.ndarray | None = None,
    sightings: np.ndarray | None = None,
    notes: Sequence[str] = (),
) -> Scene:
    """The scene of frames whose images exist, in its space: `options.space`, or `default`.

    points [P, 3]: on surfaces, in the data's coordinates; sightings [K, 2]: a frame and a point it
    shows. Raises NerfpipeError that names the file at fault.
    """
    poses = np.stack([frame.pose for frame in frames]).astype(np.float64)  # [N, 3, 4]
    names = [frame.picture.name for frame in frames]
    if faults := pose_faults(poses, names):
        raise NerfpipeError(f"{source}: {faults[0]}")
    frames, has_alpha, size_notes = fit_cameras_to_images(frames)
    lens_notes = check_intrinsics({frame.camera: frame.picture.name for frame in reversed(frames)}, source)
    cameras = [frame.camera.reduced(options.factor) for frame in frames]
    keys = content_keys([frame.picture for frame in frames], poses)
    splits, repeat_notes = without_repeats(splits, keys, poses, names)
    index = {camera: i for i, camera in enumerate(dict.fromkeys(cameras))}
    check_distortion(tuple(index), source)
    kind = options.space or (default if options.bounds is None else "bounded")
    near = min((frame.near for frame in frames if frame.near is not None), default=None)
    geometry = to_scene_space(kind, cameras, poses, points, options.bounds, near, source)
    reader = _FrameReader(frames, options.factor, geometry.similarity.scale)
    return Scene(
        name=options.name,
        cameras=tuple(index),
        camera_index=np.array([index[camera] for camera in cameras]),
        poses=geometry.poses,
        splits={name: np.array(splits[name], dtype=np.int64) for name in SPLITS},
        bounds=geometry.bounds,
        background=options.background,
        has_alpha=has_alpha,
        read_image=reader.image,
        read_depth=reader.depth if any(frame.depth for frame in frames) else None,
        read_mask=reader.mask if any(frame.mask for frame in frames) else None,
        kind=geometry.kind,
        frustum=geometry.frustum,
        near=geometry.near,
        points=geometry.points,
        sightings=sightings,
        similarity=geometry.similarity,
        notes=(*notes, *size_notes, *lens_notes, *repeat_notes, *geometry.notes),
    ).validate(str(source))


def fit_cameras_to_images(frames: list[Frame]) -> tuple[list[Frame], bool, list[str]]:
    """Frames whose cameras have the size of their images, whether any image has alpha, and notes.

    A camera for another size of the same image is scaled. An image that is sideways by its EXIF is turned if only the
    upright one has its camera's proportions. Raises NerfpipeError for any other difference of proportions.
    """
    fitted, has_alpha = [], False
    scaled: set[str] = set()
    ignored: list[Path] = []  # not upright by EXIF, but read as stored
    for frame in frames:
        header = read_header(frame.picture)
        has_alpha |= header.has_alpha
        orientation = _orientation(frame, header)
        if orientation == UPRIGHT != header.orientation:
            ignored.append(frame.picture)
        stored = (header.width, header.height)
        width, height = stored[::-1] if orientation in SIDEWAYS else stored
        camera = frame.camera
        if (camera.width, camera.height) != (width, height):
            scaled.add(f"cameras for {camera.width}x{camera.height} pixels, pictures of {width}x{height}: scaled")
            camera = camera.resized(width, height)
        fitted.append(replace(frame, camera=camera, orientation=orientation))
    turned = [frame.picture for frame in fitted if frame.orientation != UPRIGHT]
    notes = sorted(scaled)
    if turned:
        notes.append(f"{len(turned)} of {len(frames)} pictures, as {turned[0].name}, are stored on their side: turned")
    if ignored:
        notes.append(
            f"{len(ignored)} of {len(frames)} pictures, as {ignored[0].name}, have an orientation in their EXIF, which "
            "is not followed: cameras are taken to be of the pixels as they are stored"
        )
    return fitted, has_alpha, notes


def _orientation(frame: Frame, header: Header) -> int:
    """The EXIF orientation by which to turn the image. Raises NerfpipeError if it fits its camera neither way."""
    camera, stored, upright = frame.camera, (header.width, header.height), (header.height, header.width)
    sideways = header.orientation in SIDEWAYS
    if sideways and (camera.width, camera.height) == upright != stored:  # nearly square images fit both ways
        return header.orientation
    if _has_proportions(camera, *stored):
        return UPRIGHT
    if sideways and _has_proportions(camera, *upright):
        return header.orientation
    raise NerfpipeError(
        f"{frame.picture}: has {header.width}x{header.height} pixels, its camera {camera.width}x{camera.height}; "
        "pictures must have the size, or at least the proportions, that the cameras were found for"
    )


def _has_proportions(camera: Camera, width: int, height: int) -> bool:
    return abs(width / camera.width * camera.height / height - 1) <= ASPECT


@dataclass(frozen=True)
class _FrameReader:
    """Reads images, masks and depth of frames by their index."""

    frames: list[Frame]
    factor: int
    scale: float  # scene units per unit of the data

    def image(self, view: int) -> np.ndarray:
        """[H, W, 4] uint8, straight alpha."""
        return read_picture(self.frames[view].picture, self.factor, self.frames[view].orientation)

    def mask(self, view: int) -> np.ndarray:
        """[H, W] bool: the valid pixels."""
        frame, camera = self.frames[view], self.frames[view].camera
        if frame.mask is None:
            reduced = camera.reduced(self.factor)
            return np.ones((reduced.height, reduced.width), dtype=bool)
        return read_mask(frame.mask, camera.width, camera.height, self.factor, frame.mask_leaves_out, frame.orientation)

    def depth(self, view: int) -> np.ndarray:
        """[H, W] float32: distance along the rays in scene units, NaN if unknown."""
        frame, camera = self.frames[view], self.frames[view].camera
        reduced = camera.reduced(self.factor)
        if frame.depth is None:
            return np.full((reduced.height, reduced.width), np.nan, dtype=np.float32)
        depth = read_depth_map(frame.depth, camera.width, camera.height, self.factor, frame.orientation)
        for rows, _ in reduced.strips():
            cosine = -reduced.directions(reduced.pixel_centres(rows))[:, 2].numpy().reshape(depth[rows].shape)
            depth[rows] = depth[rows] * frame.depth_unit * self.scale / cosine
        return depth

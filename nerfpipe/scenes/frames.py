"""From a list of frames - a picture, a lens, a pose - to a Scene: what the formats with pictures in files share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.geometry.distortion import NotInvertibleError
from nerfpipe.geometry.space import Kind
from nerfpipe.images.image_file import SIDEWAYS, UPRIGHT, Header, read_header
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress
from nerfpipe.scenes.file_finder import lies_in
from nerfpipe.scenes.image_files import read_depth_map, read_mask, read_picture
from nerfpipe.scenes.intrinsics import lens_doubt, lens_fault
from nerfpipe.scenes.placement import place
from nerfpipe.scenes.repeats import content_keys, without_repeats
from nerfpipe.scenes.scene import Scene, pose_faults

Splits = dict[str, list[int]]
ASPECT = 0.01  # how much proportions of picture and camera may differ, if only rounding made them differ
LOOKED_AT = 8  # pixels from one to the next at which a lens is looked at
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
    orientation: int = UPRIGHT  # EXIF's, where the picture is to be turned by it


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
    order: str = "name"


def every_nth(count: int, test_every: int) -> Splits:
    """Every n-th view is held out, the first one first, and serves as both val and test, as is the custom."""
    held_out = list(range(0, count, test_every))
    return {"train": [i for i in range(count) if i % test_every], "val": held_out, "test": held_out}


def present(
    frames: list[Frame], reading: Reading, where: Path, may_be_empty: bool = False
) -> tuple[list[Frame], list[int], list[str]]:
    """The frames whose picture is there, their numbers, and notes. Raises NerfpipeError unless they may be missing."""
    there = [frame.picture.is_file() for frame in frames]
    kept = [i for i, found in enumerate(there) if found]
    lost = [frame.picture for frame, found in zip(frames, there, strict=True) if not found]
    if not lost:
        return frames, kept, []
    named = ", ".join(picture.name for picture in lost[:NAMED]) + (", …" if len(lost) > NAMED else "")
    what = f"{len(lost)} of {len(frames)} pictures are not there ({named})"
    if reading.missing == "error":
        raise NerfpipeError(
            f"{where}: {what}: {lies_in(lost[0].parent)}; get them, or leave them out with `missing: skip` in the "
            "scene's entry"
        )
    if not kept and not may_be_empty:
        raise NerfpipeError(f"{where}: {what}: {lies_in(lost[0].parent)}; is the folder of pictures complete?")
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
    lens_notes = _check_intrinsics(frames, where)
    kind = reading.space or (default if reading.bounds is None else "bounded")
    cameras = [frame.camera.reduced(reading.factor) for frame in frames]
    names = [frame.picture.name for frame in frames]
    keys = content_keys([frame.picture for frame in frames], poses)
    splits, repeat_notes = without_repeats(splits, keys, poses, names)
    number = {camera: i for i, camera in enumerate(dict.fromkeys(cameras))}
    lenses = tuple(number)
    _check_lenses(lenses, where)
    told = min((frame.near for frame in frames if frame.near is not None), default=None)
    placed = place(kind, cameras, poses, points, reading.bounds, told, where)
    depths = any(frame.depth for frame in frames)
    masks = any(frame.mask for frame in frames)
    views = _Views(frames, reading.factor, placed.similarity.scale)
    return Scene(
        name=reading.name,
        cameras=lenses,
        camera_index=np.array([number[camera] for camera in cameras]),
        splits={name: np.array(splits[name], dtype=np.int64) for name in SPLITS},
        background=reading.background,
        has_alpha=has_alpha,
        read_image=views.image,
        read_depth=views.depth if depths else None,
        read_mask=views.mask if masks else None,
        notes=(*notes, *size_notes, *lens_notes, *repeat_notes, *placed.notes),
        **placed.about(),
    ).validate(str(where))


def with_picture_sizes(frames: list[Frame]) -> tuple[list[Frame], bool, list[str]]:
    """Frames whose cameras have the size of their pictures, whether any has alpha, and notes.

    A camera given for another size of the same picture is scaled. A picture that EXIF says lies on its side is turned
    where its camera has the proportions of the upright one alone; any other fault of proportions is one.
    """
    fitted, alpha, scaled = [], False, {}
    lying: list[Path] = []  # not upright by EXIF, and read as they are stored
    for frame in frames:
        header = read_header(frame.picture)
        alpha |= header.has_alpha
        orientation = _orientation(frame, header)
        if orientation == UPRIGHT != header.orientation:
            lying.append(frame.picture)
        sides = (header.width, header.height)
        width, height = sides[::-1] if orientation in SIDEWAYS else sides
        camera = frame.camera
        if (camera.width, camera.height) != (width, height):
            change = f"cameras for {camera.width}x{camera.height} pixels, pictures of {width}x{height}: scaled"
            scaled[change] = None
            camera = camera.resized(width, height)
        fitted.append(replace(frame, camera=camera, orientation=orientation))
    turned = [frame.picture for frame in fitted if frame.orientation != UPRIGHT]
    notes = sorted(scaled)
    if turned:
        notes.append(f"{len(turned)} of {len(frames)} pictures, as {turned[0].name}, are stored on their side: turned")
    if lying:
        notes.append(
            f"{len(lying)} of {len(frames)} pictures, as {lying[0].name}, have an orientation in their EXIF, which is "
            "not followed: cameras are taken to be of the pixels as they are stored"
        )
    return fitted, alpha, notes


def _orientation(frame: Frame, header: Header) -> int:
    """By what the picture is to be turned. Raises NerfpipeError where it fits its camera neither way."""
    camera, stored, upright = frame.camera, (header.width, header.height), (header.height, header.width)
    lies = header.orientation in SIDEWAYS
    if lies and (camera.width, camera.height) == upright != stored:  # nearly square ones are alike both ways
        return header.orientation
    if _alike(camera, *stored):
        return UPRIGHT
    if lies and _alike(camera, *upright):
        return header.orientation
    raise NerfpipeError(
        f"{frame.picture}: has {header.width}x{header.height} pixels, its camera {camera.width}x{camera.height}; "
        "pictures must have the size, or at least the proportions, that the cameras were found for"
    )


def _alike(camera: Camera, width: int, height: int) -> bool:
    return abs(width / camera.width * camera.height / height - 1) <= ASPECT


@dataclass(frozen=True)
class _Views:
    """Reads pictures, masks and depth of frames by number."""

    frames: list[Frame]
    factor: int
    scale: float  # scene units per unit of the data

    def image(self, view: int) -> np.ndarray:
        return read_picture(self.frames[view].picture, self.factor, self.frames[view].orientation)

    def mask(self, view: int) -> np.ndarray:
        frame, camera = self.frames[view], self.frames[view].camera
        if frame.mask is None:
            small = camera.reduced(self.factor)
            return np.ones((small.height, small.width), dtype=bool)
        sizes = camera.width, camera.height, self.factor
        return read_mask(frame.mask, *sizes, frame.mask_leaves_out, frame.orientation)

    def depth(self, view: int) -> np.ndarray:
        """[H, W] distance along the rays, in scene units."""
        frame, camera = self.frames[view], self.frames[view].camera
        small = camera.reduced(self.factor)
        if frame.depth is None:
            return np.full((small.height, small.width), np.nan, dtype=np.float32)
        depth = read_depth_map(frame.depth, camera.width, camera.height, self.factor, frame.orientation)
        for rows, _ in small.strips():
            along_axis = -small.directions(small.pixel_centres(rows))[:, 2].numpy().reshape(depth[rows].shape)
            depth[rows] = depth[rows] * frame.depth_unit * self.scale / along_axis
        return depth


def _check_intrinsics(frames: list[Frame], where: Path) -> list[str]:
    """Notes on lenses that are odd. Raises NerfpipeError where one is impossible for its picture."""
    doubts: list[str] = []
    for camera, frame in {frame.camera: frame for frame in reversed(frames)}.items():
        if (fault := lens_fault(camera)) is not None:
            raise NerfpipeError(f"{where}: {frame.picture.name}: {fault}")
        if not doubts and (doubt := lens_doubt(camera)) is not None:
            doubts.append(f"{frame.picture.name}: {doubt}")
    return doubts


def _check_lenses(cameras: tuple[Camera, ...], where: Path) -> None:
    distorted = [camera for camera in cameras if not camera.is_pinhole]
    if not distorted:
        return
    with Progress("lenses", len(distorted), "lenses") as progress:
        for camera in distorted:
            _check_lens(camera, where)
            progress.advance()


def _check_lens(camera: Camera, where: Path) -> None:
    """Look at the edges, where lenses fold first, and at every few pixels within; the ray bank looks at all."""
    columns, rows = (
        torch.cat([torch.arange(0, side, LOOKED_AT), torch.tensor([side - 1])]) + 0.5
        for side in (camera.width, camera.height)
    )
    centres = torch.cartesian_prod(rows, columns).flip(1)  # [P, 2]
    try:
        camera.directions(centres)
    except NotInvertibleError as error:
        column, row = centres[error.point].int().tolist()
        numbers = ", ".join(f"{k:.4g}" for k in camera.distortion)
        raise NerfpipeError(
            f"{where}: the {camera.lens} distortion ({numbers}) cannot be inverted at pixel ({column}, {row}): no "
            "ray leads there; correct its numbers, or undistort the pictures first"
        ) from None

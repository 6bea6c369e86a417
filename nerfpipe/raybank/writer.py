"""Writes the ray bank of a scene (see raybank), one view at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.geometry.distortion import NotInvertibleError
from nerfpipe.geometry.rays import rays_to_world
from nerfpipe.geometry.space import Space
from nerfpipe.raybank.bank import RayBank, view_starts
from nerfpipe.raybank.directions import NO_TABLE, Directions, table_starts
from nerfpipe.raybank.header import BankHeader
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import create_array, save_array, write_json
from nerfpipe.runtime.progress import Progress
from nerfpipe.scenes.scene import Scene
from nerfpipe.scenes.sightings import points_seen


def build(scene: Scene, folder: Path, margin: float, min_near: float) -> RayBank:
    """Write the bank of a scene into an empty folder, one view at a time.

    `margin` grows the bounds by that fraction of their size. Raises NerfpipeError when no train ray meets the bounds.
    """
    header = BankHeader(
        scene=scene.name,
        cameras=scene.cameras,
        camera_index=scene.camera_index.tolist(),
        splits={name: scene.splits[name].tolist() for name in SPLITS},
        space=scene.space(margin, min_near),
        similarity=scene.similarity,
        background=scene.background,
        has_alpha=scene.has_alpha,
    )
    write_json(folder / "bank.json", asdict(header))
    save_array(folder / "poses.npy", scene.poses.astype(np.float32))
    directions = _write_directions(scene.cameras, header.camera_index, folder / "directions.npy")
    _write_train(scene, header.space, directions, folder / "train.npy")
    _write_colour(scene, folder / "colour.npy")
    if scene.read_mask is not None:
        _write_mask(scene, scene.read_mask, folder / "mask.npy")
    if scene.read_depth is not None:
        _write_depth(scene, scene.read_depth, folder / "depth.npy")
    if scene.points is not None:
        _write_sightings(scene, folder)
    return RayBank(folder)


def _write_directions(cameras: tuple[Camera, ...], camera_index: list[int], file: Path) -> Directions:
    """Lens after lens, the camera-space directions of all pixel centres of the lenses that have a table."""
    starts, total = table_starts(cameras, camera_index)
    table = create_array(file, np.float32, (total, 3))
    for camera, start in dict(zip(cameras, starts, strict=True)).items():
        try:
            if start != NO_TABLE:
                _write_table(camera, table[start : start + camera.width * camera.height])
            elif not camera.is_pinhole:
                camera.directions(camera.border_centres())
        except NotInvertibleError:
            raise NerfpipeError(
                f"a {camera.lens} lens of {camera.width}x{camera.height} pixels: its distortion cannot be inverted; "
                "correct its numbers, or undistort the pictures first"
            ) from None
    table.flush()
    return Directions(cameras, camera_index, table)


def _write_table(camera: Camera, table: np.ndarray) -> None:
    """The directions of all pixels of a camera, into table [H·W, 3]."""
    for rows, pixels in camera.strips():
        table[pixels] = camera.directions(camera.pixel_centres(rows)).numpy()


def _write_train(scene: Scene, space: Space, directions: Directions, file: Path) -> None:
    """The numbers of the train rays that meet the bounds and are in the mask; counted, then written, so that memory
    holds a strip of one view.
    """
    starts = view_starts(scene.cameras, scene.camera_index)

    def hits(view: int) -> Iterator[np.ndarray]:
        lens, pose = scene.camera_index[view], torch.from_numpy(np.array(scene.poses[view]))
        counts = None if scene.read_mask is None else scene.read_mask(view).ravel()  # [H·W]
        for _, pixels in scene.camera(view).strips():
            indices = np.arange(pixels.start, pixels.stop)
            in_camera = directions.of(np.full(len(indices), lens), indices)  # [P, 3]
            counted = space.rays(*rays_to_world(pose.expand(len(in_camera), 3, 4), in_camera)).hits.numpy()
            if counts is not None:
                counted &= counts[pixels]
            yield starts[view] + pixels.start + np.flatnonzero(counted)

    counts = [sum(len(strip) for strip in hits(view)) for view in scene.splits["train"]]
    if sum(counts) == 0:
        raise NerfpipeError(
            f"scene {scene.name}: no train ray meets the bounds {_shown_box(scene)}; "
            "check the poses' scale and axes and the masks, or set `bounds:` in the scene's entry"
        )
    small = starts[-1] <= np.iinfo(np.uint32).max
    indices, first = create_array(file, np.uint32 if small else np.uint64, (sum(counts),)), 0
    for view in scene.splits["train"]:
        for strip in hits(view):
            indices[first : first + len(strip)] = strip
            first += len(strip)
    indices.flush()


def _shown_box(scene: Scene) -> str:
    """The bounds as the data's own coordinates have them, if they are a box in the world."""
    if scene.kind != "bounded":
        return str(scene.bounds.tolist())
    return str(np.float32(scene.similarity.original(scene.bounds.astype(np.float64))).tolist())


def _write_colour(scene: Scene, file: Path) -> None:
    starts = view_starts(scene.cameras, scene.camera_index)
    colour = create_array(file, np.uint8, (int(starts[-1]), 4))
    with Progress("rays", scene.views, "views") as progress:
        for view in range(scene.views):
            image, camera = scene.read_image(view), scene.camera(view)
            if image.shape != (camera.height, camera.width, 4):
                raise NerfpipeError(
                    f"scene {scene.name}: view {view} is {list(image.shape)}, its camera has "
                    f"{[camera.height, camera.width, 4]}; pictures and cameras must have the same size"
                )
            colour[starts[view] : starts[view + 1]] = image.reshape(-1, 4)  # [H·W, 4]
            progress.advance()
    colour.flush()


def _write_sightings(scene: Scene, folder: Path) -> None:
    """The numbers of the train rays that meet a point of the scene, and the distances of these points."""
    starts = view_starts(scene.cameras, scene.camera_index)
    rays, distances = [np.empty(0, np.int64)], [np.empty(0, np.float32)]
    for view in scene.splits["train"]:
        pixels, distance = points_seen(scene, view)
        if scene.read_mask is not None and len(pixels):
            counts = scene.read_mask(view).ravel()[pixels]
            pixels, distance = pixels[counts], distance[counts]
        rays.append(starts[view] + pixels)
        distances.append(distance)
    save_array(folder / "seen_rays.npy", np.concatenate(rays))
    save_array(folder / "seen_distance.npy", np.concatenate(distances))


def _write_mask(scene: Scene, read: Callable[[int], np.ndarray], file: Path) -> None:
    starts = view_starts(scene.cameras, scene.camera_index)
    mask = create_array(file, np.uint8, (int(starts[-1]),))
    for view in range(scene.views):
        mask[starts[view] : starts[view + 1]] = read(view).ravel()  # [H·W]
    mask.flush()


def _write_depth(scene: Scene, read: Callable[[int], np.ndarray], file: Path) -> None:
    starts = view_starts(scene.cameras, scene.camera_index)
    depth = create_array(file, np.float32, (int(starts[-1]),))
    for view in range(scene.views):
        depth[starts[view] : starts[view + 1]] = read(view).ravel()  # [H·W]
    depth.flush()

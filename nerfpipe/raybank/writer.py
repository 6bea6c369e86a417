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
from nerfpipe.raybank.header import BankHeader
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import create_array, save_array, write_json
from nerfpipe.runtime.progress import Progress
from nerfpipe.scenes.scene import Scene


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
    directions = _write_directions(scene.cameras, folder / "directions.npy")
    _write_train(scene, header.space, directions, folder / "train.npy")
    _write_colour(scene, folder / "colour.npy")
    if scene.read_mask is not None:
        _write_mask(scene, scene.read_mask, folder / "mask.npy")
    if scene.read_depth is not None:
        _write_depth(scene, scene.read_depth, folder / "depth.npy")
    return RayBank(folder)


def _write_directions(cameras: tuple[Camera, ...], file: Path) -> np.ndarray:
    """Lens after lens, the camera-space directions of all pixel centres: [D, 3] float32, mapped."""
    starts = view_starts(cameras, np.arange(len(cameras)))
    directions = create_array(file, np.float32, (int(starts[-1]), 3))
    for number, camera in enumerate(cameras):
        own = directions[starts[number] : starts[number + 1]]
        for rows, pixels in camera.strips():
            try:
                own[pixels] = camera.directions(camera.pixel_centres(rows)).numpy()
            except NotInvertibleError:
                raise NerfpipeError(
                    f"a {camera.lens} lens of {camera.width}x{camera.height} pixels: its distortion cannot be inverted "
                    f"in rows {rows.start} to {rows.stop}; correct its numbers, or undistort the pictures first"
                ) from None
    directions.flush()
    return directions


def _write_train(scene: Scene, space: Space, directions: np.ndarray, file: Path) -> None:
    """The numbers of the train rays that meet the bounds and are in the mask; counted, then written, so that memory
    holds a strip of one view.
    """
    starts = view_starts(scene.cameras, scene.camera_index)
    lenses = view_starts(scene.cameras, np.arange(len(scene.cameras)))

    def hits(view: int) -> Iterator[np.ndarray]:
        lens, pose = scene.camera_index[view], torch.from_numpy(np.array(scene.poses[view]))
        counts = None if scene.read_mask is None else scene.read_mask(view).ravel()  # [H·W]
        for _, pixels in scene.camera(view).strips():
            in_camera = torch.from_numpy(directions[lenses[lens] : lenses[lens + 1]][pixels])  # [P, 3]
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

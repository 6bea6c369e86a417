"""Renders the built-in scene into a folder, in the `procedural` format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.procedural import robot_arm
from nerfpipe.procedural.drawing import PIXELS_AT_ONCE, draw
from nerfpipe.procedural.layout import DEPTH, DESCRIPTION, IMAGES, LABELS
from nerfpipe.runtime.files import create_array, write_json
from nerfpipe.runtime.progress import Progress

RADIUS = 3.1  # scene units, of the sphere of cameras
FOCAL = 1.4  # in widths of the image: the table just fits into it at every elevation
LOWEST, HIGHEST = math.radians(8), math.radians(75)  # elevations of the cameras, in radians
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def camera_poses(count: int) -> Tensor:
    """Camera-to-world poses [count, 3, 4] that look at the scene, on a golden-angle spiral from low to high.

    Equal areas of the sphere have equal numbers of cameras, and no two cameras are close together.
    """
    centre, up = torch.tensor(robot_arm.CENTRE), torch.tensor([0.0, 0.0, 1.0])
    low, high = math.sin(LOWEST), math.sin(HIGHEST)
    poses = []
    for i in range(count):
        height = low + (high - low) * (i + 0.5) / count
        across = math.sqrt(1 - height * height)
        offset = torch.tensor([across * math.cos(i * GOLDEN_ANGLE), across * math.sin(i * GOLDEN_ANGLE), height])
        poses.append(look_at(centre + RADIUS * offset, centre, up))
    return torch.stack(poses)


def positions_by_split(sizes: dict[str, int]) -> dict[str, list[int]]:
    """Positions on the spiral, by split; val and test are spread among the train views.

    Sorting by the multiples of √3 modulo 1 spreads any run of positions over all heights and directions. (Every n-th
    position would not: golden angles nearly repeat, so that the held-out views would all be on one side.)
    """
    count = sum(sizes[name] for name in SPLITS)
    positions = sorted(range(count), key=lambda position: position * math.sqrt(3) % 1)
    val, held_out = sizes["val"], sizes["val"] + sizes["test"]
    return {
        "train": sorted(positions[held_out:]),
        "val": sorted(positions[:val]),
        "test": sorted(positions[val:held_out]),
    }


def generate(folder: Path, size: int, splits: dict[str, int]) -> None:
    """Render the robot-arm scene into an existing, empty folder: images of size x size pixels; splits: name -> views.

    The same sizes give the same bytes on any number of threads.
    """
    positions = positions_by_split(splits)
    order = [position for name in SPLITS for position in positions[name]]
    poses = camera_poses(len(order))[order]
    camera = Camera.centred(size, size, FOCAL * size)
    images = create_array(folder / IMAGES, np.uint8, (len(poses), size, size, 4))
    depth = create_array(folder / DEPTH, np.float32, (len(poses), size, size))
    labels = create_array(folder / LABELS, np.uint8, (len(poses), size, size))
    solids = robot_arm.solids()

    at_once = max(1, PIXELS_AT_ONCE // (size * size))

    def draw_views(first: int) -> int:
        views = slice(first, first + at_once)
        images[views], depth[views], labels[views] = draw(solids, robot_arm.BOUNDS, camera, poses[views])
        return len(poses[views])

    with (
        Progress("drawing robot-arm", len(poses), "views") as progress,
        _one_thread_per_operation() as threads,
        ThreadPoolExecutor(max_workers=threads) as pool,
    ):
        for drawn in pool.map(draw_views, range(0, len(poses), at_once)):
            progress.advance(drawn)
    for array in (images, depth, labels):
        array.flush()
    first = np.cumsum([0, *(splits[name] for name in SPLITS)])
    description = {
        "camera": camera.to_dict(),
        "bounds": robot_arm.BOUNDS,
        "labels": robot_arm.LABELS,
        "splits": {name: list(range(first[i], first[i + 1])) for i, name in enumerate(SPLITS)},
        "poses": poses.tolist(),
    }
    write_json(folder / DESCRIPTION, description)


@contextmanager
def _one_thread_per_operation() -> Iterator[int]:
    """Runs every torch operation on one thread, and yields the number of threads that remain for whole views.

    Most operations here are too small to divide, and the division would change the last bit of powers and sines.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)

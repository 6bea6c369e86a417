"""Draws the built-in scene into a folder, in the `procedural` format."""

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
from nerfpipe.runtime.files import create_array, write_json
from nerfpipe.runtime.progress import Progress
from nerfpipe.scenes.formats.procedural import DEPTH, DESCRIPTION, IMAGES, LABELS

RADIUS = 3.1  # of the sphere that the cameras stand on, in scene units
FOCAL = 1.4  # in widths of the picture: the table just stays inside it at every elevation
LOWEST, HIGHEST = math.radians(8), math.radians(75)  # elevations of the cameras
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


def camera_poses(count: int) -> Tensor:
    """[count, 3, 4] camera-to-world poses that look at the scene, on a golden-angle spiral from low to high.

    Equal areas of the sphere get equally many, and no two stand close together.
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


def places_by_split(sizes: dict[str, int]) -> dict[str, list[int]]:
    """Which places on the spiral each split takes; val and test are spread among the train views.

    Multiples of an irrational number that has nothing to do with the golden angle, modulo 1, put the places into an
    order of which every stretch is spread over heights and directions alike. (Every nth place would not do: golden
    angles repeat themselves nearly, and the held-out views would all stand on one side.)
    """
    places = sorted(range(sum(sizes[name] for name in SPLITS)), key=lambda place: place * math.sqrt(3) % 1)
    val, held = sizes["val"], sizes["val"] + sizes["test"]
    return {"train": sorted(places[held:]), "val": sorted(places[:val]), "test": sorted(places[val:held])}


def generate(folder: Path, size: int, splits: dict[str, int]) -> None:
    """Draw the robot-arm scene into an existing, empty folder: pictures of size x size pixels, `splits` views each.

    The same sizes give the same bytes, whatever the number of threads.
    """
    places = places_by_split(splits)
    poses = camera_poses(sum(splits[name] for name in SPLITS))[[place for name in SPLITS for place in places[name]]]
    camera = Camera.centred(size, size, FOCAL * size)
    pictures = create_array(folder / IMAGES, np.uint8, (len(poses), size, size, 4))
    depth = create_array(folder / DEPTH, np.float32, (len(poses), size, size))
    labels = create_array(folder / LABELS, np.uint8, (len(poses), size, size))
    solids = robot_arm.solids()

    at_once = max(1, PIXELS_AT_ONCE // (size * size))

    def draw_views(first: int) -> int:
        some = slice(first, first + at_once)
        pictures[some], depth[some], labels[some] = draw(solids, robot_arm.BOUNDS, camera, poses[some])
        return len(poses[some])

    with (
        Progress("drawing robot-arm", len(poses), "views") as progress,
        _operations_unshared() as threads,
        ThreadPoolExecutor(max_workers=threads) as pool,
    ):
        for drawn in pool.map(draw_views, range(0, len(poses), at_once)):
            progress.advance(drawn)
    for array in (pictures, depth, labels):
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
def _operations_unshared() -> Iterator[int]:
    """Lets every torch operation run on one thread meanwhile, and gives how many there are for whole views.

    Most operations here are too small to share out, and where torch cuts them up shows in the last bit of powers and
    sines.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)

"""A new scene format: pictures from a turntable, which turned by equal steps in front of a fixed camera.

    python examples/format.py

The folder holds turntable.json, {"distance": 3.0, "elevation": 20.0, "angle_of_view": 40.0} with angles in degrees, and
the pictures in images/, in the order of their names. In the repository this is a module in `scenes/formats/`, a line in
FOLDER_FORMATS of `scenes/loading.py`, and a name in `format` of `project/catalogue.py`.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.images.image_file import read_header
from nerfpipe.project.paths import ENTRY_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.json_file import number, read_object
from nerfpipe.scenes.frames import Frame, ReadOptions, build_scene, every_nth
from nerfpipe.scenes.image_files import picture_files
from nerfpipe.scenes.loading import DEFAULTS, FOLDER_FORMATS, load_scene
from nerfpipe.scenes.loading import KEYS as ENTRY_KEYS
from nerfpipe.scenes.scene import Scene

FILE = "turntable.json"
KEYS = ("distance", "elevation", "angle_of_view")


def is_here(folder: Path) -> bool:
    """1. Whether a folder holds a scene of this format. Folders are searched without reading much."""
    return (folder / FILE).is_file()


def load(folder: Path, options: ReadOptions) -> Scene:
    """2. The scene: a Frame per picture, in the data's own coordinates. Scale, bounds, masks and splits follow from it.

    Raises NerfpipeError that names the file and the key at fault.
    """
    content = read_object(folder / FILE)
    distance, elevation, angle = (number(content, key, folder / FILE) for key in KEYS)
    if not (distance > 0 and abs(elevation) < 90 and 0 < angle < 180):
        raise NerfpipeError(f"{folder / FILE}: distance must be above 0, elevation within ±90, angle_of_view 0 to 180")
    pictures = picture_files(folder / (options.images or "images"), options.order)
    header = read_header(pictures[0])
    focal = header.width / 2 / math.tan(math.radians(angle) / 2)  # pixels
    camera = Camera.centred(header.width, header.height, focal)
    frames = [
        Frame(picture, camera, pose(2 * math.pi * i / len(pictures), distance, math.radians(elevation)))
        for i, picture in enumerate(pictures)
    ]
    splits = every_nth(len(frames), options.test_every)
    return build_scene(frames, splits, options, folder / FILE, default="bounded")


def pose(azimuth: float, distance: float, elevation: float) -> np.ndarray:
    """3. The camera-to-world pose [3, 4]: OpenGL's axes, z up in the world; angles in radians."""
    across, height = math.cos(elevation), math.sin(elevation)
    position = distance * torch.tensor([across * math.cos(azimuth), across * math.sin(azimuth), height])
    return look_at(position, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])).numpy()


FOLDER_FORMATS["turntable"] = sys.modules[__name__]  # 4. The registration; the most specific formats come first.


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        (folder / FILE).write_text(json.dumps({"distance": 3.0, "elevation": 20.0, "angle_of_view": 40.0}))
        for i in range(8):
            iio.imwrite(folder / "images" / f"{i}.png", np.full((24, 32, 3), 30 * i, np.uint8))
        entry = {**dict.fromkeys(ENTRY_KEYS), **DEFAULTS, "name": "cup", "background": "white", "factor": 1}
        entry |= {"test_every": 4, "missing": "error", "train_views": 0}
        (folder / ENTRY_FILE).write_text(json.dumps(entry))  # as the download stage writes it
        scene = load_scene(folder)
        print(f"{scene.name}: {scene.views} views, {len(scene.splits['train'])} of them to train, {scene.kind}")
        print(f"first camera at {np.round(scene.similarity.original_poses(scene.poses)[0, :, 3], 3).tolist()}")


if __name__ == "__main__":
    main()

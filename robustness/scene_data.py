"""A small true scene, written out in the formats that people bring, so that it can be changed and read back."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from nerfpipe.scenes import blender, colmap, llff, transforms
from nerfpipe.scenes.frames import Reading
from nerfpipe.scenes.scene import Scene

VIEWS, WIDTH, HEIGHT, FOCAL = 8, 32, 24, 40.0
FLIP = np.diag([1.0, -1.0, -1.0])
LOADERS = {"transforms": transforms, "blender": blender, "colmap": colmap, "colmap binary": colmap, "llff": llff}
HELD_OUT = 2  # of the blender scene's views, from the last on


def reading(**keys: Any) -> Reading:
    usual = {"images": None, "masks": None, "factor": 1, "missing": "error", "test_every": 4, "order": "name"}
    bounds = np.array([[-1.0] * 3, [1.0] * 3], np.float32)
    return Reading(**{"name": "true", "background": "black", "bounds": bounds, "space": None, **usual, **keys})


def picture(view: int) -> np.ndarray:
    """[H, W, 3] uint8: no two alike, and none alike to itself when it is turned."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    shades = [rows * 9 + view * 3, columns * 7 + view * 5, (rows + 2 * columns) * 2 + view * 20]
    return (np.stack(shades, axis=-1) % 256).astype(np.uint8)


def pose(view: int) -> np.ndarray:
    """[3, 4] camera-to-world, OpenGL's axes, on a circle round the origin."""
    turn = 2 * math.pi * view / VIEWS
    back = np.array([math.cos(turn), math.sin(turn), 0.4])
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    return np.stack([right, np.cross(back, right), back, 4 * back], axis=1)


def square(view: int) -> list[list[float]]:
    return [*pose(view).tolist(), [0.0, 0.0, 0.0, 1.0]]


def lens() -> dict[str, Any]:
    return {"w": WIDTH, "h": HEIGHT, "fl_x": FOCAL, "fl_y": FOCAL, "cx": WIDTH / 2, "cy": HEIGHT / 2}


def write(kind: str, folder: Path) -> None:
    """The scene in one of the formats that LOADERS names."""
    folder.mkdir(parents=True)
    (folder / "images").mkdir()
    for view in range(VIEWS):
        Image.fromarray(picture(view)).save(folder / f"images/{view:03d}.png")
    {"transforms": _transforms, "blender": _blender, "colmap": _text, "colmap binary": _binary, "llff": _llff}[kind](
        folder
    )


def load(kind: str, folder: Path, **keys: Any) -> Scene:
    return LOADERS[kind].load(folder, reading(**keys))


def edit(file: Path, change: Any) -> None:
    """Change what a JSON file holds, in place."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def _transforms(folder: Path) -> None:
    frames = [{"file_path": f"images/{view:03d}.png", "transform_matrix": square(view)} for view in range(VIEWS)]
    (folder / "transforms.json").write_text(json.dumps({**lens(), "frames": frames}))


def _blender(folder: Path) -> None:
    for split, views in (("train", range(VIEWS - HELD_OUT)), ("test", range(VIEWS - HELD_OUT, VIEWS))):
        frames = [{"file_path": f"./images/{view:03d}", "transform_matrix": square(view)} for view in views]
        angle = 2 * math.atan(WIDTH / 2 / FOCAL)
        (folder / f"transforms_{split}.json").write_text(json.dumps({"camera_angle_x": angle, "frames": frames}))


def _llff(folder: Path) -> None:
    rows = []
    for view in range(VIEWS):
        right, up, back, place = pose(view).T
        rows.append([*np.stack([-up, right, back, place, [HEIGHT, WIDTH, FOCAL]], axis=1).ravel(), 1.0, 9.0])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def _world_to_camera(view: int) -> tuple[np.ndarray, np.ndarray]:
    """Quaternion (w, x, y, z) and translation, OpenCV's axes."""
    from scipy.spatial.transform import Rotation

    rotation = (pose(view)[:, :3] @ FLIP).T
    return Rotation.from_matrix(rotation).as_quat()[[3, 0, 1, 2]], -rotation @ pose(view)[:, 3]


def _text(folder: Path) -> None:
    place = folder / "sparse/0"
    place.mkdir(parents=True)
    (place / "cameras.txt").write_text(
        f"# cameras\n1 PINHOLE {WIDTH} {HEIGHT} {FOCAL} {FOCAL} {WIDTH / 2} {HEIGHT / 2}\n"
    )
    lines = ["# images"]
    for view in range(VIEWS):
        numbers = " ".join(repr(float(number)) for each in _world_to_camera(view) for number in each)
        lines += [f"{view + 1} {numbers} 1 {view:03d}.png", "1 2 -1"]
    (place / "images.txt").write_text("\n".join(lines) + "\n")


def _binary(folder: Path) -> None:
    place = folder / "sparse/0"
    place.mkdir(parents=True)
    camera = struct.pack("<QiiQQ4d", 1, 1, 1, WIDTH, HEIGHT, FOCAL, FOCAL, WIDTH / 2, HEIGHT / 2)
    (place / "cameras.bin").write_bytes(camera)
    images = [struct.pack("<Q", VIEWS)]
    for view in range(VIEWS):
        quaternion, translation = _world_to_camera(view)
        images.append(struct.pack("<i7di", view + 1, *quaternion, *translation, 1) + f"{view:03d}.png".encode() + b"\0")
        images.append(struct.pack("<Q", 0))
    (place / "images.bin").write_bytes(b"".join(images))

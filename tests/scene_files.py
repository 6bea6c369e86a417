"""Writes a scene out in the formats that others use, plainly, so that reading it back can be held against it."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.scenes.scene import Scene

FLIP = np.diag([1.0, -1.0, -1.0])  # OpenGL's camera axes <-> OpenCV's
NUMBERS = {"SIMPLE_PINHOLE": 0, "PINHOLE": 1, "SIMPLE_RADIAL": 2, "RADIAL": 3, "OPENCV": 4, "OPENCV_FISHEYE": 5,
           "FULL_OPENCV": 6, "FOV": 7, "SIMPLE_RADIAL_FISHEYE": 8, "RADIAL_FISHEYE": 9,
           "THIN_PRISM_FISHEYE": 10}  # fmt: skip


def square(pose: np.ndarray) -> list[list[float]]:
    return [*pose.astype(np.float64).tolist(), [0.0, 0.0, 0.0, 1.0]]


def write_pictures(scene: Scene, folder: Path, alpha: bool = False) -> list[str]:
    """NNN.png of every view; their names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{view:03d}.png" for view in range(scene.views)]
    for view, name in enumerate(names):
        iio.imwrite(folder / name, scene.read_image(view) if alpha else scene.read_image(view)[..., :3])
    return names


def write_blender(scene: Scene, folder: Path) -> None:
    camera = scene.cameras[0]
    for split, views in scene.splits.items():
        frames = []
        for number, view in enumerate(views):
            (folder / split).mkdir(parents=True, exist_ok=True)
            iio.imwrite(folder / split / f"r_{number}.png", scene.read_image(int(view)))
            frames.append({"file_path": f"./{split}/r_{number}", "transform_matrix": square(scene.poses[view])})
        angle = 2 * math.atan(0.5 * camera.width / camera.fx)
        write_json(folder / f"transforms_{split}.json", {"camera_angle_x": angle, "frames": frames})


def write_transforms(scene: Scene, folder: Path, cameras: list[Camera], alpha: bool = False) -> None:
    """One lens at the top where all views share it, else one in each frame."""
    names = write_pictures(scene, folder / "images", alpha)
    shared = len(set(cameras)) == 1
    frames = [
        {"file_path": f"images/{name}", "transform_matrix": square(pose), **({} if shared else lens(camera))}
        for name, pose, camera in zip(names, scene.poses, cameras, strict=True)
    ]
    write_json(folder / "transforms.json", {**(lens(cameras[0]) if shared else {}), "frames": frames})


def lens(camera: Camera) -> dict[str, Any]:
    perspective = camera.lens == "perspective"
    names = ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6") if perspective else ("k1", "k2", "k3", "k4")
    return {
        "camera_model": "OPENCV" if perspective else "OPENCV_FISHEYE",
        "w": camera.width,
        "h": camera.height,
        "fl_x": camera.fx,
        "fl_y": camera.fy,
        "cx": camera.cx,
        "cy": camera.cy,
        **dict(zip(names, camera.distortion, strict=False)),
    }


def write_llff(scene: Scene, folder: Path, near: float, far: float) -> None:
    write_pictures(scene, folder / "images")
    rows = []
    for view, pose in enumerate(scene.poses.astype(np.float64)):
        camera = scene.camera(view)
        right, up, back, position = pose.T
        size = np.array([camera.height, camera.width, camera.fx])
        matrix = np.stack([-up, right, back, position, size], axis=1)  # [3, 5]
        rows.append([*matrix.ravel(), near, far])
    np.save(folder / "poses_bounds.npy", np.array(rows))


def write_json(file: Path, content: Any) -> None:
    file.write_text(json.dumps(content, indent=1), encoding="utf-8")


def world_to_camera(pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quaternion (w, x, y, z) and translation of OpenCV's axes."""
    rotation = (pose[:, :3].astype(np.float64) @ FLIP).T
    return quaternion(rotation), -rotation @ pose[:, 3]


def quaternion(r: np.ndarray) -> np.ndarray:
    """By the eigenvector of a symmetric matrix, which no case needs to be told apart for."""
    k = np.array(
        [
            [r[0, 0] + r[1, 1] + r[2, 2], r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[0, 2] + r[2, 0]],
            [r[0, 2] - r[2, 0], r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2]],
            [r[1, 0] - r[0, 1], r[0, 2] + r[2, 0], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1]],
        ]
    )
    return np.linalg.eigh(k)[1][:, -1]


def write_colmap(
    scene: Scene,
    folder: Path,
    model: str,
    numbers: list[float],
    points: np.ndarray,
    binary: bool = True,
    tracks: list[list[int]] | None = None,
) -> None:
    """One camera of a COLMAP model for all views, `numbers` in COLMAP's order; tracks: the images of each point."""
    names = write_pictures(scene, folder / "images")
    place = folder / "sparse" / "0"
    place.mkdir(parents=True)
    tracks = [[1]] * len(points) if tracks is None else tracks
    (_write_binary if binary else _write_text)(place, scene, names, model, numbers, points, tracks)


def _write_binary(
    place: Path, scene: Scene, names: list[str], model: str, numbers: list[float], points: np.ndarray,
    tracks: list[list[int]],
) -> None:  # fmt: skip
    camera = scene.cameras[0]
    with (place / "cameras.bin").open("wb") as file:
        file.write(struct.pack("<QiiQQ", 1, 7, NUMBERS[model], camera.width, camera.height))
        file.write(struct.pack(f"<{len(numbers)}d", *numbers))
    with (place / "images.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(names)))
        for view in reversed(range(len(names))):  # in no order
            q, t = world_to_camera(scene.poses[view])
            file.write(struct.pack("<i7di", view + 1, *q, *t, 7) + names[view].encode() + b"\0")
            file.write(struct.pack("<Q", 2) + struct.pack("<ddq", 1.0, 2.0, -1) * 2)
    with (place / "points3D.bin").open("wb") as file:
        file.write(struct.pack("<Q", len(points)))
        for number, (point, track) in enumerate(zip(points, tracks, strict=True)):
            file.write(struct.pack("<Q3d3Bd", number, *point, 1, 2, 3, 0.5) + struct.pack("<Q", len(track)))
            file.write(b"".join(struct.pack("<ii", image, 0) for image in track))


def _write_text(
    place: Path, scene: Scene, names: list[str], model: str, numbers: list[float], points: np.ndarray,
    tracks: list[list[int]],
) -> None:  # fmt: skip
    camera = scene.cameras[0]
    values = " ".join(repr(float(number)) for number in numbers)
    (place / "cameras.txt").write_text(f"# a remark\n7 {model} {camera.width} {camera.height} {values}\n")
    lines = ["# a remark"]
    for view, name in enumerate(names):
        q, t = world_to_camera(scene.poses[view])
        lines += [f"{view + 1} {' '.join(repr(float(x)) for x in (*q, *t))} 7 {name}", "1 2 -1" if view % 2 else ""]
    (place / "images.txt").write_text("\n".join(lines) + "\n")
    lines = [
        f"{number} {x} {y} {z} 1 2 3 0.5 " + " ".join(f"{image} 0" for image in track)
        for number, ((x, y, z), track) in enumerate(zip(points.tolist(), tracks, strict=True))
    ]
    (place / "points3D.txt").write_text("\n".join(lines) + "\n")

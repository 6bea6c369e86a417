"""A small true scene - balls of several colours, seen from all round - and how it is written in every format.

Its pictures are taller than wide and its lens is off their middle: whatever is turned, swapped or centred shows.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.geometry.rays import rays_to_world
from nerfpipe.scenes.scene import Scene
from tests import scene_files

W, H, FOCAL = 24, 32, 30.0  # pixels
VIEWS = 10
RADIUS = 3.0  # of the cameras' way round
GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))
BALLS = (  # centre, radius, colour
    ((0.0, 0.0, 0.0), 0.6, (0.9, 0.3, 0.2)),
    ((0.7, 0.2, 0.4), 0.35, (0.2, 0.8, 0.3)),
    ((-0.3, -0.7, -0.2), 0.4, (0.3, 0.4, 0.9)),
)
MILLIMETRES = 1000
CENTRED = Camera.centred(W, H, FOCAL)
DISTORTED = Camera(W, H, FOCAL, FOCAL + 0.5, 11.7, 16.4, "perspective", (0.05, -0.01, 0.002, -0.001))
FISHEYE = Camera(W, H, FOCAL, FOCAL + 0.5, 11.7, 16.4, "fisheye", (0.05, -0.01, 0.002, -0.001))
NPZ = "scene.npz"


def true_scene(camera: Camera, alpha: bool = False) -> Scene:
    """The views in the order in which every format has them; every 8th is held out."""
    poses = np.stack([_pose(view) for view in range(VIEWS)]).astype(np.float32)
    held_out = np.arange(0, VIEWS, 8)

    def draw(view: int) -> np.ndarray:
        picture = _draw(camera, poses[view])[0]
        return picture if alpha else np.where(np.arange(4) == 3, 255, picture)

    return Scene(
        name="stranger",
        cameras=(camera,),
        camera_index=np.zeros(VIEWS, dtype=np.int64),
        poses=poses,
        splits={"train": np.setdiff1d(np.arange(VIEWS), held_out), "val": held_out, "test": held_out},
        bounds=np.array([[-1.0] * 3, [1.0] * 3], dtype=np.float32),
        background="black",
        has_alpha=alpha,
        read_image=lambda view: draw(view).astype(np.uint8),
        read_depth=lambda view: _draw(camera, poses[view])[1],
    )


def _pose(view: int) -> np.ndarray:
    height = 0.1 + 0.6 * ((view * 7) % VIEWS) / VIEWS
    across = math.sqrt(1 - height**2)
    angle = view * GOLDEN_ANGLE
    position = RADIUS * torch.tensor([across * math.cos(angle), across * math.sin(angle), height])
    return look_at(position, torch.zeros(3), torch.tensor([0.0, 0.0, 1.0])).numpy()


def _draw(camera: Camera, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Picture [H, W, 4] with alpha, and depth [H, W]: distance along the rays, NaN where there is nothing."""
    in_camera = camera.directions(camera.pixel_centres())
    origins, directions = (x.numpy() for x in rays_to_world(torch.tensor(pose).expand(len(in_camera), 3, 4), in_camera))
    nearest, picture = np.full(len(directions), np.inf), np.zeros((len(directions), 4))
    for centre, radius, colour in BALLS:
        offset = origins - np.array(centre)
        b = (offset * directions).sum(axis=1)  # |o + t d|² = r²  <=>  t² + 2 b t + |o|² - r² = 0
        inner = b**2 - (offset**2).sum(axis=1) + radius**2
        t = np.where(inner > 0, -b - np.sqrt(np.maximum(inner, 0)), np.inf)
        seen = t < nearest
        nearest[seen] = t[seen]
        normal = (offset[seen] + t[seen, None] * directions[seen]) / radius
        picture[seen, :3] = np.array(colour) * (0.3 + 0.35 * (normal + 1))
        picture[seen, 3] = 1
    shape = (camera.height, camera.width)
    depth = np.where(np.isfinite(nearest), nearest, np.nan).astype(np.float32)
    return np.round(np.clip(picture, 0, 1) * 255).astype(np.uint8).reshape(*shape, 4), depth.reshape(shape)


def true_points(count: int = 60) -> np.ndarray:
    """[P, 3] on the balls."""
    random = np.random.default_rng(0)
    towards = random.normal(size=(count, 3))
    ball = random.integers(0, len(BALLS), count)
    centres, radii = np.array([each[0] for each in BALLS]), np.array([each[1] for each in BALLS])
    return (centres[ball] + radii[ball, None] * towards / np.linalg.norm(towards, axis=1, keepdims=True)).round(4)


def true_mask(view: int) -> np.ndarray:
    """[H, W] uint8; another one for every view: its first columns are black."""
    return np.where(np.arange(W) < 1 + view, 0, 255).astype(np.uint8)[None].repeat(H, axis=0)


def along_axis(scene: Scene, view: int) -> np.ndarray:
    """[H, W] float32 depth along the optical axis, 0 where there is nothing."""
    camera = scene.camera(view)
    cosine = -camera.directions(camera.pixel_centres())[:, 2].numpy().reshape(H, W)
    return np.nan_to_num(scene.read_depth(view) * cosine).astype(np.float32)


# --- the formats ---


def pinhole(folder: Path) -> Scene:
    """transforms.json, its pictures, and nothing besides."""
    return _transforms(folder, replace(DISTORTED, distortion=()))


def transforms(folder: Path) -> Scene:
    """The same with distortion, masks, depth maps in millimetres, and points."""
    scene = _transforms(folder, DISTORTED)
    (folder / "masks").mkdir()
    (folder / "depth").mkdir()
    for view in range(VIEWS):
        iio.imwrite(folder / f"masks/{view:03d}.png", true_mask(view))
        depth = np.round(along_axis(scene, view) * MILLIMETRES).astype(np.uint16)
        iio.imwrite(folder / f"depth/{view:03d}.png", depth)
    write_ply(folder / "points.ply", true_points())

    def change(content: dict[str, Any]) -> None:
        content["ply_file_path"] = "points.ply"
        for view, frame in enumerate(content["frames"]):
            frame |= {"mask_path": f"masks/{view:03d}.png", "depth_file_path": f"depth/{view:03d}.png"}

    edit(folder, change)
    return replace(scene, read_mask=lambda view: true_mask(view) > 0, points=true_points())


def fisheye(folder: Path) -> Scene:
    return _transforms(folder, FISHEYE)


def blender(folder: Path) -> Scene:
    scene = true_scene(CENTRED, alpha=True)
    splits = {"train": np.arange(6), "val": np.array([6, 7]), "test": np.array([8, 9])}
    scene_files.write_blender(replace(scene, splits=splits), folder)
    return replace(scene, splits=splits)


def colmap_text(folder: Path) -> Scene:
    return _colmap(folder, binary=False)


def colmap_binary(folder: Path) -> Scene:
    return _colmap(folder, binary=True)


def llff(folder: Path) -> Scene:
    scene = true_scene(CENTRED)
    scene_files.write_llff(scene, folder, 1.5, 4.5)
    return scene


def tiny_nerf(folder: Path) -> Scene:
    scene = true_scene(CENTRED)
    folder.mkdir(parents=True, exist_ok=True)
    save_npz(folder, **arrays_of(scene))
    held_out = np.array([VIEWS - 2, VIEWS - 1])
    return replace(scene, splits={"train": np.arange(VIEWS - 2), "val": held_out, "test": held_out})


def arrays_of(scene: Scene) -> dict[str, np.ndarray]:
    """What a tiny_nerf file holds."""
    images = np.stack([scene.read_image(view)[..., :3] / np.float32(255) for view in range(scene.views)])
    poses = np.stack([scene_files.square(pose) for pose in scene.poses])
    return {"images": images.astype(np.float32), "poses": poses.astype(np.float32), "focal": np.array(FOCAL)}


def save_npz(folder: Path, **arrays: np.ndarray) -> None:
    np.savez_compressed(folder / NPZ, **arrays)


def _transforms(folder: Path, camera: Camera) -> Scene:
    scene = true_scene(camera)
    scene_files.write_transforms(scene, folder, [camera] * VIEWS)
    return scene


def _colmap(folder: Path, binary: bool) -> Scene:
    scene, camera = true_scene(DISTORTED), DISTORTED
    numbers = [camera.fx, camera.fy, camera.cx, camera.cy, *camera.distortion]
    scene_files.write_colmap(scene, folder, "OPENCV", numbers, true_points(), binary)
    return replace(scene, points=true_points())


def write_ply(file: Path, points: np.ndarray, kind: str = "ascii", comment: str = "", properties: str = "") -> None:
    """Vertices alone. kind: as the header has it; properties: of a colour of three bytes behind x, y and z, if any."""
    order = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}[kind]
    head = ["ply", f"format {kind} 1.0", *([comment] if comment else []), f"element vertex {len(points)}"]
    head += [f"property double {axis}" for axis in "xyz"] + ([properties] if properties else []) + ["end_header", ""]
    grey = "100 100 100" if properties else ""
    body = "".join(f"{x} {y} {z} {grey}\n" for x, y, z in points.tolist()).encode()
    if order:
        rows = np.zeros(len(points), [("p", f"{order}f8", 3), *([("c", "u1", 3)] if properties else [])])
        rows["p"] = points
        body = rows.tobytes()
    file.write_bytes("\n".join(head).encode() + body)


def edit(folder: Path, change: Callable[[dict[str, Any]], object], name: str = "transforms.json") -> None:
    """Change what a JSON file holds."""
    file = folder / name
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content), encoding="utf-8")


FORMS: dict[str, Callable[[Path], Scene]] = {
    each.__name__: each for each in (pinhole, transforms, fisheye, blender, colmap_text, colmap_binary, llff, tiny_nerf)
}
KEYS: dict[str, dict[str, Any]] = {"tiny_nerf": {"train_views": VIEWS - 2}}  # what the entry has to say of a format

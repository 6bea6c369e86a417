"""Ray banks of the scenes that benchmarks run on: the built-in one, and real ones from the folder NERFPIPE_DATA.

The Blender layout is read here only as far as measuring needs it.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from pathlib import Path

import imageio.v3 as iio
import numpy as np

from nerfpipe.cameras import Camera
from nerfpipe.catalogue import load_entry
from nerfpipe.config import load_params
from nerfpipe.raybank import RayBank, build
from nerfpipe.scenes import tiny_nerf
from nerfpipe.scenes.bounds import bounds_from_cameras
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.scene import Scene
from nerfpipe.sources.raw import make_raw

BUILT_IN, TINY_LEGO, LEGO = "robot-arm", "tiny-nerf-lego", "lego-400"
FILES = {TINY_LEGO: "lego_tiny_100.npz", LEGO: "lego_400.zip"}
TRAIN_VIEWS = 100  # of tiny_nerf
EVERY = {"train": 1, "val": 10, "test": 8}  # of a Blender split, one view in so many is used


def available() -> list[str]:
    """The scenes that can be measured here."""
    folder = os.environ.get("NERFPIPE_DATA")
    return [BUILT_IN, *(name for name, file in FILES.items() if folder and (Path(folder) / file).exists())]


def bank(name: str, folder: Path) -> RayBank:
    """The ray bank of a scene, built in `folder` unless it is there."""
    if not (folder / "bank.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        rays = load_params().rays
        build(_scene(name, folder.with_name(f"{folder.name}-raw")), folder, rays.margin, rays.min_near)
    return RayBank(folder)


def _scene(name: str, raw: Path) -> Scene:
    if name == BUILT_IN:
        raw.mkdir(parents=True, exist_ok=True)
        make_raw(name, load_entry(name), raw)
        return load_scene(raw)
    file = Path(os.environ["NERFPIPE_DATA"]) / FILES[name]
    return tiny_nerf.load(file, name, "black", None, TRAIN_VIEWS) if name == TINY_LEGO else blender(name, file)


def blender(name: str, file: Path) -> Scene:
    """A scene in the Blender layout, from a zip archive, over white: its train views, and some of val and test."""
    with zipfile.ZipFile(file) as archive:
        described = {split: json.loads(archive.read(f"transforms_{split}.json")) for split in EVERY}
    frames = [(split, frame) for split, every in EVERY.items() for frame in described[split]["frames"][::every]]
    poses = np.array([frame["transform_matrix"] for _, frame in frames], dtype=np.float32)[:, :3]  # [N, 3, 4]

    def read_image(view: int) -> np.ndarray:
        with zipfile.ZipFile(file) as archive:
            return iio.imread(archive.read(frames[view][1]["file_path"].removeprefix("./") + ".png"))

    H, W, _ = read_image(0).shape
    camera = Camera.centred(W, H, 0.5 * W / math.tan(0.5 * described["train"]["camera_angle_x"]))
    splits = np.array([split for split, _ in frames])
    return Scene(
        name=name,
        cameras=(camera,),
        camera_index=np.zeros(len(frames), dtype=np.int64),
        poses=poses,
        splits={split: np.flatnonzero(splits == split) for split in EVERY},
        bounds=bounds_from_cameras([camera] * len(frames), poses),
        background="white",
        has_alpha=True,
        read_image=read_image,
    ).validate(str(file))

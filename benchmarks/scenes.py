"""Ray banks of the scenes that benchmarks run on: the built-in one, and real ones from the folder NERFPIPE_DATA."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from nerfpipe.config.params import load_params
from nerfpipe.download.acquire import make_raw
from nerfpipe.project.catalogue import Entry, load_entry
from nerfpipe.raybank.bank import RayBank
from nerfpipe.raybank.writer import build
from nerfpipe.scenes.loading import load_scene
from nerfpipe.scenes.scene import Scene

BUILT_IN, TINY_LEGO, LEGO = "robot-arm", "tiny-nerf-lego", "lego-400"
FILES = {TINY_LEGO: "lego_tiny_100.npz", LEGO: "lego_400.zip"}
ALL = {"train": 1, "val": 1, "test": 1}  # one view in so many is used
EVERY = {BUILT_IN: ALL, TINY_LEGO: ALL, LEGO: {"train": 1, "val": 10, "test": 8}}


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
    """The scene, brought into the folder `raw` as the download stage would."""
    entry = load_entry(name) if name == BUILT_IN else Entry(path=str(Path(os.environ["NERFPIPE_DATA"]) / FILES[name]))
    if name == LEGO:
        entry = entry.model_copy(update={"background": "white"})
    raw.mkdir(parents=True, exist_ok=True)
    make_raw(name, entry, raw)
    scene = load_scene(raw)
    return replace(scene, splits={split: scene.splits[split][::every] for split, every in EVERY[name].items()})

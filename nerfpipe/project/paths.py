"""Paths of the project's files, relative to its folder. dvc.yaml repeats those of outs and metrics; a test compares."""

from __future__ import annotations

from pathlib import Path

PIPELINE_FILE, LOCK_FILE = Path("dvc.yaml"), Path("dvc.lock")
RUNNING_FILE = Path(".dvc/tmp/rwlock")  # DVC's list of who reads and writes what

DATA = Path("data")
CATALOGUE_FILE = DATA / "scenes.yaml"
KEY_FRAMES = DATA / "paths"  # camera paths of the user's
CAPTURES = DATA / "captures"  # scenes made of photographs

CHECKED = DATA / "checked"
RAW, RAYS = DATA / "raw", DATA / "rays"
MODEL = DATA / "model/field.safetensors"
PREVIEWS = MODEL.parent / "previews"
VIEWS, RENDERS = DATA / "views", DATA / "renders"
OUT_FOLDERS = (RAW, RAYS, MODEL.parent, VIEWS, RENDERS)  # DVC deletes them before it makes them anew

ENTRY_FILE = "entry.json"  # in data/raw: what the catalogue says about the scene
ORBIT, ORBIT_DEPTH = RENDERS / "orbit.gif", RENDERS / "orbit_depth.gif"

METRICS = Path("metrics")
TRAIN_METRICS, SPEED_METRICS, TEST_METRICS = (METRICS / f"{name}.json" for name in ("train", "speed", "test"))
HISTORY_TABLE, SPEED_TABLE, VIEWS_TABLE = (METRICS / f"{name}.csv" for name in ("history", "speed", "views"))


def view_picture(view: int) -> Path:
    """The picture of a test view: truth, render, error, depth."""
    return VIEWS / f"test_{view:03d}.png"

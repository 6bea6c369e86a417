"""The check of params.yaml, data/scenes.yaml and dvc.lock: all faults at once, before DVC deletes old results."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from nerfpipe.config.memory import beyond, memory_faults
from nerfpipe.config.params import NO_PATH_FILE, PARAMS_FILE, PATH_FILE, Params, params_faults
from nerfpipe.config.yaml_file import read_yaml
from nerfpipe.project.catalogue import Entry, catalogue_faults, unknown_scene
from nerfpipe.project.paths import CATALOGUE_FILE, LOCK_FILE, RUNNING_FILE
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import local_path

ON_DISK = 17  # bytes of a pixel of a built-in scene: colour, depth, labels, and its ray


def settings_faults() -> tuple[Params | None, dict[str, Entry], list[str]]:
    """The params if they are valid, the valid entries of the catalogue, and one line for every fault."""
    params, faults = params_faults()
    entries, entry_faults = catalogue_faults()
    lines = [f"{PARAMS_FILE}: {fault}" for fault in faults]
    lines += [f"{CATALOGUE_FILE}: {fault}" for fault in entry_faults]
    if params is not None:
        lines += [f"{PARAMS_FILE}: {fault}" for fault in memory_faults(params)]
        if entry := entries.get(params.scene):
            lines += [f"{CATALOGUE_FILE}: {fault}" for fault in disk_faults(params.scene, entry)]
        if params.scene not in entries and params.scene not in read_yaml(CATALOGUE_FILE):
            lines.append(str(unknown_scene(params.scene)))
        path = params.render.path
        if path.endswith(PATH_FILE) and not local_path(path).is_file():
            lines.append(f"{PARAMS_FILE}: {NO_PATH_FILE.format(path)}")
    return params, entries, lines


def disk_faults(name: str, entry: Entry) -> list[str]:
    """One line where a built-in scene would not fit on the whole disk."""
    if entry.format != "procedural":
        return []
    views = entry.views.train + entry.views.val + entry.views.test
    total = shutil.disk_usage(Path()).total
    return beyond(f"{name}.views, {name}.size", views * entry.size**2 * ON_DISK, total, "room, and this disk")


def data_faults(name: str, entries: dict[str, Entry]) -> list[str]:
    """One line where the data of a scene does not exist. Only `nerfpipe check` asks: pulled results need no data."""
    entry = entries.get(name)
    if entry is None or entry.path is None or local_path(entry.path).exists():
        return []
    return [f"{CATALOGUE_FILE}: {name}.path: there is no {entry.path}; correct it, or put the data there"]


def lock_faults() -> list[str]:
    """What keeps DVC from reading its own files, in lines."""
    return [f"{file}: cut short, as when DVC is killed while it writes it; {do}" for file, do in broken_locks().items()]


def broken_locks(folder: Path = Path()) -> dict[Path, str]:
    """Files of DVC that it cannot read any more, and what to do. It writes them in place: a kill may cut them short."""
    found = {}
    if (lock := folder / LOCK_FILE).exists():
        try:
            sound = "schema" in read_yaml(lock)
        except NerfpipeError:
            sound = False
        if not sound:
            found[lock] = (
                "delete it (or `git restore` it) and run `dvc repro`, which restores finished stages from DVC's cache"
            )
    if (lock := folder / RUNNING_FILE).is_file():
        try:
            json.loads(lock.read_bytes())
        except ValueError:
            found[lock] = "delete it when no dvc is running (it lists who reads and writes what), and run `dvc repro`"
    return found

"""Are params.yaml, data/scenes.yaml and dvc.lock sound? Every fault at once, before DVC takes old results away."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.catalogue import CATALOGUE_FILE, Entry, catalogue_faults, unknown_scene
from nerfpipe.config import NO_PATH_FILE, PARAMS_FILE, PATH_FILE, Params, params_faults
from nerfpipe.errors import NerfpipeError
from nerfpipe.files import local_path
from nerfpipe.memory import memory_faults
from nerfpipe.yamlfile import read_yaml

LOCK_FILE = Path("dvc.lock")


def settings_faults() -> tuple[Params | None, dict[str, Entry], list[str]]:
    """The params if they are valid, the valid entries of the catalogue, and all faults, in lines."""
    params, faults = params_faults()
    entries, entry_faults = catalogue_faults()
    lines = [f"{PARAMS_FILE}: {fault}" for fault in faults]
    lines += [f"{CATALOGUE_FILE}: {fault}" for fault in entry_faults]
    if params is not None:
        lines += [f"{PARAMS_FILE}: {fault}" for fault in memory_faults(params)]
        if params.scene not in entries and params.scene not in read_yaml(CATALOGUE_FILE):
            lines.append(str(unknown_scene(params.scene)))
        path = params.render.path
        if path.endswith(PATH_FILE) and not local_path(path).is_file():
            lines.append(f"{PARAMS_FILE}: {NO_PATH_FILE.format(path)}")
    return params, entries, lines


def data_faults(name: str, entries: dict[str, Entry]) -> list[str]:
    """What stands between a scene and its data, in lines. Whoever pulled what was made of them does not need them."""
    entry = entries.get(name)
    if entry is None or entry.path is None or local_path(entry.path).exists():
        return []
    return [f"{CATALOGUE_FILE}: {name}.path: nothing lies at {entry.path}; correct it, or put the data there"]


def lock_faults(path: Path = LOCK_FILE) -> list[str]:
    """What keeps DVC from reading its lock file, in lines. DVC writes it in place, so a kill may leave it cut short."""
    if not path.exists():
        return []
    try:
        sound = "schema" in read_yaml(path)
    except NerfpipeError:
        sound = False
    remedy = "delete it (or `git restore` it) and run `dvc repro`, which brings back from DVC's cache what was run"
    return [] if sound else [f"{path}: cut short, as when DVC is killed while it writes it; {remedy}"]

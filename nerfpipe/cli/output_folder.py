"""The output folder of `nerfpipe render`. It is replaced as a whole, so it must hold nothing but a render."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.runtime.errors import NerfpipeError

RENDERED = ("orbit.gif", "orbit_depth.gif", "orbit.mp4", "panels.gif", "panels.mp4", "turntable.html")
SYSTEM_FILES = (".DS_Store", "Thumbs.db", "desktop.ini")  # written by file managers
ANOTHER = "name another folder with --output"


def check_render_folder(path: Path, force: bool) -> None:
    """Raise NerfpipeError if a render would replace a folder without `force`, or anything but an earlier render."""
    if path.name in ("", "..") or Path.cwd().is_relative_to(path.resolve()):
        raise NerfpipeError(f"--output: {path}: holds the folder you are in, or has no name of its own; {ANOTHER}")
    if not path.exists():
        return
    if not path.is_dir():
        raise NerfpipeError(f"{path}: is a file; {ANOTHER}")
    if not force:
        raise NerfpipeError(f"{path}: is there already; {ANOTHER}, or say --force")
    foreign = sorted(entry.name for entry in path.iterdir() if not _replaceable(entry))
    if foreign:
        raise NerfpipeError(f"{path}: holds {foreign[0]}, which no render made, and --force would delete it; {ANOTHER}")


def _replaceable(entry: Path) -> bool:
    return entry.name in (*RENDERED, *SYSTEM_FILES) and not entry.is_dir()

"""Where `nerfpipe render` writes: a folder that is replaced as a whole, so it must hold nothing but a render."""

from __future__ import annotations

from pathlib import Path

from nerfpipe.runtime.errors import NerfpipeError

RENDERED = ("orbit.gif", "orbit_depth.gif", "orbit.mp4", "panels.gif", "panels.mp4", "turntable.html")
BY_SYSTEMS = (".DS_Store", "Thumbs.db", "desktop.ini")  # what file managers leave in folders that they show
ANOTHER = "name another folder with --output"


def check_render_folder(path: Path, force: bool) -> None:
    """Raise NerfpipeError where a render would take the place of a folder unasked, or of anything but a render."""
    if path.name in ("", "..") or Path.cwd().is_relative_to(path.resolve()):
        raise NerfpipeError(f"--output: {path}: holds the folder you are in, or has no name of its own; {ANOTHER}")
    if not path.exists():
        return
    if not path.is_dir():
        raise NerfpipeError(f"{path}: is a file; {ANOTHER}")
    if not force:
        raise NerfpipeError(f"{path}: is there already; {ANOTHER}, or say --force")
    strange = sorted(entry.name for entry in path.iterdir() if not _replaceable(entry))
    if strange:
        raise NerfpipeError(f"{path}: holds {strange[0]}, which no render made, and --force would delete it; {ANOTHER}")


def _replaceable(entry: Path) -> bool:
    return entry.name in (*RENDERED, *BY_SYSTEMS) and not entry.is_dir()

"""Points out of a .ply file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nerfpipe.errors import NerfpipeError


def read_points(file: Path) -> np.ndarray:
    """[P, 3] float64, those that are finite. Raises NerfpipeError when the file is missing or holds none."""
    import trimesh  # takes a while to import, and few scenes have such a file

    if not file.is_file():
        raise NerfpipeError(f"{file}: not found; correct ply_file_path, or remove it")
    try:
        with file.open("rb") as stream:
            loaded = trimesh.load(stream, file_type="ply")
        points = np.asarray(loaded.vertices, dtype=np.float64).reshape(-1, 3)
    except Exception as error:  # whatever a damaged file makes the library raise
        raise NerfpipeError(f"{file}: not a readable .ply file ({' '.join(str(error).split())[:80]})") from None
    return points[np.isfinite(points).all(axis=1)]

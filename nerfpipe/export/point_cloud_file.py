"""A point cloud as binary .ply."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh
from trimesh.exchange.ply import export_ply

from nerfpipe.runtime.files import atomic_file


def write(path: Path, points: np.ndarray, colours: np.ndarray, normals: np.ndarray) -> None:
    """Write points [P, 3], sRGB colours [P, 3] in [0, 1] and unit normals [P, 3]."""
    cloud = trimesh.PointCloud(points, colors=np.round(colours * 255).astype(np.uint8))
    components = {f"n{axis}": normals[:, number].astype(np.float32) for number, axis in enumerate("xyz")}
    cloud.vertex_attributes = components  # type: ignore[attr-defined]  # export_ply reads it, the class lacks it
    with atomic_file(path) as temporary:
        temporary.write_bytes(export_ply(cloud, encoding="binary"))

"""A coloured mesh as .ply or .glb."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.exchange.ply import export_ply

from nerfpipe.export.components import face_blocks, face_vectors
from nerfpipe.runtime.files import atomic_file

SUFFIXES = (".ply", ".glb")
UNLIT = "KHR_materials_unlit"  # no shading: the field's colours include its light


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals [V, 3] of vertices [V, 3], means of their faces [F, 3] weighted by area; zero if these cancel out.

    In blocks: trimesh's own function holds all corners of all faces several times.
    """
    sums = np.zeros((len(vertices), 3))
    for block in face_blocks(faces):
        vectors, first = face_vectors(vertices, block), block.min()
        corners, last = block.T.ravel() - first, block.max() + 1  # vertices of a block lie close together
        for axis in range(3):
            sums[first:last, axis] += np.bincount(corners, np.tile(vectors[:, axis], 3), last - first)
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    return sums / np.where(lengths > 0, lengths, 1)


def write(path: Path, vertices: np.ndarray, faces: np.ndarray, colours: np.ndarray) -> None:
    """Write vertices [V, 3], faces [F, 3] and sRGB colours [V, 3] in [0, 1]; the format follows the suffix.

    A .ply has 8-bit sRGB colours. A .glb has linear ones, as glTF requires, and a material without shading.
    """
    as_gltf = path.suffix.lower() == ".glb"
    shown = linear(colours) if as_gltf else colours
    mesh = trimesh.Trimesh(vertices, faces, process=False, vertex_colors=np.round(shown * 255).astype(np.uint8))
    content = export_glb(mesh, tree_postprocessor=unlit) if as_gltf else export_ply(mesh)
    with atomic_file(path) as temporary:
        temporary.write_bytes(content)


def linear(colours: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] as linear colour (IEC 61966-2-1)."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def unlit(tree: dict[str, Any]) -> None:
    """Give all meshes of a glTF tree one material that shows vertex colours without shading."""
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", []), UNLIT})
    tree["materials"] = [{"extensions": {UNLIT: {}}, "pbrMetallicRoughness": {"metallicFactor": 0.0}}]
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive["material"] = 0

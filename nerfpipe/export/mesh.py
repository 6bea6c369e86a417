"""A model's surface as a coloured mesh: marching cubes on density, without floaters, in the data's own units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nerfpipe.export import mesh_file, visibility
from nerfpipe.export.components import faces_to_keep, submesh
from nerfpipe.export.marching import Grid, Surface, extract_surface
from nerfpipe.export.options import MeshOptions
from nerfpipe.export.views import LoadedField
from nerfpipe.geometry.space import Space
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

THICKNESS = 1 / 40  # of the grid's longest side; docs/export.md compares others
COLOUR_BLOCK = 2**17  # vertices between two steps of the progress bar


def export_mesh(field: LoadedField, options: MeshOptions, output: Path) -> Iterator[str]:
    """Write the mesh as .ply or .glb; yields the lines to print. Raises NerfpipeError if there is no surface."""
    space = field.header.space
    grid = inner_grid(space, options.resolution)

    def density(points: Tensor) -> Tensor:
        return field.query.density(space.to_world(points))

    level = usual_density(grid) if options.density is None else options.density
    vertices, faces = to_world(surface_at(density, grid, level), space)
    before = len(faces)
    vertices, faces = submesh(vertices, faces, solid_faces(field, vertices, faces, options.pieces))
    dropped = before - len(faces)
    if options.seen:
        vertices, faces = submesh(vertices, faces, visible_faces(field, vertices, faces))
    colours = colour_of(field, vertices, faces)
    mesh_file.write(output, field.header.similarity.original(vertices), faces, colours)
    size = output.stat().st_size / 1e6
    yield f"{output}: {len(vertices):,} vertices, {len(faces):,} faces, {size:.1f} MB, in the scene's original unit"
    yield f"  the surface is where density reaches {level:.4g}; {dropped:,} faces of floaters and hollows dropped"
    yield f"  {space.describe_inner(max(grid.cell) / field.header.similarity.scale)}"


def surface_at(density: Callable[[Tensor], Tensor], grid: Grid, level: float) -> Surface:
    """The surface at which the density has this level. Raises NerfpipeError if there is none."""
    surface = extract_surface(density, grid, level)
    if not surface.lowest < level < surface.highest or not len(surface.faces):
        raise NerfpipeError(
            f"no surface at density {level:.4g}; densities run from {surface.lowest:.4g} to {surface.highest:.4g}: "
            "give another --density"
        )
    return surface


def solid_faces(field: LoadedField, vertices: np.ndarray, faces: np.ndarray, share: float) -> np.ndarray:
    """Which faces [F] bool belong neither to floaters nor to hollows. Raises NerfpipeError if none is left."""
    kept = faces_to_keep(vertices, faces, share, np.array(field.header.poses)[:, :, 3])
    if not kept.any():
        raise NerfpipeError(f"no face is left: all {len(faces):,} are of hollows; give another --density")
    return kept


def visible_faces(field: LoadedField, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which faces [F] bool a train camera sees. Raises NerfpipeError if none is left."""
    kept = visibility.visible_faces(field, vertices, faces)
    if not kept.any():
        raise NerfpipeError(
            f"no face is left: of {len(faces):,} no train camera sees one; leave out --seen, or give another --density"
        )
    return kept


def usual_density(grid: Grid) -> float:
    """The density, per scene unit, that stops half of the light within THICKNESS of the grid's longest side."""
    return math.log(2) / (THICKNESS * grid.longest)


def inner_grid(space: Space, resolution: int) -> Grid:
    """The grid over the part of a space that the images are of; closed, if there is nothing beyond."""
    return Grid.over(torch.tensor(space.inner), resolution, closed=space.ends_at_inner)


def to_world(surface: Surface, space: Space) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces in the world, of a surface in the coordinates of a space."""
    vertices = space.to_world(torch.from_numpy(surface.vertices)).numpy()
    return vertices, surface.faces[:, ::-1] if space.mirrored else surface.faces


def colour_of(field: LoadedField, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Colour [V, 3] in [0, 1] of each vertex, seen along its normal."""
    normals = torch.from_numpy(mesh_file.vertex_normals(vertices, faces)).float()
    points, colours = torch.from_numpy(vertices).float(), []
    with Progress("colour", len(points), "vertices") as progress:
        for block, outward in zip(points.split(COLOUR_BLOCK), normals.split(COLOUR_BLOCK), strict=True):
            colours.append(field.query.colour(block, -outward))
            progress.advance(len(block))
    return torch.cat(colours).numpy()

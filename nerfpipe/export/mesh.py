"""A model's surface as a coloured mesh: marching cubes on density, floaters dropped, in the data's own units."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nerfpipe.export import mesh_file, visibility
from nerfpipe.export.components import without, worth_keeping
from nerfpipe.export.marching import Grid, Surface, march
from nerfpipe.export.options import MeshOptions
from nerfpipe.export.views import Subject
from nerfpipe.geometry.ndc import Frustum, from_ndc
from nerfpipe.geometry.space import Forward, Space
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

INNER = ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0))  # what of an unbounded scene is not contracted
FORWARD_END = 0.9  # of z in normalised device coordinates: 20 times as far as the near plane
THICKNESS = 1 / 40  # of the grid's longest side; see docs/export.md for how it was found
COLOUR_BLOCK = 2**17  # vertices coloured between two steps of the progress bar


def export_mesh(subject: Subject, options: MeshOptions, output: Path) -> Iterator[str]:
    """Write the mesh as .ply or .glb; yields what to tell the user. Raises NerfpipeError where there is no surface."""
    space = subject.about.space
    grid, density, to_scene = meshed_part(subject, options.resolution)
    level = usual_density(grid) if options.density is None else options.density
    vertices, faces = to_scene(surface_at(density, grid, level))
    before = len(faces)
    vertices, faces = without(vertices, faces, solid_faces(subject, vertices, faces, options.pieces))
    dropped = before - len(faces)
    if options.seen:
        vertices, faces = without(vertices, faces, faces_in_sight(subject, vertices, faces))
    colours = colour_of(subject, vertices, faces)
    mesh_file.write(output, subject.about.similarity.original(vertices), faces, colours)
    size = output.stat().st_size / 1e6
    yield f"{output}: {len(vertices):,} vertices, {len(faces):,} faces, {size:.1f} MB, in the scene's original unit"
    yield f"  the surface is where density reaches {level:.4g}; {dropped:,} faces of floaters and hollows dropped"
    yield f"  {extent_words(space, max(grid.cell) / subject.about.similarity.scale)}"


def surface_at(density: Callable[[Tensor], Tensor], grid: Grid, level: float) -> Surface:
    """The surface where the density has this level. Raises NerfpipeError where there is none."""
    surface = march(density, grid, level)
    if not surface.lowest < level < surface.highest or not len(surface.faces):
        raise NerfpipeError(
            f"no surface at density {level:.4g}; densities run from {surface.lowest:.4g} to {surface.highest:.4g}: "
            "give another --density"
        )
    return surface


def solid_faces(subject: Subject, vertices: np.ndarray, faces: np.ndarray, share: float) -> np.ndarray:
    """Which faces [F] bool are neither of floaters nor of hollows. Raises NerfpipeError where none is left."""
    kept = worth_keeping(vertices, faces, share, np.array(subject.about.poses)[:, :, 3])
    if not kept.any():
        raise NerfpipeError(f"no face is left: all {len(faces):,} are of hollows; give another --density")
    return kept


def faces_in_sight(subject: Subject, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Which faces [F] bool a train camera sees. Raises NerfpipeError where none is left."""
    kept = visibility.seen_faces(subject, vertices, faces)
    if not kept.any():
        raise NerfpipeError(
            f"no face is left: of {len(faces):,} no train camera sees one; leave out --seen, or give another --density"
        )
    return kept


def usual_density(grid: Grid) -> float:
    """Where half of the light is stopped within THICKNESS of the grid's longest side."""
    return math.log(2) / (THICKNESS * grid.longest)


def extent_words(space: Space, cell: float) -> str:
    """What part of the world is in the mesh; cell: an edge, in the data's own units."""
    match space.kind:
        case "unbounded":
            return f"the middle of this unbounded scene, as far as the farthest camera, in cells of {cell:.3g}"
        case "forward":
            return "of this forward-facing scene, what is within 20 times the near plane's distance"
    return f"the whole of the scene's bounds, in cells of {cell:.3g}"


def meshed_part(
    subject: Subject, resolution: int
) -> tuple[Grid, Callable[[Tensor], Tensor], Callable[[Surface], tuple[np.ndarray, np.ndarray]]]:
    """The grid, the density at its points, and what brings a surface in it to vertices and faces in the scene.

    Forward-facing scenes are marched in normalised device coordinates, where cells grow with distance as pixels do.
    """
    space, probe = subject.about.space, subject.probe
    if isinstance(space, Forward):
        box, frustum = space.box.clone(), space.frustum
        box[1, 2] = min(float(box[1, 2]), FORWARD_END)
        grid = Grid.over(box, resolution, closed=False)
        return (
            grid,
            lambda points: probe.density(from_ndc(points, frustum)),
            lambda surface: from_frustum(surface, frustum),
        )
    box = torch.tensor(INNER) if space.unbounded else space.box
    grid = Grid.over(box, resolution, closed=not space.unbounded)
    return grid, probe.density, lambda surface: (surface.vertices, surface.faces)


def from_frustum(surface: Surface, frustum: Frustum) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and faces of a surface in normalised device coordinates, which mirror the world, in the scene."""
    vertices = from_ndc(torch.from_numpy(surface.vertices), frustum).numpy()
    return vertices, surface.faces[:, ::-1]


def colour_of(subject: Subject, vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Colour [V, 3] in [0, 1] of each vertex, seen straight on."""
    normals = torch.from_numpy(mesh_file.vertex_normals(vertices, faces)).float()
    points, colours = torch.from_numpy(vertices).float(), []
    with Progress("colour", len(points), "vertices") as progress:
        for some, outward in zip(points.split(COLOUR_BLOCK), normals.split(COLOUR_BLOCK), strict=True):
            colours.append(subject.probe.colour(some, -outward))
            progress.advance(len(some))
    return torch.cat(colours).numpy()

"""Marching cubes slab by slab, so that memory holds one slab and the surface, never the whole volume.

W. Lorensen and H. Cline, Marching Cubes: A High Resolution 3D Surface Construction Algorithm, SIGGRAPH 1987.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from skimage.measure import marching_cubes
from torch import Tensor

from nerfpipe.runtime.progress import Progress

SLAB = 2**22  # samples in memory at once
INDEX = np.int32  # of vertices: memory holds fewer than 2 billion
SMALLEST_OFFSET = 1e-3  # of a sample's opacity from one half: a surface through a sample has triangles without area


@dataclass(frozen=True)
class Grid:
    """Samples over a box, from its lower to its upper corner, at distances `cell` along x, y and z.

    closed: one more layer of samples surrounds the box and counts as empty, so that a surface that reaches the box is
    closed there.
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    cell: tuple[float, float, float]
    shape: tuple[int, int, int]
    closed: bool

    @classmethod
    def over(cls, box: Tensor, resolution: int, closed: bool) -> Grid:
        """A grid over a box [2, 3] of nearly cubic cells, `resolution` along its longest side."""
        lower, upper = (tuple(corner) for corner in box.tolist())
        sides = [high - low for low, high in zip(lower, upper, strict=True)]
        counts = [max(1, round(side / max(sides) * resolution)) for side in sides]
        cell = tuple(side / count for side, count in zip(sides, counts, strict=True))
        return cls(lower, upper, cell, tuple(count + 1 + 2 * int(closed) for count in counts), closed)

    @property
    def longest(self) -> float:
        """The longest side of the box."""
        return max(high - low for low, high in zip(self.lower, self.upper, strict=True))

    def positions(self, vertices: np.ndarray) -> np.ndarray:
        """Positions [V, 3] in the box of vertices [V, 3] given in sample indices."""
        return (vertices - int(self.closed)) * np.array(self.cell) + np.array(self.lower)

    def layers(self, first: int, last: int) -> Tensor:
        """Samples [(last - first)·Y·Z, 3] of the layers from `first` up to `last` along x, clamped to the box."""
        axes = []
        for axis, (begin, end) in enumerate([(first, last), (0, self.shape[1]), (0, self.shape[2])]):
            steps = torch.arange(begin, end, dtype=torch.float64) - int(self.closed)
            along = self.lower[axis] + self.cell[axis] * steps
            axes.append(along.clamp(self.lower[axis], self.upper[axis]).float())
        return torch.cartesian_prod(*axes)

    def inner(self, first: int, last: int) -> Tensor:
        """Which samples of the same layers lie in the box: [last - first, Y, Z] bool."""
        inner = torch.ones(last - first, *self.shape[1:], dtype=torch.bool)
        if self.closed:
            inner[:, [0, -1], :] = inner[:, :, [0, -1]] = False
            x = torch.arange(first, last)
            inner[(x == 0) | (x == self.shape[0] - 1)] = False
        return inner


@dataclass
class Surface:
    """A triangle mesh, and the range of the densities that were sampled for it."""

    vertices: np.ndarray  # [V, 3] float64, in the grid's coordinates
    faces: np.ndarray  # [F, 3] int32; they look towards lower density
    lowest: float
    highest: float


@dataclass
class _Seam:
    """The surface so far, and its vertices on the layer that the next slab begins with."""

    grid: Grid
    vertices: list[np.ndarray] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    count: int = 0
    keys: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))  # of the edges they lie on, sorted
    indices: np.ndarray = field(default_factory=lambda: np.empty(0, INDEX))

    def add(self, vertices: np.ndarray, faces: np.ndarray, first: int, last: int) -> None:
        """Add a slab's vertices [V, 3] in sample indices and faces [F, 3]; first and last: its layers.

        Neighbouring slabs share a layer and cut its edges at the same points. An edge is identified by the sample at
        which it begins and by its direction, both integers, so that shared vertices are found without a tolerance.
        """
        keys = _edge(vertices[:, 1]) * (2 * self.grid.shape[2]) + _edge(vertices[:, 2])
        nearest = np.searchsorted(self.keys, keys).clip(max=max(0, len(self.keys) - 1))
        known = np.zeros(len(vertices), bool)
        if len(self.keys):
            known = (vertices[:, 0] == first) & (self.keys[nearest] == keys)
        index = np.empty(len(vertices), INDEX)
        index[~known] = self.count + np.arange((~known).sum())
        index[known] = self.indices[nearest[known]] if len(self.keys) else 0
        self.vertices.append(self.grid.positions(vertices[~known]))
        self.faces.append(index[faces])
        self.count += int((~known).sum())
        ends = np.flatnonzero(vertices[:, 0] == last)
        ends = ends[np.argsort(keys[ends])]
        self.keys, self.indices = keys[ends], index[ends]


def _edge(coordinate: np.ndarray) -> np.ndarray:
    """Even numbers for samples, and odd ones for the edges between them."""
    below = np.floor(coordinate)
    return (2 * below + (coordinate > below)).astype(np.int64)


def extract_surface(density: Callable[[Tensor], Tensor], grid: Grid, level: float, slab: int = SLAB) -> Surface:
    """The surface at which a density, a function of points [P, 3] to [P], equals `level`.

    Between samples opacity is interpolated linearly and not density, which has no upper limit.
    """
    X, Y, Z = grid.shape
    thickness = max(1, slab // (Y * Z))
    seam, lowest, highest = _Seam(grid), math.inf, -math.inf
    before = np.empty((0, Y, Z), np.float32)
    with Progress("marching cubes", X, "layers") as progress:
        for first in range(0, X, thickness):
            last = min(first + thickness, X)
            inner = grid.inner(first, last)
            values = torch.zeros(last - first, Y, Z)
            values[inner] = found = density(grid.layers(first, last)[inner.flatten()])
            if len(found):
                lowest, highest = min(lowest, float(found.min())), max(highest, float(found.max()))
            offsets = np.concatenate([before, _opacity_offset(values, level)])
            start = first - len(before)
            if len(offsets) > 1 and offsets.min() < 0 < offsets.max():
                vertices, faces, _, _ = marching_cubes(offsets, 0.0, gradient_direction="ascent")
                vertices = vertices.astype(np.float64)
                vertices[:, 0] += start
                seam.add(vertices, faces, start, last - 1)
            else:
                seam.keys, seam.indices = np.empty(0, np.int64), np.empty(0, INDEX)
            before = offsets[-1:]
            progress.advance(last - first)
    vertices, faces = _joined(seam.vertices, np.empty((0, 3))), _joined(seam.faces, np.empty((0, 3), INDEX))
    return Surface(vertices, faces, lowest, highest)


def _joined(parts: list[np.ndarray], empty: np.ndarray) -> np.ndarray:
    """The parts as one array, `empty` if there are none. Clears the list, to free its memory early."""
    joined = np.concatenate([*parts, empty])
    parts.clear()
    return joined


def _opacity_offset(density: Tensor, level: float) -> np.ndarray:
    """The opacity of a layer in which `level` stops half of the light, minus one half: -0.5 to 0.5, never 0."""
    offset = 0.5 - torch.exp2(-density / level).numpy()
    return np.where(np.abs(offset) < SMALLEST_OFFSET, np.copysign(np.float32(SMALLEST_OFFSET), offset), offset)

"""Marching cubes slab by slab, so that memory holds a slab and the surface, never the whole volume."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from skimage.measure import marching_cubes
from torch import Tensor

from nerfpipe.runtime.progress import Progress

SLAB = 2**22  # samples looked at before they are marched and forgotten
NUMBER = np.int32  # of vertices: two thousand million are more than memory holds
APART = 1e-3  # no sample is nearer to the level: a surface through a sample would have triangles without area


@dataclass(frozen=True)
class Grid:
    """Samples over a box, `cell` (x, y, z) apart, from its lower corner to its upper one.

    closed: there is one more sample all round, a cell outside the box, that counts as empty without being asked about:
    what reaches the box gets a face there.
    """

    lower: tuple[float, float, float]
    upper: tuple[float, float, float]
    cell: tuple[float, float, float]
    shape: tuple[int, int, int]
    closed: bool

    @classmethod
    def over(cls, box: Tensor, resolution: int, closed: bool) -> Grid:
        """Over a box [2, 3] with so many cells along its longest side, and nearly cubes."""
        lower, upper = (tuple(corner) for corner in box.tolist())
        sides = [high - low for low, high in zip(lower, upper, strict=True)]
        counts = [max(1, round(side / max(sides) * resolution)) for side in sides]
        cell = tuple(side / count for side, count in zip(sides, counts, strict=True))
        return cls(lower, upper, cell, tuple(count + 1 + 2 * int(closed) for count in counts), closed)

    @property
    def longest(self) -> float:
        """The longest side of the box."""
        return max(high - low for low, high in zip(self.lower, self.upper, strict=True))

    def place(self, vertices: np.ndarray) -> np.ndarray:
        """Where in the box what is counted in samples [V, 3] lies."""
        return (vertices - int(self.closed)) * np.array(self.cell) + np.array(self.lower)

    def layers(self, first: int, last: int) -> Tensor:
        """Samples [(last - first)·Y·Z, 3] of the layers from `first` to before `last` along x, none outside the box."""
        axes = []
        for axis, (begin, end) in enumerate([(first, last), (0, self.shape[1]), (0, self.shape[2])]):
            steps = torch.arange(begin, end, dtype=torch.float64) - int(self.closed)
            along = self.lower[axis] + self.cell[axis] * steps
            axes.append(along.clamp(self.lower[axis], self.upper[axis]).float())
        return torch.cartesian_prod(*axes)

    def inner(self, first: int, last: int) -> Tensor:
        """Which of them [last - first, Y, Z] bool are asked about."""
        inner = torch.ones(last - first, *self.shape[1:], dtype=torch.bool)
        if self.closed:
            inner[:, [0, -1], :] = inner[:, :, [0, -1]] = False
            x = torch.arange(first, last)
            inner[(x == 0) | (x == self.shape[0] - 1)] = False
        return inner


@dataclass
class Surface:
    """vertices [V, 3] float64 in the grid's coordinates, faces [F, 3] int32 that look to where density falls;
    lowest and highest: the densities found, whatever the level."""

    vertices: np.ndarray
    faces: np.ndarray
    lowest: float
    highest: float


@dataclass
class _Seam:
    """What of a grid is marched so far, and the vertices on the layer that the next slab begins with."""

    grid: Grid
    vertices: list[np.ndarray] = field(default_factory=list)
    faces: list[np.ndarray] = field(default_factory=list)
    count: int = 0
    keys: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))  # sorted
    numbers: np.ndarray = field(default_factory=lambda: np.empty(0, NUMBER))

    def add(self, vertices: np.ndarray, faces: np.ndarray, first: int, last: int) -> None:
        """A slab's vertices [V, 3] in cells, faces [F, 3] and layers; those of the slab before are not doubled.

        Both slabs cut the edges of the layer between them, at the same places. An edge is known by the layer's sample
        where it begins and by its direction, which are whole numbers: no tolerance is needed.
        """
        keys = _edge(vertices[:, 1]) * (2 * self.grid.shape[2]) + _edge(vertices[:, 2])
        place = np.searchsorted(self.keys, keys).clip(max=max(0, len(self.keys) - 1))
        known = np.zeros(len(vertices), bool)
        if len(self.keys):
            known = (vertices[:, 0] == first) & (self.keys[place] == keys)
        number = np.empty(len(vertices), NUMBER)
        number[~known] = self.count + np.arange((~known).sum())
        number[known] = self.numbers[place[known]] if len(self.keys) else 0
        self.vertices.append(self.grid.place(vertices[~known]))
        self.faces.append(number[faces])
        self.count += int((~known).sum())
        ends = np.flatnonzero(vertices[:, 0] == last)
        ends = ends[np.argsort(keys[ends])]
        self.keys, self.numbers = keys[ends], number[ends]


def _edge(coordinate: np.ndarray) -> np.ndarray:
    """Even numbers for samples, the odd ones between for the edges that join them."""
    below = np.floor(coordinate)
    return (2 * below + (coordinate > below)).astype(np.int64)


def march(density: Callable[[Tensor], Tensor], grid: Grid, level: float, slab: int = SLAB) -> Surface:
    """The surface at `level` of a density that is asked at points [P, 3] and answers [P].

    Between samples it is not density that is taken to be even, which has no upper end, but the light that it stops.
    """
    X, Y, Z = grid.shape
    thickness = max(1, slab // (Y * Z))
    seam, lowest, highest = _Seam(grid), math.inf, -math.inf
    before = np.empty((0, Y, Z), np.float32)
    with Progress("march", X, "layers") as progress:
        for first in range(0, X, thickness):
            last = min(first + thickness, X)
            inner = grid.inner(first, last)
            values = torch.zeros(last - first, Y, Z)
            values[inner] = found = density(grid.layers(first, last)[inner.flatten()])
            if len(found):
                lowest, highest = min(lowest, float(found.min())), max(highest, float(found.max()))
            heights = np.concatenate([before, _heights(values, level)])
            start = first - len(before)
            if len(heights) > 1 and heights.min() < 0 < heights.max():
                vertices, faces, _, _ = marching_cubes(heights, 0.0, gradient_direction="ascent")
                vertices = vertices.astype(np.float64)
                vertices[:, 0] += start
                seam.add(vertices, faces, start, last - 1)
            else:
                seam.keys, seam.numbers = np.empty(0, np.int64), np.empty(0, NUMBER)
            before = heights[-1:]
            progress.advance(last - first)
    vertices, faces = _joined(seam.vertices, np.empty((0, 3))), _joined(seam.faces, np.empty((0, 3), NUMBER))
    return Surface(vertices, faces, lowest, highest)


def _joined(parts: list[np.ndarray], nothing: np.ndarray) -> np.ndarray:
    """The parts as one array, `nothing` where there are none; they are let go, to leave the room to what comes next."""
    joined = np.concatenate([*parts, nothing])
    parts.clear()
    return joined


def _heights(density: Tensor, level: float) -> np.ndarray:
    """-0.5 to 0.5 and never 0: the light that is stopped where `level` stops half of it, less that half."""
    heights = 0.5 - torch.exp2(-density / level).numpy()
    return np.where(np.abs(heights) < APART, np.copysign(np.float32(APART), heights), heights)

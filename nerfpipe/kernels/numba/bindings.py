"""Kernels as torch functions with a gradient: what fields, samplers and compositing call.

Python sees Ctrl-C between two launches only, so a launch gets no more work than is done within a second, on one slow
core too. Values do not depend on it: samples are computed in blocks that begin at the same places, rays one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nerfpipe.geometry.contraction import LINEAR
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.kernels.numba import composite as composite_kernels
from nerfpipe.kernels.numba import march as march_kernels
from nerfpipe.kernels.numba import ngp_field as field_kernels
from nerfpipe.kernels.numba import render as render_kernels
from nerfpipe.kernels.numba.compile import BLOCK
from nerfpipe.kernels.numba.hash_encoding import add_table_gradient
from nerfpipe.kernels.numba.row_adam import step_rows as step_rows_kernel
from nerfpipe.kernels.numba.threading_layer import launch
from nerfpipe.samplers.intervals import limits
from nerfpipe.types import Samples

if TYPE_CHECKING:
    from nerfpipe.fields.ngp import NgpField
    from nerfpipe.samplers.occupancy import Occupancy

# What one launch may be given.
FIELD_SAMPLES = 4096 * BLOCK  # through the whole field
LIGHT_SAMPLES = 2**24  # added up, or noted in a grid
MARCH_STEPS = 2**24  # most of which are leapt over
RENDER_SAMPLES = 2**21  # if rays stopped nowhere; they see a tenth of it
TABLE_ROWS = 2**22


def ngp_field(field: NgpField, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Density [M] and colour [M, 3] at positions [M, 3], seen along unit directions [M, 3]."""
    return _NgpField.apply(field, positions, directions, field.grid.table, *field.weights)


def ngp_density(field: NgpField, positions: Tensor) -> Tensor:
    """Density [M] at positions [M, 3]."""
    density, x = np.empty(len(positions), np.float32), numbers(positions)
    known = (*geometry(field), *weights_of(field))
    for part in slices(len(x), FIELD_SAMPLES):
        launch(field_kernels.forward_density, x[part], *known, density[part])
    return torch.from_numpy(density)


def composite(
    samples: Samples, density: Tensor, colour: Tensor, background: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour [R, 3], opacity [R], depth [R] and weights [M] of density [M] and colour [M, 3] over background [R, 3]."""
    return _Composite.apply(samples, density, colour, background)


def march(grid: Occupancy, rays: RayBatch, shift: Tensor, step: float) -> Samples:
    """The samples of R rays in the occupied cells of the grid, each ray's steps shifted by shift [R] of one."""
    R, longest = len(rays), grid.longest(step)
    origins, directions = numbers(rays.origins), numbers(rays.directions)
    ends = (*(numbers(end) for end in limits(rays, grid.unbounded)), numbers(shift))
    steps, cells = (
        (np.float32(step), linear(grid)),
        (numbers(grid.low), np.float32(1 / grid.cell), numbers(grid.distance)),
    )
    counts, packed = np.empty(R, np.int64), []
    for part in slices(R, MARCH_STEPS // longest):
        here = origins[part], directions[part]
        rows = np.empty((len(here[0]), longest), np.float32)
        launch(march_kernels.march_rays, *here, *(end[part] for end in ends), *steps, *cells, rows, counts[part])
        first = first_of(counts[part])
        M = int(first[-1])
        found = tuple(np.empty(shape, np.float32) for shape in ((M, 3), (M, 3), M, M))
        ray = np.empty(M, np.int64)
        launch(march_kernels.pack, rows, *here, *steps, first, *found, ray)
        packed.append((*found, ray + part.start))
    positions, along, t, delta, ray = (joined(each) for each in zip(*packed, strict=True))
    first, most = torch.from_numpy(first_of(counts)), int(counts.max()) if R else 0
    return Samples(positions, along, t, delta, ray, first, most, grid.params.early_stop_eps, grid.unbounded)


def note(grid: Occupancy, positions: Tensor, density: Tensor) -> None:
    """Raise the grid's densities to density [M] found at positions [M, 3]."""
    x, found, cell = numbers(positions), numbers(density), np.float32(1 / grid.cell)
    for part in slices(len(x), LIGHT_SAMPLES):
        march_kernels.note(x[part], found[part], numbers(grid.low), cell, numbers(grid.density))


def render(grid: Occupancy, field: NgpField, rays: RayBatch, background: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [R, 3], opacity [R] and depth [R] of R rays over background [3], without gradient."""
    R = len(rays)
    bundle = [numbers(x) for x in (rays.origins, rays.directions, *limits(rays, grid.unbounded))]
    cells = (
        numbers(background),
        np.float32(grid.render_step),
        linear(grid),
        numbers(grid.low),
        np.float32(1 / grid.cell),
        numbers(grid.distance),
    )
    known = (*cells, *geometry(field), *weights_of(field), np.float32(grid.params.early_stop_eps))
    pixels = [np.empty(shape, np.float32) for shape in ((R, 3), R, R)]
    for part in slices(R, RENDER_SAMPLES // grid.longest(grid.render_step)):
        launch(render_kernels.render, *(x[part] for x in bundle), *known, *(x[part] for x in pixels))
    seen, opacity, depth = (torch.from_numpy(x) for x in pixels)
    return seen, opacity, depth


def step_rows(weight: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, *factors: float) -> None:
    """One step of Adam on weight [N, F] in place; factors: rate, both betas, epsilon and the squares' correction."""
    tables, last = [numbers(each) for each in (weight, gradient, mean, square)], [np.float32(x) for x in factors]
    for part in slices(len(weight), TABLE_ROWS):
        launch(step_rows_kernel, *(table[part] for table in tables), *last)


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, samples: Samples, density: Tensor, colour: Tensor, background: Tensor
    ) -> tuple[Tensor, ...]:
        R, M = samples.rays, len(density)
        first, over = numbers(samples.first), numbers(background)
        along = [numbers(x) for x in (samples.t, samples.delta, density, colour)]
        seen, opacity, depth, weights = (np.empty(shape, np.float32) for shape in ((R, 3), R, R, M))
        stop, most = np.float32(samples.stop), LIGHT_SAMPLES // max(samples.longest, 1)
        for part in slices(R, most):
            pixels = seen[part], opacity[part], depth[part]
            launch(composite_kernels.forward, ends_of(first, part), *along, over[part], stop, *pixels, weights)
        context.saved, context.most = (first, along, over, stop, opacity, depth, weights), most
        return tuple(torch.from_numpy(each) for each in (seen, opacity, depth, weights))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Any, ...]:
        first, along, over, stop, opacity, depth, weights = context.saved
        M = len(weights)
        density_gradient, colour_gradient = np.empty(M, np.float32), np.empty((M, 3), np.float32)
        *up, weights_up = (numbers(each) for each in gradients)
        for part in slices(len(opacity), context.most):
            known = ends_of(first, part), *along, over[part], stop, opacity[part], depth[part], weights
            down = *(each[part] for each in up), weights_up, density_gradient, colour_gradient
            launch(composite_kernels.backward, *known, *down)
        return None, torch.from_numpy(density_gradient), torch.from_numpy(colour_gradient), None


class _NgpField(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, field: NgpField, positions: Tensor, directions: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        M, E = len(positions), field.grid.size
        encoding, density, colour = (np.empty(shape, np.float32) for shape in ((M, E), M, (M, 3)))
        x, d = numbers(positions), numbers(directions)
        known, made = (*geometry(field), *weights_of(field)), (encoding, density, colour)
        for part in slices(M, FIELD_SAMPLES):
            launch(field_kernels.forward, x[part], d[part], *known, *(each[part] for each in made))
        context.field, context.saved = field, (x, d, encoding, density, colour)
        context.set_materialize_grads(True)
        return torch.from_numpy(density), torch.from_numpy(colour)

    @staticmethod
    def backward(context: Any, density_gradient: Tensor, colour_gradient: Tensor) -> tuple[Any, ...]:
        field, (x, d, encoding, density, colour) = context.field, context.saved
        low, inverse_side, _, levels = geometry(field)
        weights, _ = weights_of(field)
        sizes = [weight.size for weight in weights]
        sums = np.zeros((field_kernels.CHUNKS, sum(sizes)), np.float32)
        gd, gc = numbers(density_gradient), numbers(colour_gradient)
        which = field_kernels.moved(gd, gc)
        transposed = tuple(np.ascontiguousarray(weight.T) for weight in weights)
        # Straight into .grad: a gradient of its own for every step would cost a pass over the whole table.
        if field.grid.table.grad is None:
            field.grid.table.grad = torch.zeros_like(field.grid.table)
        table_gradient, values = numbers(field.grid.table.grad), (d, encoding, density, colour, gd, gc)
        for part in slices(len(which), FIELD_SAMPLES):
            up = launch(field_kernels.backward, which[part], *values, weights, transposed, sums)
            launch(add_table_gradient, x, which[part], up, low, inverse_side, levels, table_gradient)
        flat = torch.from_numpy(sums).sum(dim=0).split(sizes)
        gradients = [part.reshape(weight.shape) for part, weight in zip(flat, weights, strict=True)]
        return None, None, None, None, *gradients


def slices(total: int, most: int) -> Iterator[slice]:
    """The whole of `total` as slices of at most `most`, and of one at least; an empty whole is one empty slice."""
    for start in range(0, max(total, 1), max(most, 1)):
        yield slice(start, min(start + max(most, 1), total))


def first_of(counts: np.ndarray) -> np.ndarray:
    """Where each ray's samples begin, [R + 1], from how many each has, [R]."""
    return np.concatenate([[0], counts.cumsum()])


def ends_of(first: np.ndarray, rays: slice) -> np.ndarray:
    """Where the samples of some rays begin, and where those of the last one end."""
    return first[rays.start : rays.stop + 1]


def joined(arrays: tuple[np.ndarray, ...]) -> Tensor:
    """Parts one behind the other, as a tensor."""
    return torch.from_numpy(arrays[0] if len(arrays) == 1 else np.concatenate(arrays))


def numbers(tensor: Tensor) -> np.ndarray:
    """The tensor's values as a NumPy array that shares its memory."""
    return tensor.detach().contiguous().numpy()


def linear(grid: Occupancy) -> np.float32:
    """The distance from which steps grow; infinite where they never do."""
    return np.float32(LINEAR if grid.unbounded else np.inf)


def geometry(field: NgpField) -> tuple[np.ndarray, np.float32, np.ndarray, np.ndarray]:
    """Lower corner, 1 / side, table and levels of the field's hash grid."""
    grid = field.grid
    return numbers(grid.low), np.float32(1 / grid.side), numbers(grid.table), np.array(grid.levels)


def weights_of(field: NgpField) -> tuple[tuple[np.ndarray, ...], np.float32]:
    """All layers' weights, and the factor from the network's density to that per scene unit."""
    return tuple(numbers(weight) for weight in field.weights), np.float32(1 / field.side)

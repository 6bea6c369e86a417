"""Kernels as torch functions with a gradient: what fields, samplers and compositing call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nerfpipe.contraction import LINEAR
from nerfpipe.kernels import composite as composite_kernels
from nerfpipe.kernels import field as field_kernels
from nerfpipe.kernels import march as march_kernels
from nerfpipe.kernels import render as render_kernels
from nerfpipe.kernels.hash_grid import add_table_gradient
from nerfpipe.rays import RayBatch
from nerfpipe.sampling.samples import Samples, limits

if TYPE_CHECKING:
    from nerfpipe.fields.ngp import NgpField
    from nerfpipe.sampling.occupancy import Occupancy


def ngp_field(field: NgpField, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Density [M] and colour [M, 3] at positions [M, 3], seen along unit directions [M, 3]."""
    return _NgpField.apply(field, positions, directions, field.grid.table, *field.weights)


def ngp_density(field: NgpField, positions: Tensor) -> Tensor:
    """Density [M] at positions [M, 3]."""
    density = np.empty(len(positions), np.float32)
    field_kernels.forward_density(numbers(positions), *geometry(field), *weights_of(field), density)
    return torch.from_numpy(density)


def composite(
    samples: Samples, density: Tensor, colour: Tensor, background: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour [R, 3], opacity [R], depth [R] and weights [M] of density [M] and colour [M, 3] over background [R, 3]."""
    return _Composite.apply(samples, density, colour, background)


def march(grid: Occupancy, rays: RayBatch, shift: Tensor, step: float) -> Samples:
    """The samples of R rays in the occupied cells of the grid, each ray's steps shifted by shift [R] of one."""
    R = len(rays)
    origins, directions = numbers(rays.origins), numbers(rays.directions)
    ends = (*(numbers(end) for end in limits(rays, grid.unbounded)), numbers(shift))
    steps, cells = (
        (np.float32(step), linear(grid)),
        (numbers(grid.low), np.float32(1 / grid.cell), numbers(grid.distance)),
    )
    rows, counts = np.empty((R, grid.longest(step)), np.float32), np.empty(R, np.int64)
    march_kernels.march_rays(origins, directions, *ends, *steps, *cells, rows, counts)
    first = np.concatenate([[0], counts.cumsum()])  # [R + 1]
    M = int(first[-1])
    positions, along, t, delta = (np.empty(shape, np.float32) for shape in ((M, 3), (M, 3), M, M))
    ray = np.empty(M, np.int64)
    march_kernels.pack(rows, origins, directions, *steps, first, positions, along, t, delta, ray)
    longest, packed = int(counts.max()) if R else 0, (positions, along, t, delta, ray, first)
    return Samples(*(torch.from_numpy(x) for x in packed), longest, grid.params.stop, grid.unbounded)


def note(grid: Occupancy, positions: Tensor, density: Tensor) -> None:
    """Raise the grid's densities to density [M] found at positions [M, 3]."""
    cell = np.float32(1 / grid.cell)
    march_kernels.note(numbers(positions), numbers(density), numbers(grid.low), cell, numbers(grid.density))


def render(grid: Occupancy, field: NgpField, rays: RayBatch, background: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Colour [R, 3], opacity [R] and depth [R] of R rays over background [3], without gradient."""
    R = len(rays)
    ends = limits(rays, grid.unbounded)
    bundle = [numbers(x) for x in (rays.origins, rays.directions, *ends, background)]
    cells = (
        np.float32(grid.render_step),
        linear(grid),
        numbers(grid.low),
        np.float32(1 / grid.cell),
        numbers(grid.distance),
    )
    seen, opacity, depth = (np.empty(shape, np.float32) for shape in ((R, 3), R, R))
    stop = np.float32(grid.params.stop)
    render_kernels.render(*bundle, *cells, *geometry(field), *weights_of(field), stop, seen, opacity, depth)
    return torch.from_numpy(seen), torch.from_numpy(opacity), torch.from_numpy(depth)


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, samples: Samples, density: Tensor, colour: Tensor, background: Tensor
    ) -> tuple[Tensor, ...]:
        R, M = samples.rays, len(density)
        given = [numbers(x) for x in (samples.first, samples.t, samples.delta, density, colour, background)]
        given.append(np.float32(samples.stop))
        seen, opacity, depth, weights = (np.empty(shape, np.float32) for shape in ((R, 3), R, R, M))
        composite_kernels.forward(*given, seen, opacity, depth, weights)
        context.saved = (*given, opacity, depth, weights)
        return tuple(torch.from_numpy(each) for each in (seen, opacity, depth, weights))

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Any, ...]:
        M = len(context.saved[1])
        density_gradient, colour_gradient = np.empty(M, np.float32), np.empty((M, 3), np.float32)
        up = [numbers(each) for each in gradients]
        composite_kernels.backward(*context.saved, *up, density_gradient, colour_gradient)
        return None, torch.from_numpy(density_gradient), torch.from_numpy(colour_gradient), None


class _NgpField(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, field: NgpField, positions: Tensor, directions: Tensor, *parameters: Tensor
    ) -> tuple[Tensor, Tensor]:
        M, E = len(positions), field.grid.size
        encoding, density, colour = (np.empty(shape, np.float32) for shape in ((M, E), M, (M, 3)))
        x, d = numbers(positions), numbers(directions)
        field_kernels.forward(x, d, *geometry(field), *weights_of(field), encoding, density, colour)
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
        up = field_kernels.backward(which, d, encoding, density, colour, gd, gc, weights, transposed, sums)
        # Straight into .grad: a gradient of its own for every step would cost a pass over the whole table.
        if field.grid.table.grad is None:
            field.grid.table.grad = torch.zeros_like(field.grid.table)
        add_table_gradient(x, which, up, low, inverse_side, levels, numbers(field.grid.table.grad))
        flat = torch.from_numpy(sums).sum(dim=0).split(sizes)
        gradients = [part.reshape(weight.shape) for part, weight in zip(flat, weights, strict=True)]
        return None, None, None, None, *gradients


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

"""The fast form of the field of Instant-NGP. Definition: fields/ngp.py, `NgpField.definition`.

A field is given by the table [rows, F] and levels [L, 4] (resolution, offset, rows, dense) of its hash encoding, which
covers the cube at `low` [3] with `side`, and by the weights w0 … w4 of its five layers, without bias. Each weight is an
argument: torch's autograd takes 30 us longer for a list of tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from nerfpipe.ops.registration import operation
from nerfpipe.ops.spherical_harmonics import spherical_harmonics


@operation("nerfpipe::ngp_field")
def ngp_field(
    positions: Tensor,
    directions: Tensor,
    table: Tensor,
    w0: Tensor,
    w1: Tensor,
    w2: Tensor,
    w3: Tensor,
    w4: Tensor,
    low: Tensor,
    levels: Tensor,
    side: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Density [M], colour [M, 3] and the encoding [M, E] at positions [M, 3], seen along unit directions [M, 3]."""
    from nerfpipe.kernels.numba import bindings

    return bindings.ngp_field(positions, directions, (table, w0, w1, w2, w3, w4, low, levels, side))


@register_fake("nerfpipe::ngp_field")
def _(positions: Tensor, directions: Tensor, table: Tensor, w0: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    M, E = positions.shape[0], w0.shape[1]
    return positions.new_empty(M), positions.new_empty(M, 3), positions.new_empty(M, E)


@operation("nerfpipe::ngp_field_backward")
def ngp_field_backward(
    positions: Tensor,
    directions: Tensor,
    table: Tensor,
    w0: Tensor,
    w1: Tensor,
    w2: Tensor,
    w3: Tensor,
    w4: Tensor,
    low: Tensor,
    levels: Tensor,
    side: float,
    outputs: list[Tensor],
    gradients: list[Tensor],
    of_inputs: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients from those of density [M] and colour [M, 3]: of the table, of all weights one after the other, and, if
    `of_inputs`, of positions [M, 3] and of the harmonics of the directions [M, 16]; these two are else empty.
    """
    from nerfpipe.kernels.numba import bindings

    field = (table, w0, w1, w2, w3, w4, low, levels, side)
    return bindings.ngp_field_backward(positions, directions, field, outputs, gradients, of_inputs)


@register_fake("nerfpipe::ngp_field_backward")
def _(
    positions: Tensor,
    directions: Tensor,
    table: Tensor,
    w0: Tensor,
    w1: Tensor,
    w2: Tensor,
    w3: Tensor,
    w4: Tensor,
    low: Tensor,
    levels: Tensor,
    side: float,
    outputs: list[Tensor],
    gradients: list[Tensor],
    of_inputs: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    M, total = positions.shape[0] if of_inputs else 0, sum(weight.numel() for weight in (w0, w1, w2, w3, w4))
    return torch.empty_like(table), table.new_empty(total), table.new_empty(M, 3), table.new_empty(M, 16)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.side = inputs
    density, colour, encoding = output
    ctx.mark_non_differentiable(encoding)
    ctx.save_for_backward(*tensors, density, colour, encoding)


def _backward(ctx: Any, of_density: Tensor, of_colour: Tensor, _: Tensor) -> tuple[Any, ...]:
    positions, directions, table, w0, w1, w2, w3, w4, low, levels, density, colour, encoding = ctx.saved_tensors
    wants_positions, wants_directions = ctx.needs_input_grad[:2]
    of_table, flat, of_positions, of_harmonics = ngp_field_backward(
        *(positions, directions, table, w0, w1, w2, w3, w4, low, levels, ctx.side),
        [density, colour, encoding],
        [of_density, of_colour],
        wants_positions or wants_directions,
    )
    weights = w0, w1, w2, w3, w4
    parts = flat.split([weight.numel() for weight in weights])
    of_weights = [part.reshape(weight.shape) for part, weight in zip(parts, weights, strict=True)]
    of_directions = _through_harmonics(directions, of_harmonics) if wants_directions else None
    return of_positions if wants_positions else None, of_directions, of_table, *of_weights, None, None, None


def _through_harmonics(directions: Tensor, of_harmonics: Tensor) -> Tensor:
    """The gradient of directions [M, 3] from that of their harmonics [M, 16]."""
    with torch.enable_grad():
        d = directions.detach().requires_grad_()
        return torch.autograd.grad(spherical_harmonics(d), d, of_harmonics)[0]


register_autograd("nerfpipe::ngp_field", _backward, setup_context=_setup_context)


@operation("nerfpipe::ngp_density")
def ngp_density(
    positions: Tensor,
    table: Tensor,
    w0: Tensor,
    w1: Tensor,
    w2: Tensor,
    w3: Tensor,
    w4: Tensor,
    low: Tensor,
    levels: Tensor,
    side: float,
) -> Tensor:
    """Density [M] alone at positions [M, 3], without gradient."""
    from nerfpipe.kernels.numba import bindings

    return bindings.ngp_density(positions, (table, w0, w1, w2, w3, w4, low, levels, side))


@register_fake("nerfpipe::ngp_density")
def _(positions: Tensor, *_: Any) -> Tensor:
    return positions.new_empty(positions.shape[0])

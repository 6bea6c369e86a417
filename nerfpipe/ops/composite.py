"""The fast form of the volume rendering equation. Definition: rendering/volume_rendering.py, `definition`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.library import register_autograd, register_fake

from nerfpipe.ops.constants import EMPTY
from nerfpipe.ops.registration import operation


@operation("nerfpipe::composite")
def composite(
    ray_offsets: Tensor,
    t: Tensor,
    delta: Tensor,
    density: Tensor,
    colour: Tensor,
    background: Tensor,
    early_stop_eps: float,
    longest: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Colour [R, 3], opacity [R], depth [R] and weights [M] of samples t, delta, density [M] and colour [M, 3].

    ray_offsets [R + 1] as in Samples; background [R, 3].
    """
    from nerfpipe.kernels.numba import bindings

    return bindings.composite(ray_offsets, t, delta, density, colour, background, early_stop_eps, longest)


@register_fake("nerfpipe::composite")
def _(
    ray_offsets: Tensor, t: Tensor, delta: Tensor, density: Tensor, colour: Tensor, background: Tensor, *_: Any
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    R = ray_offsets.shape[0] - 1
    return density.new_empty(R, 3), density.new_empty(R), density.new_empty(R), torch.empty_like(density)


@operation("nerfpipe::composite_backward")
def composite_backward(
    ray_offsets: Tensor,
    t: Tensor,
    delta: Tensor,
    density: Tensor,
    colour: Tensor,
    background: Tensor,
    early_stop_eps: float,
    longest: int,
    opacity: Tensor,
    depth: Tensor,
    weights: Tensor,
    gradients: list[Tensor],
) -> tuple[Tensor, Tensor]:
    """Gradients of density [M] and colour [M, 3], from those of the four outputs."""
    from nerfpipe.kernels.numba import bindings

    inputs = (ray_offsets, t, delta, density, colour, background, early_stop_eps, longest)
    return bindings.composite_backward(inputs, (opacity, depth, weights), gradients)


@register_fake("nerfpipe::composite_backward")
def _(ray_offsets: Tensor, t: Tensor, delta: Tensor, density: Tensor, colour: Tensor, *_: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(density), torch.empty_like(colour)


def _setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.early_stop_eps, ctx.longest = inputs
    _, opacity, depth, weights = output
    ctx.save_for_backward(*tensors, opacity, depth, weights)


def _backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
    offsets, t, delta, density, colour, background, opacity, depth, weights = ctx.saved_tensors
    colour_gradient, opacity_gradient, depth_gradient, weights_gradient = gradients
    _, wants_t, wants_delta, _, _, wants_background, _, _ = ctx.needs_input_grad
    up = [colour_gradient, opacity_gradient, depth_gradient, weights_gradient]
    rest = (ctx.early_stop_eps, ctx.longest, opacity, depth, weights, up)
    if wants_delta:  # density and delta act by their product alone: its gradient gives both
        thickness, one = density * delta, torch.ones_like(delta)
        of_thickness, of_colour = composite_backward(offsets, t, one, thickness, colour, background, *rest)
        of_density, of_delta = of_thickness * delta, of_thickness * density
    else:
        of_density, of_colour = composite_backward(offsets, t, delta, density, colour, background, *rest)
        of_delta = None
    of_t = None
    if wants_t:  # depth = sum of w_i t_i / opacity
        along = torch.where(opacity > EMPTY, depth_gradient / opacity.clamp_min(EMPTY), 0)  # [R]
        of_t = weights * along.repeat_interleave(offsets.diff())  # [M]
    of_background = (1 - opacity)[:, None] * colour_gradient if wants_background else None  # [R, 3]
    return None, of_t, of_delta, of_density, of_colour, of_background, None, None


register_autograd("nerfpipe::composite", _backward, setup_context=_setup_context)

"""What training makes small: terms by name, each a sum over rays, which the step divides by the rays of its batch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from nerfpipe.config.methods import TrainParams
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.types import Rendering

CERTAIN = 1e-5  # opacities closer to 0 or 1 than this have no entropy worth a gradient


Term = Literal["colour", "distortion", "entropy", "depth"]
WIDE, NARROW = 1 / 64, 1 / 256  # of the box's side: the window about a known depth, at the beginning and from half way


def loss_terms(
    renderings: list[Rendering],
    rays: RayBatch,
    target: Tensor,
    space: Space,
    settings: TrainParams,
    depth: Tensor | None = None,
    done: float = 1.0,
) -> dict[Term, Tensor]:
    """The weighted terms of R rays' loss against target [R, 3], each a sum over rays and over all passes of a step.

    depth [R]: known t along the rays, NaN where it is unknown; done: the share of training that is over.
    """
    terms: dict[Term, Tensor] = {
        "colour": torch.stack([colour_loss(seen.colour, target, settings).sum() for seen in renderings]).sum()
    }
    if settings.distortion:
        found = [settings.distortion * distortion_loss(seen, rays, space).sum() for seen in renderings]
        terms["distortion"] = torch.stack(found).sum()
    if settings.entropy:
        terms["entropy"] = torch.stack(
            [settings.entropy * entropy_loss(seen.opacity).sum() for seen in renderings]
        ).sum()
    if settings.depth and depth is not None:
        window = depth_window(space, done)
        found = [settings.depth * depth_loss(seen, depth, space, window).sum() for seen in renderings]
        terms["depth"] = torch.stack(found).sum()
    return terms


def colour_loss(colour: Tensor, target: Tensor, settings: TrainParams) -> Tensor:
    """[R] squared error, mean over the channels; with Huber, errors above delta count by delta (2 |e| - delta)."""
    if settings.loss == "mse":
        return ((colour - target) ** 2).mean(dim=1)
    return 2 * functional.huber_loss(colour, target, reduction="none", delta=settings.huber_delta).mean(dim=1)


def distortion_loss(rendering: Rendering, rays: RayBatch, space: Space) -> Tensor:
    """[R] how far a ray's weights lie apart (mip-NeRF 360, Barron et al. 2022, eq. 15).

    sum over i, j of w_i w_j |s_i - s_j|  +  1/3 sum of w_i^2 (width of segment i), with s = 0 at near and 1 at far. The
    double sum is taken from running sums: samples are in order.
    """
    samples = rendering.samples
    near, far = space.spacing(rays.near), space.spacing(rays.far)
    span = (far - near)[:, None]  # [R, 1]
    w = samples.pad(rendering.weights)  # [R, S]
    s = (samples.pad(space.spacing(samples.t)) - near[:, None]) / span  # [R, S]
    width = samples.pad(samples.delta) / span  # [R, S]
    before, moment = w.cumsum(dim=1) - w, (w * s).cumsum(dim=1) - w * s  # [R, S], over the samples in front
    return (2 * w * (s * before - moment) + w**2 * width / 3).sum(dim=1)  # [R]


def entropy_loss(opacity: Tensor) -> Tensor:
    """[R] -o log o - (1 - o) log(1 - o): zero for rays that surely hit or surely miss (InfoNeRF, Kim et al. 2022)."""
    o = opacity.clamp(CERTAIN, 1 - CERTAIN)
    return -(o * torch.log(o) + (1 - o) * torch.log1p(-o))


def depth_window(space: Space, done: float) -> float:
    """Half the width of the window about a known depth, in the spacing of the space; it shrinks at first."""
    lower, upper = space.box
    narrow = min(1.0, 2 * done)
    return float((upper - lower).max()) * WIDE * (NARROW / WIDE) ** narrow


def depth_loss(rendering: Rendering, depth: Tensor, space: Space, window: float) -> Tensor:
    """[R] (1 - A)^2 + F^2 with A the weight within a window about a known depth t [R], F that in front of it; 0 if it
    is unknown (after Urban Radiance Fields, Rematas et al. 2022, eq. 12 to 14, with a box for the normal distribution).
    """
    samples, depth = rendering.samples, depth.to(rendering.weights.dtype)
    known = depth.isfinite()
    s, at = space.spacing(samples.t), space.spacing(torch.where(known, depth, 0))[samples.ray]  # [M]
    front, near = s < at - window, (s - at).abs() <= window
    zeros = torch.zeros_like(depth)
    in_front = zeros.index_add(0, samples.ray, rendering.weights * front)  # [R]
    around = zeros.index_add(0, samples.ray, rendering.weights * near)  # [R]
    return torch.where(known, (1 - around) ** 2 + in_front**2, 0)

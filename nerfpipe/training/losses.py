"""What training makes small. Every term is a mean over rays, and is reported by its name."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from nerfpipe.config.methods import TrainParams
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.samplers.intervals import limits
from nerfpipe.types import Rendering

CERTAIN = 1e-5  # opacities closer to 0 or 1 than this have no entropy worth a gradient


def loss_terms(rendering: Rendering, rays: RayBatch, target: Tensor, settings: TrainParams) -> dict[str, Tensor]:
    """The weighted terms of R rays' loss against target [R, 3], each a sum over rays: colour, and what is asked for."""
    terms = {"colour": colour_loss(rendering.colour, target, settings).sum()}
    if settings.distortion:
        terms["distortion"] = settings.distortion * distortion_loss(rendering, rays).sum()
    if settings.entropy:
        terms["entropy"] = settings.entropy * entropy_loss(rendering.opacity).sum()
    return terms


def colour_loss(colour: Tensor, target: Tensor, settings: TrainParams) -> Tensor:
    """[R] squared error, mean over the channels; with Huber, errors above delta count by delta (2 |e| - delta)."""
    if settings.loss == "mse":
        return ((colour - target) ** 2).mean(dim=1)
    return 2 * functional.huber_loss(colour, target, reduction="none", delta=settings.huber_delta).mean(dim=1)


def distortion_loss(rendering: Rendering, rays: RayBatch) -> Tensor:
    """[R] how far a ray's weights lie apart (mip-NeRF 360, Barron et al. 2022, eq. 15).

    sum over i, j of w_i w_j |s_i - s_j|  +  1/3 sum of w_i^2 (width of segment i), with s = 0 at near and 1 at far. The
    double sum is taken from running sums: samples are in order.
    """
    samples = rendering.samples
    near, far = limits(rays, samples.unbounded)
    span = (far - near)[:, None]  # [R, 1]
    w = samples.to_rows(rendering.weights)  # [R, S]
    s = (samples.to_rows(samples.s) - near[:, None]) / span  # [R, S]
    width = samples.to_rows(samples.delta) / span  # [R, S]
    before, moment = w.cumsum(dim=1) - w, (w * s).cumsum(dim=1) - w * s  # [R, S], over the samples in front
    return (2 * w * (s * before - moment) + w**2 * width / 3).sum(dim=1)  # [R]


def entropy_loss(opacity: Tensor) -> Tensor:
    """[R] -o log o - (1 - o) log(1 - o): zero for rays that surely hit or surely miss (InfoNeRF, Kim et al. 2022)."""
    o = opacity.clamp(CERTAIN, 1 - CERTAIN)
    return -(o * torch.log(o) + (1 - o) * torch.log1p(-o))

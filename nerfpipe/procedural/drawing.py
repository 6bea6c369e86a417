"""Pictures of solids: colour with coverage, distance and labels for every pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nerfpipe.cameras import Camera
from nerfpipe.procedural import sdf
from nerfpipe.procedural.sdf import Vector
from nerfpipe.procedural.shading import light_directions, shade
from nerfpipe.procedural.solids import Hits, Solid, trace

SAMPLES = 3  # a pixel is the mean of SAMPLES x SAMPLES rays; odd, so that one goes through its centre
CENTRE_SAMPLE = SAMPLES * SAMPLES // 2
PIXELS_AT_ONCE = 10_000  # about half of their rays meet something: enough work for a step, small enough for caches


@torch.inference_mode()
def draw(
    solids: Sequence[Solid], bounds: tuple[Vector, Vector], camera: Camera, pose: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One view of the solids within `bounds`: picture [H, W, 4] uint8, t [H, W] float32, labels [H, W] uint8.

    The picture is sRGB with straight alpha, the share of a pixel's rays that meet something. t and the label belong to
    the ray through the pixel's centre; t is inf and the label 0 where that meets nothing.
    """
    count = camera.width * camera.height
    picture, t, labels = np.empty((count, 4), np.uint8), np.empty(count, np.float32), np.empty(count, np.uint8)
    for first in range(0, count, PIXELS_AT_ONCE):
        pixels = torch.arange(first, min(first + PIXELS_AT_ONCE, count))
        for whole, piece in zip((picture, t, labels), _draw_pixels(solids, bounds, camera, pose, pixels), strict=True):
            whole[first : first + len(pixels)] = piece.numpy()
    shape = (camera.height, camera.width)
    return picture.reshape(*shape, 4), t.reshape(shape), labels.reshape(shape)


def _draw_pixels(
    solids: Sequence[Solid], bounds: tuple[Vector, Vector], camera: Camera, pose: Tensor, pixels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures [P, 4] uint8, t [P] and labels [P] uint8 of the pixels with numbers [P], counted row by row."""
    per_pixel = SAMPLES * SAMPLES
    steps = (torch.arange(SAMPLES) + 0.5) / SAMPLES
    within = torch.cartesian_prod(steps, steps)  # [S, 2]
    corners = torch.stack([pixels % camera.width, pixels // camera.width], dim=1)  # [P, 2]
    towards = _rotate(pose, camera.directions((corners[:, None] + within).reshape(-1, 2)))  # [P·S, 3]
    origins = pose[:, 3].expand_as(towards)
    enter, leave = sdf.box_interval(origins, towards, *bounds)
    rays = (enter < leave).nonzero()[:, 0]
    hits = trace(solids, origins[rays], towards[rays])
    met = (hits.solid >= 0).nonzero()[:, 0]
    rays, hits = rays[met], Hits(hits.t[met], hits.solid[met])

    colours = torch.zeros(len(towards), 3)
    labels = torch.zeros(len(towards), dtype=torch.uint8)
    t = torch.full((len(towards),), torch.inf)
    t[rays] = hits.t
    lamps = light_directions(per_pixel)[rays % per_pixel]
    colours[rays], labels[rays] = shade(solids, origins[rays], towards[rays], hits, lamps)
    covered = t.isfinite().view(-1, per_pixel).sum(dim=1)  # [P]
    mean = colours.view(-1, per_pixel, 3).sum(dim=1) / covered.clamp(min=1)[:, None]  # [P, 3]
    picture = torch.cat([mean, (covered / per_pixel)[:, None]], dim=1)  # [P, 4]
    middle = slice(CENTRE_SAMPLE, None, per_pixel)
    return (picture * 255).round().to(torch.uint8), t[middle], labels[middle]


def _rotate(pose: Tensor, directions: Tensor) -> Tensor:
    """Camera-space directions [R, 3] in world space; coordinate by coordinate, which keeps every bit (see sdf)."""
    x, y, z = directions.T
    return torch.stack([pose[i, 0] * x + pose[i, 1] * y + pose[i, 2] * z for i in range(3)]).T

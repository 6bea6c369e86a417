"""Pictures of solids: colour with coverage, distance and labels for every pixel."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nerfpipe.geometry.cameras import Camera
from nerfpipe.procedural import sdf
from nerfpipe.procedural.sdf import Vector
from nerfpipe.procedural.shading import light_directions, shade
from nerfpipe.procedural.solids import Hits, Solid, trace

SAMPLES = 3  # a pixel is the mean of SAMPLES x SAMPLES rays; odd, so that one goes through its centre
CENTRE_SAMPLE = SAMPLES * SAMPLES // 2
PIXELS_AT_ONCE = 40_000  # fewer, and the steps cost more to begin than to make; more, and they leave the caches


@torch.inference_mode()
def draw(
    solids: Sequence[Solid], bounds: tuple[Vector, Vector], camera: Camera, poses: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of the solids within `bounds`: pictures [V, H, W, 4] uint8, t [V, H, W] float32, labels [V, H, W] uint8.

    poses [V, 3, 4]: camera to world. A picture is sRGB with straight alpha, the share of a pixel's rays that meet
    something. t and the label belong to the ray through the pixel's centre; t is inf and the label 0 where that meets
    nothing.
    """
    shape = (len(poses), camera.height, camera.width)
    count = math.prod(shape)
    pictures, t, labels = np.empty((count, 4), np.uint8), np.empty(count, np.float32), np.empty(count, np.uint8)
    for first in range(0, count, PIXELS_AT_ONCE):
        pixels = torch.arange(first, min(first + PIXELS_AT_ONCE, count))
        drawn = _draw_pixels(solids, bounds, camera, poses, pixels)
        for whole, piece in zip((pictures, t, labels), drawn, strict=True):
            whole[first : first + len(pixels)] = piece.numpy()
    return pictures.reshape(*shape, 4), t.reshape(shape), labels.reshape(shape)


def _draw_pixels(
    solids: Sequence[Solid], bounds: tuple[Vector, Vector], camera: Camera, poses: Tensor, pixels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Pictures [P, 4] uint8, t [P] and labels [P] uint8 of the pixels with numbers [P], counted view by view."""
    per_pixel = SAMPLES * SAMPLES
    steps = (torch.arange(SAMPLES) + 0.5) / SAMPLES
    within = torch.cartesian_prod(steps, steps)  # [S, 2]
    rows = pixels // camera.width
    corners = torch.stack([pixels % camera.width, rows % camera.height], dim=1)  # [P, 2]
    pose = poses[rows // camera.height].repeat_interleave(per_pixel, dim=0)  # [P·S, 3, 4]
    towards = _rotate(pose, camera.directions((corners[:, None] + within).reshape(-1, 2)))  # [P·S, 3]
    origins = pose[:, :, 3].T.contiguous().T
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


def _rotate(poses: Tensor, directions: Tensor) -> Tensor:
    """Camera-space directions [R, 3], each in world space by its own pose of [R, 3, 4].

    Coordinate by coordinate, which keeps every bit (see sdf).
    """
    x, y, z = directions.T
    return torch.stack([poses[:, i, 0] * x + poses[:, i, 1] * y + poses[:, i, 2] * z for i in range(3)]).T

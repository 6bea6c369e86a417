"""Renders solids: colour with coverage, distance and label of every pixel."""

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
PIXELS_AT_ONCE = 40_000  # with fewer pixels the overhead of operations dominates; more pixels do not fit the caches


@torch.inference_mode()
def draw(
    solids: Sequence[Solid], bounds: tuple[Vector, Vector], camera: Camera, poses: Tensor
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of the solids within `bounds`: images [V, H, W, 4] uint8, t [V, H, W] float32, labels [V, H, W] uint8.

    poses [V, 3, 4]: camera-to-world. Images are sRGB with straight alpha, the share of a pixel's rays that hit a
    solid. t and label are those of the ray through the pixel's centre; inf and 0 if it hits nothing.
    """
    shape = (len(poses), camera.height, camera.width)
    count = math.prod(shape)
    images, t, labels = np.empty((count, 4), np.uint8), np.empty(count, np.float32), np.empty(count, np.uint8)
    outputs: tuple[np.ndarray, ...] = (images, t, labels)
    for first in range(0, count, PIXELS_AT_ONCE):
        pixels = torch.arange(first, min(first + PIXELS_AT_ONCE, count))
        drawn = _draw_pixels(solids, bounds, camera, poses, pixels)
        for output, values in zip(outputs, drawn, strict=True):
            output[first : first + len(pixels)] = values.numpy()
    return images.reshape(*shape, 4), t.reshape(shape), labels.reshape(shape)


def _draw_pixels(
    solids: Sequence[Solid], bounds: tuple[Vector, Vector], camera: Camera, poses: Tensor, pixels: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Colours [P, 4] uint8, t [P] and labels [P] uint8 of pixels with indices [P], counted through all views."""
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
    hit = (hits.solid >= 0).nonzero()[:, 0]
    rays, hits = rays[hit], Hits(hits.t[hit], hits.solid[hit])

    colours = torch.zeros(len(towards), 3)
    labels = torch.zeros(len(towards), dtype=torch.uint8)
    t = torch.full((len(towards),), torch.inf)
    t[rays] = hits.t
    lights = light_directions(per_pixel)[rays % per_pixel]
    colours[rays], labels[rays] = shade(solids, origins[rays], towards[rays], hits, lights)
    covered = t.isfinite().view(-1, per_pixel).sum(dim=1)  # [P]
    mean = colours.view(-1, per_pixel, 3).sum(dim=1) / covered.clamp(min=1)[:, None]  # [P, 3]
    pixel_colours = torch.cat([mean, (covered / per_pixel)[:, None]], dim=1)  # [P, 4]
    centre = slice(CENTRE_SAMPLE, None, per_pixel)
    return (pixel_colours * 255).round().to(torch.uint8), t[centre], labels[centre]


def _rotate(poses: Tensor, directions: Tensor) -> Tensor:
    """Camera-space directions [R, 3] in world space, by poses [R, 3, 4].

    Works on single coordinates, so that the result is the same bit for bit on any number of threads (see sdf).
    """
    x, y, z = directions.T
    return torch.stack([poses[:, i, 0] * x + poses[:, i, 1] * y + poses[:, i, 2] * z for i in range(3)]).T

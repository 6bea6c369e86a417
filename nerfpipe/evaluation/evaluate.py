"""Held-out views against the truth: numbers, a table and pictures."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from nerfpipe.geometry.rays import DepthRange
from nerfpipe.images.convert import alpha_composite, depth_image, error_image, to_8bit
from nerfpipe.images.metrics import depth_error, psnr, ssim
from nerfpipe.raybank.bank import RayBank
from nerfpipe.rendering.renderer import Renderer

GAP = 2  # pixels of white between the pictures of a sheet
DIGITS = 4


def evaluate_view(
    renderer: Renderer, bank: RayBank, view: int, error_scale: float, extent: DepthRange
) -> tuple[dict[str, Any], np.ndarray]:
    """The numbers of a test view, and its sheet truth | render | error | depth, [H, 4·W + gaps, 3] uint8.

    error_scale: the colour error in [0, 1] shown brightest; extent: the depths between which the colour map runs.
    """
    camera, rays = bank.camera(view), bank.view(view)
    H, W = camera.height, camera.width
    picture = renderer.view(rays, bank.background, H, W)
    render = to_8bit(picture.colour)
    truth = to_8bit(alpha_composite(rays.target, bank.background).reshape(H, W, 3))
    render, truth, counted = masked(render, truth, bank.mask(view), to_8bit(bank.background))
    row: dict[str, Any] = {"view": view, "psnr": psnr(render[counted], truth[counted])}
    row["ssim"] = ssim(render, truth, counted)
    true_depth = bank.true_depth(view)
    if true_depth is not None:
        depth = bank.distance(view, picture.depth.flatten()).reshape(H, W)
        row["depth_error"] = depth_error(depth, picture.opacity, true_depth.reshape(H, W))
    shown = depth_image(*bank.space.depth_scale(picture.depth, extent), picture.opacity, bank.background)
    return row, sheet([truth, render, error_image(render, truth, error_scale), shown])


def masked(
    render: np.ndarray, truth: np.ndarray, mask: Tensor | None, background: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Both pictures [H, W, 3] with the background where the mask [H·W] leaves them out, and what counts [H, W] bool."""
    counted = np.ones(truth.shape[:2], bool) if mask is None else mask.reshape(truth.shape[:2]).numpy()
    shown = counted[..., None]
    return np.where(shown, render, background), np.where(shown, truth, background), counted


def sheet(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures [H, W, 3] side by side."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, dtype=np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)


def summarise(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Means over the views that have the number; one that no view has is left out."""
    names = dict.fromkeys(name for row in rows for name in row if name != "view")
    values = {name: [row[name] for row in rows if math.isfinite(row.get(name, math.nan))] for name in names}
    return {name: round(float(np.mean(found)), DIGITS) for name, found in values.items() if found}

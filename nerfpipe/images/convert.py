"""8-bit images of colours, depth, normals and errors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

DEPTH_MAP = "turbo"  # near is red, far is blue
ERROR_MAP = "inferno"


def alpha_composite(rgba: Tensor, background: Tensor) -> Tensor:
    """Straight-alpha colour [..., 4] over a background [3] or [..., 3], as [..., 3] (Porter and Duff 1984, `over`)."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    return rgb * alpha + background * (1 - alpha)


def normal_image(normals: Tensor, opacity: Tensor, background: Tensor) -> np.ndarray:
    """Normals [H, W, 3] as [H, W, 3] uint8 over background [3]: x, y and z from -1 to 1 as red, green and blue."""
    shown = (normals.norm(dim=-1, keepdim=True) > 0) * opacity[..., None]  # [H, W, 1]
    return to_8bit((normals + 1) / 2 * shown + background * (1 - shown))


def to_8bit(colour: Tensor) -> np.ndarray:
    """Colour [...], clipped to [0, 1], as uint8 [...]."""
    return (colour.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def depth_image(depth: Tensor, near: float, far: float, opacity: Tensor, background: Tensor) -> np.ndarray:
    """Depth [H, W], in the unit of near and far, as [H, W, 3] uint8 by DEPTH_MAP, over background [3] in [0, 1]."""
    closeness = 1 - ((depth - near) / max(far - near, 1e-9)).clamp(0, 1)
    coloured = torch.from_numpy(apply_colour_map(DEPTH_MAP, closeness.numpy()))  # [H, W, 3]
    return to_8bit(coloured * opacity[..., None] + background * (1 - opacity[..., None]))


def error_image(image: np.ndarray, truth: np.ndarray, scale: float) -> np.ndarray:
    """Mean absolute colour error of 8-bit images [H, W, 3], as [H, W, 3] uint8 by ERROR_MAP; brightest from `scale`."""
    error = np.abs(image.astype(np.float64) - truth).mean(axis=-1) / 255
    return np.round(apply_colour_map(ERROR_MAP, np.clip(error / scale, 0, 1)) * 255).astype(np.uint8)


def apply_colour_map(name: str, values: np.ndarray) -> np.ndarray:
    """Values [H, W] in [0, 1] as colours [H, W, 3] in [0, 1] by matplotlib's colour map of this name."""
    from matplotlib import colormaps  # slow to import, and many runs make no image

    return colormaps[name](values)[..., :3]

"""From colours, depth, normals and errors to 8-bit images."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

DEPTH_MAP = "turbo"  # near is red, far is blue
ERROR_MAP = "inferno"


def over(rgba: Tensor, background: Tensor) -> Tensor:
    """Straight-alpha colour [..., 4] over a background [3] or [..., 3]: [..., 3]."""
    rgb, alpha = rgba[..., :3], rgba[..., 3:]
    return rgb * alpha + background * (1 - alpha)


def normal_picture(normals: Tensor, opacity: Tensor, background: Tensor) -> np.ndarray:
    """Normals [H, W, 3] as colours, x red, y green, z blue, each from -1 to 1, over background [3]: [H, W, 3] uint8."""
    shown = (normals.norm(dim=-1, keepdim=True) > 0) * opacity[..., None]  # [H, W, 1]
    return to_8bit((normals + 1) / 2 * shown + background * (1 - shown))


def to_8bit(colour: Tensor) -> np.ndarray:
    """[...] in [0, 1], clipped -> uint8."""
    return (colour.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def depth_picture(depth: Tensor, near: float, far: float, opacity: Tensor, background: Tensor) -> np.ndarray:
    """Depth [H, W] between near and far through a colour map, over background [3] in [0, 1]: [H, W, 3] uint8."""
    closeness = 1 - ((depth - near) / max(far - near, 1e-9)).clamp(0, 1)
    coloured = torch.from_numpy(through_map(DEPTH_MAP, closeness.numpy()))  # [H, W, 3]
    return to_8bit(coloured * opacity[..., None] + background * (1 - opacity[..., None]))


def error_picture(picture: np.ndarray, truth: np.ndarray, scale: float) -> np.ndarray:
    """Mean absolute colour error of 8-bit pictures [H, W, 3], `scale` in [0, 1] shown brightest: [H, W, 3] uint8."""
    error = np.abs(picture.astype(np.float64) - truth).mean(axis=-1) / 255
    return np.round(through_map(ERROR_MAP, np.clip(error / scale, 0, 1)) * 255).astype(np.uint8)


def through_map(name: str, values: np.ndarray) -> np.ndarray:
    """Values [H, W] in [0, 1] as colours [H, W, 3] in [0, 1] of one of matplotlib's maps."""
    from matplotlib import colormaps  # not before a picture is made: a stage starts sooner

    return colormaps[name](values)[..., :3]

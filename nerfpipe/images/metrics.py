"""How good a picture is. Everything is measured on 8-bit sRGB pictures, as they would be saved and seen."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SSIM_SIGMA = 1.5  # pixels; with this the window is 11 wide, as in Wang et al. 2004
SSIM_WINDOW = 11
OPAQUE = 0.5  # opacity from which a pixel counts as seen when depths are compared


def mse_to_psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of colours in [0, 1]; infinite for equal pictures."""
    return -10 * math.log10(mse) if mse > 0 else math.inf


def psnr(picture: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB of two 8-bit pictures of the same shape; NaN where they have no pixels."""
    if picture.size == 0:
        return math.nan
    difference = (picture.astype(np.float64) - truth.astype(np.float64)) / 255
    return mse_to_psnr(float(np.mean(difference**2)))


def ssim(picture: np.ndarray, truth: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Structural similarity of two 8-bit pictures [H, W, 3] (Wang et al. 2004, Gaussian window).

    counted [H, W] bool: the pixels whose windows are averaged, by default all that have a whole window. NaN where there
    are none, and for pictures smaller than the window.
    """
    if min(picture.shape[:2]) < SSIM_WINDOW:
        return math.nan
    from skimage.metrics import structural_similarity  # a fifth of a second that stages need not wait for to start

    mean, each = structural_similarity(
        picture,
        truth,
        channel_axis=-1,
        data_range=255,
        gaussian_weights=True,
        sigma=SSIM_SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    if counted is None or counted.all():
        return float(mean)
    whole = (slice(SSIM_WINDOW // 2, -(SSIM_WINDOW // 2)),) * 2
    found = each[whole][counted[whole]]  # [P, 3]
    return float(found.mean()) if found.size else math.nan


def depth_error(depth: Tensor, opacity: Tensor, truth: Tensor) -> float:
    """Mean absolute error of depth [H, W] in scene units, over pixels where the truth is finite and the field is seen.

    NaN where there is no such pixel.
    """
    both = torch.isfinite(truth) & (opacity > OPAQUE)
    return float((depth - truth)[both].abs().mean()) if bool(both.any()) else math.nan

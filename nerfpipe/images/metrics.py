"""Image quality: PSNR, SSIM and depth error. Colours are compared as 8-bit sRGB, as they are saved and seen."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

SSIM_SIGMA = 1.5  # pixels, as in Wang et al. 2004
SSIM_WINDOW = 11  # pixels, the width that scikit-image gives this sigma
OPAQUE = 0.5  # opacity from which the depth of a pixel is compared


def mse_to_psnr(mse: float) -> float:
    """Peak signal-to-noise ratio in dB of colours in [0, 1]; infinite for equal images."""
    return -10 * math.log10(mse) if mse > 0 else math.inf


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    """PSNR in dB of two 8-bit images of the same shape; NaN if they have no pixels."""
    if image.size == 0:
        return math.nan
    difference = (image.astype(np.float64) - truth.astype(np.float64)) / 255
    return mse_to_psnr(float(np.mean(difference**2)))


def ssim(image: np.ndarray, truth: np.ndarray, counted: np.ndarray | None = None) -> float:
    """Structural similarity of two 8-bit images [H, W, 3] (Wang et al. 2004, Gaussian window).

    counted: [H, W] bool, the pixels to average over, by default all; only pixels with a whole window count.
    NaN if there are none, and for images smaller than the window.
    """
    if min(image.shape[:2]) < SSIM_WINDOW:
        return math.nan
    from skimage.metrics import structural_similarity  # slow to import

    mean, ssim_map = structural_similarity(
        image,
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
    values = ssim_map[whole][counted[whole]]  # [P, 3]
    return float(values.mean()) if values.size else math.nan


def depth_error(depth: Tensor, opacity: Tensor, truth: Tensor) -> float:
    """Mean absolute error of depth [H, W] in scene units, over pixels with finite truth and an opacity above OPAQUE.

    NaN if there is no such pixel.
    """
    compared = torch.isfinite(truth) & (opacity > OPAQUE)
    return float((depth - truth)[compared].abs().mean()) if bool(compared.any()) else math.nan

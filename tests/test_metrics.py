"""Metrics against values calculated by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from nerfpipe.images.metrics import depth_error, mse_to_psnr, psnr, ssim


def even(value: int, size: tuple[int, int] = (16, 20)) -> np.ndarray:
    return np.full((*size, 3), value, dtype=np.uint8)


def noise(seed: int, size: tuple[int, int] = (16, 20)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_mse_to_psnr() -> None:
    assert mse_to_psnr(0.01) == pytest.approx(20)
    assert mse_to_psnr(1.0) == pytest.approx(0)
    assert mse_to_psnr(0.0) == math.inf


def test_psnr_by_hand() -> None:
    # 51 of 255 everywhere: mse 0.04, -10 log10 0.04 = 13.9794; neither order nor wrapping round matters.
    assert psnr(even(100), even(151)) == pytest.approx(13.9794, abs=1e-4)
    assert psnr(even(151), even(100)) == pytest.approx(13.9794, abs=1e-4)
    one_pixel = even(0, (10, 10))
    one_pixel[3, 4] = 255  # mse 1/100
    assert psnr(one_pixel, even(0, (10, 10))) == pytest.approx(20)
    assert psnr(noise(0), noise(0)) == math.inf


def test_ssim_of_equal_pictures_is_1() -> None:
    assert ssim(noise(0), noise(0)) == pytest.approx(1)


def test_ssim_of_even_pictures_compares_their_means() -> None:
    # No variance: (2 a b + C1) / (a² + b² + C1) with C1 = (0.01 · 255)² = 6.5025.
    expected = (2 * 100 * 150 + 6.5025) / (100**2 + 150**2 + 6.5025)
    assert ssim(even(100), even(150)) == pytest.approx(expected, abs=1e-6)


def test_ssim_of_one_window_by_hand() -> None:
    # In an 11 x 11 picture there is one whole window: Gaussian weights, population variances (Wang et al. 2004).
    x, y = noise(1, (11, 11)), noise(2, (11, 11))
    g = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weight = (np.outer(g, g) / g.sum() ** 2)[..., None]
    a, b = x.astype(float), y.astype(float)
    mean_a, mean_b = (weight * a).sum((0, 1)), (weight * b).sum((0, 1))
    variance_a, variance_b = (weight * a**2).sum((0, 1)) - mean_a**2, (weight * b**2).sum((0, 1)) - mean_b**2
    covariance = (weight * a * b).sum((0, 1)) - mean_a * mean_b
    C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim_map = (2 * mean_a * mean_b + C1) * (2 * covariance + C2)
    ssim_map /= (mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2)
    assert ssim(x, y) == pytest.approx(ssim_map.mean(), abs=1e-6)


@pytest.mark.parametrize("size", [(10, 30), (30, 10)])
def test_ssim_needs_room_for_its_window(size: tuple[int, int]) -> None:
    assert math.isnan(ssim(even(1, size), even(1, size)))


def test_ssim_is_over_the_pixels_that_count() -> None:
    """Two images that agree on the right, which is not counted, and must not raise the score of the left."""
    x, y, counted = noise(1, (20, 40)), noise(2, (20, 40)), np.zeros((20, 40), bool)
    x[:, 20:] = y[:, 20:]
    counted[:, :15] = True  # no window of these reaches what is alike
    assert ssim(x, y, counted) == pytest.approx(ssim(x[:, :20], y[:, :20]), abs=1e-12)
    assert ssim(x, y) > ssim(x, y, counted) + 0.3
    assert ssim(x, y, np.ones((20, 40), bool)) == ssim(x, y)


def test_ssim_of_nothing_that_counts_is_nan() -> None:
    edge = np.zeros((16, 20), bool)
    edge[:5] = True  # no whole window
    assert math.isnan(ssim(noise(0), noise(1), edge))


def test_depth_error_is_over_what_both_see() -> None:
    truth = torch.tensor([[2.0, 2.0, math.inf, 4.0]])
    depth = torch.tensor([[2.5, 9.0, 1.0, 3.0]])
    opacity = torch.tensor([[1.0, 0.2, 1.0, 0.9]])
    assert depth_error(depth, opacity, truth) == pytest.approx((0.5 + 1.0) / 2)


def test_depth_error_of_nothing_is_nan() -> None:
    one = torch.ones(2, 2)
    assert math.isnan(depth_error(one, one, torch.full((2, 2), math.inf)))
    assert math.isnan(depth_error(one, 0 * one, one))

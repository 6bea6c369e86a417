"""Bounds found from the cameras alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nerfpipe.geometry.cameras import Camera, look_at, to_camera
from nerfpipe.geometry.focus import bounds_from_cameras, nearest_point
from nerfpipe.runtime.errors import NerfpipeError

CENTRE = torch.tensor([0.5, -0.25, 1.0])


def poses_around(centre: torch.Tensor, count: int, distance: float, seed: int = 0) -> np.ndarray:
    """Cameras all round (pole to pole) that look at the centre."""
    offsets = np.random.default_rng(seed).normal(size=(count, 3))
    offsets = distance * offsets / np.linalg.norm(offsets, axis=1, keepdims=True)
    up = torch.tensor([0.0, 0.0, 1.0])
    return np.stack([look_at(centre + torch.tensor(offset).float(), centre, up).numpy() for offset in offsets])


@given(
    st.integers(2, 10), st.integers(0, 2**32 - 1), st.tuples(*[st.floats(-100, 100)] * 3).map(lambda xyz: np.array(xyz))
)
def test_lines_through_one_point_are_nearest_to_it(count: int, seed: int, point: np.ndarray) -> None:
    random = np.random.default_rng(seed)
    axes = np.concatenate([np.eye(3)[:2], random.normal(size=(count, 3))])  # two that are certainly not parallel
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    positions = point - random.uniform(-5, 5, (len(axes), 1)) * axes
    np.testing.assert_allclose(nearest_point(positions, axes), point, atol=1e-8)


def test_skew_lines_are_nearest_to_the_middle_between_them() -> None:
    # The x axis, and a line along y two above it.
    point = nearest_point(np.array([[5.0, 0, 0], [0, 7, 2]]), np.array([[1.0, 0, 0], [0, 1, 0]]))
    np.testing.assert_allclose(point, [0, 0, 1], atol=1e-12)


def test_bounds_are_a_cube_as_large_as_the_view() -> None:
    camera = Camera.centred(40, 20, focal=30.0)  # at distance 3 the picture is 4 wide and 2 high
    bounds = bounds_from_cameras([camera] * 12, poses_around(CENTRE, 12, 3.0))
    assert bounds.dtype == np.float32
    np.testing.assert_allclose(bounds, [CENTRE - 1, CENTRE + 1], atol=1e-5)


def test_the_narrowest_view_decides() -> None:
    wide, narrow = Camera.centred(20, 20, focal=10.0), Camera.centred(20, 20, focal=20.0)
    near, far = poses_around(CENTRE, 6, 2.0), poses_around(CENTRE, 6, 4.0, seed=1)
    bounds = bounds_from_cameras([narrow] * 6 + [wide] * 6, np.concatenate([near, far]))
    np.testing.assert_allclose(bounds[1] - bounds[0], 2 * 2.0 * 10 / 20, atol=1e-5)


def test_what_all_cameras_see_lies_in_the_bounds() -> None:
    camera = Camera.centred(30, 20, focal=25.0)
    poses = poses_around(CENTRE, 200, 3.0)
    bounds = bounds_from_cameras([camera] * len(poses), poses)
    points = CENTRE + torch.rand(5000, 3, generator=torch.Generator().manual_seed(0)) * 6 - 3
    seen = torch.ones(len(points), dtype=torch.bool)
    for pose in poses:
        pixels, _ = camera.project(to_camera(torch.tensor(pose), points))
        seen &= ((pixels >= 0) & (pixels <= torch.tensor([30, 20]))).all(dim=1)
    inside = ((points >= torch.tensor(bounds[0])) & (points <= torch.tensor(bounds[1]))).all(dim=1)
    assert seen.sum() > 20
    assert inside[seen].all()


@pytest.mark.parametrize("count", [1, 5])
def test_cameras_that_look_in_parallel_have_no_bounds(count: int) -> None:
    poses = np.tile(np.eye(4, dtype=np.float32)[:3], (count, 1, 1))
    poses[:, 0, 3] = np.arange(count)
    with pytest.raises(NerfpipeError, match=r"parallel.*`bounds:"):
        bounds_from_cameras([Camera.centred(4, 4, 4.0)] * count, poses)


def test_a_camera_that_faces_away_is_named() -> None:
    poses = poses_around(CENTRE, 8, 3.0)
    poses[5, :, :3] *= [-1, 1, -1]  # turned round about its own up
    with pytest.raises(NerfpipeError, match=r"camera 5 faces away.*`bounds:"):
        bounds_from_cameras([Camera.centred(4, 4, 4.0)] * 8, poses)

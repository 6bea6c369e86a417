"""Rays: near and far within the bounds, the rays of a camera, and batches of rays and pixels."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.geometry.rays import PixelBatch, RayBatch, near_far
from nerfpipe.geometry.space import camera_rays
from nerfpipe.geometry.spaces import Bounded

UNIT_BOX = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
BOX = [[-1.0, -0.5, 0.25], [1.5, 0.5, 0.75]]
MIN_NEAR = 0.125

coordinate = st.floats(-3, 3)
component = st.one_of(st.just(0.0), st.just(-0.0), st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3))
origins = st.tuples(coordinate, coordinate, coordinate).filter(
    lambda o: all(abs(x - face) > 1e-6 for corner in BOX for x, face in zip(o, corner, strict=True))
)
directions = st.tuples(component, component, component).filter(any)


def slow_near_far(origin: tuple, direction: tuple) -> tuple[float, float] | None:
    """One axis after the other, with parallel rays told apart; None for a miss."""
    near, far = MIN_NEAR, math.inf
    for axis in range(3):
        low, high = BOX[0][axis] - origin[axis], BOX[1][axis] - origin[axis]
        if direction[axis] == 0:
            if low > 0 or high < 0:
                return None
            continue
        first, second = sorted([low / direction[axis], high / direction[axis]])
        near, far = max(near, first), min(far, second)
    return (near, far) if far > near else None


@given(origins, directions)
def test_near_far_equals_a_slow_loop(origin: tuple, direction: tuple) -> None:
    length = math.hypot(*direction)
    direction = tuple(x / length for x in direction)
    o, d = torch.tensor([origin], dtype=torch.float64), torch.tensor([direction], dtype=torch.float64)
    near, far = near_far(o, d, torch.tensor(BOX, dtype=torch.float64), MIN_NEAR)
    expected = slow_near_far(origin, direction)
    assert near >= MIN_NEAR
    if expected is None:
        assert far <= near
    else:
        assert_close(torch.cat([near, far]), torch.tensor(expected, dtype=torch.float64))


@given(origins, directions)
def test_marching_finds_the_box_only_between_near_and_far(origin: tuple, direction: tuple) -> None:
    o, d = torch.tensor(origin), torch.tensor(direction) / math.hypot(*direction)
    box = torch.tensor(BOX)
    near, far = near_far(o[None], d[None], box, MIN_NEAR)
    t = torch.linspace(MIN_NEAR, 12, 2000)
    outside = torch.maximum(box[0] - (o + t[:, None] * d), (o + t[:, None] * d) - box[1]).amax(dim=1)  # < 0 is inside
    assert ((t >= near - 1e-4) & (t <= far + 1e-4))[outside < -1e-5].all()
    assert (outside <= 1e-4)[(t > near) & (t < far)].all()


@pytest.mark.parametrize(
    ("origin", "direction", "near", "far"),
    [
        ((-2, 0.5, 0.5), (1, 0, 0), 2, 3),
        ((3, 0.5, 0.5), (-1, 0, 0), 2, 3),
        ((0.5, 0.5, 0.5), (0, 0, 1), 0.1, 0.5),  # inside: near is min_near
        ((0.95, 0.5, 0.5), (1, 0, 0), 0.1, 0.05),  # inside, but out again before min_near
        ((-1, -1, 0.5), (math.sqrt(0.5), math.sqrt(0.5), 0), math.sqrt(2), 2 * math.sqrt(2)),
    ],
)
def test_near_far_by_hand(origin: tuple, direction: tuple, near: float, far: float) -> None:
    result = near_far(torch.tensor([origin]).float(), torch.tensor([direction]).float(), UNIT_BOX, 0.1)
    assert_close(torch.cat(result), torch.tensor([near, far]).float())


@pytest.mark.parametrize(
    ("origin", "direction"),
    [
        ((-2, 0.5, 0.5), (-1, 0, 0)),  # the box is behind
        ((-2, 2, 0.5), (1, 0, 0)),  # passes above, parallel to the faces
        ((-2, 0.5, 0.5), (0, 1, 0)),  # passes beside
        ((-2, -2, -2), (math.sqrt(0.5), -math.sqrt(0.5), 0)),
    ],
)
def test_rays_that_miss_have_far_before_near(origin: tuple, direction: tuple) -> None:
    o, d = torch.tensor([origin]).float(), torch.tensor([direction]).float()
    near, far = near_far(o, d, UNIT_BOX, 0.1)
    assert not RayBatch(o, d, near, far).hits.any()
    assert torch.isfinite(near).all()
    assert torch.isfinite(far).all()


def test_camera_rays_are_those_of_every_pixel_row_by_row() -> None:
    camera = Camera(width=9, height=7, fx=12.0, fy=10.0, cx=4.0, cy=3.0)
    pose = look_at(torch.tensor([2.0, -3.0, 1.5]), torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0.0, 0, 1]))
    rays = camera_rays(camera, pose, Bounded.over(UNIT_BOX, 0.1))
    assert len(rays) == 63
    assert rays.pixels is None
    with pytest.raises(ValueError, match="no pixels"):
        rays.target  # noqa: B018, a property
    for row in range(7):
        for column in range(9):
            x, y = (column + 0.5 - 4.0) / 12.0, -(row + 0.5 - 3.0) / 10.0
            d = x * pose[:, 0] + y * pose[:, 1] - pose[:, 2]
            d = d / d.norm()
            near, far = near_far(pose[None, :, 3], d[None], UNIT_BOX, 0.1)
            ray = rays[row * 9 + column : row * 9 + column + 1]
            assert_close(ray.origins[0], pose[:, 3])
            assert_close(ray.directions[0], d)
            assert_close(torch.cat([ray.near, ray.far]), torch.cat([near, far]), atol=1e-4, rtol=1e-4)
    assert rays.hits.any()
    assert not rays.hits.all()


def make_rays(pixels: bool, depth: bool = False) -> RayBatch:
    R = torch.arange(4.0)
    seen = PixelBatch(
        view=R.long(),
        pixel=R.long() + 10,
        in_camera=R[:, None].expand(4, 3) + 20,
        radius=R + 30,
        target=R[:, None].expand(4, 4),
        depth=R + 40 if depth else None,
    )
    return RayBatch(R[:, None].expand(4, 3), -R[:, None].expand(4, 3), R, R + 1, seen if pixels else None)


@pytest.mark.parametrize("which", [slice(1, 3), torch.tensor([1, 2]), torch.tensor([False, True, True, False])])
def test_a_part_of_a_batch_has_all_of_its_rays_values(which: slice | torch.Tensor) -> None:
    part = make_rays(pixels=True, depth=True)[which]
    assert len(part) == 2
    assert part.origins[:, 0].tolist() == [1, 2]
    assert part.directions[:, 0].tolist() == [-1, -2]
    assert part.near.tolist() == [1, 2]
    assert part.far.tolist() == [2, 3]
    assert part.target[:, 3].tolist() == [1, 2]
    pixels = part.pixels
    assert len(pixels) == 2
    assert pixels.view.tolist() == [1, 2]
    assert pixels.pixel.tolist() == [11, 12]
    assert pixels.in_camera[:, 0].tolist() == [21, 22]
    assert pixels.radius.tolist() == [31, 32]
    assert pixels.depth.tolist() == [41, 42]
    assert make_rays(pixels=True)[which].pixels.depth is None
    assert make_rays(pixels=False)[which].pixels is None


def test_to_moves_every_tensor() -> None:
    moved = make_rays(pixels=True, depth=True).to(torch.device("meta"))
    tensors = [moved.origins, moved.directions, moved.near, moved.far, moved.target, *vars(moved.pixels).values()]
    assert {tensor.device.type for tensor in tensors} == {"meta"}
    assert make_rays(pixels=False).to(torch.device("meta")).pixels is None

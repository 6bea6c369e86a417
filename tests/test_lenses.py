"""Distortion: against the formulas written out, and there and back."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from nerfpipe.geometry import distortion
from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.distortion import NotInvertibleError

small = st.floats(-0.05, 0.05)
tiny = st.floats(-0.005, 0.005)


@st.composite
def gentle(draw: st.DrawFn) -> tuple[float, ...]:
    """Perspective coefficients of a lens that does not fold within a radius of 1."""
    return (draw(small), draw(small), draw(tiny), draw(tiny), *(draw(tiny) for _ in range(4)))


def image_points() -> torch.Tensor:
    steps = torch.linspace(-0.7, 0.7, 9, dtype=torch.float64)
    return torch.cartesian_prod(steps, steps)


def slow_distort(x: float, y: float, k: tuple[float, ...]) -> tuple[float, float]:
    """OpenCV's documentation, calib3d, written out."""
    k1, k2, p1, p2, k3, k4, k5, k6 = k
    r = math.sqrt(x**2 + y**2)
    factor = (1 + k1 * r**2 + k2 * r**4 + k3 * r**6) / (1 + k4 * r**2 + k5 * r**4 + k6 * r**6)
    return (
        x * factor + 2 * p1 * x * y + p2 * (r**2 + 2 * x**2),
        y * factor + p1 * (r**2 + 2 * y**2) + 2 * p2 * x * y,
    )


@given(gentle())
def test_perspective_distortion_is_opencvs(k: tuple[float, ...]) -> None:
    expected = [slow_distort(x, y, k) for x, y in image_points().tolist()]
    assert_close(distortion.distort(image_points(), k), torch.tensor(expected, dtype=torch.float64))


@given(gentle())
def test_perspective_distortion_there_and_back(k: tuple[float, ...]) -> None:
    assert_close(distortion.undistort(distortion.distort(image_points(), k), k), image_points(), atol=1e-9, rtol=0)


@given(st.tuples(*(st.floats(-most, most) for most in (0.03, 2e-3, 5e-4, 1e-4))))  # no fold before 1.8 radians
def test_fisheye_there_and_back_to_the_side_and_beyond(k: tuple[float, ...]) -> None:
    angles = torch.tensor([0.0, 0.3, 1.0, math.pi / 2, 1.8], dtype=torch.float64)
    turns = torch.tensor([0.0, 2.0, -1.0, 0.5, 3.0], dtype=torch.float64)
    directions = torch.stack(
        [torch.sin(angles) * torch.cos(turns), torch.sin(angles) * torch.sin(turns), torch.cos(angles)], dim=1
    )
    image = distortion.project("fisheye", k, directions)
    radius = angles * (1 + k[0] * angles**2 + k[1] * angles**4 + k[2] * angles**6 + k[3] * angles**8)
    assert_close(image.norm(dim=1), radius)
    assert_close(distortion.directions("fisheye", k, image), directions, atol=1e-8, rtol=0)


def test_a_lens_without_distortion_is_a_pinhole() -> None:
    plain, zero = Camera(8, 6, 7.0, 7.5, 4.2, 3.1), Camera(8, 6, 7.0, 7.5, 4.2, 3.1, "perspective", (0.0, 0.0, 1e-300))
    pixels = plain.pixel_centres()
    assert_close(zero.directions(pixels), plain.directions(pixels))


@pytest.mark.parametrize(
    ("lens", "k"),
    [("perspective", (0.06, -0.02, 0.001, -0.002)), ("fisheye", (0.06, -0.02, 0.001, -0.002)), ("fov", (0.8,))],
)
def test_a_camera_projects_its_rays_to_their_pixels(lens: str, k: tuple[float, ...]) -> None:
    camera = Camera(40, 30, 28.0, 29.0, 19.0, 16.0, lens, k)
    pixels = camera.pixel_centres()
    directions = camera.directions(pixels)
    assert directions.dtype == torch.float32
    assert_close(directions.norm(dim=1), torch.ones(len(pixels)))
    again, t = camera.project(directions * 3.0)
    assert_close(again, pixels, atol=2e-3, rtol=0)
    assert_close(t, torch.full((len(pixels),), 3.0))


def test_distortion_moves_pixels_the_way_it_should() -> None:
    """Barrel distortion, k1 < 0, draws the picture in: the ray of a corner pixel leans further out."""
    plain = Camera.centred(20, 20, 20.0)
    barrel = Camera(20, 20, 20.0, 20.0, 10.0, 10.0, "perspective", (-0.1,))
    corner = torch.tensor([[0.5, 0.5]])
    ideal, bent = plain.directions(corner)[0], barrel.directions(corner)[0]
    assert bent[0] < ideal[0] < 0 < ideal[1] < bent[1]
    assert_close(bent[0] / bent[1], ideal[0] / ideal[1])


def test_a_field_of_view_lens_is_devernays_and_faugeras() -> None:
    """Their formula: tan(r' omega) = 2 r tan(omega / 2), and r' = r where omega is nothing."""
    ideal = image_points()
    towards = torch.cat([ideal, torch.ones_like(ideal[:, :1])], dim=1) * 3
    moved = distortion.project("fov", (0.8,), towards)
    expected = 2 * math.tan(0.4) * ideal.norm(dim=1)
    assert_close(torch.tan(moved.norm(dim=1) * 0.8), expected)
    assert_close(moved[:, 0] * ideal[:, 1], moved[:, 1] * ideal[:, 0])  # the same way from the centre
    assert_close(distortion.project("fov", (1e-7,), towards), ideal)
    assert torch.isnan(distortion.project("fov", (0.8,), torch.tensor([[0.1, 0.0, -1.0]]))).all()


@pytest.mark.parametrize("k", [(-0.6,), (0.0, -0.5), (float("nan"),)])
def test_a_lens_that_folds_is_refused_where_it_does(k: tuple[float, ...]) -> None:
    image = torch.tensor([[0.1, 0.0], [0.9, 0.9]], dtype=torch.float64)
    with pytest.raises(NotInvertibleError) as caught:
        distortion.directions("perspective", k, image)
    assert caught.value.point == (0 if math.isnan(k[0]) else 1)


def test_a_fisheye_that_folds_is_refused() -> None:
    with pytest.raises(NotInvertibleError):
        distortion.directions("fisheye", (-0.5,), torch.tensor([[1.2, 0.0]]))


def test_reduced_and_resized_cameras_see_the_same() -> None:
    camera = Camera(41, 30, 28.0, 29.0, 19.0, 16.0, "perspective", (0.06, -0.02))
    half = camera.reduced(2)
    assert (half.width, half.height) == (21, 15)
    assert_close(half.directions(torch.tensor([[4.0, 5.0]])), camera.directions(torch.tensor([[8.0, 10.0]])))
    assert half.distortion == camera.resized(82, 60).distortion == camera.distortion
    assert camera.pinhole().is_pinhole
    assert Camera.from_dict(camera.to_dict()) == camera


@pytest.mark.parametrize("k", [(-0.6, 0.15), (-0.3,), (0.2, -0.3, 0.1, -0.01)])
def test_a_fisheye_that_folds_is_inverted_up_to_the_fold_and_not_beyond(k: tuple[float, ...]) -> None:
    """(-0.6, 0.15) folds at 0.935 rad and grows again from 1.235 on: 0.6 appears at 1.48 rad alone."""

    def radius(angle: torch.Tensor) -> torch.Tensor:
        return angle * sum(c * angle ** (2 * n) for n, c in enumerate((1.0, *k)))

    angles = torch.linspace(0, math.pi, 100_001, dtype=torch.float64)
    fold = int((radius(angles).diff() <= 0).nonzero()[0])
    before = angles[: int(0.99 * fold) : 500]
    image = torch.stack([radius(before), torch.zeros_like(before)], dim=1)
    found = distortion.directions("fisheye", k, image)
    assert_close(torch.atan2(found[:, 0], found[:, 2]), before, atol=1e-8, rtol=0)
    highest = float(radius(angles)[fold])
    for beyond in torch.linspace(1.001, 1.5, 40).tolist():
        with pytest.raises(NotInvertibleError):
            distortion.directions("fisheye", k, torch.tensor([[beyond * highest, 0.0]]))


@pytest.mark.parametrize(("lens", "k"), [("perspective", (-0.3,)), ("fisheye", (-0.6, 0.15))])
def test_directions_beyond_the_fold_have_no_pixel(lens: str, k: tuple[float, ...]) -> None:
    """-0.3 folds at a radius of 1.054: what stands at 1.2 or at 5 would be shown in the picture."""
    camera = Camera(20, 20, 20.0, 20.0, 10.0, 10.0, lens, k)
    across = torch.tensor([0.0, 0.4, 0.7, 1.5, 2.6, 5.0])
    points = torch.stack([across, torch.zeros(6), torch.full((6,), -1.0)], dim=1)
    pixels, _ = camera.project(points)
    assert torch.isfinite(pixels[:3]).all()
    assert torch.isnan(pixels[3:]).all()
    assert_close(camera.directions(pixels[:3]), points[:3] / points[:3].norm(dim=1, keepdim=True), atol=1e-6, rtol=0)


wide = st.floats(-0.6, 0.6)


@given(k1=wide, k2=wide, p1=tiny, p2=tiny, k3=wide, centre=st.floats(0.3, 0.7))
def test_a_lens_that_is_invertible_at_the_border_is_so_within(
    k1: float, k2: float, p1: float, p2: float, k3: float, centre: float
) -> None:
    camera = Camera(24, 16, 20.0, 21.0, 24 * centre, 16 * centre, "perspective", (k1, k2, p1, p2, k3))
    try:
        camera.directions(camera.border_centres())
    except NotInvertibleError:
        return
    camera.directions(camera.pixel_centres())


def test_the_border_is_every_pixel_at_the_edge() -> None:
    camera = Camera(4, 3, 5.0, 5.0, 2.0, 1.5)
    border = {tuple(pixel) for pixel in camera.border_centres().tolist()}
    inner = {(1.5, 1.5), (2.5, 1.5)}
    assert border == {tuple(pixel) for pixel in camera.pixel_centres().tolist()} - inner


@given(gentle(), gentle())
def test_points_of_different_lenses_are_inverted_together(k: tuple[float, ...], other: tuple[float, ...]) -> None:
    points, each = image_points(), torch.tensor([k, other], dtype=torch.float64)
    both = torch.cat([distortion.distort(points, k), distortion.distort(points, other)])
    found = distortion.undistort_each(both, each.repeat_interleave(len(points), dim=0))
    assert_close(found, torch.cat([points, points]), atol=1e-9, rtol=0)

"""Density and normals at points of the world: of a ball whose field is known exactly, in every kind of space."""

from __future__ import annotations

import pytest
import torch
from built_in import BuiltIn, true_distance
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.config.defaults import RUNTIME
from nerfpipe.fields.base import Field
from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.geometry.contraction import CUBE, uncontract
from nerfpipe.geometry.ndc import from_ndc
from nerfpipe.geometry.rays import rays_to_world
from nerfpipe.geometry.space import camera_rays
from nerfpipe.geometry.spaces import Bounded, Forward, Unbounded
from nerfpipe.images.convert import normal_image
from nerfpipe.models.model import Model
from nerfpipe.procedural import robot_arm
from nerfpipe.procedural.generate import camera_poses
from nerfpipe.procedural.solids import trace
from nerfpipe.rendering.normals import normal_map
from nerfpipe.rendering.query import FieldQuery
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.types import COLOUR, FieldOutput

SAMPLES = 256
CPU = torch.device("cpu")
SPACES = {
    "bounded": Bounded.over(torch.tensor([[-2.0, -2.0, -2.0], [2.0, 2.0, 2.0]])),
    "unbounded": Unbounded(CUBE, near=0.1),
    "forward": Forward(((-2.0, -2.0, -1.0), (2.0, 2.0, 1.0)), near=1.0, frustum=(1.2, 1.5)),
}
BACK = {
    "bounded": lambda x: x,
    "unbounded": uncontract,
    "forward": lambda x: from_ndc(x, (1.2, 1.5)),
}


class Ball(Field):
    """A soft-edged ball in the world, behind the coordinates of a space. Its colour is its place."""

    def __init__(self, kind: str, centre: Tensor, radius: float) -> None:
        super().__init__()
        self.kind, self.centre, self.radius = kind, centre, radius

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        world = BACK[self.kind](positions)
        distance = (world - self.centre).norm(dim=1) - self.radius
        density = 400 * torch.sigmoid(-distance / (0.02 * self.radius))
        return FieldOutput(density, {COLOUR: world.clamp(0, 1)})


def query(kind: str, centre: Tensor, radius: float) -> FieldQuery:
    model = Model([Pass(Stratified(SAMPLES, SPACES[kind]), Ball(kind, centre, radius))])
    return FieldQuery(model, SPACES[kind], CPU)


def on_sphere(centre: Tensor, radius: float) -> tuple[Tensor, Tensor]:
    outward = torch.nn.functional.normalize(torch.randn(200, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    return centre + radius * outward, outward


@pytest.mark.parametrize(
    ("kind", "centre", "radius"),
    [
        ("bounded", (0.2, -0.1, 0.3), 0.8),
        ("unbounded", (0.1, 0.0, 0.0), 0.7),
        ("unbounded", (12.0, -5.0, 3.0), 4.0),  # far out, where space is contracted
        ("forward", (0.3, -0.4, -4.0), 1.0),
    ],
)
def test_normals_of_a_ball_point_away_from_its_centre(kind: str, centre: tuple, radius: float) -> None:
    centre = torch.tensor(centre)
    points, outward = on_sphere(centre, radius)
    cosine = (query(kind, centre, radius).normals(points) * outward).sum(dim=1)
    assert cosine.min() > 0.97


def test_density_is_that_of_the_field_and_zero_outside() -> None:
    asked = query("bounded", torch.zeros(3), 5.0)  # dense beyond the bounds
    points = torch.tensor([[0.0, 0.0, 0.0], [1.99, 0.0, 0.0], [2.01, 0.0, 0.0], [0.0, -3.0, 0.0]])
    assert_close(asked.density(points), torch.tensor([400.0, 400.0, 0.0, 0.0]))
    behind = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -3.0]])
    assert_close(query("forward", torch.zeros(3), 50.0).density(behind), torch.tensor([0.0, 400.0]))


def test_colours_are_those_of_the_field() -> None:
    points = torch.rand(7, 3)
    assert_close(query("bounded", torch.zeros(3), 1.0).colour(points, torch.zeros(7, 3)), points)


def test_an_even_field_has_no_normals() -> None:
    assert_close(query("bounded", torch.zeros(3), 50.0).normals(torch.rand(5, 3)), torch.zeros(5, 3))


@pytest.mark.parametrize("kind", ["bounded", "unbounded", "forward"])
def test_the_normals_of_a_view_are_those_of_the_surface_it_shows(kind: str) -> None:
    centre, radius = torch.tensor([0.1, 0.0, -4.0 if kind == "forward" else 0.0]), 0.6
    asked = query(kind, centre, radius)
    place = torch.tensor([0.0, 0.0, 0.0]) if kind == "forward" else torch.tensor([0.0, -1.9, 0.3])
    up = torch.tensor([0.0, 1.0, 0.0]) if kind == "forward" else torch.tensor([0.0, 0.0, 1.0])
    camera, pose = Camera.centred(24, 18, focal=60.0 if kind == "forward" else 24.0), look_at(place, centre, up)
    model = Model([Pass(asked.sampler, asked.field)])
    renderer = Renderer(model, CPU, RUNTIME, bf16=False)
    picture = renderer.view(camera_rays(camera, pose, asked.space), torch.ones(3), 18, 24)
    normals = normal_map(asked, picture, camera, pose)
    seen = normals.norm(dim=-1) > 0
    assert seen.float().mean() > 0.1
    assert not seen[0, 0]
    directions = camera.directions(camera.pixel_centres()) @ pose[:, :3].T
    towards = place - centre
    along = (directions * towards).sum(dim=1)
    t = -along - (along**2 - towards @ towards + radius**2).clamp_min(0).sqrt()  # the nearer root on the sphere
    truth = ((place + t[:, None] * directions - centre) / radius).reshape(18, 24, 3)
    inner = seen & ((along**2 - towards @ towards + radius**2) > 0.3 * radius**2).reshape(18, 24)
    assert ((normals * truth).sum(dim=-1)[inner] > 0.95).all()
    shown = normal_image(normals, picture.opacity, torch.ones(3))
    assert shown.shape == (18, 24, 3)
    assert (shown[0, 0] == 255).all()


def test_depth_and_normals_of_the_built_in_scene_are_true() -> None:
    space = Bounded.over(torch.tensor(robot_arm.BOUNDS))
    model = Model([Pass(Stratified(1024, space), BuiltIn())])
    camera, pose = Camera.centred(32, 32, 45.0), camera_poses(12)[5]
    picture = Renderer(model, CPU, RUNTIME, bf16=False).view(camera_rays(camera, pose, space), torch.ones(3), 32, 32)
    normals = normal_map(FieldQuery(model, space, CPU), picture, camera, pose).reshape(-1, 3)
    origins, directions = rays_to_world(pose.expand(32 * 32, 3, 4), camera.directions(camera.pixel_centres()))
    t = trace(robot_arm.solids(), origins, directions).t
    met = t.isfinite() & (picture.opacity.flatten() > 0.99)
    assert met.float().mean() > 0.3
    error = (t - picture.depth.flatten())[met]  # the field is soft: it is seen a little before its surface
    assert 0 < error.median() < 0.012
    assert error.abs().quantile(0.95) < 0.04
    at, step = (origins + t[:, None] * directions)[met], 1e-3
    slopes = [true_distance(at + step * axis) - true_distance(at - step * axis) for axis in torch.eye(3)]
    truth = torch.nn.functional.normalize(torch.stack(slopes, dim=1), dim=1)
    cosine = (normals[met] * truth).sum(dim=1)
    assert cosine.median() > 0.99
    assert cosine.quantile(0.1) > 0.9  # the rest lies on edges, where a step of the differences sees two faces

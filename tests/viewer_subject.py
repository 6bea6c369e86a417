"""The subject of the viewer's tests: the ball of the test scene, and cameras that see it."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from conftest import BALL_RADIUS
from torch import Tensor

from nerfpipe.config.defaults import RUNTIME
from nerfpipe.fields.base import Field
from nerfpipe.geometry.cameras import Camera, look_at
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.types import COLOUR, FieldOutput
from nerfpipe.viewer.drawing import ViewRenderer
from nerfpipe.viewer.settings import View, vertical_fov

UP = torch.tensor([0.0, 0.0, 1.0])
EYE = look_at(torch.tensor([3.0, 0.0, 0.0]), torch.zeros(3), UP)
PATIENCE = 120.0  # seconds that a busy machine may take for anything
CPU = torch.device("cpu")
CAMERA = Camera.centred(40, 30, 50.0)


class Ball(Field):
    """The ball of the test scene, opaque and coloured by its normal, as `ball_image` draws it."""

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        density = 200.0 * (positions.norm(dim=1) < BALL_RADIUS)
        return FieldOutput(density, {COLOUR: ((positions / BALL_RADIUS).clamp(-1, 1) + 1) / 2})


def ball_renderer(header: ModelHeader) -> ViewRenderer:
    return ViewRenderer(Model([Pass(Stratified(128, header.space), Ball())]), header, CPU, RUNTIME)


def view(pose: Tensor = EYE) -> View:
    return View(pose, vertical_fov(CAMERA), 4 / 3, 400, 300)


def until(true: Callable[[], object], what: str = "it") -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE:.0f} seconds"
        time.sleep(0.02)

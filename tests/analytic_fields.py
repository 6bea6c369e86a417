"""Models of analytic fields to export, and what an export tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import trimesh
from torch import Tensor

from nerfpipe.config.defaults import RUNTIME
from nerfpipe.export.views import LoadedField
from nerfpipe.fields.base import Field
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.geometry.space import Space
from nerfpipe.geometry.spaces import Bounded
from nerfpipe.models.model import Model
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.rendering.query import FieldQuery
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.rendering.renderer import Renderer
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.types import COLOUR, FieldOutput

CPU = torch.device("cpu")
FEW_BLOCKS = RUNTIME.model_copy(update={"cpu_chunk": 2**19})
EDGE = 0.004  # how soft a ball's surface is
HALF = 200.0  # density of a ball's field at its radius
TURN = np.array([[0.0, -1.0, 0.0], [0.6, 0.0, -0.8], [0.8, 0.0, 0.6]])  # a rotation
MOVED = Similarity.of(np.array([3.0, -1.0, 7.0]), TURN, 2.5)
FRUSTUM = (1.2, 1.5)


class Balls(Field):
    """Soft-edged balls (centre, radius) in the coordinates that `back` leads to. Their colour is their place."""

    def __init__(self, *balls: tuple[tuple[float, float, float], float], back=lambda x: x) -> None:
        super().__init__()
        self.balls, self.back = balls, back

    def forward(self, positions: Tensor, directions: Tensor) -> FieldOutput:
        x = self.back(positions)
        distance = torch.stack([(x - torch.tensor(c)).norm(dim=1) - r for c, r in self.balls]).amin(dim=0)
        depth = -distance / EDGE
        density = torch.where(depth < -20, 0, 2 * HALF * torch.sigmoid(depth))
        return FieldOutput(density, {COLOUR: (x / 2 + 0.5).clamp(0, 1)})


def loaded_field(
    field: Field, make_camera, space: Space | None = None, similarity: Similarity | None = None, samples: int = 512
) -> LoadedField:
    """A model of the field, seen from all round."""
    space = space or Bounded.over(torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    model = Model([Pass(Stratified(samples, space), field)])
    camera = make_camera.cameras[0]
    poses = torch.from_numpy(np.array(make_camera.poses)) if space.kind != "forward" else torch.eye(3, 4)[None]
    header = ModelHeader(
        "0", "balls", "tiny", {"train": {"bf16": False}}, 0, space, similarity or Similarity(), "white", camera,
        (0.0, 0.0, 0.0), poses.tolist(),
    )  # fmt: skip
    return LoadedField(header, Renderer(model, CPU, FEW_BLOCKS, False), FieldQuery(model, space, CPU))


def lines(export: Iterator[str]) -> str:
    """Do the export; what it tells."""
    return "\n".join(export)


def read_mesh(file: Path) -> trimesh.Trimesh:
    loaded = trimesh.load_scene(file, process=False)
    (mesh,) = loaded.geometry.values()
    return mesh

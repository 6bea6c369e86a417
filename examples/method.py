"""A new method: an MLP on random Fourier features (Tancik et al. 2020), trained on the built-in scene.

    python examples/method.py

The parts are an encoding, a field, a model and their settings. In the repository they have their own modules:
`fields/`, `models/`, `config/methods.py` with a section in `params.yaml`. Here they are registered from outside.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerfpipe.config.constraints import Count, Positive
from nerfpipe.config.methods import METHODS, TinySamplingParams, TrainParams
from nerfpipe.config.params import Params, load_params
from nerfpipe.config.yaml_file import Section
from nerfpipe.fields.activations import density_activation
from nerfpipe.fields.base import Field
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model
from nerfpipe.models.registry import MODELS, build_model
from nerfpipe.procedural.generate import generate
from nerfpipe.raybank.writer import build
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.samplers.stratified import Stratified
from nerfpipe.scenes.formats import procedural
from nerfpipe.training.step import TrainingStep
from nerfpipe.types import COLOUR, FieldOutput

STEPS, RAYS = 100, 1024


class FourierFieldParams(Section):  # 1. The settings: unknown keys and wrong values are reported, all at once.
    features: Count
    scale: Positive  # standard deviation of the frequencies, radians per scene unit
    width: Count


class FourierParams(Section):
    field: FourierFieldParams
    sampling: TinySamplingParams
    train: TrainParams


class FourierEncoding(nn.Module):  # 2. The encoding: x -> sin and cos of random projections of x.
    frequencies: Float[Tensor, "3 F"]

    def __init__(self, features: int, scale: float) -> None:
        super().__init__()
        self.size = 2 * features
        self.register_buffer("frequencies", torch.randn(3, features) * scale)  # [3, F], stored in the model file

    def forward(self, x: Float[Tensor, "M 3"]) -> Float[Tensor, "M E"]:
        angles = (x[:, :, None] * self.frequencies).sum(dim=1)  # [M, F]; a matrix product might run in bfloat16
        return torch.cat([angles.sin(), angles.cos()], dim=1)  # [M, 2·F]


class FourierField(Field):  # 3. The field: positions and directions -> density and named channels.
    def __init__(self, params: FourierFieldParams) -> None:
        super().__init__()
        self.encoding = FourierEncoding(params.features, params.scale)
        self.hidden, self.head = nn.Linear(self.encoding.size, params.width), nn.Linear(params.width, 4)

    def forward(self, positions: Float[Tensor, "M 3"], directions: Float[Tensor, "M 3"]) -> FieldOutput:
        raw = self.head(torch.relu(self.hidden(self.encoding(positions))))  # [M, 4]
        return FieldOutput(density_activation(raw[:, 0], "softplus"), {COLOUR: torch.sigmoid(raw[:, 1:])})


class FourierModel(Model):  # 4. The model: one pass of a sampler and a field. Its life in training is inherited.
    def __init__(self, params: FourierParams, space: Space) -> None:
        super().__init__([Pass(Stratified(params.sampling.samples, space), FourierField(params.field))])


class FourierFileParams(Params):  # 5. The registration. In the repository: METHODS, MODELS, and a line in Params.
    method: Literal["fourier"]
    fourier: FourierParams


METHODS["fourier"] = FourierParams
MODELS[FourierParams] = FourierModel


def main() -> None:
    known = load_params(Path(__file__).parents[1] / "params.yaml").model_dump()
    settings = {
        "field": {"features": 64, "scale": 4.0, "width": 64},
        "sampling": {"samples": 32},
        "train": {**known["tiny"]["train"], "steps": STEPS, "lr": 5e-3},
    }
    params = FourierFileParams.model_validate({**known, "method": "fourier", "fourier": settings})
    with tempfile.TemporaryDirectory() as folder:
        scene, bank = Path(folder, "scene"), Path(folder, "rays")
        scene.mkdir(), bank.mkdir()
        generate(scene, size=32, splits={"train": 12, "val": 2, "test": 2})
        rays = build(procedural.load(scene, "robot-arm", "white"), bank, params.rays.margin, params.rays.min_near)
        training = TrainingStep(build_model(params.recipe, params.seed, rays.space), rays, params, torch.device("cpu"))
        for step in range(STEPS):
            result = training.take(step, RAYS)
            if step % 25 == 0 or step == STEPS - 1:
                print(f"step {step}: loss {result.loss:.4f}")


if __name__ == "__main__":
    main()

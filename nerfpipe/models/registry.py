"""The model of each method, by the class of its settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nerfpipe.config.methods import MethodParams, NerfParams, NgpParams, TinyParams
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model
from nerfpipe.models.nerf import NerfModel
from nerfpipe.models.ngp import NgpModel
from nerfpipe.models.tiny import TinyModel

MODELS: dict[type, Callable[[Any, Space], Model]] = {
    TinyParams: TinyModel,
    NerfParams: NerfModel,
    NgpParams: NgpModel,
}


def build_model(params: MethodParams, seed: int, space: Space) -> Model:
    """The model of a method for a space, on the CPU. Its initial weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return MODELS[type(params)](params, space)

"""Which model a method has."""

from __future__ import annotations

import torch

from nerfpipe.config.methods import MethodParams, NerfParams, NgpParams, TinyParams
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model
from nerfpipe.models.nerf import NerfModel
from nerfpipe.models.ngp import NgpModel
from nerfpipe.models.tiny import TinyModel


def build_model(params: MethodParams, seed: int, space: Space) -> Model:
    """A method's model of what lies in a space, on the CPU. Its initial weights depend on the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match params:
            case TinyParams():
                return TinyModel(params, space)
            case NerfParams():
                return NerfModel(params, space)
            case NgpParams():
                return NgpModel(params, space)
    raise TypeError(f"no method has {type(params).__name__}")

"""Which model a method has."""

from __future__ import annotations

import torch

from nerfpipe.config.methods import MethodParams, NerfParams, NgpParams, TinyParams
from nerfpipe.fields.nerf import NerfField
from nerfpipe.fields.ngp import NgpField
from nerfpipe.fields.tiny import TinyField
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model, Pass
from nerfpipe.samplers.importance import Hierarchical
from nerfpipe.samplers.occupancy import Occupancy
from nerfpipe.samplers.stratified import Stratified


def build_model(params: MethodParams, seed: int, space: Space) -> Model:
    """A method's model of what lies in a space, on the CPU. Its initial weights depend on the seed alone."""
    bounds, unbounded = space.box, space.unbounded
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        match params:
            case TinyParams():
                return Model([Pass(Stratified(params.sampling.samples, unbounded), TinyField(params.field))])
            case NerfParams():
                coarse, fine = params.sampling.coarse, params.sampling.fine
                return Model(
                    [
                        Pass(Stratified(coarse, unbounded), NerfField(params.field)),
                        Pass(Hierarchical(coarse, fine, unbounded), NerfField(params.field)),
                    ]
                )
            case NgpParams():
                return Model([Pass(Occupancy(params.sampling, bounds, unbounded), NgpField(params.field, bounds))])
    raise TypeError(f"no method has {type(params).__name__}")

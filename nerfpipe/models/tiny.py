"""The method `tiny`: one small network, evenly sampled. The smallest that shows a scene."""

from __future__ import annotations

from nerfpipe.config.methods import TinyParams
from nerfpipe.fields.tiny import TinyField
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.samplers.stratified import Stratified


class TinyModel(Model):
    """One pass: stratified samples of a small network."""

    collapse_advice = "{method}.field.density: softplus"

    def __init__(self, params: TinyParams, space: Space) -> None:
        super().__init__([Pass(Stratified(params.sampling.samples, space), TinyField(params.field))])

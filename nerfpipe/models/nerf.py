"""The method `nerf`: a coarse network shows where the fine one looks (Mildenhall et al. 2020, section 5.2)."""

from __future__ import annotations

from nerfpipe.config.methods import NerfParams
from nerfpipe.fields.nerf import NerfField
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model
from nerfpipe.rendering.render_rays import Pass
from nerfpipe.samplers.importance import Importance
from nerfpipe.samplers.stratified import Stratified


class NerfModel(Model):
    """Two passes: stratified samples of the coarse field, then those and more by importance of the fine one."""

    collapse_advice = "{method}.field.density: softplus"

    def __init__(self, params: NerfParams, space: Space) -> None:
        coarse, fine = params.sampling.coarse, params.sampling.fine
        super().__init__(
            [
                Pass(Stratified(coarse, space), NerfField(params.field)),
                Pass(Importance(coarse, fine, space), NerfField(params.field)),
            ]
        )

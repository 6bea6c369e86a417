"""The header of a trained model."""

from __future__ import annotations

import numpy as np

from nerfpipe import __version__
from nerfpipe.config.params import Params
from nerfpipe.geometry.focus import focus_point
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.raybank.bank import RayBank


def describe_model(params: Params, bank: RayBank) -> ModelHeader:
    """The header of a model trained with these params on this bank."""
    poses = np.array(bank.arrays["poses"][bank.splits["train"]], dtype=np.float64)  # [train views, 3, 4]
    focus = focus_point(poses)
    if focus is None or (bank.space.unbounded and not focus.certain):
        centre = bank.space.box.mean(dim=0).numpy()
    else:
        centre = focus.point
    return ModelHeader(
        version=__version__,
        scene=bank.header.scene,
        method=params.method,
        settings=params.recipe.model_dump(),
        seed=params.seed,
        space=bank.space,
        similarity=bank.header.similarity,
        background=bank.header.background,
        camera=bank.cameras[0],
        centre=tuple(centre.tolist()),
        poses=poses.tolist(),
    )

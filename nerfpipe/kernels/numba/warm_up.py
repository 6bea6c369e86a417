"""Compile every kernel now, by a step of training and a picture that are as small as can be."""

from __future__ import annotations

import torch

from nerfpipe.config.methods import NgpParams
from nerfpipe.geometry.rays import RayBatch
from nerfpipe.geometry.space import Space
from nerfpipe.models.registry import build_model
from nerfpipe.rendering.renderer import render_rays
from nerfpipe.training.optimizer import build_optimizer

SMALL = {
    "field": {  # one level dense, one hashed
        "levels": 2, "base_resolution": 2, "max_resolution": 8, "log2_hashmap_size": 6, "width": 4
    },
    "sampling": {
        "steps": 8, "render_steps": 8, "grid": 2, "update_every": 1, "decay": 0.5, "threshold": 0.01,
        "early_stop_eps": 0.01
    },
    "train": {
        "steps": 1, "batch_samples": 1, "coarse_to_fine": 0, "batch_rays": 1, "lr": 0.1, "lr_final": 0.1, "warmup": 0,
        "loss": "mse", "huber_delta": 0.1, "distortion": 0, "entropy": 0, "bf16": False,
        "validate_every": 1, "validate_views": 1
    },
}  # fmt: skip


def compile_all() -> None:
    """Run all kernels once on a few rays; what is compiled already is only loaded."""
    from nerfpipe.kernels.numba.bindings import render  # imports numba, which only kernels need

    recipe = NgpParams.model_validate(SMALL)
    model = build_model(recipe, seed=0, space=Space("bounded", ((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0)), near=0.0))
    optimizer = build_optimizer(recipe, model)
    origins, directions = torch.tensor([[0.0, 0.0, 3.0]] * 4), torch.tensor([[0.0, 0.0, -1.0]] * 4)
    rays = RayBatch(origins, directions, near=torch.full((4,), 2.0), far=torch.full((4,), 4.0))
    background = torch.zeros(3)
    rays = rays[torch.arange(4)]
    rays.far[0] = 2.5  # shorter than the others, so that rays are not all alike
    passes = render_rays(model, rays, background, jitter=torch.zeros(4, 1))
    passes[-1].colour.sum().backward()
    model.note(passes)
    optimizer.step()
    model.update(seed=0, step=1)
    last = model.passes[-1]
    with torch.no_grad():
        render(last.sampler, last.field, rays, background)

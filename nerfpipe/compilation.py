"""Compile every kernel now, by a step of training and a picture that are as small as can be."""

from __future__ import annotations

import torch

from nerfpipe.config import load_params
from nerfpipe.kernels.autograd import render
from nerfpipe.methods import build_model, build_optimizer
from nerfpipe.rays import RayBatch
from nerfpipe.renderer import render_rays


def compile_all() -> None:
    """Run all kernels once on a few rays; what is compiled already is only loaded."""
    recipe = load_params().ngp
    model = build_model(recipe, seed=0, bounds=torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    optimizer = build_optimizer(recipe, model)
    origins, directions = torch.tensor([[0.0, 0.0, 3.0]] * 4), torch.tensor([[0.0, 0.0, -1.0]] * 4)
    rays = RayBatch(origins, directions, near=torch.full((4,), 2.0), far=torch.full((4,), 4.0))
    background = torch.zeros(3)
    render_rays(model, rays, background, jitter=torch.zeros(4, 1))[-1].colour.sum().backward()
    optimizer.step()
    model.update(seed=0, step=recipe.sampling.update_every)
    last = model.passes[-1]
    with torch.no_grad():
        render(last.sampler, last.field, rays, background)

"""The compositing kernel against its definition, forward and backward, on rays of every kind."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from nerfpipe.rendering.volume_rendering import composite, definition
from nerfpipe.types import COLOUR, FieldOutput, Samples

KINDS = {
    "random": ([5, 0, 1, 7, 2, 0], 3.0),
    "opaque": ([5, 0, 1, 7, 2, 9], 500.0),  # rays end after a sample or two
    "thin": ([5, 0, 1, 7, 2, 3], 1e-4),
    "no density": ([4, 2, 0], 0.0),
    "one sample": ([0, 1], 2.0),
    "nothing": ([0, 0, 0], 1.0),
    "no rays": ([], 1.0),
}


def make(kind: str, early_stop_eps: float) -> tuple[Samples, list[Tensor]]:
    """Samples of a kind, and density and colour at them, which have a gradient."""
    counts, scale = KINDS[kind]
    torch.manual_seed(4)
    M = sum(counts)
    ray = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts, dtype=torch.int64))
    offsets = torch.tensor([sum(counts[:r]) for r in range(len(counts) + 1)])
    t = torch.cat([torch.zeros(0), *(torch.rand(n).sort().values + 2 for n in counts)])
    nowhere = torch.zeros(M, 3)
    delta = torch.rand(M) * 0.2 + 0.05
    samples = Samples(nowhere, nowhere, t, delta, ray, offsets, max(counts, default=0), early_stop_eps)
    density = torch.rand(M) * scale
    return samples, [density.requires_grad_(), torch.rand(M, 3).requires_grad_()]


def by_kernel(samples: Samples, density: Tensor, colour: Tensor, background: Tensor) -> tuple[Tensor, ...]:
    made = composite(samples, FieldOutput(density, {COLOUR: colour}), background)
    return made.colour, made.opacity, made.depth, made.weights


@pytest.mark.parametrize("early_stop_eps", [0.0, 1e-4, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_kernel_and_definition_render_and_differentiate_alike(kind: str, early_stop_eps: float) -> None:
    background = torch.rand(len(KINDS[kind][0]), 3)
    results, gradients = [], []
    for render in (by_kernel, definition):
        samples, inputs = make(kind, early_stop_eps)
        results.append(render(samples, *inputs, background))
        torch.manual_seed(5)
        loss = sum((each * torch.randn_like(each)).sum() for each in results[-1])
        if loss.requires_grad:
            gradients.append(torch.autograd.grad(loss, inputs, allow_unused=True))
    for one, other in zip(*results, strict=True):
        assert_close(one, other, rtol=1e-4, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_behind_an_opaque_sample_nothing_counts() -> None:
    samples, (_, colour) = make("random", early_stop_eps=0.01)
    density = torch.zeros(len(samples.t))
    density[0] = 1e4  # ray 0 has samples 0 to 4
    density[1:5] = 1.0
    made = composite(samples, FieldOutput(density, {COLOUR: colour}), torch.zeros(3))
    assert_close(made.weights[:5], torch.tensor([1.0, 0, 0, 0, 0]))
    assert_close(made.colour[0], colour[0])
    assert_close(made.depth[0], samples.t[0])


@pytest.mark.parametrize("early_stop_eps", [0.0, 0.3])
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_distances_lengths_and_background_alike(kind: str, early_stop_eps: float) -> None:
    gradients = []
    for render in (by_kernel, definition):
        samples, (density, colour) = make(kind, early_stop_eps)
        background = torch.rand(len(KINDS[kind][0]), 3)
        inputs = [x.detach().clone().requires_grad_() for x in (samples.t, samples.delta, background)]
        made = render(replace(samples, t=inputs[0], delta=inputs[1]), density, colour, inputs[2])
        torch.manual_seed(5)
        loss = sum((each * torch.randn_like(each)).sum() for each in made)
        gradients.append(torch.autograd.grad(loss, [*inputs, density], materialize_grads=True))
    for one, other in zip(*gradients, strict=True):
        assert_close(one, other, rtol=1e-3, atol=1e-3)

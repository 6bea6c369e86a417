"""RowAdam: Adam where a gradient is, nothing where none is; kernel and definition alike."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch
from torch.testing import assert_close

from nerfpipe.config.methods import NgpFieldParams
from nerfpipe.fields.ngp import NgpField
from nerfpipe.ops import dispatch, zeroed
from nerfpipe.training.row_adam import BETAS, EPSILON, RowAdam


def gradients(steps: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(50, 4) for _ in range(steps)]


def moved(optimizer, weight: torch.Tensor, steps: list[torch.Tensor]) -> torch.Tensor:
    for gradient in steps:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


def test_with_every_row_moved_it_is_adam() -> None:
    start = torch.randn(50, 4)
    one, other = start.clone().requires_grad_(), start.clone().requires_grad_()
    adam = torch.optim.Adam([other], lr=0.01, betas=BETAS, eps=EPSILON)
    assert_close(moved(RowAdam([one], lr=0.01), one, gradients(5)), moved(adam, other, gradients(5)))


def test_rows_without_a_gradient_stay_and_keep_their_moments() -> None:
    weight = torch.zeros(50, 4, requires_grad=True)
    optimizer = RowAdam([weight], lr=0.01)
    moved(optimizer, weight, gradients(1))
    before, mean = weight.detach().clone(), optimizer.state[0]["exp_avg"].clone()
    gradient = torch.zeros(50, 4)
    gradient[7, 2] = 1.0
    moved(optimizer, weight, [gradient])
    changed = (weight.detach() != before).any(dim=1)
    assert changed.nonzero().tolist() == [[7]]
    assert torch.equal(optimizer.state[0]["exp_avg"][8:], mean[8:])


@pytest.mark.parametrize("fast", [True, False])
def test_a_step_takes_the_gradient_and_gives_its_memory_back_all_zero(fast: bool) -> None:
    with nullcontext() if fast else dispatch.definitions():
        weight = torch.zeros(50, 4, requires_grad=True)
        optimizer = RowAdam([weight], lr=0.01)
        [weight.grad] = gradients(1)
        memory = weight.grad.data_ptr()
        optimizer.step()
        assert weight.grad is None
        again = zeroed.take(weight)
        assert again.data_ptr() == memory
        assert not again.any()
        assert zeroed.take(weight).data_ptr() != memory  # nobody else gets it


@pytest.mark.parametrize("fast", [True, False])
def test_the_gradient_after_a_step_is_right(fast: bool) -> None:
    """Its memory may be that of the step before: what was there must not show."""
    torch.manual_seed(0)
    params = NgpFieldParams(levels=3, base_resolution=4, max_resolution=20, log2_hashmap_size=8, width=16)
    field = NgpField(params, torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]]))
    positions, directions = torch.rand(40, 3) * 2 - 1, torch.nn.functional.normalize(torch.randn(40, 3), dim=1)

    def gradient() -> list[torch.Tensor]:
        output = field(positions, directions)
        return torch.autograd.grad(output.density.sum() + output.colour.sum(), list(field.parameters()))

    with nullcontext() if fast else dispatch.definitions():
        optimizer = RowAdam(field.parameters(), lr=0.01)
        for _ in range(3):
            output = field(positions, directions)
            (output.density.sum() + output.colour.sum()).backward()
            for weight, expected in zip(field.parameters(), gradient(), strict=True):
                assert_close(weight.grad, expected)
            optimizer.step()


def test_kernel_and_definition_take_the_same_steps() -> None:
    steps = gradients(6)
    for number, gradient in enumerate(steps):
        gradient[number::7] = 0
    results = []
    for fast in (True, False):
        weight = torch.ones(50, 4, requires_grad=True)
        if fast:
            results.append(moved(RowAdam([weight], lr=0.1), weight, steps))
        else:
            with dispatch.definitions():
                results.append(moved(RowAdam([weight], lr=0.1), weight, steps))
    assert_close(*results, rtol=1e-5, atol=1e-6)


def test_it_goes_on_from_its_saved_state_to_the_same_bytes() -> None:
    whole = torch.ones(50, 4, requires_grad=True)
    moved(RowAdam([whole], lr=0.1), whole, gradients(4))
    begun = torch.ones(50, 4, requires_grad=True)
    first = RowAdam([begun], lr=0.1)
    moved(first, begun, gradients(4)[:2])
    saved = {number: {k: v.clone() for k, v in state.items()} for number, state in first.state_dict()["state"].items()}
    second = RowAdam([begun], lr=0.1)
    second.load_state_dict({"state": saved})
    assert torch.equal(moved(second, begun, gradients(4)[2:]), whole.detach())

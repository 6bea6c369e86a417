"""Adam (Kingma and Ba 2015) at a cost that follows what a batch touched."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from nerfpipe.ops import dispatch, zeroed
from nerfpipe.ops.row_adam import row_adam

BETAS = (0.9, 0.99)  # Instant-NGP's: rows are seen now and then, so squares are remembered shorter than usual
EPSILON = 1e-15  # gradients of a fine level's rows are tiny: a usual epsilon would drown them


class RowAdam:
    """Adam in which a row whose whole gradient is zero stays as it is, with its moments (Instant-NGP, section 4).

    A batch touches few rows of a hash table. A step leaves every gradient zero, so that its memory serves the next
    one (see ops/zeroed.py). The interface is that of torch.optim.Adam, as far as training uses it.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        self.param_groups: list[dict[str, Any]] = [{"params": list(parameters), "lr": lr}]
        self.state: dict[int, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """One step on every parameter [N, F] that has a gradient."""
        moved = [(i, weight) for i, weight in enumerate(self.param_groups[0]["params"]) if weight.grad is not None]
        states = [self._advanced(index, weight) for index, weight in moved]
        weights, gradients = [weight for _, weight in moved], [weight.grad for _, weight in moved]
        means, squares = [state["exp_avg"] for state in states], [state["exp_avg_sq"] for state in states]
        numbers, lr = [int(state["step"]) for state in states], self.param_groups[0]["lr"]
        rates = [lr / (1 - BETAS[0] ** number) for number in numbers]
        corrections = [1 / (1 - BETAS[1] ** number) for number in numbers]
        if all(map(dispatch.is_fast, weights)):
            row_adam(weights, gradients, means, squares, rates, corrections, *BETAS, EPSILON)
        else:
            for step in zip(weights, gradients, means, squares, rates, corrections, strict=True):
                step_rows(*step)
        for weight in weights:
            zeroed.give_back(weight.grad)
            weight.grad = None

    def _advanced(self, index: int, weight: Tensor) -> dict[str, Tensor]:
        """The state of a parameter, one step further; moments [N, F] begin at zero."""
        if index not in self.state:
            moments = {name: torch.zeros_like(weight) for name in ("exp_avg", "exp_avg_sq")}
            self.state[index] = {"step": torch.tensor(0.0), **moments}
        self.state[index]["step"] += 1
        return self.state[index]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop gradients that no step has used."""
        for weight in self.param_groups[0]["params"]:
            weight.grad = None

    def state_dict(self) -> dict[str, Any]:
        """The moments, by the parameter's number."""
        return {"state": self.state, "param_groups": []}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        parameters = self.param_groups[0]["params"]
        self.state = {
            number: {name: value.to(parameters[number].device) for name, value in moments.items()}
            for number, moments in saved["state"].items()
        }


def step_rows(weight: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, rate: float, correction: float) -> None:
    """One step on weight [N, F] in place; rate and correction include Adam's bias corrections."""
    moved = (gradient != 0).any(dim=1, keepdim=True)  # [N, 1]
    new_mean = BETAS[0] * mean + (1 - BETAS[0]) * gradient
    new_square = BETAS[1] * square + (1 - BETAS[1]) * gradient**2
    change = rate * new_mean / ((new_square * correction).sqrt() + EPSILON)
    mean.copy_(torch.where(moved, new_mean, mean))
    square.copy_(torch.where(moved, new_square, square))
    weight.sub_(torch.where(moved, change, torch.zeros_like(change)))
    gradient.zero_()

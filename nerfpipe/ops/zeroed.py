"""Buffers that are known to be zero, so that a large gradient need not be cleared for every step.

A backward pass takes its buffer here and returns it as the gradient. Autograd keeps that very tensor as `.grad`, since
nobody else holds it. RowAdam leaves it all zero and gives it back, and the next step takes it again. Where autograd
adds a second gradient to it or copies it, the result is the same and only memory is lost.
"""

from __future__ import annotations

import torch
from torch import Tensor

_kept: dict[tuple[torch.Size, torch.dtype, torch.device], Tensor] = {}


def take(like: Tensor) -> Tensor:
    """A tensor of zeros with the shape of another one, whose memory nobody else uses."""
    kept = _kept.pop((like.shape, like.dtype, like.device), None)
    return torch.zeros_like(like) if kept is None else kept


def give_back(zeros: Tensor) -> None:
    """Keep a tensor of zeros that its owner will not use again."""
    _kept[zeros.shape, zeros.dtype, zeros.device] = zeros

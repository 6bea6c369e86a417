"""Buffers that are known to be zero, so that a large gradient need not be cleared for every step.

An optimiser that leaves a gradient zero gives it back here; the next gradient of its shape is taken from here.
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

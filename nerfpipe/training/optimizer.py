"""The optimiser of a method's weights."""

from __future__ import annotations

import torch

from nerfpipe.config.methods import MethodParams
from nerfpipe.models.model import Model
from nerfpipe.training.row_adam import RowAdam


def build_optimizer(params: MethodParams, model: Model) -> torch.optim.Optimizer | RowAdam:
    """The method's optimiser of the model's weights, where they now lie."""
    if model.sparse_gradients:
        return RowAdam(model.parameters(), lr=params.train.lr)
    on_mps = any(weight.device.type == "mps" for weight in model.parameters())
    return torch.optim.Adam(model.parameters(), lr=params.train.lr, fused=not on_mps)

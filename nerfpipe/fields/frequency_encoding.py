"""Positional encoding, with which a small network can represent fine detail (NeRF 2020, eq. 4; Tancik et al. 2020)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn


class FrequencyEncoding(nn.Module):
    """gamma(x) = (x, sin x, cos x, sin 2x, cos 2x, …, sin 2^(L-1) x, cos 2^(L-1) x).

    Without a factor pi, as in the authors' code: x in [-pi, pi] is one period of the lowest frequency.
    """

    octaves: Float[Tensor, " L"]

    def __init__(self, frequencies: int, dimensions: int = 3) -> None:
        super().__init__()
        self.size = dimensions * (1 + 2 * frequencies)
        self.register_buffer("octaves", 2.0 ** torch.arange(frequencies), persistent=False)  # [L]

    def forward(self, x: Float[Tensor, "M D"]) -> Float[Tensor, "M E"]:
        """x [M, D] -> gamma(x) [M, D + 2·D·L]."""
        angles = x[:, None, :] * self.octaves[:, None]  # [M, L, D]
        waves = torch.stack([angles.sin(), angles.cos()], dim=2)  # [M, L, 2, D]
        return torch.cat([x, waves.flatten(1)], dim=1)  # [M, D + 2·D·L]

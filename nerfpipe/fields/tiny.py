"""The small MLP of the teaching repository: position in, density and colour out, no view direction."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerfpipe.config.methods import TinyFieldParams
from nerfpipe.fields.activations import density_activation
from nerfpipe.fields.base import Field
from nerfpipe.fields.frequency_encoding import FrequencyEncoding
from nerfpipe.types import COLOUR, FieldOutput


class TinyField(Field):
    """gamma(x) -> `depth` layers of `width`, gamma(x) joined in again after layer `skip` -> sigma, rgb."""

    def __init__(self, params: TinyFieldParams) -> None:
        super().__init__()
        self.density_kind, self.skip = params.density, params.skip
        self.encoding = FrequencyEncoding(params.frequencies)
        E, W = self.encoding.size, params.width
        inputs = [E if i == 0 else W + E if i == params.skip else W for i in range(params.depth)]
        self.layers = nn.ModuleList(nn.Linear(size, W) for size in inputs)
        self.head = nn.Linear(W, 4)  # raw density and raw colour: one product is faster than two narrow ones

    def forward(self, positions: Float[Tensor, "M 3"], directions: Float[Tensor, "M 3"]) -> FieldOutput:
        """Positions [M, 3] -> density [M], colour [M, 3]. The direction is not used: every side looks the same."""
        gamma = h = self.encoding(positions)  # [M, E]
        for i, layer in enumerate(self.layers):
            h = torch.cat([h, gamma.to(h.dtype)], dim=1) if i == self.skip else h  # after `skip` layers
            h = torch.relu(layer(h))  # [M, W]
        raw = self.head(h).float()  # [M, 4]
        density = density_activation(raw[:, 0], self.density_kind)  # [M]
        return FieldOutput(density, {COLOUR: torch.sigmoid(raw[:, 1:])})  # [M, 3]

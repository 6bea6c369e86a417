"""The network of the paper (Mildenhall et al. 2020, fig. 7): colour also depends on the view direction."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerfpipe.config.methods import NerfFieldParams
from nerfpipe.fields.activations import density_activation
from nerfpipe.fields.base import Field
from nerfpipe.fields.frequency_encoding import FrequencyEncoding
from nerfpipe.types import COLOUR, FieldOutput


class NerfField(Field):
    """gamma(x) -> `depth` layers of `width`, with gamma(x) joined in after layer `skip` -> sigma and a feature;

    feature and gamma(d) -> one layer of half the width -> rgb.
    """

    def __init__(self, params: NerfFieldParams) -> None:
        super().__init__()
        self.density_kind, self.skip = params.density, params.skip
        self.encoding = FrequencyEncoding(params.position_frequencies)
        self.direction_encoding = FrequencyEncoding(params.direction_frequencies)
        E, V, W = self.encoding.size, self.direction_encoding.size, params.width
        inputs = [E if i == 0 else W + E if i == params.skip else W for i in range(params.depth)]
        self.layers = nn.ModuleList(nn.Linear(size, W) for size in inputs)
        self.density_head = nn.Linear(W, 1)
        self.feature = nn.Linear(W, W)
        self.view_layer = nn.Linear(W + V, W // 2)
        self.colour_head = nn.Linear(W // 2, 3)

    def forward(self, positions: Float[Tensor, "M 3"], directions: Float[Tensor, "M 3"]) -> FieldOutput:
        """Positions [M, 3] and unit view directions [M, 3] -> density [M], colour [M, 3]."""
        gamma = h = self.encoding(positions)  # [M, E]
        for i, layer in enumerate(self.layers):
            h = torch.cat([h, gamma.to(h.dtype)], dim=1) if i == self.skip else h  # after `skip` layers
            h = torch.relu(layer(h))  # [M, W]
        density = density_activation(self.density_head(h)[:, 0], self.density_kind)  # [M]
        feature = self.feature(h)
        h = torch.cat([feature, self.direction_encoding(directions).to(feature.dtype)], dim=1)  # [M, W + V]
        h = torch.relu(self.view_layer(h))  # [M, W / 2]
        return FieldOutput(density, {COLOUR: torch.sigmoid(self.colour_head(h).float())})  # [M], [M, 3]

"""The field of Instant-NGP (Mueller et al. 2022, section 5.4): the scene is learned in a table, not in a network.

hash encoding of x -> one hidden layer -> 16 numbers, the first the logarithm of density; with the view direction's
harmonics -> two hidden layers -> rgb. No layer has a bias.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from nerfpipe.config.methods import NgpFieldParams
from nerfpipe.fields.activations import exponential_density
from nerfpipe.fields.base import Field
from nerfpipe.fields.hash_encoding import HashEncoding
from nerfpipe.ops import dispatch
from nerfpipe.ops.constants import COLOURS, GEOMETRY
from nerfpipe.ops.ngp_field import ngp_density, ngp_field
from nerfpipe.ops.spherical_harmonics import COMPONENTS, spherical_harmonics
from nerfpipe.types import COLOUR, FieldOutput


class NgpField(Field):
    """The field inside the scene's bounds [2, 3]."""

    def __init__(self, params: NgpFieldParams, bounds: Float[Tensor, "2 3"]) -> None:
        super().__init__()
        self.side = float((bounds[1] - bounds[0]).max())  # of the cube that holds the bounds
        low = bounds.mean(dim=0) - self.side / 2
        H = params.width
        self.grid = HashEncoding(
            low, self.side, params.levels, params.base_resolution, params.max_resolution, params.log2_hashmap_size
        )
        self.density_layers = Layers(self.grid.size, H, GEOMETRY)
        self.colour_layers = Layers(GEOMETRY + COMPONENTS, H, H, COLOURS)

    @property
    def weights(self) -> list[Float[Tensor, "_ _"]]:
        """The weights of all layers, in order."""
        return [layer.weight for layer in (*self.density_layers.linear, *self.colour_layers.linear)]

    @property
    def arguments(self) -> tuple[Any, ...]:
        """The arguments of operations on this field (ops/ngp_field.py): table, weights, low, levels, side."""
        return self.grid.table, *self.weights, self.grid.low, self.grid.level_table, self.side

    def forward(self, positions: Float[Tensor, "M 3"], directions: Float[Tensor, "M 3"]) -> FieldOutput:
        """Positions [M, 3] and unit view directions [M, 3] -> density [M], colour [M, 3]."""
        if dispatch.is_fast(positions):
            density, colour, _ = ngp_field(positions, directions, *self.arguments)
            return FieldOutput(density, {COLOUR: colour})
        return self.definition(positions, directions)

    def definition(self, positions: Float[Tensor, "M 3"], directions: Float[Tensor, "M 3"]) -> FieldOutput:
        """The definition in plain torch, for any device."""
        geometry = self.density_layers(self.grid(positions))  # [M, 16]
        harmonics = spherical_harmonics(directions).to(geometry.dtype)
        raw = self.colour_layers(torch.cat([geometry, harmonics], dim=1))  # [M, 4]
        return FieldOutput(self._density(geometry), {COLOUR: torch.sigmoid(raw[:, :3].float())})  # [M], [M, 3]

    @torch.no_grad()
    def density(self, positions: Float[Tensor, "M 3"]) -> Float[Tensor, " M"]:
        """Density [M] alone, without gradient, for the occupancy grid."""
        if dispatch.is_fast(positions):
            return ngp_density(positions, *self.arguments)
        return self._density(self.density_layers(self.grid(positions)))

    def freeze_levels(self, learning: float) -> None:
        self.grid.freeze_levels(learning)

    def _density(self, geometry: Tensor) -> Tensor:
        """Density per scene unit. The network's is per side of the cube, so that a scene's scale does not matter."""
        return exponential_density(geometry[:, 0]) / self.side  # [M]


class Layers(nn.ModuleList):
    """Layers without bias from each size to the next, initialised so that signals keep their size (He et al. 2015)."""

    def __init__(self, *sizes: int) -> None:
        stack = [nn.Linear(a, b, bias=False) for a, b in pairwise(sizes)]
        super().__init__(stack)
        for layer in stack:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")

    @property
    def linear(self) -> list[nn.Linear]:
        """The layers in order."""
        return [layer for layer in self if isinstance(layer, nn.Linear)]

    def forward(self, x: Float[Tensor, "M I"]) -> Float[Tensor, "M O"]:
        """x [M, I] through the layers, with a ReLU between every two."""
        *hidden, last = self.linear
        for layer in hidden:
            x = torch.relu(layer(x))
        return last(x)

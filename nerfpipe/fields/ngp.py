"""The field of Instant-NGP (Mueller et al. 2022, section 5.4): what is where is learned in a table, not in a network.

hash encoding of x -> one hidden layer -> 16 numbers, the first the logarithm of density; with the view direction's
harmonics -> two hidden layers -> rgb. No layer has a bias.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from nerfpipe.config.methods import NgpFieldParams
from nerfpipe.fields.activations import exponential_density
from nerfpipe.fields.hash_encoding import HashGrid
from nerfpipe.ops import dispatch
from nerfpipe.ops.spherical_harmonics import COMPONENTS, spherical_harmonics

GEOMETRY = 16  # numbers that the density network hands to the colour network
COLOURS = 4  # rows of the last layer: red, green, blue and one unused, because kernels take four at a time


class NgpField(nn.Module):
    """The field inside the scene's bounds [2, 3]."""

    def __init__(self, params: NgpFieldParams, bounds: Tensor) -> None:
        super().__init__()
        self.side = float((bounds[1] - bounds[0]).max())  # of the cube that holds the bounds
        low = bounds.mean(dim=0) - self.side / 2
        H = params.width
        self.grid = HashGrid(
            low, self.side, params.levels, params.base_resolution, params.max_resolution, params.log2_hashmap_size
        )
        self.density_layers = layers(self.grid.size, H, GEOMETRY)
        self.colour_layers = layers(GEOMETRY + COMPONENTS, H, H, COLOURS)

    @property
    def weights(self) -> list[Tensor]:
        """The weights of all layers, in order."""
        return [layer.weight for layer in (*self.density_layers, *self.colour_layers)]

    def forward(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions [M, 3] and unit view directions [M, 3] -> density [M], colour [M, 3]."""
        if dispatch.in_use(positions.device):
            from nerfpipe.kernels.numba.bindings import ngp_field

            return ngp_field(self, positions, directions)
        return self.reference(positions, directions)

    def reference(self, positions: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        """The same in plain torch, for any device."""
        geometry = run_layers(self.density_layers, self.grid(positions))  # [M, 16]
        harmonics = spherical_harmonics(directions).to(geometry.dtype)
        raw = run_layers(self.colour_layers, torch.cat([geometry, harmonics], dim=1))  # [M, 4]
        return self._density(geometry), torch.sigmoid(raw[:, :3].float())  # [M], [M, 3]

    @torch.no_grad()
    def density(self, positions: Tensor) -> Tensor:
        """Density [M] alone, without gradient, for the occupancy grid."""
        if dispatch.in_use(positions.device):
            from nerfpipe.kernels.numba.bindings import ngp_density

            return ngp_density(self, positions)
        return self._density(run_layers(self.density_layers, self.grid(positions)))

    def _density(self, geometry: Tensor) -> Tensor:
        """Density per scene unit. The network counts in sides of the cube, so that a scene's scale does not matter."""
        return exponential_density(geometry[:, 0]) / self.side  # [M]


def layers(*sizes: int) -> nn.ModuleList:
    """Layers without bias from each size to the next, begun so that signals keep their size (He et al. 2015)."""
    stack = nn.ModuleList(nn.Linear(a, b, bias=False) for a, b in pairwise(sizes))
    for layer in stack:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    return stack


def run_layers(stack: nn.ModuleList, x: Tensor) -> Tensor:
    """x [M, I] through the layers, with a ReLU between every two."""
    for layer in stack[:-1]:
        x = torch.relu(layer(x))
    return stack[-1](x)

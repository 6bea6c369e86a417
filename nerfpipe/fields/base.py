"""The interface of all fields."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from nerfpipe.types import FieldOutput


class Field(nn.Module):
    """Maps positions in the box of a space, and view directions, to density and named channels."""

    def forward(self, positions: Float[Tensor, "M 3"], directions: Float[Tensor, "M 3"]) -> FieldOutput:
        """Density [M] and channels [M, C] at positions [M, 3], seen along unit directions [M, 3]."""
        raise NotImplementedError

    def density(self, positions: Float[Tensor, "M 3"]) -> Float[Tensor, " M"]:
        """Density [M] alone. Faster if the field need not compute its other channels."""
        output: FieldOutput = self(positions, positions.new_zeros(positions.shape))
        return output.density

    def freeze_levels(self, learning: float) -> None:
        """Clear the gradient of parts that do not learn yet; from `learning` = 1 on, all parts learn."""

"""A model evaluated at points of the world, without rays: density, colour and surface normals."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import normalize

from nerfpipe.geometry.space import Space
from nerfpipe.rendering.render_rays import HasPasses

CHUNK = 2**17  # points evaluated at once
STEP = 1 / 256  # of the box's longest side: the step of the central differences that give a normal


class FieldQuery:
    """Evaluates the last pass of a model at points. Input and output are on the CPU, in scene units."""

    def __init__(self, model: HasPasses, space: Space, device: torch.device) -> None:
        model.to(device)
        self.sampler, self.field = model.last.sampler, model.last.field
        self.space, self.device = space, device
        self.step = STEP * float((space.box[1] - space.box[0]).max())

    @torch.no_grad()
    def density(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, " P"]:
        """Density [P] at points [P, 3], per scene unit (in an unbounded space, per unit of s; see contraction).

        Zero outside the bounds and in cells that the sampler does not mark as occupied: nothing was trained there.
        """
        return torch.cat([self._density(chunk) for chunk in points.split(CHUNK)])

    def _density(self, points: Tensor) -> Tensor:
        positions, occupied = self._positions(points.to(self.device))
        density = torch.zeros_like(positions[:, 0])  # [P]; most of a scene is empty, and not evaluated
        density[occupied] = self.field.density(positions[occupied]).float()
        return density.cpu()

    @torch.no_grad()
    def colour(self, points: Float[Tensor, "P 3"], directions: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
        """Colour [P, 3] in [0, 1] of points [P, 3], seen along unit directions [P, 3]."""
        colours = []
        for chunk, along in zip(points.split(CHUNK), directions.split(CHUNK), strict=True):
            positions, _ = self._positions(chunk.to(self.device))
            colours.append(self.field(positions, along.to(self.device)).colour.float().cpu())
        return torch.cat(colours)

    def normals(self, points: Float[Tensor, "P 3"]) -> Float[Tensor, "P 3"]:
        """Unit normals [P, 3] at points [P, 3]: against the gradient of density; zero where the gradient is zero.

        The gradient is taken by central differences, which any field allows, over a step of about one voxel: finer
        detail is noise.
        """
        step = self.step * self.space.growth(points)  # [P, 1]
        differences = []
        for axis in torch.eye(3):
            ahead, behind = self.density(points + step * axis), self.density(points - step * axis)
            differences.append(behind - ahead)
        return normalize(torch.stack(differences, dim=1), dim=1)  # [P, 3]

    def _positions(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """World points [P, 3] in the coordinates of the field, and which of them may hold matter, [P] bool."""
        positions, inside = self.space.from_world(points)
        return positions, inside & self.sampler.is_occupied(positions)

"""What a model says at points of the world, apart from any ray: density, colour, and which way surfaces face."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from nerfpipe.geometry.space import Space
from nerfpipe.rendering.render_rays import HasPasses

BLOCK = 2**17  # points asked about at once
STEP = 1 / 256  # of the box's longest side: how far to either side density is looked at for its gradient


class Probe:
    """Asks the last pass of a model. Points go in and answers come out on the CPU, in scene units."""

    def __init__(self, model: HasPasses, space: Space, device: torch.device) -> None:
        last = model.to(device).last
        self.sampler, self.field = last.sampler, last.field
        self.space, self.device = space, device
        self.step = STEP * float((space.box[1] - space.box[0]).max())

    @torch.no_grad()
    def density(self, points: Tensor) -> Tensor:
        """Density [P] at points [P, 3], per scene unit (in an unbounded space, per unit of s; see contraction).

        Zero outside the bounds, and where the occupancy grid has found nothing: there the field was never asked.
        """
        return torch.cat([self._density(block) for block in points.split(BLOCK)])

    def _density(self, points: Tensor) -> Tensor:
        placed, inside = self._place(points.to(self.device))
        asked, density = placed[inside], torch.zeros_like(placed[:, 0])  # most of a scene is empty: it is not asked
        density[inside] = self.field.density(asked).float()
        return density.cpu()

    @torch.no_grad()
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        """Colour [P, 3] in [0, 1] of points [P, 3], seen along unit directions [P, 3]."""
        found = []
        for block, along in zip(points.split(BLOCK), directions.split(BLOCK), strict=True):
            placed, _ = self._place(block.to(self.device))
            found.append(self.field(placed, along.to(self.device)).colour.float().cpu())
        return torch.cat(found)

    def normals(self, points: Tensor) -> Tensor:
        """Unit normals [P, 3]: against the gradient of density, out of what is dense; zero where it is even.

        By central differences, which any field answers, over a step of a voxel or so: what is finer is noise.
        """
        step = self.step * self.space.growth(points)  # [P, 1]
        slopes = []
        for axis in torch.eye(3):
            ahead, behind = self.density(points + step * axis), self.density(points - step * axis)
            slopes.append(behind - ahead)
        return normalize(torch.stack(slopes, dim=1), dim=1)  # [P, 3]

    def _place(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """World points [P, 3] in the coordinates of the field, and which of them can hold something, [P] bool."""
        placed, inside = self.space.from_world(points)
        return placed, inside & self.sampler.is_occupied(placed)

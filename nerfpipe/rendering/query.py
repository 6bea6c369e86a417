"""What a model says at points of the world, apart from any ray: density, colour, and which way surfaces face."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from nerfpipe.geometry.contraction import contract
from nerfpipe.geometry.ndc import to_ndc
from nerfpipe.geometry.space import Space
from nerfpipe.models.model import Model
from nerfpipe.samplers.occupancy import Occupancy

BLOCK = 2**17  # points asked about at once
STEP = 1 / 256  # of the box's longest side: how far to either side density is looked at for its gradient


class Probe:
    """Asks the last pass of a model. Points go in and answers come out on the CPU, in scene units."""

    def __init__(self, model: Model, space: Space, device: torch.device) -> None:
        self.sampler, self.field = model.to(device).passes[-1].sampler, model.passes[-1].field
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
        answers = hasattr(self.field, "density")  # NGP's field can be asked for density alone
        found = self.field.density(asked) if answers else self.field(asked, torch.zeros_like(asked))[0]
        density[inside] = found.float()
        return density.cpu()

    @torch.no_grad()
    def colour(self, points: Tensor, directions: Tensor) -> Tensor:
        """Colour [P, 3] in [0, 1] of points [P, 3], seen along unit directions [P, 3]."""
        found = []
        for block, along in zip(points.split(BLOCK), directions.split(BLOCK), strict=True):
            placed, _ = self._place(block.to(self.device))
            found.append(self.field(placed, along.to(self.device))[1].float().cpu())
        return torch.cat(found)

    def normals(self, points: Tensor) -> Tensor:
        """Unit normals [P, 3]: against the gradient of density, out of what is dense; zero where it is even.

        By central differences, which any field answers, over a step of a voxel or so: what is finer is noise.
        """
        step = self.step * self._growth(points)  # [P, 1]
        slopes = []
        for axis in torch.eye(3):
            ahead, behind = self.density(points + step * axis), self.density(points - step * axis)
            slopes.append(behind - ahead)
        return normalize(torch.stack(slopes, dim=1), dim=1)  # [P, 3]

    def _place(self, points: Tensor) -> tuple[Tensor, Tensor]:
        """Where the field has the points [P, 3], and which of them can hold something [P] bool."""
        lower, upper = self.space.box.to(points)
        if self.space.unbounded:
            placed, inside = contract(points), torch.ones_like(points[:, 0], dtype=torch.bool)
        elif self.space.frustum is not None:
            placed = to_ndc(points, self.space.frustum)
            inside = (points[:, 2] < 0) & ((placed >= lower) & (placed <= upper)).all(dim=1)
        else:
            placed, inside = points, ((points >= lower) & (points <= upper)).all(dim=1)
        if isinstance(self.sampler, Occupancy):
            inside &= self.sampler.occupied_at(placed)
        return placed, inside

    def _growth(self, points: Tensor) -> Tensor:
        """How many times longer [P, 1] a step of the field's space is in the world."""
        if self.space.unbounded:
            return points.abs().amax(dim=1, keepdim=True).clamp_min(1)
        if self.space.frustum is not None:
            return points[:, 2:].abs() / max(self.space.frustum)
        return torch.ones_like(points[:, :1])

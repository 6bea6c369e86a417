"""Normals of a rendered view."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.space import world_rays
from nerfpipe.rendering.query import FieldQuery
from nerfpipe.rendering.renderer import Picture

SEEN = 0.5  # opacity from which a pixel shows a surface


def normal_map(
    query: FieldQuery, picture: Picture, camera: Camera, pose: Float[Tensor, "3 4"]
) -> Float[Tensor, "H W 3"]:
    """Unit world normals [H, W, 3] of the surfaces in a rendered picture; zero for pixels that show no surface.

    They are taken at the picture's depth. A normal that points away from the camera is flipped.
    """
    origins, directions = world_rays(camera, pose)  # [H·W, 3]
    t = query.space.distance(origins, directions, picture.depth.flatten())  # [H·W]
    seen = (picture.opacity.flatten() >= SEEN) & (t > 0)
    normals = torch.zeros_like(directions)
    found = query.normals((origins + t[:, None] * directions)[seen])
    away = (found * directions[seen]).sum(dim=1, keepdim=True) > 0
    normals[seen] = torch.where(away, -found, found)
    return normals.reshape(camera.height, camera.width, 3)

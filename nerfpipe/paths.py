"""Camera paths for renders."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nerfpipe.cameras import look_at

UP = (0.0, 0.0, 1.0)  # scenes stand on their xy plane


def orbit(centre: Tensor, radius: float, elevation: float, frames: int) -> Tensor:
    """Poses [F, 3, 4] once round a centre [3], looking at it, in equal steps: the last joins the first.

    `elevation` is in degrees above the horizon; straight up and straight down stop just short of the pole.
    """
    lift = math.radians(max(-89.9, min(89.9, elevation)))
    up = torch.tensor(UP)
    poses = []
    for frame in range(frames):
        turn = 2 * math.pi * frame / frames
        outward = torch.tensor([math.cos(lift) * math.cos(turn), math.cos(lift) * math.sin(turn), math.sin(lift)])
        poses.append(look_at(centre + radius * outward, centre, up))
    return torch.stack(poses)  # [F, 3, 4]

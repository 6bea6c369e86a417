"""Shading of solids: a warm key light with soft shadows, ambient light of a cool sky, and specular highlights.

Colours are linear until `to_srgb`. Points and directions are [P, 3] in world space; directions are unit vectors that
point away from the surface.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nerfpipe.procedural import sdf
from nerfpipe.procedural.sdf import Vector
from nerfpipe.procedural.solids import Hits, Solid, occluded, openness

KEY_DIRECTION: Vector = (0.42, -0.50, 0.757)  # towards the light, close to unit length
KEY_COLOUR: Vector = (2.75, 2.55, 2.20)
KEY_SPREAD = 0.045  # angular radius of the light in radians, which softens shadows
RIM_DIRECTION: Vector = (-0.70, 0.55, 0.456)  # a weak second light from behind, for highlights only
RIM_STRENGTH = 0.35
SKY: Vector = (0.74, 0.84, 1.00)  # light from above
GROUND: Vector = (0.50, 0.42, 0.36)  # light from below
HORIZON: Vector = (0.95, 0.95, 0.93)  # reflected light from the sides
AMBIENT = 0.72
OPEN_HEIGHTS = (0.03, 0.08, 0.16)  # heights over the surface at which ambient occlusion is sampled
LIFT = 4e-3  # height over the surface at which shadow rays start, so that they do not hit it
EXPOSURE = 0.80


def linear(code: str) -> Vector:
    """The linear colour [3] of an sRGB code such as "#f07820"."""
    channels = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return r, g, b


def to_srgb(light: Tensor) -> Tensor:
    """Linear light of any shape, tone-mapped, as sRGB in 0 to 1."""
    x = light * EXPOSURE
    toned = (x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14)).clamp(0, 1)  # ACES curve, fitted by Narkowicz 2016
    return torch.where(toned <= 0.0031308, toned * 12.92, 1.055 * toned.clamp(min=1e-6) ** (1 / 2.4) - 0.055)


def light_directions(count: int) -> Tensor:
    """Unit directions [count, 3], spread evenly over the disc of the key light, from its centre outwards."""
    towards = torch.tensor(KEY_DIRECTION)
    towards = towards / towards.norm()
    side = torch.linalg.cross(towards, torch.tensor((0.0, 0.0, 1.0)))
    side = side / side.norm()
    other = torch.linalg.cross(towards, side)
    golden = math.pi * (3 - math.sqrt(5))
    spread = [(KEY_SPREAD * math.sqrt(i / count), golden * i) for i in range(count)]
    rays = torch.stack([towards + r * (math.cos(a) * side + math.sin(a) * other) for r, a in spread])
    return rays / rays.norm(dim=1, keepdim=True)


def shade(
    solids: Sequence[Solid], origins: Tensor, directions: Tensor, hits: Hits, lights: Tensor
) -> tuple[Tensor, Tensor]:
    """sRGB colours [P, 3] and labels [P] uint8 of rays that all hit a solid.

    lights [P, 3]: directions towards the points of the key light that light the hits.
    """
    points = (origins.T + hits.t * directions.T).T  # [P, 3]
    normal, albedo = torch.zeros_like(points), torch.zeros_like(points)
    specular, shininess = torch.zeros_like(hits.t), torch.ones_like(hits.t)
    labels = torch.zeros(len(points), dtype=torch.uint8)
    for number, solid in enumerate(solids):
        mine = (hits.solid == number).nonzero()[:, 0]
        if len(mine) == 0:
            continue
        local = solid.to_local(points[mine])
        normal[mine] = solid.directions_to_world(sdf.normals(solid.distance, local))
        which = solid.part_at(local)
        for index, part in enumerate(solid.parts):
            chosen = (which == index).nonzero()[:, 0]
            if len(chosen):
                here = mine[chosen]
                albedo[here] = part.surface.albedo(local[chosen])
                specular[here], shininess[here] = part.surface.specular, part.surface.shininess
                labels[here] = part.label
    clear = _key_light_reaches(solids, points, normal, lights)
    open_sky = openness(solids, points, normal, OPEN_HEIGHTS)
    return to_srgb(_reflected(normal, -directions, lights, albedo, specular, shininess, clear, open_sky)), labels


def _key_light_reaches(solids: Sequence[Solid], points: Tensor, normal: Tensor, lights: Tensor) -> Tensor:
    """Visibility of the key light from the surface [P]: 1 in light, 0 in shadow."""
    facing = (_dot(normal, lights) > 0).nonzero()[:, 0]
    lit = torch.zeros(len(points))
    starts = (points[facing].T + LIFT * normal[facing].T).T
    lit[facing] = (~occluded(solids, starts, lights[facing])).float()
    return lit


def _reflected(
    normal: Tensor,
    view: Tensor,
    lights: Tensor,
    albedo: Tensor,
    specular: Tensor,
    shininess: Tensor,
    clear: Tensor,
    open_sky: Tensor,
) -> Tensor:
    """Linear light [P, 3] towards the camera. `view` [P, 3] points to it; `clear` and `open_sky` [P] are in 0 to 1.

    Diffuse light and a Blinn-Phong highlight, weighted by Schlick's Fresnel term.
    """
    sky, ground, horizon = torch.tensor(SKY), torch.tensor(GROUND), torch.tensor(HORIZON)
    upward = 0.5 + 0.5 * normal[:, 2:]  # [P, 1]
    diffuse = AMBIENT * open_sky[:, None] * (ground + (sky - ground) * upward)
    key = torch.tensor(KEY_COLOUR) * (clear * _dot(normal, lights).clamp(min=0))[:, None]

    facing = _dot(normal, view).clamp(0, 1)
    fresnel = specular + (1 - specular) * 0.5 * (1 - facing) ** 5  # half of Schlick's term: no surface is polished
    mirror_up = 2 * _dot(normal, view) * normal[:, 2] - view[:, 2]  # z of the reflected direction
    towards = mirror_up.clamp(-1, 1)[:, None]
    mirrored = torch.where(towards > 0, horizon + (sky - horizon) * towards, horizon - (horizon - ground) * -towards)

    norm = (shininess + 8) / 25  # sharper highlights are brighter
    highlight = norm * clear * _blinn_phong(normal, view, lights, shininess)
    rim = torch.tensor(RIM_DIRECTION).expand_as(view)
    highlight = highlight + norm * RIM_STRENGTH * open_sky * _blinn_phong(normal, view, rim, shininess)
    gloss = fresnel[:, None] * (AMBIENT * open_sky[:, None] * mirrored + torch.tensor(KEY_COLOUR) * highlight[:, None])
    return albedo * (1 - fresnel[:, None]) * (diffuse + key) + gloss


def _blinn_phong(normal: Tensor, view: Tensor, towards: Tensor, shininess: Tensor) -> Tensor:
    """Specular reflection [P] of a light in direction `towards` [P, 3], 1 at the centre of a highlight (Blinn 1977)."""
    half = view + towards
    half = half / sdf.length(*half.T).clamp(min=1e-6)[:, None]
    seen = _dot(normal, half).clamp(min=1e-4) ** shininess
    return seen * (_dot(normal, towards) > 0)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Dot products [P] of vectors [P, 3]."""
    return a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] + a[:, 2] * b[:, 2]

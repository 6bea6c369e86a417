"""Colours and procedural textures of the robot-arm scene.

A texture maps local points [P, 3] of a solid to linear colours [P, 3]. Details are larger than 0.02 scene units, about
a pixel of the standard images.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from nerfpipe.procedural import sdf
from nerfpipe.procedural.sdf import Vector
from nerfpipe.procedural.shading import linear
from nerfpipe.procedural.solids import Surface

Texture = Callable[[Tensor], Tensor]  # [P, 3] -> [P, 3]

ORANGE, WHITE, GRAPHITE, STEEL = linear("#f26a12"), linear("#f1efe9"), linear("#30353d"), linear("#8d97a3")
YELLOW, BLACK, TEAL = linear("#f6bd16"), linear("#1d1f24"), linear("#14a098")
CREAM, NAVY, COFFEE = linear("#f6f0e2"), linear("#1f4f9c"), linear("#3a1d0e")
WALNUT_DARK, WALNUT_LIGHT, MAPLE = linear("#7a4526"), linear("#b5763f"), linear("#e9c995")
BIRCH = linear("#f3dfb9")

# Strokes (x0, y0, x1, y1) of the letters on the blocks, in a square from -1 to 1.
LETTERS = {
    "N": ((-0.7, -1, -0.7, 1), (-0.7, 1, 0.7, -1), (0.7, -1, 0.7, 1)),
    "E": ((-0.6, -1, -0.6, 1), (-0.6, 1, 0.7, 1), (-0.6, 0, 0.5, 0), (-0.6, -1, 0.7, -1)),
    "R": ((-0.6, -1, -0.6, 1), (-0.6, 1, 0.3, 1), (0.3, 1, 0.65, 0.5), (0.65, 0.5, 0.3, 0), (0.3, 0, -0.6, 0),
          (0.0, 0, 0.7, -1)),
    "F": ((-0.6, -1, -0.6, 1), (-0.6, 1, 0.7, 1), (-0.6, 0, 0.5, 0)),
}  # fmt: skip
LETTER_SIZE, LETTER_STROKE = 0.50, 0.15  # in shares of half a block's edge
FRAME = 0.80  # inner edge of the coloured frame of a block's face, in shares of half the block's edge
PIPS = ((0.0, 0.0), (0.48, 0.48), (-0.48, 0.48), (0.48, -0.48), (-0.48, -0.48))
PIP_RADIUS = 0.17
PLANK_WIDTH = 0.235


def plain(colour: Vector) -> Texture:
    """One colour."""
    return lambda points: torch.tensor(colour).expand(len(points), 3)


def mix(a: Vector | Tensor, b: Vector | Tensor, amount: Tensor) -> Tensor:
    """Colours [P, 3], interpolated from a to b (each [3] or [P, 3]) by `amount` [P], in 0 to 1 or bool."""
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    return a + (b - a) * amount.float()[:, None]


def planks(radius: float) -> Texture:
    """Walnut planks along x, with a maple inlay near the rim of a round table."""

    def texture(points: Tensor) -> Tensor:
        x, y, _ = points.T
        across = y / PLANK_WIDTH + 0.5  # shifted by half a plank, so that no seam is tangent to the rim
        plank = torch.floor(across)
        shift = torch.sin(plank * 12.9898) * 43.0  # a different grain for every plank
        wave = torch.sin(3.1 * x + shift) + 0.6 * torch.sin(7.3 * x - 2.0 * shift + 9.0 * y)
        grain = 0.5 + 0.5 * torch.sin(52.0 * y + 1.9 * wave + shift)
        tone = 0.5 + 0.32 * torch.sin(plank * 78.233 + 1.3)
        colour = mix(WALNUT_DARK, WALNUT_LIGHT, (0.62 * tone + 0.38 * grain).clamp(0, 1))
        seam = (across - plank - 0.5).abs() > 0.465
        colour = colour * (1 - 0.55 * seam.float())[:, None]
        ring = (sdf.length(x, y) - radius * 0.90).abs() < 0.019
        return mix(colour, MAPLE, ring)

    return texture


def hazard(low: float, high: float) -> Texture:
    """White, with a band of slanted yellow and black stripes around z between two heights."""

    def texture(points: Tensor) -> Tensor:
        x, y, z = points.T
        turns = torch.atan2(y, x) / (2 * math.pi)
        stripe = torch.sin(2 * math.pi * (9 * turns + 5.0 * z)) > 0
        band = (z > low) & (z < high)
        stripes = mix(torch.tensor(BLACK), torch.tensor(YELLOW), stripe)
        return mix(WHITE, stripes, band)

    return texture


def joint(centre: Vector, radius: float, half_length: float, cap: Vector) -> Texture:
    """A dark drum along y; its ends are coloured caps with a ring of bolts."""
    bolts, bolt_radius = 6, 0.125 * radius

    def texture(points: Tensor) -> Tensor:
        x, y, z = points[:, 0] - centre[0], (points[:, 1] - centre[1]).abs(), points[:, 2] - centre[2]
        across = sdf.length(x, z)
        colour = mix(GRAPHITE, cap, (y > 0.86 * half_length) & (across < 0.84 * radius))
        sector = 2 * math.pi / bolts
        angle = torch.remainder(torch.atan2(z, x), sector) - sector / 2
        spot = sdf.length(across * torch.cos(angle) - 0.55 * radius, across * torch.sin(angle))
        return mix(colour, GRAPHITE, (y > 0.86 * half_length) & (spot < bolt_radius))

    return texture


def sleeve(start: Vector, end: Vector, base: Vector, bands: tuple[tuple[float, float, Vector], ...]) -> Texture:
    """One colour, with bands around the line from start to end: (from, to, colour), in shares of its length."""
    span = math.dist(start, end)

    def texture(points: Tensor) -> Tensor:
        along = torch.zeros(())
        for i in range(3):
            along = along + (points[:, i] - start[i]) * ((end[i] - start[i]) / span**2)
        colour = plain(base)(points)
        for low, high, band in bands:
            colour = mix(colour, band, (along > low) & (along < high))
        return colour

    return texture


def glazed(height: float, inner: float) -> Texture:
    """A cream mug with blue bands outside the radius `inner`."""

    def texture(points: Tensor) -> Tensor:
        x, y, z = points.T
        band = torch.remainder(z / height * 3.5 + 0.12, 1.0) < 0.52
        outside = (sdf.length(x, y) > inner) & (z < 0.93 * height)
        return mix(CREAM, NAVY, band & outside)

    return texture


def _face_coordinates(points: Tensor, half: float) -> tuple[Tensor, Tensor]:
    """Coordinates u (right) and v (up) [P] of local points on the nearest face of a cube, -1 to 1 from edge to edge.

    The directions are those seen from outside, on the top from -y, so that no letter is mirrored.
    """
    x, y, z = points.T / half
    top = (z.abs() > x.abs()) & (z.abs() > y.abs())
    along_x = (x.abs() > y.abs()) & ~top
    u = torch.where(along_x, y * x.sign(), torch.where(top, x, -x * y.sign()))
    return u, torch.where(top, y, z)


def lettered(letter: str, colour: Vector, half: float) -> Texture:
    """A toy block: birch faces with a coloured frame and letter."""

    def texture(points: Tensor) -> Tensor:
        u, v = _face_coordinates(points, half)
        flat = torch.stack([u, v, torch.zeros_like(u)]).T / LETTER_SIZE
        strokes = [
            sdf.capsule(flat, (x0, y0, 0.0), (x1, y1, 0.0), LETTER_STROKE / LETTER_SIZE)
            for x0, y0, x1, y1 in LETTERS[letter]
        ]
        frame = torch.maximum(u.abs(), v.abs()) > FRAME
        return mix(BIRCH, colour, frame | (sdf.union(strokes) < 0))

    return texture


def dotted(colour: Vector, half: float) -> Texture:
    """A die: a coloured cube with five white pips on every face."""

    def texture(points: Tensor) -> Tensor:
        u, v = _face_coordinates(points, half)
        distances = [sdf.length(u - a, v - b) for a, b in PIPS]
        return mix(colour, WHITE, sdf.union(distances) < PIP_RADIUS)

    return texture


def paint(texture: Texture | Vector) -> Surface:
    """Glossy lacquer."""
    return Surface(texture if callable(texture) else plain(texture), specular=0.06, shininess=90.0)


def metal(texture: Texture | Vector) -> Surface:
    """Brushed dark metal: a broad, strong highlight."""
    return Surface(texture if callable(texture) else plain(texture), specular=0.16, shininess=34.0)


def glaze(texture: Texture | Vector) -> Surface:
    """Fired ceramic: a small, bright highlight."""
    return Surface(texture if callable(texture) else plain(texture), specular=0.07, shininess=190.0)


def wood(texture: Texture | Vector) -> Surface:
    """Oiled wood: a faint sheen."""
    return Surface(texture if callable(texture) else plain(texture), specular=0.035, shininess=28.0)

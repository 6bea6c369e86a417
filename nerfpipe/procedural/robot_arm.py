"""The built-in scene: a robot arm sets down the last of four letter blocks, beside a mug, on a round table.

z is up and the table's top is at z = 0. The arm's solids share a local space: its foot is the origin, x is the
direction of its reach, and its joints rotate about y.
"""

from __future__ import annotations

import math
from functools import partial

from torch import Tensor

from nerfpipe.procedural import materials, sdf
from nerfpipe.procedural.materials import glaze, metal, paint, wood
from nerfpipe.procedural.sdf import Vector
from nerfpipe.procedural.shading import linear
from nerfpipe.procedural.solids import Part, Solid

BOUNDS = ((-1.0, -1.0, -0.15), (1.0, 1.0, 1.35))
CENTRE: Vector = (0.0, 0.0, 0.34)  # the point that the cameras look at
LABELS = ("background", "table", "arm", "mug body", "mug handle", "block")
TABLE, ARM, MUG, HANDLE, BLOCK = range(1, 6)

TABLE_RADIUS, TABLE_THICKNESS = 0.94, 0.10
ARM_FOOT: Vector = (-0.22, 0.34, 0.0)
SHOULDER: Vector = (0.0, 0.0, 0.37)
ELBOW: Vector = (0.02, 0.0, 1.05)
BLOCK_EDGE = 0.24
HELD: Vector = (0.32, -0.46, 0.43)  # centre of the block in the gripper
REACH = math.dist(ARM_FOOT[:2], HELD[:2])
HEADING = math.atan2(HELD[1] - ARM_FOOT[1], HELD[0] - ARM_FOOT[0])
WRIST: Vector = (REACH, 0.0, 0.86)
HAND_TURN = math.radians(14)
MUG_POSITION, MUG_TURN = (0.62, 0.12, 0.0), math.radians(-42)
MUG_RADIUS, MUG_HEIGHT, MUG_WALL = 0.175, 0.37, 0.032
# Letter, colour, centre of the base (x, y), yaw in degrees.
STANDING_BLOCKS = (
    ("N", "#d8323c", -0.56, -0.40, -22.0),
    ("E", "#2f9e50", -0.28, -0.55, -9.0),
    ("R", "#2a6fd0", 0.03, -0.58, 4.0),
)
HELD_COLOUR = "#8a46b8"
DIE_POSITION, DIE_TURN, DIE_EDGE, DIE_COLOUR = (-0.68, 0.10), math.radians(28), 0.19, linear("#f2b21b")


def solids() -> tuple[Solid, ...]:
    """All solids of the scene, small ones first."""
    blocks = [_letter_block(*block) for block in STANDING_BLOCKS]
    return (*blocks, _held_block(), _die(), *_mug(), _hand(), _forearm(), _upper_arm(), _base(), _table())


def _table() -> Solid:
    middle, half = (0.0, 0.0, -TABLE_THICKNESS / 2), TABLE_THICKNESS / 2
    shape = partial(sdf.cylinder, centre=middle, axis=2, radius=TABLE_RADIUS, half_length=half, rounding=0.03)
    r = TABLE_RADIUS
    return Solid((Part(shape, wood(materials.planks(r)), TABLE),), (-r, -r, -TABLE_THICKNESS), (r, r, 0.0))


def _cube(edge: float, texture: materials.Texture, centre: Vector, yaw: float) -> Solid:
    """A cube with its centre at `centre`, rotated by `yaw` radians about z."""
    h = edge / 2
    shape = partial(sdf.box, centre=(0.0, 0.0, 0.0), half=(h, h, h), rounding=0.1 * edge)
    return Solid((Part(shape, paint(texture), BLOCK),), (-h, -h, -h), (h, h, h), centre, yaw)


def _letter_block(letter: str, colour: str, x: float, y: float, degrees: float) -> Solid:
    texture = materials.lettered(letter, linear(colour), BLOCK_EDGE / 2)
    return _cube(BLOCK_EDGE, texture, (x, y, BLOCK_EDGE / 2), math.radians(degrees))


def _held_block() -> Solid:
    texture = materials.lettered("F", linear(HELD_COLOUR), BLOCK_EDGE / 2)
    return _cube(BLOCK_EDGE, texture, HELD, HAND_TURN)


def _die() -> Solid:
    texture = materials.dotted(DIE_COLOUR, DIE_EDGE / 2)
    return _cube(DIE_EDGE, texture, (*DIE_POSITION, DIE_EDGE / 2), DIE_TURN)


def _mug() -> tuple[Solid, Solid]:
    r, h = MUG_RADIUS, MUG_HEIGHT
    inner, coffee = r - MUG_WALL, 0.80 * h

    def cup(points: Tensor) -> Tensor:
        outside = sdf.cylinder(points, (0.0, 0.0, h / 2), 2, r, h / 2, rounding=0.02)
        hollow = sdf.cylinder(points, (0.0, 0.0, h), 2, inner, h - 0.05)
        return sdf.subtract(outside, hollow, rounding=0.02)

    def handle(points: Tensor) -> Tensor:
        ring = sdf.torus(points, (r + 0.02, 0.0, 0.5 * h), 1, 0.118, 0.037)
        return sdf.subtract(ring, sdf.cylinder(points, (0.0, 0.0, h / 2), 2, r - 0.01, h))

    drink = partial(sdf.cylinder, centre=(0.0, 0.0, coffee / 2), axis=2, radius=inner + 0.01, half_length=coffee / 2)
    body = (
        Part(cup, glaze(materials.glazed(h, inner + 0.008)), MUG),
        Part(drink, glaze(materials.COFFEE), MUG),
    )
    ear = (Part(handle, glaze(materials.NAVY), HANDLE),)
    outer = r + 0.02 + 0.118 + 0.037
    return (
        Solid(ear, (0.0, -0.037, 0.0), (outer, 0.037, h), MUG_POSITION, MUG_TURN),
        Solid(body, (-r, -r, 0.0), (r, r, h), MUG_POSITION, MUG_TURN),
    )


def _base() -> Solid:
    foot = partial(sdf.cylinder, centre=(0.0, 0.0, 0.035), axis=2, radius=0.25, half_length=0.035, rounding=0.015)

    def pedestal(points: Tensor) -> Tensor:
        drum = sdf.cylinder(points, (0.0, 0.0, 0.12), 2, 0.19, 0.10, rounding=0.02)
        fork = sdf.box(points, (0.0, 0.0, 0.28), (0.10, 0.10, 0.12), rounding=0.03)
        return sdf.smooth_union(drum, fork, 0.06)

    drum, half = 0.145, 0.165
    shoulder = partial(sdf.cylinder, centre=SHOULDER, axis=1, radius=drum, half_length=half, rounding=0.015)
    parts = (
        Part(foot, metal(materials.GRAPHITE), ARM),
        Part(pedestal, paint(materials.hazard(0.085, 0.165)), ARM),
        Part(shoulder, paint(materials.joint(SHOULDER, drum, half, materials.ORANGE)), ARM),
    )
    return Solid(parts, (-0.25, -0.25, 0.0), (0.25, 0.25, SHOULDER[2] + drum), ARM_FOOT, HEADING)


def _upper_arm() -> Solid:
    link = partial(sdf.round_cone, start=SHOULDER, end=ELBOW, start_radius=0.125, end_radius=0.10)
    drum, half = 0.125, 0.145
    elbow = partial(sdf.cylinder, centre=ELBOW, axis=1, radius=drum, half_length=half, rounding=0.015)
    bands = ((0.36, 0.42, materials.WHITE), (0.46, 0.66, materials.WHITE))
    parts = (
        Part(link, paint(materials.sleeve(SHOULDER, ELBOW, materials.ORANGE, bands)), ARM),
        Part(elbow, paint(materials.joint(ELBOW, drum, half, materials.ORANGE)), ARM),
    )
    low, high = (-0.13, -half, SHOULDER[2] - 0.125), (ELBOW[0] + drum, half, ELBOW[2] + drum)
    return Solid(parts, low, high, ARM_FOOT, HEADING)


def _forearm() -> Solid:
    link = partial(sdf.round_cone, start=ELBOW, end=WRIST, start_radius=0.095, end_radius=0.07)
    drum, half = 0.095, 0.105
    wrist = partial(sdf.cylinder, centre=WRIST, axis=1, radius=drum, half_length=half, rounding=0.012)
    bands = ((0.22, 0.30, materials.ORANGE), (0.34, 0.39, materials.ORANGE), (0.60, 0.80, materials.GRAPHITE))
    parts = (
        Part(link, paint(materials.sleeve(ELBOW, WRIST, materials.WHITE, bands)), ARM),
        Part(wrist, paint(materials.joint(WRIST, drum, half, materials.ORANGE)), ARM),
    )
    low, high = (ELBOW[0] - 0.095, -half, WRIST[2] - drum), (WRIST[0] + drum, half, ELBOW[2] + 0.095)
    return Solid(parts, low, high, ARM_FOOT, HEADING)


def _hand() -> Solid:
    """The gripper; its local space has its origin at the wrist and its fingers close along x."""
    grip = BLOCK_EDGE / 2
    bottom = HELD[2] - WRIST[2] - 0.07  # z of the ends of the fingers
    palm = -0.20

    def fingers(points: Tensor) -> Tensor:
        sides = points.T.clone()
        sides[0] = sides[0].abs()  # by symmetry, one finger represents both
        return sdf.box(sides.T, (grip + 0.045, 0.0, (palm + bottom) / 2), (0.036, 0.05, (palm - bottom) / 2), 0.015)

    def pads(points: Tensor) -> Tensor:
        sides = points.T.clone()
        sides[0] = sides[0].abs()
        return sdf.box(sides.T, (grip + 0.007, 0.0, bottom + 0.08), (0.016, 0.055, 0.065), 0.01)

    neck = partial(sdf.cylinder, centre=(0.0, 0.0, -0.11), axis=2, radius=0.068, half_length=0.08, rounding=0.01)
    bar = partial(sdf.box, centre=(0.0, 0.0, palm), half=(grip + 0.095, 0.07, 0.04), rounding=0.02)
    parts = (
        Part(neck, metal(materials.STEEL), ARM),
        Part(bar, paint(materials.ORANGE), ARM),
        Part(fingers, metal(materials.GRAPHITE), ARM),
        Part(pads, paint(materials.TEAL), ARM),
    )
    low, high = (-grip - 0.095, -0.07, bottom), (grip + 0.095, 0.07, -0.03)
    return Solid(parts, low, high, (HELD[0], HELD[1], WRIST[2]), HAND_TURN)

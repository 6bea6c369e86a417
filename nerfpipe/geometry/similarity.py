"""Similarity transforms: from the coordinates of a scene's data to scene units, and back."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

FARTHEST = 1e9  # largest length, in any unit: single precision cannot separate points beyond it
Vector = tuple[float, float, float]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Similarity:
    """x in scene units = scale · rotation · (x in the data's units - centre)."""

    centre: Vector = (0.0, 0.0, 0.0)
    rotation: tuple[Vector, Vector, Vector] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    scale: float = 1.0

    @classmethod
    def of(cls, centre: Float[np.ndarray, " 3"], rotation: Float[np.ndarray, "3 3"], scale: float) -> Similarity:
        """From a centre [3] and a rotation [3, 3]."""
        first, second, third = (_vector(row) for row in rotation)
        return cls(_vector(centre), (first, second, third), float(scale))

    def points(self, original: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "P 3"]:
        """Points [P, 3], from the data's units to scene units."""
        return self.scale * (original - np.array(self.centre)) @ np.array(self.rotation).T

    def original(self, points: Float[np.ndarray, "P 3"]) -> Float[np.ndarray, "P 3"]:
        """Points [P, 3], from scene units to the data's units."""
        return points @ np.array(self.rotation) / self.scale + np.array(self.centre)

    def poses(self, original: Float[np.ndarray, "N 3 4"]) -> Float[np.ndarray, "N 3 4"]:
        """Camera-to-world poses [N, 3, 4], from the data's units to scene units."""
        turned = np.array(self.rotation) @ original[:, :, :3]
        return np.concatenate([turned, self.points(original[:, :, 3])[:, :, None]], axis=2)  # [N, 3, 4]

    def original_poses(self, poses: Float[np.ndarray, "N 3 4"]) -> Float[np.ndarray, "N 3 4"]:
        """Camera-to-world poses [N, 3, 4], from scene units to the data's units."""
        turned = np.array(self.rotation).T @ poses[:, :, :3]
        return np.concatenate([turned, self.original(poses[:, :, 3])[:, :, None]], axis=2)  # [N, 3, 4]

    @property
    def is_identity(self) -> bool:
        """Whether scene units are the data's units."""
        return self == IDENTITY


def _vector(values: np.ndarray) -> Vector:
    x, y, z = (float(value) for value in values)
    return x, y, z


IDENTITY = Similarity()

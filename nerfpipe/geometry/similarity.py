"""How a scene was moved, turned and scaled from the coordinates that its data came in."""

from __future__ import annotations

import numpy as np
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass

FARTHEST = 1e9  # of any length, in any unit: single precision cannot tell places there apart
Vector = tuple[float, float, float]


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class Similarity:
    """x in scene units = scale · rotation · (original x - centre)."""

    centre: Vector = (0.0, 0.0, 0.0)
    rotation: tuple[Vector, Vector, Vector] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    scale: float = 1.0

    @classmethod
    def of(cls, centre: np.ndarray, rotation: np.ndarray, scale: float) -> Similarity:
        """From centre [3] and rotation [3, 3]."""
        rows = tuple(tuple(row) for row in np.asarray(rotation, dtype=np.float64).tolist())
        return cls(tuple(np.asarray(centre, dtype=np.float64).tolist()), rows, float(scale))

    def points(self, original: np.ndarray) -> np.ndarray:
        """Original points [P, 3] in scene units."""
        return self.scale * (original - np.array(self.centre)) @ np.array(self.rotation).T

    def original(self, points: np.ndarray) -> np.ndarray:
        """Points [P, 3] of the scene in original units."""
        return points @ np.array(self.rotation) / self.scale + np.array(self.centre)

    def poses(self, original: np.ndarray) -> np.ndarray:
        """Original camera-to-world poses [N, 3, 4] in the scene."""
        turned = np.array(self.rotation) @ original[:, :, :3]
        return np.concatenate([turned, self.points(original[:, :, 3])[:, :, None]], axis=2)  # [N, 3, 4]

    def original_poses(self, poses: np.ndarray) -> np.ndarray:
        """Camera-to-world poses [N, 3, 4] of the scene in original units: `poses` undone."""
        turned = np.array(self.rotation).T @ poses[:, :, :3]
        return np.concatenate([turned, self.original(poses[:, :, 3])[:, :, None]], axis=2)  # [N, 3, 4]

    @property
    def is_identity(self) -> bool:
        return self == IDENTITY


IDENTITY = Similarity()

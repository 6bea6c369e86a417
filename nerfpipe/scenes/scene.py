"""The scene that every format is read into.

Cameras look along -z with x to the right and y up (OpenGL, Blender); poses are camera-to-world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS, Background
from nerfpipe.geometry.ndc import Frustum
from nerfpipe.geometry.similarity import FARTHEST, IDENTITY, Similarity
from nerfpipe.geometry.space import Kind
from nerfpipe.geometry.spaces import AnySpace, space_of
from nerfpipe.runtime.errors import NerfpipeError

ROTATION_TOLERANCE = 1e-3  # largest |RᵀR - I|: poses printed with four decimals pass


@dataclass(frozen=True)
class Scene:
    """Images with known cameras, read one at a time, so that a scene may exceed memory.

    camera_index [N] int: indices into `cameras`. poses [N, 3, 4] float32. splits: name -> view indices.
    bounds [2, 3] float32: the box to learn, in the coordinates of its space (scene units if `kind` is bounded).
    background: "black" or "white". Images with `has_alpha` are composited over it.
    read_image(view) -> [H, W, 4] uint8, straight alpha.
    read_depth(view) -> [H, W] float32: distance along the unit ray through the pixel centre in scene units, inf if the
    ray meets nothing, NaN if the depth is unknown. read_mask(view) -> [H, W] bool: the valid pixels.
    kind: of the space to learn (see geometry/space.py); frustum: of a forward space.
    near: least distance of content from any camera, in scene units. points [P, 3] float32: on surfaces.
    sightings [K, 2] int64: a view and a point that it shows; None if that is unknown.
    similarity: from the data's coordinates to scene units. notes: messages for the user.
    """

    name: str
    cameras: tuple[Camera, ...]
    camera_index: np.ndarray
    poses: np.ndarray
    splits: dict[str, np.ndarray]
    bounds: np.ndarray
    background: Background
    has_alpha: bool
    read_image: Callable[[int], np.ndarray]
    read_depth: Callable[[int], np.ndarray] | None = None
    read_mask: Callable[[int], np.ndarray] | None = None
    kind: Kind = "bounded"
    frustum: Frustum | None = None
    near: float = 0.0
    points: np.ndarray | None = None
    sightings: np.ndarray | None = None
    similarity: Similarity = IDENTITY
    notes: tuple[str, ...] = ()

    @property
    def views(self) -> int:
        """The number of views."""
        return len(self.poses)

    def camera(self, view: int) -> Camera:
        """The camera of a view."""
        return self.cameras[int(self.camera_index[view])]

    def space(self, margin: float, min_near: float) -> AnySpace:
        """The space of this scene; a bounded one's box is enlarged by the fraction `margin` of its size.

        min_near: least distance from a camera in scene units.
        """
        bounds = grown(self.bounds, margin) if self.kind == "bounded" else self.bounds
        lower, upper = (tuple(corner) for corner in bounds.tolist())
        return space_of(self.kind, (lower, upper), max(self.near, min_near), self.frustum)

    def validate(self, source: str) -> Scene:
        """This scene. Raises NerfpipeError with every fault, each preceded by the path `source` of its data."""
        faults = [*self._split_faults(), *pose_faults(self.poses), *self._bounds_faults()]
        if faults:
            raise NerfpipeError(*(f"{source}: {fault}" for fault in faults))
        return self

    def _split_faults(self) -> list[str]:
        if self.views == 0:
            return ["no images; a scene needs at least one view in train, val and test"]
        empty = [name for name in SPLITS if not len(self.splits[name])]
        faults = [f"the {name} split is empty; every split needs a view" for name in empty]
        for name in ("val", "test"):
            shared = np.intersect1d(self.splits["train"], self.splits[name])
            if len(shared):
                faults.append(f"view {shared[0]} is in both train and {name}; held-out views must not be trained on")
        return faults

    def _bounds_faults(self) -> list[str]:
        if np.isfinite(self.bounds).all() and (self.bounds[1] > self.bounds[0]).all():
            return []
        return [f"bounds must be finite with every lower corner below the upper (got {self.bounds.tolist()})"]


def grown(bounds: np.ndarray, margin: float) -> np.ndarray:
    """Bounds [2, 3], enlarged about their centre by the fraction `margin` of their size."""
    grow = margin * (bounds[1] - bounds[0]) / 2
    return np.stack([bounds[0] - grow, bounds[1] + grow])


def pose_faults(poses: np.ndarray, names: Sequence[str] | None = None) -> list[str]:
    """The first fault of poses [N, 3, 4], which must be rotations and finite positions, with its remedy; or none.

    names [N]: of the views, for the message.
    """
    for index, pose in enumerate(np.asarray(poses, dtype=np.float64)):
        view = f"{index} ({names[index]})" if names else index
        rotation = pose[:, :3]
        if not np.isfinite(pose).all():
            return [f"pose {view} holds NaN or infinity"]
        if np.abs(pose).max() > FARTHEST:
            return [f"pose {view} lies {np.abs(pose).max():g} units away, more than {FARTHEST:g}: is its scale right?"]
        if np.abs(rotation.T @ rotation - np.eye(3)).max() > ROTATION_TOLERANCE:
            kind = "singular" if abs(np.linalg.det(rotation)) < ROTATION_TOLERANCE else "not a rotation"
            return [f"pose {view} is {kind}: its 3x3 part must be orthonormal, camera-to-world, without scale"]
        if np.linalg.det(rotation) < 0:
            return [f"pose {view} is left-handed (determinant -1): flip one axis; cameras look along -z, x right, y up"]
    return []

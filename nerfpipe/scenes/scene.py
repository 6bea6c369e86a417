"""The one form that every scene format is read into.

Cameras look along -z with x to the right and y up (OpenGL, Blender); poses are camera-to-world.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.geometry.ndc import Frustum
from nerfpipe.geometry.similarity import FARTHEST, IDENTITY, Similarity
from nerfpipe.geometry.space import AnySpace, Kind, space_of
from nerfpipe.runtime.errors import NerfpipeError

ROTATION_TOLERANCE = 1e-3  # |RᵀR - I| allowed: poses printed with four decimals pass


@dataclass(frozen=True)
class Scene:
    """Pictures with known cameras. Pictures are read one at a time, so a scene may exceed memory.

    poses [N, 3, 4] float32; camera_index [N] int, into `cameras`; splits: name -> view numbers;
    kind: of the space that is learned (see geometry/space.py); bounds [2, 3] float32, the box that holds everything
    worth learning, in the coordinates of that space (scene units where it is bounded);
    background: "black" or "white", behind everything; with `has_alpha` the pictures carry their own coverage
    and the background is only what they are shown over.
    read_image(i) -> [H, W, 4] uint8, straight alpha. read_depth(i) -> [H, W] float32, distance along the unit
    ray through the pixel centre, inf where it meets nothing, NaN where it is unknown. read_mask(i) -> [H, W] bool, the
    pixels that count. read_labels(i) -> [H, W] uint8, into label_names.
    near: in scene units, nothing worth learning is nearer to a camera. points [P, 3] float32: some places on surfaces.
    similarity: how the scene was moved from the coordinates that its data came in. notes: what to tell the user.
    """

    name: str
    cameras: tuple[Camera, ...]
    camera_index: np.ndarray
    poses: np.ndarray
    splits: dict[str, np.ndarray]
    bounds: np.ndarray
    background: str
    has_alpha: bool
    read_image: Callable[[int], np.ndarray]
    read_depth: Callable[[int], np.ndarray] | None = None
    read_labels: Callable[[int], np.ndarray] | None = None
    label_names: tuple[str, ...] = field(default=())
    read_mask: Callable[[int], np.ndarray] | None = None
    kind: Kind = "bounded"
    frustum: Frustum | None = None
    near: float = 0.0
    points: np.ndarray | None = None
    similarity: Similarity = IDENTITY
    notes: tuple[str, ...] = ()

    @property
    def views(self) -> int:
        return len(self.poses)

    def camera(self, view: int) -> Camera:
        return self.cameras[int(self.camera_index[view])]

    def space(self, margin: float, min_near: float) -> AnySpace:
        """The space of this scene, a bounded one's box grown by the fraction `margin`."""
        bounds = grown(self.bounds, margin) if self.kind == "bounded" else self.bounds
        lower, upper = (tuple(corner) for corner in bounds.tolist())
        return space_of(self.kind, (lower, upper), max(self.near, min_near), self.frustum)

    def validate(self, where: str) -> Scene:
        """This scene, or NerfpipeError with every fault, each naming the file `where` it came from."""
        faults = [*self._split_faults(), *pose_faults(self.poses), *self._bounds_faults()]
        if faults:
            raise NerfpipeError(*(f"{where}: {fault}" for fault in faults))
        return self

    def _split_faults(self) -> list[str]:
        if self.views == 0:
            return ["no images; a scene needs at least one view in each of train, val and test"]
        faults = [
            f"the {name} split is empty; every split needs a view" for name in SPLITS if not len(self.splits[name])
        ]
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
    """Bounds [2, 3] grown about their middle by the fraction `margin` of their size."""
    grow = margin * (bounds[1] - bounds[0]) / 2
    return np.stack([bounds[0] - grow, bounds[1] + grow])


def pose_faults(poses: np.ndarray, names: Sequence[str] | None = None) -> list[str]:
    """One line for the first pose [3, 4] that is not a rotation and a finite position, with its remedy.

    names: of the views, where they have any.
    """
    for number, pose in enumerate(np.asarray(poses, dtype=np.float64)):
        view = f"{number} ({names[number]})" if names else number
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

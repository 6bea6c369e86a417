"""Cameras that the scene was photographed with: a page can stand in one and compare with its photograph."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.images.convert import alpha_composite
from nerfpipe.models.model_file import ModelHeader
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.errors import NerfpipeError

CACHED = 4  # photographs held in memory
SAME_POSITION = 1e-3  # scene units: a page this near to a camera stands in it
OUTSIDE = -2.0  # in grid_sample's coordinates, of which the picture fills [-1, 1]


@dataclass(frozen=True)
class SceneCamera:
    """A camera of the scene."""

    name: str  # "test 3"
    split: str
    pose: Tensor  # [3, 4]
    camera: Camera
    photograph: Callable[[], Tensor] | None  # reads its picture [H, W, 3] in [0, 1]; None without a ray bank


def find_scene_cameras(header: ModelHeader, rays: Path) -> tuple[list[SceneCamera], str | None]:
    """All cameras with photographs from the ray bank in the folder `rays`; else those of the model's header.

    Also returns why there are no photographs. It is None if there is no bank at all: a model file alone is no fault.
    """
    if not (rays / "bank.json").exists():
        return _from_header(header), None
    try:
        bank = RayBank(rays)
    except NerfpipeError as error:
        return _from_header(header), f"no photographs: {error}"
    if (bank.header.scene, bank.space, bank.header.similarity) != (header.scene, header.space, header.similarity):
        reason = f"no photographs: {rays} is of another scene ({bank.header.scene}) or placed otherwise"
        return _from_header(header), reason
    return _from_bank(bank), None


def _from_header(header: ModelHeader) -> list[SceneCamera]:
    return [
        SceneCamera(f"train {number}", "train", torch.tensor(pose), header.camera, None)
        for number, pose in enumerate(header.poses)
    ]


def _from_bank(bank: RayBank) -> list[SceneCamera]:
    @lru_cache(maxsize=CACHED)
    def photograph(view: int) -> Tensor:
        camera, target = bank.camera(view), bank.view(view).target
        assert target is not None  # a bank's rays have targets
        return alpha_composite(target, bank.background).reshape(camera.height, camera.width, 3)

    views, found = set(), []
    for split in SPLITS:
        for number, view in enumerate(bank.splits[split].tolist()):
            if view not in views:  # in some scenes a view belongs to two splits
                views.add(view)
                pose = torch.from_numpy(bank.arrays["poses"][view].copy())
                name = f"{split} {number}"
                found.append(SceneCamera(name, split, pose, bank.camera(view), partial(photograph, view)))
    return found


def camera_at(cameras: list[SceneCamera], position: Tensor) -> SceneCamera | None:
    """The camera with a photograph at a position [3] in scene units, or None."""
    for camera in cameras:
        if camera.photograph is not None and (camera.pose[:, 3] - position).norm() < SAME_POSITION:
            return camera
    return None


def reproject_photograph(taken: SceneCamera, camera: Camera, pose: Tensor) -> tuple[Tensor, Tensor]:
    """The photograph of `taken` as `camera` shows it at a pose [3, 4] of the same position.

    Returns colours [H, W, 3], and a mask [H, W] that is true inside the photograph. The colours lie exactly over a
    render, whatever the photograph's distortion and the direction of the pose. Raises ValueError without a photograph.
    """
    if taken.photograph is None:
        raise ValueError(f"{taken.name} has no photograph")
    in_world = camera.directions(camera.pixel_centres()) @ pose[:, :3].T  # [H·W, 3]
    pixels, _ = taken.camera.project(in_world @ taken.pose[:, :3])  # [H·W, 2], NaN behind the camera
    scaled = pixels / torch.tensor([taken.camera.width, taken.camera.height]) * 2 - 1
    inside = (scaled.abs() <= 1).all(dim=1)  # false for NaN
    grid = torch.where(inside[:, None], scaled, torch.full_like(scaled, OUTSIDE))
    picture = taken.photograph().permute(2, 0, 1)[None]
    colours = grid_sample(picture, grid.reshape(1, camera.height, camera.width, 2), "bilinear", "border", False)
    return colours[0].permute(1, 2, 0), inside.reshape(camera.height, camera.width)

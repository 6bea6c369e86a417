"""The cameras that a scene was taken with: where one can stand, and what was photographed from there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import SPLITS
from nerfpipe.images.convert import alpha_composite
from nerfpipe.models.model_file import ModelAbout
from nerfpipe.raybank.bank import RayBank
from nerfpipe.runtime.errors import NerfpipeError

KEPT = 4  # photographs held in memory
SAME_PLACE = 1e-3  # scene units: a page this near to a camera stands in it


@dataclass(frozen=True)
class Station:
    """A camera of the scene; `photograph` gives its picture [H, W, 3] in [0, 1], where it is here."""

    name: str  # "test 3"
    split: str
    pose: Tensor  # [3, 4]
    camera: Camera
    photograph: Callable[[], Tensor] | None


def find_stations(about: ModelAbout, rays: Path) -> tuple[list[Station], str | None]:
    """All cameras with photographs, from the ray bank in a folder; else those of the model's header, and why.

    The reason is None where no bank is there at all: a bare model is no fault.
    """
    if not (rays / "bank.json").exists():
        return _of_header(about), None
    try:
        bank = RayBank(rays)
    except NerfpipeError as error:
        return _of_header(about), f"no photographs: {error}"
    if (bank.about.scene, bank.space, bank.about.similarity) != (about.scene, about.space, about.similarity):
        return _of_header(about), f"no photographs: {rays} is of another scene ({bank.about.scene}) or placed otherwise"
    return _of_bank(bank), None


def _of_header(about: ModelAbout) -> list[Station]:
    return [
        Station(f"train {number}", "train", torch.tensor(pose), about.camera, None)
        for number, pose in enumerate(about.poses)
    ]


def _of_bank(bank: RayBank) -> list[Station]:
    @lru_cache(maxsize=KEPT)
    def photograph(view: int) -> Tensor:
        camera = bank.camera(view)
        return alpha_composite(bank.view(view).target, bank.background).reshape(camera.height, camera.width, 3)

    views, found = set(), []
    for split in SPLITS:
        for number, view in enumerate(bank.splits[split].tolist()):
            if view not in views:  # in some scenes a view is of two splits
                views.add(view)
                pose = torch.from_numpy(bank.arrays["poses"][view].copy())
                found.append(Station(f"{split} {number}", split, pose, bank.camera(view), lambda v=view: photograph(v)))
    return found


def standing_in(stations: list[Station], position: Tensor) -> Station | None:
    """The camera with a photograph that a page at a position [3] stands in."""
    for station in stations:
        if station.photograph is not None and (station.pose[:, 3] - position).norm() < SAME_PLACE:
            return station
    return None


def seen_from(station: Station, camera: Camera, pose: Tensor) -> tuple[Tensor, Tensor]:
    """A station's photograph as another lens in the same place shows it, [H, W, 3], and where it has any, [H, W].

    So it lies exactly over a render, whatever the photograph's distortion, and however one turns on the spot.
    """
    in_world = camera.directions(camera.pixel_centres()) @ pose[:, :3].T  # [H·W, 3]
    pixels, _ = station.camera.project(in_world @ station.pose[:, :3])  # [H·W, 2], NaN behind it
    scaled = pixels / torch.tensor([station.camera.width, station.camera.height]) * 2 - 1
    within = (scaled.abs() <= 1).all(dim=1)  # NaN is not
    places = torch.where(within[:, None], scaled, torch.full_like(scaled, -2))
    picture = station.photograph().permute(2, 0, 1)[None]
    shown = grid_sample(picture, places.reshape(1, camera.height, camera.width, 2), "bilinear", "border", False)
    return shown[0].permute(1, 2, 0), within.reshape(camera.height, camera.width)

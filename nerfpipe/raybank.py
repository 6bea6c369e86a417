"""The ray bank: every pixel of a scene as a ray with its target, in a few memory-mapped files.

    bank.json        cameras, splits, bounds, background, min_near; which camera each view has
    poses.npy        [N, 3, 4] float32, camera-to-world
    directions.npy   [D, 3] float32, unit directions in camera space: one table of H·W rows per distinct lens
    colour.npy       [P, 4] uint8, the targets of all P pixels, view after view, row by row
    train.npy        [T] uint32 or uint64, the train rays that pass through the bounds
    depth.npy        [test pixels] float32, true distance of the test views (only where the scene knows it)

A ray is known by its number in 0 … P-1. Its origin and direction follow from pose and table, near and far from the
bounds, so that a ray costs 8 to 9 bytes on disk instead of the 36 of nine floats.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.lib.format import open_memmap
from torch import Tensor

from nerfpipe.cameras import Camera
from nerfpipe.errors import NerfpipeError
from nerfpipe.progress import Progress
from nerfpipe.rays import Extent, RayBatch, near_far, rays_to_world
from nerfpipe.scenes.scene import BACKGROUNDS, SPLITS, Scene

FILES = ("poses", "directions", "colour", "train")


class RayBank:
    """Rays by number, from a folder that `build` wrote. The files are mapped, never read whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = read_about(folder)
        self.arrays = {name: open_array(folder / f"{name}.npy") for name in FILES}
        depth = folder / "depth.npy"
        self._depth = open_array(depth) if depth.exists() else None
        self.cameras = [Camera.from_dict(entry) for entry in self.about["cameras"]]
        self.camera_index = np.array(self.about["camera_index"])
        self.splits = {name: np.array(self.about["splits"][name]) for name in SPLITS}
        self.bounds = torch.tensor(self.about["bounds"], dtype=torch.float32)  # [2, 3]
        self.background = torch.tensor(BACKGROUNDS[self.about["background"]])  # [3]
        self.has_alpha: bool = self.about["has_alpha"]

        pixels = np.array([camera.width * camera.height for camera in self.cameras])
        self._table_start = np.concatenate([[0], pixels.cumsum()])  # [cameras + 1]
        self._view_start = np.concatenate([[0], pixels[self.camera_index].cumsum()])  # [N + 1]

    @property
    def train_rays(self) -> int:
        """How many rays can be trained on."""
        return len(self.arrays["train"])

    def camera(self, view: int) -> Camera:
        return self.cameras[self.camera_index[view]]

    def train(self, which: np.ndarray) -> RayBatch:
        """Train rays by their place [R] among the train rays, 0 … train_rays - 1."""
        return self.rays(self.arrays["train"][which].astype(np.int64))

    def view(self, view: int) -> RayBatch:
        """All rays of a view, row by row."""
        return self.rays(np.arange(self._view_start[view], self._view_start[view + 1]))

    def rays(self, numbers: np.ndarray) -> RayBatch:
        """Rays by number [R]."""
        view = np.searchsorted(self._view_start, numbers, side="right") - 1  # [R]
        row = numbers - self._view_start[view] + self._table_start[self.camera_index[view]]
        poses = torch.from_numpy(self.arrays["poses"][view])  # [R, 3, 4]
        in_camera = torch.from_numpy(self.arrays["directions"][row])  # [R, 3]
        target = torch.from_numpy(self.arrays["colour"][numbers]).float() / 255  # [R, 4]
        origins, directions = rays_to_world(poses, in_camera)
        near, far = near_far(origins, directions, self.bounds, self.about["min_near"])
        return RayBatch(origins, directions, near, far, target)

    def true_depth(self, view: int) -> Tensor | None:
        """[H·W] true distance along the rays of a test view, inf where there is nothing; None where unknown."""
        if self._depth is None:
            return None
        sizes = [int(self._view_start[v + 1] - self._view_start[v]) for v in self.splits["test"]]
        place = int(np.flatnonzero(self.splits["test"] == view)[0])
        start = sum(sizes[:place])
        return torch.from_numpy(np.array(self._depth[start : start + sizes[place]]))

    def summary(self) -> str:
        """What the bank holds, in lines for people: views, rays, bounds, near and far."""
        lower, upper = (", ".join(f"{x:.3g}" for x in corner) for corner in self.bounds.tolist())
        extent = Extent()
        for view in self.splits["train"]:
            extent.include(self.view(view))
        return "\n".join(
            [
                f"scene {self.about['scene']}: "
                + ", ".join(f"{len(self.splits[name])} {name}" for name in SPLITS)
                + " views",
                f"bounds ({lower}) to ({upper}), background {self.about['background']}"
                + (" behind an alpha channel" if self.has_alpha else ""),
                f"near {extent.near:.3g}, far {extent.far:.3g} scene units, from where rays enter and leave the bounds",
                f"{self.train_rays:,} of {extent.rays:,} train rays meet the bounds",
                f"{self.bytes_per_ray():.2f} bytes per ray on disk",
            ]
        )

    def bytes_per_ray(self) -> float:
        """Size on disk over the number of pixels."""
        return sum(file.stat().st_size for file in self.folder.iterdir()) / int(self._view_start[-1])


def build(scene: Scene, folder: Path, margin: float, min_near: float) -> RayBank:
    """Write the bank of a scene into an empty folder, one view at a time.

    `margin` grows the bounds by that fraction of their size. Raises NerfpipeError when no train ray meets the bounds.
    """
    grow = margin * (scene.bounds[1] - scene.bounds[0]) / 2
    about = {
        "scene": scene.name,
        "cameras": [camera.to_dict() for camera in scene.cameras],
        "camera_index": scene.camera_index.tolist(),
        "splits": {name: scene.splits[name].tolist() for name in SPLITS},
        "bounds": [(scene.bounds[0] - grow).tolist(), (scene.bounds[1] + grow).tolist()],
        "background": scene.background,
        "has_alpha": scene.has_alpha,
        "min_near": min_near,
    }
    (folder / "bank.json").write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    np.save(folder / "poses.npy", scene.poses.astype(np.float32))
    np.save(folder / "directions.npy", direction_tables(scene.cameras))
    _write_colour(scene, folder / "colour.npy")
    np.save(folder / "train.npy", np.zeros(0, dtype=np.uint32))
    _write_train_rays(folder)
    if scene.read_depth is not None:
        np.save(folder / "depth.npy", np.concatenate([scene.read_depth(v).ravel() for v in scene.splits["test"]]))
    return RayBank(folder)


def direction_tables(cameras: tuple[Camera, ...]) -> np.ndarray:
    """[D, 3] float32: the camera-space directions of all pixel centres, lens after lens."""
    return np.concatenate([camera.directions(camera.pixel_centres()).numpy() for camera in cameras])


def _write_colour(scene: Scene, file: Path) -> None:
    pixels = [scene.camera(view).width * scene.camera(view).height for view in range(scene.views)]
    colour = open_memmap(file, mode="w+", dtype=np.uint8, shape=(sum(pixels), 4))
    start = 0
    with Progress("rays", scene.views, "views") as progress:
        for view, count in enumerate(pixels):
            image, camera = scene.read_image(view), scene.camera(view)
            if image.shape != (camera.height, camera.width, 4):
                raise NerfpipeError(
                    f"scene {scene.name}: view {view} is {list(image.shape)}, its camera has "
                    f"{[camera.height, camera.width, 4]}; pictures and cameras must have the same size"
                )
            colour[start : start + count] = image.reshape(-1, 4)  # [H·W, 4]
            start += count
            progress.advance()
    colour.flush()


def _write_train_rays(folder: Path) -> None:
    bank = RayBank(folder)
    hits = []
    for view in bank.splits["train"]:
        inside = bank.view(view).hits.numpy()
        hits.append(bank._view_start[view] + np.flatnonzero(inside))
    numbers = np.concatenate(hits)
    if len(numbers) == 0:
        raise NerfpipeError(
            f"scene {bank.about['scene']}: no train ray meets the bounds {bank.about['bounds']}; "
            "check the poses' scale and axes, or set `bounds:` in the scene's entry"
        )
    small = bank._view_start[-1] <= np.iinfo(np.uint32).max
    np.save(folder / "train.npy", numbers.astype(np.uint32 if small else np.uint64))


def read_about(folder: Path) -> dict[str, Any]:
    """The bank's bank.json. Raises NerfpipeError when it is missing or damaged."""
    file = folder / "bank.json"
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro rays` first") from None
    except ValueError:
        raise NerfpipeError(f"{file}: damaged; run `dvc repro --force rays`") from None


def open_array(file: Path) -> np.ndarray:
    """A memory-mapped, read-only array. Raises NerfpipeError when it is missing or damaged."""
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro rays`") from None
    except (ValueError, EOFError, OSError) as error:
        raise NerfpipeError(f"{file}: damaged ({error}); run `dvc repro --force rays`") from None
    return array

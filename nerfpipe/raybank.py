"""The ray bank: every pixel of a scene as a ray with its target, in a few memory-mapped files.

    bank.json        cameras, splits, bounds, background, min_near; which camera each view has
    poses.npy        [N, 3, 4] float32, camera-to-world
    directions.npy   [D, 3] float32, unit directions in camera space: one table of H·W rows per distinct lens
    colour.npy       [P, 4] uint8, the targets of all P pixels, view after view, row by row
    train.npy        [T] uint32 or uint64, the train rays that pass through the bounds
    depth.npy        [test pixels] float32, true distance of the test views (only where the scene knows it)

A ray is known by its number in 0 … P-1. Its origin and direction follow from pose and table, near and far from the
bounds, so that a ray costs about 8 bytes on disk instead of the 36 of nine floats.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import ConfigDict
from pydantic.dataclasses import dataclass
from torch import Tensor

from nerfpipe.cameras import Camera
from nerfpipe.errors import NerfpipeError
from nerfpipe.files import create_array, save_array, write_json
from nerfpipe.progress import Progress
from nerfpipe.rays import Extent, RayBatch, camera_rays, near_far, rays_to_world
from nerfpipe.scenes.scene import BACKGROUNDS, SPLITS, Bounds, Scene, grown


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class BankAbout:
    """What bank.json says."""

    scene: str
    cameras: tuple[Camera, ...]
    camera_index: list[int]  # [N], into cameras
    splits: dict[str, list[int]]
    bounds: Bounds
    background: Literal["black", "white"]
    has_alpha: bool
    min_near: float


class RayBank:
    """Rays by number, from a folder that `build` wrote. The files are mapped, never read whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.about = read_about(folder)
        self.cameras = self.about.cameras
        self.camera_index = np.array(self.about.camera_index)
        self.splits = {name: np.array(self.about.splits[name]) for name in SPLITS}
        self.bounds = torch.tensor(self.about.bounds)  # [2, 3]
        self.background = torch.tensor(BACKGROUNDS[self.about.background])  # [3]
        self.has_alpha = self.about.has_alpha

        self._table_start = view_starts(self.cameras, np.arange(len(self.cameras)))  # [cameras + 1]
        self._view_start = view_starts(self.cameras, self.camera_index)  # [N + 1]
        self._open_arrays()

    def _open_arrays(self) -> None:
        shapes = {
            "poses": (len(self.camera_index), 3, 4),
            "directions": (int(self._table_start[-1]), 3),
            "colour": (int(self._view_start[-1]), 4),
            "train": (None,),
        }
        self.arrays = {name: open_array(self.folder / f"{name}.npy", shape) for name, shape in shapes.items()}
        depth = self.folder / "depth.npy"
        pixels = sum(self._pixels(view) for view in self.splits["test"])
        self._depth = open_array(depth, (pixels,)) if depth.exists() else None

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
        near, far = near_far(origins, directions, self.bounds, self.about.min_near)
        return RayBatch(origins, directions, near, far, target)

    def true_depth(self, view: int) -> Tensor | None:
        """[H·W] true distance along the rays of a view of the test split, inf where nothing is; None where unknown."""
        if self._depth is None:
            return None
        place = int(np.flatnonzero(self.splits["test"] == view)[0])
        start = sum(self._pixels(before) for before in self.splits["test"][:place])
        return torch.from_numpy(np.array(self._depth[start : start + self._pixels(view)]))

    def _pixels(self, view: int) -> int:
        return int(self._view_start[view + 1] - self._view_start[view])

    def summary(self) -> str:
        """What the bank holds, in lines for people: views, rays, bounds, near and far."""
        lower, upper = (", ".join(f"{x:.3g}" for x in corner) for corner in self.bounds.tolist())
        extent = Extent()
        for view in self.splits["train"]:
            extent.include(self.view(view))
        return "\n".join(
            [
                f"scene {self.about.scene}: "
                + ", ".join(f"{len(self.splits[name])} {name}" for name in SPLITS)
                + " views",
                f"bounds ({lower}) to ({upper}), background {self.about.background}"
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
    about = BankAbout(
        scene=scene.name,
        cameras=scene.cameras,
        camera_index=scene.camera_index.tolist(),
        splits={name: scene.splits[name].tolist() for name in SPLITS},
        bounds=tuple(grown(scene.bounds, margin).tolist()),
        background=scene.background,
        has_alpha=scene.has_alpha,
        min_near=min_near,
    )
    write_json(folder / "bank.json", asdict(about))
    save_array(folder / "poses.npy", scene.poses.astype(np.float32))
    save_array(folder / "directions.npy", direction_tables(scene.cameras))
    _write_train(scene, torch.tensor(about.bounds), min_near, folder / "train.npy")
    _write_colour(scene, folder / "colour.npy")
    if scene.read_depth is not None:
        _write_depth(scene, scene.read_depth, folder / "depth.npy")
    return RayBank(folder)


def direction_tables(cameras: tuple[Camera, ...]) -> np.ndarray:
    """[D, 3] float32: the camera-space directions of all pixel centres, lens after lens."""
    return np.concatenate([camera.directions(camera.pixel_centres()).numpy() for camera in cameras])


def view_starts(cameras: Sequence[Camera], camera_index: np.ndarray) -> np.ndarray:
    """[N + 1] int64: the number of each view's first ray; the last entry is the number of rays."""
    pixels = np.array([camera.width * camera.height for camera in cameras], dtype=np.int64)
    return np.concatenate([[0], pixels[camera_index].cumsum()])


def _write_train(scene: Scene, bounds: Tensor, min_near: float, file: Path) -> None:
    """The numbers of the train rays that meet the bounds; counted, then written, so that memory holds one view."""
    starts = view_starts(scene.cameras, scene.camera_index)

    def hits(view: int) -> np.ndarray:
        pose = torch.from_numpy(np.array(scene.poses[view]))
        rays = camera_rays(scene.camera(view), pose, bounds, min_near)
        return starts[view] + np.flatnonzero(rays.hits.numpy())

    counts = [len(hits(view)) for view in scene.splits["train"]]
    if sum(counts) == 0:
        raise NerfpipeError(
            f"scene {scene.name}: no train ray meets the bounds {bounds.tolist()}; "
            "check the poses' scale and axes, or set `bounds:` in the scene's entry"
        )
    small = starts[-1] <= np.iinfo(np.uint32).max
    numbers, first = create_array(file, np.uint32 if small else np.uint64, (sum(counts),)), 0
    for view, count in zip(scene.splits["train"], counts, strict=True):
        numbers[first : first + count] = hits(view)
        first += count
    numbers.flush()


def _write_colour(scene: Scene, file: Path) -> None:
    starts = view_starts(scene.cameras, scene.camera_index)
    colour = create_array(file, np.uint8, (int(starts[-1]), 4))
    with Progress("rays", scene.views, "views") as progress:
        for view in range(scene.views):
            image, camera = scene.read_image(view), scene.camera(view)
            if image.shape != (camera.height, camera.width, 4):
                raise NerfpipeError(
                    f"scene {scene.name}: view {view} is {list(image.shape)}, its camera has "
                    f"{[camera.height, camera.width, 4]}; pictures and cameras must have the same size"
                )
            colour[starts[view] : starts[view + 1]] = image.reshape(-1, 4)  # [H·W, 4]
            progress.advance()
    colour.flush()


def _write_depth(scene: Scene, read: Callable[[int], np.ndarray], file: Path) -> None:
    sizes = [scene.camera(view).width * scene.camera(view).height for view in scene.splits["test"]]
    depth, start = create_array(file, np.float32, (sum(sizes),)), 0
    for view, size in zip(scene.splits["test"], sizes, strict=True):
        depth[start : start + size] = read(view).ravel()  # [H·W]
        start += size
    depth.flush()


def read_about(folder: Path) -> BankAbout:
    """The bank's bank.json. Raises NerfpipeError when it is missing or damaged."""
    file = folder / "bank.json"
    try:
        about = BankAbout(**json.loads(file.read_text(encoding="utf-8")))
        if set(about.splits) != set(SPLITS):
            raise ValueError("splits")
        return about
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro rays` first") from None
    except (ValueError, TypeError):
        raise NerfpipeError(f"{file}: damaged; run `dvc repro --force rays`") from None


def open_array(file: Path, shape: tuple[int | None, ...]) -> np.ndarray:
    """A memory-mapped, read-only array of this shape, None standing for any length.

    Raises NerfpipeError when it is missing, damaged or of another shape.
    """
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro rays`") from None
    except (ValueError, EOFError, OSError) as error:
        raise NerfpipeError(f"{file}: damaged ({error}); run `dvc repro --force rays`") from None
    if len(array.shape) != len(shape) or any(want not in (None, n) for n, want in zip(array.shape, shape, strict=True)):
        raise NerfpipeError(f"{file}: does not fit bank.json; run `dvc repro --force rays`")
    return array

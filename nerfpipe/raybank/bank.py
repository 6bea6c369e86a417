"""The ray bank: every pixel of a scene as a ray with its target, in a few memory-mapped files.

    bank.json        cameras, splits, space, background, similarity; which camera each view has
    poses.npy        [N, 3, 4] float32, camera-to-world
    directions.npy   [pixels of lenses, 3] float32, unit directions in camera space: a table of H·W rows for each
                     distorted lens that many views share (see directions.py)
    colour.npy       [P, 4] uint8, the targets of all P pixels, view after view, row by row
    train.npy        [train rays] uint32 or uint64, those that pass through the bounds and lie within the masks
    mask.npy         [P] uint8, 0 where a pixel does not count (only where the scene has masks)
    depth.npy        [P] float32, true distance of all pixels (only if the scene knows it)
    seen_rays.npy    [K] int64, the train rays that meet a point of the scene; seen_distance.npy [K] float32, the
                     distances of these points (only if the scene has points)

A ray has an index in 0 … P-1. Its origin and direction follow from pose and table, near and far from the
bounds, so that a ray costs about 8 bytes on disk, 12 with its depth, instead of the 36 of nine floats.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tokenize import TokenError
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from nerfpipe.geometry.cameras import Camera
from nerfpipe.geometry.conventions import BACKGROUNDS, SPLITS
from nerfpipe.geometry.plausible import pose_faults
from nerfpipe.geometry.rays import DepthRange, PixelBatch, RayBatch, rays_to_world
from nerfpipe.geometry.similarity import Similarity
from nerfpipe.raybank.directions import Directions, table_starts
from nerfpipe.raybank.header import read_header
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.files import refuse_irregular

# What numpy raises for a file that is no array, or whose header is garbled.
DAMAGE = (ValueError, TypeError, ArithmeticError, EOFError, OSError, SyntaxError, TokenError, BadZipFile)
CONE = 2 / math.sqrt(12)  # of a pixel's width: the radius of a disc with the variance of a square (mip-NeRF)
FINE_CENTRE = 3  # decimals of a scene's centre in messages, in scene units
DTYPES = {
    "poses": (np.float32,),
    "directions": (np.float32,),
    "colour": (np.uint8,),
    "train": (np.uint32, np.uint64),
    "mask": (np.uint8,),
    "depth": (np.float32,),
    "seen_rays": (np.int64,),
    "seen_distance": (np.float32,),
}


class RayBank:
    """Rays by index, from a folder that `build` wrote. The files are mapped, never read whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.header = read_header(folder)
        self.cameras = self.header.cameras
        self.camera_index = np.array(self.header.camera_index)
        self.splits = {name: np.array(self.header.splits[name]) for name in SPLITS}
        self.space = self.header.space
        self.background = torch.tensor(BACKGROUNDS[self.header.background])  # [3]
        self.has_alpha = self.header.has_alpha

        self.poses = torch.empty(0, 3, 4)  # [N, 3, 4], camera-to-world
        focal = [math.sqrt(camera.fx * camera.fy) for camera in self.cameras]
        self._radius = torch.tensor([CONE / pixels for pixels in focal])  # [cameras], of a pixel's cone at distance 1
        self._view_start = view_starts(self.cameras, self.camera_index)  # [N + 1]
        self.seen_rays, self.seen_distance = np.empty(0, np.int64), np.empty(0, np.float32)  # [K]
        self._open_arrays()

    def _open_arrays(self) -> None:
        shapes = {
            "poses": (len(self.camera_index), 3, 4),
            "directions": (table_starts(self.cameras, self.header.camera_index)[1], 3),
            "colour": (int(self._view_start[-1]), 4),
            "train": (None,),
        }
        self.arrays = {
            name: open_array(self.folder / f"{name}.npy", shape, DTYPES[name]) for name, shape in shapes.items()
        }
        self._directions = Directions(self.cameras, self.header.camera_index, self.arrays["directions"])
        for fault in pose_faults(self.arrays["poses"], "pose"):
            raise NerfpipeError(f"{self.folder / 'poses.npy'}: damaged ({fault}); run `dvc repro --force rays`")
        self.poses = torch.from_numpy(np.array(self.arrays["poses"]))
        depth = self.folder / "depth.npy"
        self._depth = open_array(depth, (int(self._view_start[-1]),), DTYPES["depth"]) if depth.exists() else None
        seen = [self.folder / f"{name}.npy" for name in ("seen_rays", "seen_distance")]
        if all(file.exists() for file in seen):
            self.seen_rays = open_array(seen[0], (None,), DTYPES["seen_rays"])
            self.seen_distance = open_array(seen[1], self.seen_rays.shape, DTYPES["seen_distance"])
        mask = self.folder / "mask.npy"
        self._mask = open_array(mask, (int(self._view_start[-1]),), DTYPES["mask"]) if mask.exists() else None

    @property
    def train_rays(self) -> int:
        """How many rays can be trained on."""
        return len(self.arrays["train"])

    def camera(self, view: int) -> Camera:
        return self.cameras[self.camera_index[view]]

    def train(self, which: np.ndarray, depth: bool = False, seen: np.ndarray | None = None) -> PixelBatch:
        """Train pixels by their index [R] among the train rays, 0 … train_rays - 1; with their depth if it is known.

        seen [R]: indices among the rays that meet a point, which replace those of `which`; -1 keeps them.
        """
        indices = self._checked(self.arrays["train"][which], "train")
        if seen is None:
            return self.pixels(indices, depth)
        at = np.flatnonzero(seen >= 0)
        indices[at] = self._checked(self.seen_rays[seen[at]], "seen_rays")
        pixels = self.pixels(indices, depth)
        known = torch.full((len(indices),), torch.nan) if pixels.depth is None else pixels.depth
        known[at] = torch.from_numpy(self.seen_distance[seen[at]])
        return replace(pixels, depth=known)

    def _checked(self, indices: np.ndarray, name: str) -> np.ndarray:
        """Indices [R] of rays from a file. Raises NerfpipeError if there is no such ray."""
        if len(indices) and not 0 <= indices.min() <= indices.max() < self._view_start[-1]:
            raise NerfpipeError(f"{self.folder / name}.npy: damaged; run `dvc repro --force rays`")
        return indices.astype(np.int64)

    def view(self, view: int) -> RayBatch:
        """All rays of a view, row by row."""
        return self.rays(np.arange(self._view_start[view], self._view_start[view + 1]))

    def depth_range(self, split: str) -> DepthRange:
        """The depths of all rays of a split; memory holds a few of them at a time."""
        extent = DepthRange()
        for view in self.splits[split]:
            start = int(self._view_start[view])
            for _, pixels in self.camera(view).strips():
                extent.include(self.rays(np.arange(start + pixels.start, start + pixels.stop)))
        return extent

    def distance(self, view: int, t: Tensor) -> Tensor:
        """[H·W] in scene units, of what the rays of a view found at t [H·W]."""
        pixels = self.pixels(np.arange(self._view_start[view], self._view_start[view + 1]))
        return self.space.distance(*rays_to_world(self.poses[pixels.view], pixels.in_camera), t)

    def rays(self, indices: np.ndarray) -> RayBatch:
        """Rays by index [R], as they pass through the scene's space."""
        return self.rays_of(self.pixels(indices))

    def rays_of(self, pixels: PixelBatch) -> RayBatch:
        """The rays of R pixels, as they pass through the scene's space."""
        return self.space.rays(*rays_to_world(self.poses[pixels.view], pixels.in_camera), pixels)

    def pixels(self, indices: np.ndarray, depth: bool = False) -> PixelBatch:
        """The pixels of rays by index [R]; with their depth if it is asked for and known."""
        view = np.searchsorted(self._view_start, indices, side="right") - 1  # [R]
        pixel, lens = indices - self._view_start[view], self.camera_index[view]
        return PixelBatch(
            view=torch.from_numpy(view),
            pixel=torch.from_numpy(pixel),
            in_camera=self._directions.of(lens, pixel),  # [R, 3]
            radius=self._radius[lens],
            target=torch.from_numpy(self.arrays["colour"][indices]).float() / 255,  # [R, 4]
            depth=torch.from_numpy(self._depth[indices]) if depth and self._depth is not None else None,
        )

    def true_depth(self, view: int) -> Tensor | None:
        """[H·W] true distance along the rays of a view, inf if a ray meets nothing; None if it is unknown."""
        if self._depth is None:
            return None
        return torch.from_numpy(np.array(self._depth[self._view_start[view] : self._view_start[view + 1]]))

    def mask(self, view: int) -> Tensor | None:
        """[H·W] bool, which pixels of a view count; None where all do."""
        if self._mask is None:
            return None
        return torch.from_numpy(self._mask[self._view_start[view] : self._view_start[view + 1]] > 0)

    def summary(self) -> str:
        """What the bank holds, in lines for people: views, rays, bounds, near and far."""
        extent = self.depth_range("train")
        return "\n".join(
            [
                f"scene {self.header.scene}: "
                + ", ".join(f"{len(self.splits[name])} {name}" for name in SPLITS)
                + " views",
                f"{self.space.describe()}, background {self.header.background}"
                + (" behind an alpha channel" if self.has_alpha else ""),
                self.space.describe_depths(extent),
                *scale_lines(self.header.similarity, *self.space.depth_ends(extent)),
                f"{self.train_rays:,} of {extent.rays:,} train rays meet the bounds"
                + (" and lie within the masks" if self._mask is not None else ""),
                f"{self.bytes_per_ray():.2f} bytes per ray on disk",
            ]
        )

    def bytes_per_ray(self) -> float:
        """Size on disk over the number of pixels."""
        return sum(file.stat().st_size for file in self.folder.iterdir()) / int(self._view_start[-1])


def scale_lines(similarity: Similarity, near: float, far: float) -> list[str]:
    """Centre, scale, near and far in the data's units, where these are not scene units; one line or none."""
    if similarity.is_identity:
        return []
    unit = 1 / similarity.scale
    decimals = max(0, math.ceil(FINE_CENTRE - math.log10(unit)))
    centre = ", ".join(f"{round(x, decimals) + 0.0:.{decimals}f}" for x in similarity.centre)  # never -0
    return [
        f"in the data's units: centre ({centre}), a scene unit {unit:.4g}, near {near * unit:.3g}, far "
        + ("infinity" if math.isinf(far) else f"{far * unit:.3g}")
    ]


def view_starts(cameras: Sequence[Camera], camera_index: np.ndarray) -> np.ndarray:
    """[N + 1] int64: the number of each view's first ray; the last entry is the number of rays."""
    pixels = np.array([camera.width * camera.height for camera in cameras], dtype=np.int64)
    return np.concatenate([[0], pixels[camera_index].cumsum()])


def open_array(file: Path, shape: tuple[int | None, ...], dtypes: tuple[type, ...]) -> np.ndarray:
    """A memory-mapped, read-only array of this shape, None standing for any length, and of one of these types.

    Raises NerfpipeError when it is missing, damaged or of another shape or type.
    """
    refuse_irregular(file)
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise NerfpipeError(f"{file}: not found; run `dvc repro rays`") from None
    except DAMAGE as error:
        raise NerfpipeError(f"{file}: damaged ({error}); run `dvc repro --force rays`") from None
    fits = len(array.shape) == len(shape) and all(want in (None, n) for n, want in zip(array.shape, shape, strict=True))
    if array.dtype not in dtypes or not fits:
        raise NerfpipeError(f"{file}: does not fit bank.json; run `dvc repro --force rays`")
    return array

"""A coloured point cloud with normals, from the depth that the train cameras see."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from nerfpipe.config.memory import PIXEL, check_needs
from nerfpipe.export import point_cloud_file
from nerfpipe.export.options import CloudOptions
from nerfpipe.export.views import LoadedField
from nerfpipe.geometry.cameras import sized
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

OVERSAMPLING = 12  # pixels rendered per point wanted: some see nothing, and dense regions are thinned
POINT = 1000  # bytes per point, with all the pixels rendered for it
NEIGHBOURS = 8  # whose mean distance decides whether a point is a floater
FLOATER = 2.0  # standard deviations above the mean of that distance, beyond which it is one
HALVINGS = 14  # steps of the bisection for the cell size of the thinning
EDGE = 0.05  # of a pixel's distance, by which its neighbours' may differ: beyond, it mixes near and far surfaces
SEED = 0


@dataclass(frozen=True)
class Cloud:
    """P points: positions in the scene, colours in [0, 1], unit vectors towards the camera that saw them."""

    points: Tensor  # [P, 3]
    colours: Tensor  # [P, 3]
    towards: Tensor  # [P, 3]

    def __getitem__(self, index: Tensor) -> Cloud:
        """The points of an index [Q] or mask [P]."""
        return Cloud(self.points[index], self.colours[index], self.towards[index])


def export_pointcloud(field: LoadedField, options: CloudOptions, output: Path) -> Iterator[str]:
    """Write the cloud as binary .ply; yields the lines to print. Raises NerfpipeError if nothing is seen."""
    cloud = seen_points(field, options)
    if not len(cloud.points):
        raise NerfpipeError(
            f"no point: the train cameras see nothing with an opacity of {options.opacity:g} or more; lower --opacity"
        )
    space = field.header.space
    even = cloud[thinned(space.from_world(cloud.points)[0].numpy(), options.points)]
    kept = even[~floaters(space.from_world(even.points)[0].numpy())]
    normals = facing(field.query.normals(kept.points), kept.towards)
    similarity = field.header.similarity
    positions = similarity.original(kept.points.double().numpy())
    point_cloud_file.write(output, positions, kept.colours.numpy(), normals.numpy() @ np.array(similarity.rotation))
    size = output.stat().st_size / 1e6
    yield f"{output}: {len(kept.points):,} points with colours and normals, {size:.1f} MB, in the scene's original unit"
    yield (
        f"  from {len(cloud.points):,} pixels of {len(field.header.poses)} train views with opacity "
        f"{options.opacity:g} or more; {len(even.points) - len(kept.points):,} floaters dropped"
    )


def seen_points(field: LoadedField, options: CloudOptions) -> Cloud:
    """The surface points of all pixels of all train views, at the resolution that the number of points needs."""
    header = field.header
    check_needs("--points", options.points * (POINT + OVERSAMPLING * PIXEL / len(header.poses)))
    camera, poses = header.camera.pinhole(), torch.tensor(header.poses)
    factor = math.sqrt(OVERSAMPLING * options.points / (len(poses) * camera.width * camera.height))
    camera = sized(camera, max(2, round(factor * max(camera.width, camera.height))))
    found = []
    with Progress("look", len(poses), "views") as progress:
        for pose in poses:
            picture = field.picture(camera, pose)
            origins, directions, distance = field.distances(camera, pose, picture)
            points, opacity = origins + distance[:, None] * directions, picture.opacity.flatten()
            seen = (opacity >= options.opacity) & (distance > 0)
            seen &= ~at_edges(distance.reshape(camera.height, camera.width)).flatten()
            seen &= ~header.space.is_sky(points)
            through = (1 - opacity)[:, None] * header.background_colour
            colours = (picture.colour.reshape(-1, 3) - through) / opacity[:, None].clamp_min(options.opacity)
            found.append(Cloud(points[seen], colours[seen].clamp(0, 1), -directions[seen]))
            progress.advance()
    return Cloud(*(torch.cat([getattr(part, name) for part in found]) for name in ("points", "colours", "towards")))


def at_edges(distance: Tensor) -> Tensor:
    """Which pixels lie at jumps of the distance [H, W]: [H, W] bool. Their mean depth is on no surface."""
    jumps = torch.zeros_like(distance, dtype=torch.bool)
    for axis in range(2):
        ahead = distance.narrow(axis, 1, distance.shape[axis] - 1)
        behind = distance.narrow(axis, 0, distance.shape[axis] - 1)
        jump = (ahead - behind).abs() > EDGE * torch.minimum(ahead, behind)
        jumps.narrow(axis, 1, distance.shape[axis] - 1).logical_or_(jump)
        jumps.narrow(axis, 0, distance.shape[axis] - 1).logical_or_(jump)
    return jumps


def thinned(points: np.ndarray, count: int) -> Tensor:
    """Indices [at most count] of evenly spread points of [P, 3]: one per cell, of a cell size found by bisection."""
    if len(points) <= count:
        return torch.arange(len(points))
    order = np.random.default_rng(SEED).permutation(len(points))
    shuffled = points[order] - points.min(axis=0)
    low, high = 0.0, float(shuffled.max()) + 1e-9  # of the cell size
    chosen = np.arange(len(points))
    for _ in range(HALVINGS):
        size = (low + high) / 2
        found = np.unique(cell_indices(shuffled, size), return_index=True)[1]
        if len(found) >= count:
            low, chosen = size, found
        else:
            high = size
    chosen = np.random.default_rng(SEED).choice(chosen, count, replace=False)
    return torch.from_numpy(np.sort(order[chosen]))


def cell_indices(points: np.ndarray, size: float) -> np.ndarray:
    """The index [P] of the cell of each point [P, 3], none negative, in a grid of this cell size."""
    cells = (points / size).astype(np.int64)
    y, z = int(cells[:, 1].max()) + 1, int(cells[:, 2].max()) + 1
    return (cells[:, 0] * y + cells[:, 1]) * z + cells[:, 2]


def floaters(points: np.ndarray) -> Tensor:
    """Which points [P, 3] are unusually far from their neighbours: [P] bool."""
    if len(points) <= NEIGHBOURS:
        return torch.zeros(len(points), dtype=torch.bool)
    distances = cKDTree(points).query(points, k=NEIGHBOURS + 1, workers=-1)[0][:, 1:].mean(axis=1)
    return torch.from_numpy(distances > distances.mean() + FLOATER * distances.std())


def facing(normals: Tensor, towards: Tensor) -> Tensor:
    """Normals [P, 3] flipped to face the camera; zero ones become the direction `towards` it."""
    cosine = (normals * towards).sum(dim=1, keepdim=True)
    return torch.where(cosine == 0, towards, normals * cosine.sign())

"""A coloured point cloud with normals, from what the train cameras see."""

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
from nerfpipe.export.views import Subject
from nerfpipe.geometry.cameras import sized
from nerfpipe.geometry.contraction import contract
from nerfpipe.geometry.space import Space
from nerfpipe.runtime.errors import NerfpipeError
from nerfpipe.runtime.progress import Progress

OVERSAMPLING = 12  # pixels looked at for each point wanted: some see nothing, and dense places are thinned
POINT = 1000  # bytes that each point takes with all the pixels that are looked at for it
NEIGHBOURS = 8  # whose mean distance tells whether a point stands alone
LONELY = 2.0  # standard deviations above the mean of that distance, from which a point is a floater
HALVINGS = 14  # of the interval in which the edge of the thinning's cells is sought
FAR_OUT = 1.9  # of 2: in an unbounded scene, 10 times as far out as the farthest camera; beyond is sky
EDGE = 0.05  # of a pixel's distance, how much its neighbours' may differ: else it mixes what is near and what is far
SEED = 0


@dataclass(frozen=True)
class Cloud:
    """P points: positions in the scene, colours in [0, 1], unit vectors towards the camera that saw them."""

    points: Tensor  # [P, 3]
    colours: Tensor  # [P, 3]
    towards: Tensor  # [P, 3]

    def __getitem__(self, which: Tensor) -> Cloud:
        return Cloud(self.points[which], self.colours[which], self.towards[which])


def export_pointcloud(subject: Subject, options: CloudOptions, output: Path) -> Iterator[str]:
    """Write the cloud as binary .ply; yields what to tell the user. Raises NerfpipeError where nothing is seen."""
    cloud = seen_points(subject, options)
    if not len(cloud.points):
        raise NerfpipeError(
            f"no point: the train cameras see nothing with an opacity of {options.opacity:g} or more; lower --opacity"
        )
    space = subject.about.space
    even = cloud[thinned(in_space(space, cloud.points), options.points)]
    kept = even[~lonely(in_space(space, even.points))]
    normals = facing(subject.probe.normals(kept.points), kept.towards)
    similarity = subject.about.similarity
    turned = normals.numpy() @ np.array(similarity.rotation)
    point_cloud_file.write(output, similarity.original(kept.points.double().numpy()), kept.colours.numpy(), turned)
    size = output.stat().st_size / 1e6
    yield f"{output}: {len(kept.points):,} points with colours and normals, {size:.1f} MB, in the scene's original unit"
    yield (
        f"  from {len(cloud.points):,} pixels of {len(subject.about.poses)} train views with opacity "
        f"{options.opacity:g} or more; {len(even.points) - len(kept.points):,} floaters dropped"
    )


def seen_points(subject: Subject, options: CloudOptions) -> Cloud:
    """Where the pixels of all train views see something; the views as large as the number of points asks for."""
    about = subject.about
    check_needs("--points", options.points * (POINT + OVERSAMPLING * PIXEL / len(about.poses)))
    camera, poses = about.camera.pinhole(), torch.tensor(about.poses)
    wanted = math.sqrt(OVERSAMPLING * options.points / (len(poses) * camera.width * camera.height))
    camera = sized(camera, max(2, round(wanted * max(camera.width, camera.height))))
    found = []
    with Progress("look", len(poses), "views") as progress:
        for pose in poses:
            picture = subject.picture(camera, pose)
            origins, directions, distance = subject.distances(camera, pose, picture)
            points, opacity = origins + distance[:, None] * directions, picture.opacity.flatten()
            seen = (opacity >= options.opacity) & (distance > 0)
            seen &= ~at_edges(distance.reshape(camera.height, camera.width)).flatten()
            if about.space.unbounded:
                seen &= contract(points).abs().amax(dim=1) < FAR_OUT
            through = (1 - opacity)[:, None] * about.background_colour
            colours = (picture.colour.reshape(-1, 3) - through) / opacity[:, None].clamp_min(options.opacity)
            found.append(Cloud(points[seen], colours[seen].clamp(0, 1), -directions[seen]))
            progress.advance()
    return Cloud(*(torch.cat([getattr(part, name) for part in found]) for name in ("points", "colours", "towards")))


def at_edges(distance: Tensor) -> Tensor:
    """Which pixels [H, W] bool lie where distance [H, W] jumps: their mean depth is of no surface."""
    jumps = torch.zeros_like(distance, dtype=torch.bool)
    for axis in range(2):
        ahead = distance.narrow(axis, 1, distance.shape[axis] - 1)
        behind = distance.narrow(axis, 0, distance.shape[axis] - 1)
        jump = (ahead - behind).abs() > EDGE * torch.minimum(ahead, behind)
        jumps.narrow(axis, 1, distance.shape[axis] - 1).logical_or_(jump)
        jumps.narrow(axis, 0, distance.shape[axis] - 1).logical_or_(jump)
    return jumps


def in_space(space: Space, points: Tensor) -> np.ndarray:
    """Points [P, 3] where even spacing is what one wants to see: contracted, or as cameras see them."""
    return space.from_world(points)[0].numpy()


def thinned(points: np.ndarray, count: int) -> Tensor:
    """Numbers [at most count] of points [P, 3] spread evenly: one for each cell, of cells that suit the count."""
    if len(points) <= count:
        return torch.arange(len(points))
    order = np.random.default_rng(SEED).permutation(len(points))
    shuffled = points[order] - points.min(axis=0)
    below, above = 0.0, float(shuffled.max()) + 1e-9
    chosen = np.arange(len(points))
    for _ in range(HALVINGS):
        edge = (below + above) / 2
        found = np.unique(cell_numbers(shuffled, edge), return_index=True)[1]
        if len(found) >= count:
            below, chosen = edge, found
        else:
            above = edge
    chosen = np.random.default_rng(SEED).choice(chosen, count, replace=False)
    return torch.from_numpy(np.sort(order[chosen]))


def cell_numbers(points: np.ndarray, edge: float) -> np.ndarray:
    """The number [P] of the cell of this edge that each of the points [P, 3], none below 0, lies in."""
    cells = (points / edge).astype(np.int64)
    y, z = int(cells[:, 1].max()) + 1, int(cells[:, 2].max()) + 1
    return (cells[:, 0] * y + cells[:, 1]) * z + cells[:, 2]


def lonely(points: np.ndarray) -> Tensor:
    """Which points [P, 3] are farther from their neighbours than is usual here: [P] bool."""
    if len(points) <= NEIGHBOURS:
        return torch.zeros(len(points), dtype=torch.bool)
    distances = cKDTree(points).query(points, k=NEIGHBOURS + 1, workers=-1)[0][:, 1:].mean(axis=1)
    return torch.from_numpy(distances > distances.mean() + LONELY * distances.std())


def facing(normals: Tensor, towards: Tensor) -> Tensor:
    """Normals [P, 3] turned round where they look away from the camera; where there are none, towards it."""
    cosine = (normals * towards).sum(dim=1, keepdim=True)
    return torch.where(cosine == 0, towards, normals * cosine.sign())

"""Which views show which points: known from structure from motion, or found by what hides what."""

from __future__ import annotations

import numpy as np
import torch

from nerfpipe.geometry.cameras import Camera
from nerfpipe.scenes.scene import Scene

TILES = 12  # along an image's longer side, in which the nearest point hides those behind it
BEHIND = 1.15  # times the distance of the nearest point in a tile, beyond which a point counts as hidden


def kept_sightings(sightings: np.ndarray, views: list[int], points: np.ndarray) -> np.ndarray:
    """Sightings [K, 2] of the views and points that are kept, given by their former indices, by their new ones."""
    new_view, new_point = {old: new for new, old in enumerate(views)}, {int(old): new for new, old in enumerate(points)}
    found = [(new_view[v], new_point[p]) for v, p in sightings.tolist() if v in new_view and p in new_point]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def points_seen(scene: Scene, view: int) -> tuple[np.ndarray, np.ndarray]:
    """The pixels [K] of a view that show points of the scene, row by row, and the points' distances [K].

    If the scene has no sightings, a point is taken as seen where no other hides it. A pixel shows its nearest point.
    """
    if scene.points is None:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    camera, pose = scene.camera(view), scene.poses[view]
    points = scene.points
    if scene.sightings is not None:
        points = points[scene.sightings[scene.sightings[:, 0] == view, 1]]
    pixels, distance = _projected(points, camera, pose)
    if scene.sightings is None:
        visible = _in_front(pixels, distance, camera)
        pixels, distance = pixels[visible], distance[visible]
    index = pixels[:, 1] * camera.width + pixels[:, 0]
    order = np.lexsort((distance, index))
    first = np.unique(index[order], return_index=True)[1]
    return index[order][first], distance[order][first].astype(np.float32)


def _projected(points: np.ndarray, camera: Camera, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(column, row) [K, 2] int64 and distance [K] of the points [P, 3] in the image of a camera at a pose [3, 4]."""
    local = torch.from_numpy((points - pose[:, 3]).astype(np.float64) @ pose[:, :3].astype(np.float64))
    place, t = camera.project(local)
    size = torch.tensor([camera.width, camera.height])
    inside = ((place >= 0) & (place < size)).all(dim=1) & (local[:, 2] < 0)  # False for NaN
    return place[inside].floor().long().numpy(), t[inside].numpy()


def _in_front(pixels: np.ndarray, distance: np.ndarray, camera: Camera) -> np.ndarray:
    """[K] bool: which points are not far behind the nearest one in their part of the image."""
    tile = max(camera.width, camera.height) / TILES
    number = (pixels // tile).astype(np.int64) @ np.array([1, TILES + 1])  # [K]
    nearest = np.full(int(number.max(initial=0)) + 1, np.inf)
    np.minimum.at(nearest, number, distance)
    return distance <= BEHIND * nearest[number]

"""Which connected pieces of a surface are worth keeping."""

from __future__ import annotations

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

CLOSED = 1e-6  # of its area, what the vectors of a closed surface's faces may add up to


def piece_of(faces: np.ndarray, count: int) -> np.ndarray:
    """The number [F] of the connected piece that each of the faces [F, 3] of `count` vertices belongs to."""
    begin, end = faces[:, [0, 1]].T.ravel(), faces[:, [1, 2]].T.ravel()
    graph = coo_matrix((np.ones(len(begin), bool), (begin, end)), shape=(count, count))
    pieces = connected_components(graph, directed=False)[1]
    return np.unique(pieces[faces[:, 0]], return_inverse=True)[1]


def worth_keeping(vertices: np.ndarray, faces: np.ndarray, share: float, cameras: np.ndarray) -> np.ndarray:
    """Which faces [F] bool to keep of a surface of vertices [V, 3]; cameras [N, 3]: where they stand.

    A piece with fewer faces than `share` of the largest one's is a floater. A closed piece that looks inwards is a
    hollow inside something opaque, where the field was never seen - unless a camera stands in it.
    """
    piece = piece_of(faces, len(vertices))
    sizes = np.bincount(piece)
    corners = vertices[faces]  # [F, 3, 3]
    vectors = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])  # twice the area, outwards
    volumes = np.bincount(piece, (corners[:, 0] * vectors).sum(axis=1))
    areas = np.bincount(piece, np.linalg.norm(vectors, axis=1))
    sums = np.stack([np.bincount(piece, vectors[:, axis]) for axis in range(3)], axis=1)
    hollow = (volumes < 0) & (np.linalg.norm(sums, axis=1) < CLOSED * areas)
    for number in np.flatnonzero(hollow):
        part = corners[piece == number]
        low, high = part.min(axis=(0, 1)), part.max(axis=(0, 1))
        hollow[number] = not ((cameras > low) & (cameras < high)).all(axis=1).any()
    largest = sizes[~hollow].max(initial=0)
    kept = ~hollow & (sizes >= share * largest)
    return kept[piece]


def without(vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices and faces that are left when only the faces with kept [F] stay."""
    used, numbers = np.unique(faces[kept], return_inverse=True)
    return vertices[used], numbers.reshape(-1, 3)

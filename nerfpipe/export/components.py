"""Which connected components of a surface to keep, in blocks: a noisy field has more than ten million faces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from nerfpipe.runtime.progress import Progress

CLOSED = 1e-6  # of its area: the largest sum of face vectors at which a surface counts as closed
BLOCK = 2**20  # faces whose corners are in memory at once


@dataclass
class Measures:
    """Of each of C components: number of faces, area, enclosed volume, and sum of its faces' vectors."""

    faces: np.ndarray  # [C] int64
    areas: np.ndarray  # [C], twice the area
    volumes: np.ndarray  # [C], six times the volume; negative if the faces look inwards
    sums: np.ndarray  # [C, 3]

    @classmethod
    def zeros(cls, count: int) -> Measures:
        """Measures of `count` components without faces."""
        return cls(np.zeros(count, np.int64), np.zeros(count), np.zeros(count), np.zeros((count, 3)))

    def add(self, component: np.ndarray, vertices: np.ndarray, faces: np.ndarray) -> None:
        """Add faces [B, 3] of vertices [V, 3]; component [B]: the component of each face."""
        count = len(self.faces)
        vectors = face_vectors(vertices, faces)
        self.faces += np.bincount(component, minlength=count)
        self.areas += np.bincount(component, np.linalg.norm(vectors, axis=1), count)
        self.volumes += np.bincount(component, (vertices[faces[:, 0]] * vectors).sum(axis=1), count)
        for axis in range(3):
            self.sums[:, axis] += np.bincount(component, vectors[:, axis], count)

    @property
    def inward(self) -> np.ndarray:
        """Which components are closed and look inwards: [C] bool."""
        return (self.volumes < 0) & (np.linalg.norm(self.sums, axis=1) < CLOSED * self.areas)


def face_vectors(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Normal vectors [B, 3] of faces [B, 3] of vertices [V, 3], with twice the face's area as length."""
    first, second, third = (vertices[faces[:, corner]] for corner in range(3))
    return np.cross(second - first, third - first)


def face_blocks(faces: np.ndarray) -> Iterator[np.ndarray]:
    """The faces [F, 3], BLOCK at a time."""
    for first in range(0, len(faces), BLOCK):
        yield faces[first : first + BLOCK]


def component_labels(faces: np.ndarray, count: int, progress: Progress) -> np.ndarray:
    """The connected component, as a number, of each of `count` vertices that faces [F, 3] join: [V].

    First within each block of faces, then across the blocks, which contribute one edge per vertex: scipy copies all
    edges several times.
    """
    begins, ends = [np.empty(0, faces.dtype)], [np.empty(0, faces.dtype)]
    for block in face_blocks(faces):
        first, last = block.min(), block.max() + 1  # after marching cubes, the vertices of a block lie close together
        local = block - first
        labels = _labels(local[:, [0, 1]].T.ravel(), local[:, [1, 2]].T.ravel(), last - first)
        representative = np.unique(labels, return_index=True)[1]  # one vertex of each component
        begins.append(np.arange(first, last, dtype=faces.dtype))
        ends.append((representative[labels] + first).astype(faces.dtype))
        progress.advance(len(block))
    return _labels(np.concatenate(begins), np.concatenate(ends), count)


def _labels(begin: np.ndarray, end: np.ndarray, count: int) -> np.ndarray:
    """The component of each of `count` vertices that edges from begin [E] to end [E] join: [V]."""
    graph = coo_matrix((np.ones(len(begin), bool), (begin, end)), shape=(count, count))
    return connected_components(graph.tocsr(), directed=False)[1]


def faces_to_keep(vertices: np.ndarray, faces: np.ndarray, share: float, cameras: np.ndarray) -> np.ndarray:
    """Which faces to keep of a surface with vertices [V, 3]: [F] bool; cameras [N, 3]: positions.

    A component with fewer faces than `share` of the largest one's is a floater. A closed component that looks inwards
    is a hollow inside something opaque, which no camera saw, unless a camera is inside it.
    """
    with Progress("components", 2 * len(faces), "faces") as progress:
        labels = component_labels(faces, len(vertices), progress)
        measures = Measures.zeros(int(labels.max(initial=-1)) + 1)
        for block in face_blocks(faces):
            measures.add(labels[block[:, 0]], vertices, block)
            progress.advance(len(block))
    hollow = measures.inward
    hollow[hollow] = ~contains_camera(vertices, labels, hollow, cameras)
    largest = measures.faces[~hollow].max(initial=0)
    kept = ~hollow & (measures.faces >= share * largest)
    return kept[labels][faces[:, 0]]


def contains_camera(vertices: np.ndarray, labels: np.ndarray, chosen: np.ndarray, cameras: np.ndarray) -> np.ndarray:
    """Whether the bounding box of each component chosen by [C] bool, in order, contains a camera of [N, 3]."""
    corners, label = vertices[chosen[labels]], labels[chosen[labels]]
    order = np.argsort(label, kind="stable")
    begins = np.flatnonzero(np.diff(label[order], prepend=-1))
    corners = corners[order]
    low, high = (extreme.reduceat(corners, begins, axis=0) for extreme in (np.minimum, np.maximum))
    contains = np.zeros(len(low), bool)
    for camera in cameras:
        contains |= ((camera > low) & (camera < high)).all(axis=1)
    return contains


def submesh(vertices: np.ndarray, faces: np.ndarray, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The faces with kept [F] bool, and the vertices that they use, numbered anew."""
    left = faces[kept]
    used = np.zeros(len(vertices), bool)
    used[left] = True
    new_index = np.cumsum(used, dtype=faces.dtype) - 1
    return vertices[used], new_index[left]
